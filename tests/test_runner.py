import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from commonweal import storage
from commonweal.benchmarks import runner
from commonweal.benchmarks.cell import run_cell
from commonweal.benchmarks.runner import references_of, run_study
from commonweal.benchmarks.store import Store, read_json, read_rows
from commonweal.benchmarks.suite_file import parse
from commonweal.benchmarks.summary import summarise
from commonweal.cli import main
from commonweal.errors import InvalidParameter, StorageError
from commonweal.storage import alone
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
        assert inside == tables | {"config.json", "checkpoint.npz", "done"}
        storage.read_arrays(Store(folder).folder_of(cell) / "checkpoint.npz")


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
    assert (tmp_path / "cell" / "checkpoint.npz").exists()
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
    (tmp_path / "checkpoint.npz").write_bytes(b"PK\x03\x04 half a file")
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
        storage.write_atomically(tmp_path / "checkpoint.npz", lambda file: np.save(Full(), np.ones(9999)))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        run_study(parse(TEXT), tmp_path / "file" / "runs", quiet=True)


LONG = TEXT.replace("steps = 1280", "steps = 5120")


def begin(path, out, text, wanted="checkpoint.npz"):
    """The study in a process group of its own, once a cell has written what is `wanted`."""
    path.write_text(text)
    command = [sys.executable, "-m", "commonweal", "run", str(path), "--out", str(out)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(out.glob(f"cells/*/{wanted}")) and time.monotonic() < deadline:
        time.sleep(0.05)
    return process, command


def alive(group):
    """Processes of a group that still run, by /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and fields[0] != "Z":
                found.append(int(stat.parent.name))
    return found


@pytest.mark.slow
def test_kill_and_start_again(tmp_path):
    process, command = begin(tmp_path / "mine.toml", tmp_path / "out", LONG)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not list(tmp_path.glob("out/cells/*/done"))
    again = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert len(list(tmp_path.glob("out/cells/*/done"))) == 2
    assert "laissez-faire" in again.stdout


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are counted in /proc")
def test_workers_notice_that_the_study_is_gone_and_what_they_left_is_gone_on_with(tmp_path):
    process, command = begin(tmp_path / "mine.toml", tmp_path / "out", LONG)
    assert len(alive(process.pid)) > 2
    os.kill(process.pid, signal.SIGKILL)  # the study alone, not its workers
    again = subprocess.run(command, capture_output=True, text=True, timeout=120)  # while they still run
    assert again.returncode == 0, again.stderr
    deadline = time.monotonic() + 30
    while alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive(process.pid) == []
    process.wait()
    assert "Traceback" not in process.stderr.read()
    _, store = run_small(tmp_path / "undisturbed", LONG)
    for cell in store.cells():
        for name in ("results", "curves", "series", "flows"):
            np.testing.assert_equal(Store(tmp_path / "out").rows(cell, name), store.rows(cell, name))
    np.testing.assert_equal(
        read_rows(tmp_path / "out" / "results.parquet"),
        read_rows(tmp_path / "undisturbed" / "results.parquet"),
    )


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are counted in /proc")
def test_control_c_ends_all_in_one_line(tmp_path):
    endless = LONG.replace("5120", "1280000")
    process, _ = begin(tmp_path / "mine.toml", tmp_path / "out", endless, "config.json")
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in told
    assert told.endswith("commonweal: interrupted; start again to go on\n")
    deadline = time.monotonic() + 30
    while alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive(process.pid) == []


def test_two_studies_in_one_folder_at_once(study, tmp_path):
    suite, _, _ = study
    with alone(tmp_path, wait=False), pytest.raises(StorageError, match="another process is at work"):
        run_study(suite, tmp_path, quiet=True)
    assert list(tmp_path.iterdir()) == []
    with alone(tmp_path, wait=False):  # once let go of, it can be held again
        pass


def test_a_cell_that_another_process_has_finished_is_not_run_again(study, tmp_path):
    _, folder, _ = study
    cell = Store(folder).cells()[0]
    shutil.copytree(Store(folder).folder_of(cell), tmp_path / "cell")
    run_cell(cell, tmp_path / "cell", None, lambda *news: pytest.fail("it runs"))


@pytest.mark.parametrize("table", ["results", "series"])
def test_a_damaged_result_among_good_ones_is_made_again(study, tmp_path, table):
    suite, folder, _ = study
    shutil.copytree(folder, tmp_path / "copy")
    store = Store(tmp_path / "copy")
    bad, good = store.cells()
    path = store.folder_of(bad) / f"{table}.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    assert [cell.folder for cell in store.cells()] == [good.folder]
    assert len(summarise(store)) == 1  # the others are still shown
    outcome = run_study(suite, store.folder, quiet=True)
    assert [cell.folder for cell in outcome.finished] == [bad.folder]
    np.testing.assert_equal(store.rows(bad, table), Store(folder).rows(bad, table))


def test_damaged_references_are_computed_again(study, tmp_path):
    suite, folder, _ = study
    dilemma = suite.dilemmas["public good"]
    good = references_of(dilemma, Store(folder))
    for text in ("", "{}", "3", '{"selfish": {"welfare": 1}}'):
        path = runner.reference_path(dilemma, Store(tmp_path))
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        assert references_of(dilemma, Store(tmp_path)) == good


@pytest.mark.parametrize("workers", [0, -1])
def test_without_workers_nothing_begins(study, tmp_path, workers):
    with pytest.raises(InvalidParameter, match=f"workers is {workers}; allowed: 1 or more"):
        run_study(study[0], tmp_path / "out", workers=workers)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["{}", "[]", "3", '{"cells": [{}]}', '{"cells": 3}'])
def test_a_folder_of_something_else(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(StorageError, match=r"config\.json describes no study"):
        Store(tmp_path).cells()


def test_labels_are_shown_as_they_are(tmp_path, capsys):
    free = "laissez-faire [/x] $x_{ [bold] 漁"
    text = TEXT.replace('"public good"', '"good [/b] $"').replace('"laissez-faire"', f'"{free}"')
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(tmp_path / "mine.toml"), "--out", str(tmp_path / "out")])
    assert stopped.value.code == 0
    told = capsys.readouterr()
    assert "good [/b] $" in told.out
    assert free in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert f"done: good [/b] $ / {free}" in " ".join(told.err.split())


def test_summary_says_which_information_was_used(study):
    _, folder, _ = study
    free, taxed = summarise(Store(folder))
    assert free.information == "none"
    assert free.laissez_faire
    assert taxed.information == "noisy: income; exact: contribution"
    assert taxed.columns["efficiency"].low <= taxed.columns["efficiency"].value
