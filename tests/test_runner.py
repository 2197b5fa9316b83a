import errno
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from commonweal import storage
from commonweal.benchmarks import runner
from commonweal.benchmarks.cell import run_cell
from commonweal.benchmarks.runner import references_of, run_study
from commonweal.benchmarks.store import Store, read_json, read_rows
from commonweal.benchmarks.suite import parse
from commonweal.benchmarks.summary import summarise
from commonweal.errors import StorageError
from tests.small_study import TEXT, run_small


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    suite = parse(TEXT)
    return suite, folder, run_study(suite, folder, quiet=True)


def test_a_study_writes_everything_into_its_folder(study):
    suite, folder, outcome = study
    assert outcome.failed == {}
    assert len(outcome.finished) == 2
    rows = read_rows(folder / "results.parquet")
    assert len(rows) == 2 * suite.study.replicates
    names = {"dilemma", "institution", "replicate", "welfare", "efficiency", "equality", "enforcement_cost"}
    assert names | {"gain", "gain_share", "gain_method", "episode_length"} <= set(rows[0])
    assert read_json(folder / "provenance.json")["versions"]["torch"] == torch.__version__
    for cell in Store(folder).cells():
        inside = {path.name for path in Store(folder).folder_of(cell).iterdir()}
        tables = {f"{name}.parquet" for name in ("results", "curves", "series", "flows")}
        assert inside == tables | {"config.json", "checkpoint.pt", "done"}
        torch.load(Store(folder).folder_of(cell) / "checkpoint.pt", weights_only=True)


def test_numbers_of_the_rows_fit_each_other(study):
    _, folder, _ = study
    rows = read_rows(folder / "results.parquet")
    for row in rows:
        assert row["efficiency"] == pytest.approx((row["welfare"] - 800.0) / 480.0)  # see PublicGoods
        assert row["episode_length"] == 10.0
        assert row["gain_share"] == pytest.approx(row["gain"] / 480.0)
    free, taxed = rows[0], rows[-1]
    assert free["enforcement_cost"] == 0.0
    assert free["welfare"] == pytest.approx(sum(free["returns"]))
    assert taxed["enforcement_cost"] > 0.0


def test_finished_cells_are_skipped(study):
    suite, folder, _ = study
    before = {path: path.stat().st_mtime_ns for path in (folder / "cells").rglob("*.p*")}
    outcome = run_study(suite, folder, quiet=True)
    assert len(outcome.skipped) == 2
    assert outcome.finished == []
    assert before == {path: path.stat().st_mtime_ns for path in (folder / "cells").rglob("*.p*")}


def test_processes_change_nothing(study, tmp_path):
    _, folder, _ = study
    _, store = run_small(tmp_path)
    one, other = read_rows(folder / "results.parquet"), store.gather()
    assert [row["welfare"] for row in one] == [row["welfare"] for row in other]


class Stop(Exception):
    """Stands for a crash."""


def test_a_stopped_cell_goes_on_as_if_it_had_not_stopped(study, tmp_path):
    suite, folder, _ = study
    store = Store(tmp_path)
    cell = Store(folder).cells()[1]
    record = references_of(suite.dilemmas[cell.dilemma], store)

    def crash(phase, share, welfare):
        if share > 0.65:
            raise Stop

    with pytest.raises(Stop):
        run_cell(cell, tmp_path / "cell", record, crash)
    assert (tmp_path / "cell" / "checkpoint.pt").exists()
    assert not (tmp_path / "cell" / "done").exists()
    seen = []
    run_cell(cell, tmp_path / "cell", record, lambda phase, share, welfare: seen.append(share))
    assert seen[0] > 0.5  # the first half was not repeated
    for name in ("curves", "results", "series"):
        ours, theirs = read_rows(tmp_path / "cell" / f"{name}.parquet"), Store(folder).rows(cell, name)
        np.testing.assert_equal(ours, theirs)


def test_a_damaged_checkpoint_is_not_used(study, tmp_path):
    _, folder, _ = study
    cell = Store(folder).cells()[0]
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 half a file")
    run_cell(cell, tmp_path, None, lambda *news: None)
    assert (tmp_path / "done").exists()
    assert np.isnan([row["efficiency"] for row in read_rows(tmp_path / "results.parquet")]).all()


def test_one_failing_cell_leaves_the_others(tmp_path):
    suite = parse(TEXT)
    cells = suite.cells(lambda dilemma: None)
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / cells[0].folder).write_text("a file where a folder should be")
    outcome = run_study(suite, tmp_path, quiet=True)
    assert list(outcome.failed) == [cells[0].folder]
    assert "cannot write" in outcome.failed[cells[0].folder]
    assert [cell.institution for cell in outcome.finished] == ["noisy tax & fines"]
    assert {row["institution"] for row in read_rows(tmp_path / "results.parquet")} == {"noisy tax & fines"}


def test_an_error_in_a_worker_is_reported_with_its_reason(tmp_path, monkeypatch):
    sent = []

    class Sender:
        send = staticmethod(sent.append)

    def broken(*arguments):
        raise ZeroDivisionError("no boats")

    monkeypatch.setattr("commonweal.benchmarks.cell.run_cell", broken)
    runner._run(parse(TEXT).cells(lambda dilemma: None)[0], tmp_path, None, Sender())
    assert sent == [("failed", 0.0, "ZeroDivisionError: no boats")]
    assert "Traceback" in (tmp_path / "failure.txt").read_text()


def test_full_disk(study, tmp_path, monkeypatch):
    _, folder, _ = study
    cell = Store(folder).cells()[0]

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage.os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        run_cell(cell, tmp_path / "cell", None, lambda *news: None)
    assert list((tmp_path / "cell").iterdir()) == []  # nothing half written
    assert len(read_rows(folder / "results.parquet")) == 6


def test_a_checkpoint_on_a_full_disk(tmp_path):
    class Full:
        def write(self, block):
            raise OSError(errno.ENOSPC, "No space left on device")

        flush = staticmethod(lambda: None)

    with pytest.raises(StorageError, match="No space left"):
        storage.write_atomically(
            tmp_path / "checkpoint.pt", lambda file: torch.save(torch.ones(9999), Full())
        )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        run_study(parse(TEXT), tmp_path / "file" / "runs", quiet=True)


def test_kill_and_start_again(tmp_path):
    path, out = tmp_path / "mine.toml", tmp_path / "out"
    path.write_text(TEXT.replace("steps = 1280", "steps = 12800"))
    command = [sys.executable, "-m", "commonweal", "run", str(path), "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list(out.glob("cells/*/checkpoint.pt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not list(out.glob("cells/*/done"))
    again = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert len(list(out.glob("cells/*/done"))) == 2
    assert "laissez-faire" in again.stdout


def test_summary_says_which_information_was_used(study):
    _, folder, _ = study
    free, taxed = summarise(Store(folder))
    assert free.information == "none"
    assert free.laissez_faire
    assert taxed.information == "noisy: income; exact: contribution"
    assert taxed.columns["efficiency"].low <= taxed.columns["efficiency"].value
