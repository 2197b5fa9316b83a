"""The command line under encodings that lack the signs it uses, and text files that are UTF-8 everywhere."""

import ast
import io
import sys

import pytest

from commonweal.benchmarks import speed, verify
from commonweal.cli import main
from commonweal.references import Check
from tests.installation import PACKAGE, python
from tests.small_study import TEXT, run_small

NAME = "Küste – Ω"  # cp1252 lacks the last letter, cp437 the dash, ASCII three
ENCODINGS = ["ascii", "cp1252", "cp437", "utf-8"]
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": None}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / NAME
    text = TEXT.replace('"laissez-faire"', f'"{NAME}"')
    run_small(folder, text)
    (folder.parent / "mine.toml").write_text(text, "utf-8")
    return folder


@pytest.fixture(params=ENCODINGS)
def say(request, monkeypatch):
    """Runs the command line; returns exit code, standard output and errors as a terminal shows them."""

    def run(*arguments):
        streams = []
        for name in ("stdout", "stderr"):
            streams.append(io.TextIOWrapper(io.BytesIO(), encoding=request.param, errors="strict"))
            monkeypatch.setattr(sys, name, streams[-1])
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        for stream in streams:
            stream.flush()
        return stopped.value.code, *[s.buffer.getvalue().decode(request.param) for s in streams]

    run.encoding = request.param
    return run


def shown(text, encoding):
    """What a terminal shows of a name: all it has, and the numbers of the rest."""
    return text.replace("–", "–" if encoding in ("cp1252", "utf-8") else "-").encode(
        encoding, "backslashreplace"
    ).decode(encoding)  # fmt: skip


def test_help_list_and_matrix(say):
    code, out, _ = say("--help")
    assert code == 0
    assert "verify" in out
    assert "fishery-v0" in say("list")[1]
    code, out, _ = say("list", "--matrix")
    assert code == 0
    row = next(line for line in out.splitlines() if line.startswith("escape_room-v0")).split()[1:]
    has_disc, has_dash = say.encoding == "utf-8", say.encoding in ("utf-8", "cp1252")
    assert row[0] == ("●" if has_disc else "x")
    assert row[5] == ("–" if has_dash else "-")


def test_show(say, tmp_path):
    code, out, _ = say("show", "public_goods-v0", "--out", tmp_path / NAME)
    assert code == 0
    assert ("████" if "█".encode(say.encoding, "ignore") else "8888") in out
    assert (tmp_path / NAME / "public_goods-v0.png").exists()
    assert shown(NAME, say.encoding) in out.replace("\n", "")


def test_a_study_and_its_report(say, study):
    for arguments in (("run", study.parent / "mine.toml", "--out", study), ("report", study)):
        code, out, _ = say(*arguments)
        assert code == 0
        assert shown(NAME, say.encoding) in out
    assert NAME in (study / "report.html").read_text("utf-8")


def test_verify_and_bench(say, monkeypatch):
    found = [Check(f"{NAME} {n}", "Fehr and Gächter", 1.0, 1.0, 0.1) for n in range(2)]
    monkeypatch.setattr(verify, "checks", lambda: found)
    code, out, _ = say("verify")
    assert code == 0
    assert "2 of 2 pass" in out
    assert shown(NAME, say.encoding).split()[0] in out
    measured = [speed.Measurement("step – Ω", "agent-steps/s", [1.0, 2.0, 3.0], 1.0)]
    monkeypatch.setattr(speed, "stepping", lambda repetitions: measured)
    code, out, _ = say("bench", "speed", "--no-learning")
    assert code == 0
    assert shown("step – Ω", say.encoding) in out


def test_errors_name_what_was_given(say, tmp_path):
    for arguments in (("report", tmp_path / NAME), ("run", tmp_path / f"{NAME}.toml"), ("show", NAME)):
        code, out, error = say(*arguments)
        assert code == 2
        assert out == ""
        assert error.count("\n") == 1
        assert shown(NAME, say.encoding) in error
    code, _, error = say("show")
    assert code == 2
    assert "Required options" in error


def test_without_a_locale(study):
    """Names come back byte for byte, letters that are no file's name as numbers."""
    told = python("-m", "commonweal", "report", study, **C_LOCALE)
    assert told.returncode == 0, told.stderr
    assert f"report: {study / 'report.html'}" in told.stdout
    assert "K\\xfcste - \\u03a9" in told.stdout
    told = python("-m", "commonweal", "report", f"{study}x", **C_LOCALE)
    assert (told.returncode, told.stderr.count("\n")) == (2, 1)
    assert f"{study}x" in told.stderr


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_study_from_start_to_report(tmp_path, encoding):
    (tmp_path / "mine.toml").write_text(TEXT.replace('"laissez-faire"', f'"{NAME}"'), "utf-8")
    arguments = ("-m", "commonweal", "run", tmp_path / "mine.toml", "--out", tmp_path / NAME)
    told = python(*arguments, timeout=300, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert told.returncode == 0, told.stderr
    assert "done: public good / K" in told.stderr
    assert "report: " in told.stdout


def _in_locale(call):
    """Whether a call reads or writes text in whatever encoding the system has."""
    named = {keyword.arg for keyword in call.keywords}
    if isinstance(call.func, ast.Attribute):
        if call.func.attr in ("read_text", "write_text"):
            return "encoding" not in named and len(call.args) <= (call.func.attr == "write_text")
        return bool({"text", "universal_newlines"} & named) and "encoding" not in named
    if isinstance(call.func, ast.Name) and call.func.id == "open":
        modes = [*call.args[1:2], *[keyword.value for keyword in call.keywords if keyword.arg == "mode"]]
        binary = any("b" in str(getattr(mode, "value", "")) for mode in modes)
        return not binary and "encoding" not in named
    return False


def test_text_files_are_read_and_written_as_utf8():
    folders = [PACKAGE, PACKAGE.parent / "docs", PACKAGE.parent / "demos"]
    found = [
        f"{path}:{node.lineno}"
        for folder in folders
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and _in_locale(node)
    ]
    assert found == []
    assert _in_locale(ast.parse("Path('x').read_text()", mode="eval").body)
    assert not _in_locale(ast.parse("open('x', 'rb')", mode="eval").body)
