import subprocess
import sys
from pathlib import Path

import pytest

from commonweal import registry
from commonweal.benchmarks.show import attributes, sparkline
from commonweal.cli import main
from commonweal.envs.public_goods import PublicGoods
from commonweal.errors import StorageError
from tests.small_study import TEXT, run_small


def run(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    return stopped.value.code


def test_list_names_everything(capsys):
    assert run("list") == 0
    told = capsys.readouterr().out
    for name in ("fishery-v0", "fish_war-v0", "taxation", "quota", "peer-sanctions"):
        assert name in told


@pytest.mark.parametrize("columns", ["80", "160"])
def test_list_matrix_can_be_read_and_gives_reasons(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert run("list", "--matrix") == 0
    told = capsys.readouterr().out
    assert "…" not in told
    rows = {line.split()[0]: line.split()[1:] for line in told.splitlines() if line.strip()}
    for dilemma in registry.DILEMMAS:
        assert set(rows[dilemma]) <= {"●", "–"}
        assert len(rows[dilemma]) == len(registry.INSTITUTIONS)
    for name in registry.INSTITUTIONS:
        assert name in told
    assert "cannot be limited" in " ".join(told.split())


def test_show(capsys, tmp_path):
    assert run("show", "public_goods-v0", "--out", str(tmp_path)) == 0
    told = capsys.readouterr().out
    for text in ("marginal_return", "contribution", "selfish", "1280", "planner"):
        assert text in told
    assert (tmp_path / "public_goods-v0.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "fisheri-v0"), "did you mean 'fishery-v0'"),
        (("show", "public_goods-v0", "--preset", "none"), "unknown preset"),
        (("run", "quik"), "did you mean 'quick'"),
        (("run", "missing.toml"), "cannot be read"),
        (("report", "missing"), "cannot read"),
        (("run", "quick", "--workers", "0"), "workers is 0; allowed: 1 or more"),
        (("bench", "speed", "--repetitions", "0"), "repetitions is 0; allowed: 1 or more"),
        (("bench", "speed", "--threads", "0"), "threads is 0; allowed: 1 or more"),
    ],
)
def test_errors_are_one_line_and_exit_code_two(capsys, arguments, says):
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_a_disk_without_room_for_the_report_still_shows_the_table(capsys, tmp_path, monkeypatch):
    run_small(tmp_path / "out")
    (tmp_path / "mine.toml").write_text(TEXT)

    def full(folder):
        raise StorageError(f"cannot write {folder}: No space left on device")

    monkeypatch.setattr("commonweal.benchmarks.report.write_report", full)
    assert run("run", str(tmp_path / "mine.toml"), "--out", str(tmp_path / "out"), "--quiet") == 2
    told = capsys.readouterr()
    assert "laissez-faire" in told.out
    assert told.err.count("\n") == 1
    assert "No space left" in told.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_under_the_output_and_a_reader_that_hangs_up():
    command = [sys.executable, "-m", "commonweal", "list"]
    with open("/dev/full", "w") as full:
        told = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert told.returncode == 2
    assert told.stderr == "commonweal: [Errno 28] No space left on device\n"
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.wait()


def test_report(capsys, tmp_path):
    run_small(tmp_path)
    assert run("report", str(tmp_path)) == 0
    told = capsys.readouterr().out
    assert "laissez-faire" in told
    assert (tmp_path / "report.html").exists()


def test_as_a_module():
    told = subprocess.run([sys.executable, "-m", "commonweal", "--help"], capture_output=True, text=True)
    assert told.returncode == 0
    assert "verify" in told.stdout


def test_sentences_come_from_the_docstring():
    told = attributes(PublicGoods)
    assert told["marginal_return"].startswith("m, what each citizen gets of a unit contributed")
    assert set(told) >= {"num_agents", "endowment", "rounds"}


def test_sparkline():
    assert sparkline([0.0, 0.5, 1.0], 1.0) == "▁▅█"
    assert len(sparkline(range(1000), 999.0, width=40)) == 40
