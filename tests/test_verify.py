"""The theory numbers that `commonweal verify` prints."""

import math

from commonweal.benchmarks.verify import (
    _effort_game,
    _fish_war,
    _golden_rule,
    _gordon_schaefer,
    _public_goods,
)
from commonweal.references import Check


def test_closed_forms_hold():
    found = [*_fish_war(), *_gordon_schaefer(), *_golden_rule(), *_effort_game(), *_public_goods()]
    assert len(found) > 30
    assert [check.name for check in found if not check.passed] == []


def test_a_miss_is_a_miss():
    assert not Check("wrong", "nobody", 1.0, 1.1, 0.05).passed
    assert not Check("undefined", "nobody", 1.0, math.nan, 0.05).passed
