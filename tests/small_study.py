"""A study of seconds: public goods under two regimes, three replicates."""

from pathlib import Path

from commonweal.benchmarks.cell import run_cell
from commonweal.benchmarks.runner import _known, _plan, references_of
from commonweal.benchmarks.store import Store
from commonweal.benchmarks.suite import Suite
from commonweal.benchmarks.suite_file import parse

TEXT = """
[study]
name = "small"
replicates = 3
evaluation_worlds = 2

[learner]
steps = 1280
worlds = 2
rollout = 32
response_steps = 128
hidden = [8]

[[dilemma]]
label = "public good"
id = "public_goods-v0"

[[institution]]
label = "laissez-faire"
stack = []

[[institution]]
label = "noisy tax & fines"
[[institution.stack]]
id = "taxation"
base = "income"
rate = 0.3
administration = 0.1
monitor = { coverage = 0.5 }
[[institution.stack]]
id = "peer-sanctions"
base = "contribution"
"""


def run_small(folder: Path, text: str = TEXT) -> tuple[Suite, Store]:
    """Run the study in this process."""
    suite, store = parse(text), Store(folder)
    cells = suite.cells(lambda dilemma: _known(dilemma, store))
    store.start(_plan(suite, cells))
    for cell in cells:
        record = references_of(suite.dilemmas[cell.dilemma], store)
        run_cell(cell, store.folder_of(cell), record, lambda *news: None)
    store.gather()
    return suite, store
