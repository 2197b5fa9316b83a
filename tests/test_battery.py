"""The battery over every dilemma and every institution that fits it."""

from pathlib import Path

import pytest

from commonweal import registry
from commonweal.compatibility import matrix
from tests import battery

GOLDEN = Path(__file__).parent / "golden"
every_pair = pytest.mark.parametrize(
    ("name", "dilemma", "stack"), battery.pairs(), ids=[name for name, _, _ in battery.pairs()]
)


@every_pair
def test_pair(name, dilemma, stack, tmp_path):
    battery.check_equal_seeds_equal_worlds(dilemma, stack)
    battery.check_batch_equals_single_worlds(dilemma, stack)
    battery.check_observations_stay_in_range_and_finite(dilemma, stack)
    battery.check_ledger_and_declared_properties(dilemma, stack)
    battery.check_voluntary(dilemma, stack)
    battery.check_json_and_restore(dilemma, stack, tmp_path)
    battery.check_nothing_returned_is_kept(dilemma, stack)


@every_pair
def test_golden_playthrough(name, dilemma, stack):
    path = GOLDEN / f"{name}.txt"
    assert path.exists(), "run `python -m tests.golden` and read what it writes"
    assert battery.playthrough(dilemma, stack) == path.read_text()


def test_no_golden_is_left_over():
    assert {p.stem for p in GOLDEN.glob("*.txt")} == {name for name, _, _ in battery.pairs()}


def test_every_institution_fits_somewhere_and_every_misfit_has_a_reason():
    table = matrix()
    for name in registry.INSTITUTIONS:
        assert any(row[name][0] is not None for row in table.values()), name
    for row in table.values():
        assert all(stack is not None or reason for stack, reason in row.values())
    # What cannot be limited cannot be rationed.
    assert "cannot be limited" in table["double_auction-v0"]["quota"][1]
