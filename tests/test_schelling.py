"""Schelling's diagram on games where it is known by hand."""

import numpy as np
import pytest

from commonweal import make
from commonweal.benchmarks.schelling import Schelling, schelling
from commonweal.errors import NotExact


def test_the_linear_public_good_has_two_parallel_lines():
    found = schelling(make("public_goods-v0", rounds=1))
    k = np.arange(4)
    assert found.selfish == pytest.approx(20 + 0.4 * 20 * k)
    assert found.planner == pytest.approx(0.4 * 20 * (k + 1))
    assert found.dominant
    assert found.is_dilemma
    assert "whatever the others do" in found.verdict
    assert "12 more by" in found.verdict


def test_it_is_no_dilemma_where_giving_pays_the_giver():
    found = schelling(make("public_goods-v0", rounds=1, marginal_return=1.5))
    assert not found.tempting
    assert not found.is_dilemma


def test_unequal_agents_each_take_the_place_of_the_one():
    found = schelling(make("public_goods-v0", rounds=1, endowment=(10.0, 20.0, 30.0, 40.0), levels=41))
    assert found.selfish[0] == pytest.approx(25.0)
    assert found.planner[-1] == pytest.approx(40.0)


def test_the_common_pool_by_its_formula():
    found = schelling(make("appropriation-v0", rounds=1, levels=None))
    k = np.arange(8)

    def payoff(own, others):
        return 5 * (25 - own) + own * (23 - 0.25 * (own + others))

    others = 4.5 * k + 8 * (7 - k)
    assert found.selfish == pytest.approx(payoff(8, others))
    assert found.planner == pytest.approx(payoff(4.5, others))
    assert found.is_dilemma


def test_verdicts_of_made_up_curves():
    stag = Schelling(np.array([2.0, 2.0]), np.array([0.0, 5.0]))
    assert stag.wasteful
    assert not stag.is_dilemma
    assert "no temptation" in stag.verdict
    # Leaving pays while all others follow, but not while nobody does.
    chicken = Schelling(np.array([0.0, 6.0]), np.array([1.0, 5.0]))
    assert chicken.is_dilemma
    assert not chicken.dominant
    assert "while all others follow" in chicken.verdict
    alike = Schelling(np.ones(3), np.ones(3))
    assert not alike.wasteful


def test_where_there_is_no_rule_it_says_so():
    with pytest.raises(NotExact, match="no rule"):
        schelling(make("auction-v0"))
    with pytest.raises(NotExact, match="buyers, sellers"):
        schelling(make("double_auction-v0"))
