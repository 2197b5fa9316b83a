"""Studies whose references fail, or are not wanted: they go on, say why, and show welfare."""

from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from commonweal.benchmarks import cell as cells
from commonweal.benchmarks import deviation
from commonweal.benchmarks.report import write_report
from commonweal.benchmarks.runner import run_study
from commonweal.benchmarks.store import Store, read_json, read_rows
from commonweal.benchmarks.suite_file import parse
from commonweal.benchmarks.summary import summarise
from commonweal.benchmarks.table import table
from commonweal.envs.appropriation import Appropriation
from commonweal.errors import InvalidSuite
from tests.small_study import run_small

TEXT = """
[study]
name = "pool"
replicates = 1
evaluation_worlds = 1
[learner]
steps = 64
worlds = 1
rollout = 32
response_steps = 32
hidden = [8]
[[dilemma]]
label = "pool"
id = "appropriation-v0"
parameters = { num_agents = 2, levels = 3, rounds = 2 }
[[institution]]
label = "nothing"
stack = []
"""
WITHOUT = TEXT.replace("evaluation_worlds", "references = false\nevaluation_worlds")
ASKING = (
    TEXT
    + """
[[institution]]
label = "tax"
id = "taxation"
base = "extraction"
rate = { reference = "corrective.extraction.rate" }
"""
)
FAILURES = [
    MemoryError("out of memory"),
    FloatingPointError("overflow"),
    np.linalg.LinAlgError("Singular matrix"),
    RecursionError(),
]


def failing(error):
    def fail(*arguments, **options):
        raise error

    return fail


@pytest.mark.parametrize("error", FAILURES[:1], ids=repr)
def test_a_solver_that_fails_ends_no_study(error, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Appropriation, "references", failing(error))
    outcome = run_study(parse(TEXT), tmp_path, workers=1)
    assert outcome.failed == {}
    assert len(outcome.finished) == 1
    assert "no references of pool: MemoryError: out of memory" in capsys.readouterr().err
    (kept,) = (tmp_path / "references").iterdir()
    assert read_json(kept)["reason"] == "MemoryError: out of memory"
    assert "Traceback" in read_json(kept)["traceback"]
    (row,) = read_rows(tmp_path / "results.parquet")
    assert np.isfinite(row["welfare"])
    assert np.isnan(row["efficiency"])
    page = write_report(tmp_path).read_text()
    assert "None are known: MemoryError: out of memory." in page
    assert "no references" in page
    assert f"W {row['welfare']:.4g}" in page
    # The next start tries again: what was the matter may be mended.
    monkeypatch.undo()
    run_study(parse(TEXT), tmp_path, workers=1, quiet=True)
    assert summarise(Store(tmp_path))[0].references is not None


@pytest.mark.parametrize("error", FAILURES, ids=repr)
def test_a_solver_that_fails_in_a_cell_ends_no_cell(error, tmp_path, monkeypatch):
    monkeypatch.setattr(cells.solvers, "equilibrium", failing(error))
    monkeypatch.setattr(deviation, "exact_gain", failing(error))
    _, store = run_small(tmp_path, TEXT)
    (row,) = read_rows(tmp_path / "results.parquet")
    named = f"{type(error).__name__}: {error}".removesuffix(": ")
    assert (row["gain_method"], row["no_exact_gain"], row["no_equilibrium"]) == ("trained", named, named)
    assert np.isnan(row["equilibrium_welfare"])
    assert np.isfinite(row["efficiency"])
    page = write_report(store.folder).read_text()
    assert f"No efficiency in theory: {named} (nothing)" in page
    assert f"No exact gain: {named} (nothing)" in page


def test_a_corrective_rate_that_cannot_be_sought_leaves_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr("commonweal.solvers.corrective_tax", failing(FAILURES[0]))
    _, store = run_small(tmp_path, TEXT)
    (found,) = summarise(store)
    assert found.references.corrective == {}
    assert np.isfinite(found.columns["equilibrium"].value)
    page = write_report(tmp_path).read_text()
    assert "No corrective rate was sought: MemoryError: out of memory." in page


def test_a_study_without_references_shows_welfare(tmp_path, monkeypatch):
    monkeypatch.setattr(Appropriation, "references", failing(AssertionError("asked for")))
    outcome = run_study(parse(WITHOUT), tmp_path, workers=1, quiet=True)
    assert outcome.failed == {}
    assert not (tmp_path / "references").exists()
    (row,) = read_rows(tmp_path / "results.parquet")
    assert np.isfinite(row["welfare"])
    assert np.isnan([row["efficiency"], row["loss"], row["gain_share"], row["equilibrium_welfare"]]).all()
    (found,) = summarise(Store(tmp_path))
    assert found.references is None
    page = write_report(tmp_path).read_text()
    assert "None are known: references = false in the study." in page
    shown = f"W {row['welfare']:.4g}".replace("-", "−")
    assert page.count(shown) == 2  # under efficiency, and among all measures
    console = Console(width=80, file=StringIO())
    console.print(table([found], "study"))
    screen = " ".join(console.file.getvalue().split())
    assert shown in screen
    assert "over 1 replicate," in screen


def test_an_institution_that_asks_for_a_reference_is_refused_with_the_reason(tmp_path, monkeypatch):
    asking = ASKING.replace("evaluation_worlds", "references = false\nevaluation_worlds")
    with pytest.raises(InvalidSuite, match=r"no references \(references = false in the study\); allowed"):
        run_study(parse(asking), tmp_path / "off", quiet=True)
    monkeypatch.setattr(Appropriation, "references", failing(FAILURES[0]))
    with pytest.raises(InvalidSuite, match=r"no references \(MemoryError: out of memory\); allowed"):
        run_study(parse(ASKING), tmp_path / "failing", quiet=True)
