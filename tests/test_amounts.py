"""Rounding is judged by the amounts at stake: not by a fixed sum of money, nor by what might be paid."""

import numpy as np
import pytest

from commonweal import Society, evaluate, make
from commonweal.agents.scripted import scripted
from commonweal.errors import NotExact
from commonweal.references import contradictions


@pytest.mark.parametrize("most", [10.0, 1e6, 1e10])
def test_what_might_be_paid_does_not_decide_who_is_employed(most):
    """Nobody works at a loss because wages nobody pays are possible: W was -44, and above the planner's."""
    game = make("employment-v0", num_workers=1, max_wage=most)
    found = game.references()
    assert found.selfish.welfare == pytest.approx(2.5)  # slope 1/2 at no wage: 10 rounds of 1/2 - 1/4
    game = make("moral_hazard-v0", num_workers=2, outside_option=0.2, risk_aversion=0.5, max_wage=most)
    found = game.references()
    assert found.selfish.welfare == pytest.approx(4.4)  # 11 rounds of 0.2 each: no wage on the levels pays
    assert not contradictions(found, 4)


def test_what_might_be_asked_does_not_decide_who_buys():
    game, menu = make("screening-v0", max_price=1e7), np.array([1.0, 1.5, 2.0, 5.0])
    assert game.choice(menu, np.array([1.0, 1.6]), 1.0).tolist() == [0, 1]
    assert game.choice(np.array([1.0, 1.0, 2.0, 2.0 + 1e-8]), np.array(1.0), 0.1) == 2  # as good, and dearer


def test_the_planner_of_cheap_time_is_the_planner():
    for value in (1e-12, 1.0, 1e9):
        found = make("routing-v0", num_agents=2, value_of_time=value).references()
        assert found.planner.welfare == pytest.approx(-15.0 * value)
        assert found.selfish.welfare == pytest.approx(-20.0 * value)


@pytest.mark.parametrize("rationing", ["equal", "proportional"])
def test_a_lake_is_the_same_in_other_units(rationing):
    whole = make("govsim-v0", rationing=rationing)
    for unit in (1e-11, 1e-6, 1e6):
        game = make(
            "govsim-v0", capacity=100.0 * unit, max_catch=100.0 * unit, collapse=5.0 * unit,
            rationing=rationing,
        )  # fmt: skip
        one, other = whole.references(), game.references()
        assert other.planner.welfare == pytest.approx(unit * one.planner.welfare)
        assert other.selfish.welfare == pytest.approx(unit * one.selfish.welfare)
        for share in (0.1, 0.949, 0.951):
            left = whole.regrow(np.array(100.0 * (1.0 - share)))
            same = game.regrow(np.array(100.0 * unit * (1.0 - share)))
            assert left[1] == same[1]
            assert same[0] == pytest.approx(unit * left[0])


@pytest.mark.parametrize("parameters", [{"capacity": 1e12}, {"max_catch": 1e-12}, {"months": 10**9}])
def test_a_plan_of_a_lake_too_fine_is_refused_before_it_is_laid_out(parameters):
    with pytest.raises(NotExact, match="GiB"):
        make("govsim-v0", **parameters).references()


def test_the_fastest_race_takes_one_round():
    game = make("ai_race-v0", num_agents=2, steps=3, speed=1e12)
    found = game.references()
    society = Society(game)
    assert evaluate(society, scripted(society, found.selfish)).welfare == pytest.approx(found.selfish.welfare)


def test_schedules_are_sought_for_the_smallest_incomes():
    for most in (1e-12, 1e-6):
        assert "Mirrlees optimum" in make("labour-v0", max_labour=most, levels=None).references().others
