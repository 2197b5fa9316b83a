"""Moral hazard: contracts by linear programming, by enumeration, and by posting every other in play."""

from dataclasses import replace

import numpy as np
import pytest

from commonweal import Society, institution, make
from commonweal.agents.scripted import scripted
from commonweal.envs.moral_hazard import MoralHazard, MoralHazardState
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate
from commonweal.random import Streams, world_seeds

GRID = 1000  # the shocks of a play stand in for the outcomes' probabilities, which are multiples of 0.1


def hazard(**parameters) -> MoralHazard:
    found = make("moral_hazard-v0", **parameters)
    assert isinstance(found, MoralHazard)
    return found


class Even(Streams):
    """Uniform draws that lie evenly over worlds: the mean over worlds is the expectation."""

    def __init__(self, repeats):
        super().__init__(np.zeros(repeats * GRID, np.uint64), 0)
        self.draws = np.tile((np.arange(GRID) + 0.5) / GRID, repeats)

    def uniform(self, *shape):
        return np.broadcast_to(self.draws.reshape(-1, *[1] * len(shape)), (len(self.draws), *shape))


def expected(game, wages, effort):
    """Expected utilities `(G, 2)` of a principal and its worker, by playing `step`, for `(G, K)`, `(G,)`."""
    worlds = np.repeat(wages, GRID, axis=0)
    nothing = np.zeros((len(worlds), 1))
    state = MoralHazardState(np.ones((len(worlds), 1)), worlds[:, None, :], nothing, nothing)
    play = {name: np.zeros((len(worlds), 1)) for name in game.columns}
    play |= {"accept": np.ones((len(worlds), 1)), "effort": np.repeat(effort, GRID)[:, None].astype(float)}
    following, outcome = game.step(state, play, Even(len(wages)))
    reward = game.utility(following, outcome.money)
    return reward.reshape(len(wages), GRID, 2).mean(axis=1)


def test_theory():
    for check in MoralHazard.theory():
        assert check.passed, check


@pytest.mark.parametrize("parameters", [{}, {"risk_aversion": 2.0, "min_wage": -1.0, "wage_levels": 21}])
def test_no_contract_earns_more_and_no_effort_pays_more(parameters):
    game = hazard(num_workers=1, **parameters)
    r = parameters.get("risk_aversion", 0.0)
    tried = game.contracts()
    values = np.stack([expected(game, tried, np.full(len(tried), a)) for a in range(3)])
    worth, effort = game.answer(tried, r, 0.0)
    assert np.allclose(values[:, :, 1].max(axis=0), worth, atol=1e-9)
    profit = np.take_along_axis(values[:, :, 0], effort[None], axis=0)[0] * (worth >= -1e-6)
    own = np.flatnonzero((tried == game.best_contract(r, 0.0)).all(axis=1))[0]
    assert profit[own] >= profit.max() - 1e-9
    found = game.references()
    assert found.selfish.welfare / 10 == pytest.approx(profit[own] + worth[own])


def test_linear_programming_agrees_with_enumeration():
    exact, levels = hazard(wage_levels=None), hazard()
    assert np.allclose(exact.best_contract(0.0, 0.0), levels.best_contract(0.0, 0.0))
    three = {
        "value": (0.0, 0.6, 1.4),
        "probability": ((0.6, 0.3, 0.1), (0.4, 0.3, 0.3), (0.1, 0.4, 0.5)),
        "toil": (0.0, 0.1, 0.2),
    }
    exact, fine = hazard(wage_levels=None, **three), hazard(wage_levels=41, **three)
    best = exact.expected(exact.best_contract(0.0, 0.0)[None], 0.0, 0.0)[0][0]
    near = fine.expected(fine.contracts(), 0.0, 0.0)[0].max()
    assert best - 0.05 <= near <= best + 1e-6


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"wage_levels": None},
        {"risk_aversion": 1.0, "min_wage": -1.0, "wage_levels": 21},
        {"outside_option": (0.0,) * 4 + (0.0, 0.1, 0.3, 0.9)},
    ],
)
def test_the_rules_are_worth_what_is_said(parameters):
    game = hazard(**parameters)
    found = game.references()
    society = Society(game, num_worlds=3000)
    for yardstick in (found.selfish, found.planner):
        welfare = evaluate(society, scripted(society, yardstick), seed=3).welfare
        assert abs(welfare.mean() - yardstick.welfare) <= 4 * welfare.std() / np.sqrt(3000) + 1e-6
    assert found.selfish.welfare < found.planner.welfare


def test_what_makes_it_a_dilemma():
    """Means, or an effort that can be told from the outcome, save the efficient effort."""
    assert hazard(min_wage=-1.0, wage_levels=None).references().gap == pytest.approx(0.0, abs=1e-9)
    told = hazard(value=(0.2, 0.5, 0.8), probability=((1, 0, 0), (0, 1, 0), (0, 0, 1)), wage_levels=None)
    assert told.references().gap == pytest.approx(0.0, abs=1e-9)
    gaps = [hazard(min_wage=low, wage_levels=None).references().gap for low in (0.0, -0.1, -0.6)]
    assert gaps[0] >= gaps[1] >= gaps[2] == pytest.approx(0.0, abs=1e-9)
    # With means, risk aversion brings the loss back.
    averse = hazard(min_wage=-1.0, risk_aversion=3.0, wage_levels=41)
    assert averse.references().gap > 0.1


def test_nobody_is_employed_at_a_loss():
    game = hazard(wage_levels=None, outside_option=0.8, num_workers=1, rounds=2)
    assert game.references().selfish.welfare == pytest.approx(1.6)
    assert game.references().planner.welfare == pytest.approx(1.6)


def test_the_planner_pays_the_best_wage_of_all_levels_for_the_best_effort_at_it():
    """The efficient effort needs 0.53; of 0, 0.5 and 1 the last loses more than a little effort gains."""
    game = hazard(num_workers=1, rounds=2, risk_aversion=6.0, wage_levels=3, max_wage=2.0, min_wage=0.0)
    wages, efforts = np.repeat(np.linspace(0.0, 2.0, 3), 3), np.tile(np.arange(3), 3)
    tried = expected(game, np.repeat(wages[:, None], 2, axis=1), efforts).sum(axis=1)
    assert game.references().planner.welfare == pytest.approx(tried.max())


def test_two_rounds_by_hand():
    game, rng = hazard(num_workers=1), Streams(world_seeds(0, 1), 0)
    one, start = np.ones((1, 1)), game.initial(rng)
    play = {"wage_1": 0.1 * one, "wage_2": 0.5 * one, "accept": one, "effort": 2 * one}
    state, outcome = game.step(start, play, rng)
    assert (outcome.money == 0).all()
    rng.uniform = lambda n: np.full((1, n), 0.9)  # above 0.2: success
    following, outcome = game.step(state, play, rng)
    assert outcome.money[0] == pytest.approx([0.5, 0.5])
    assert game.utility(following, outcome.money)[0] == pytest.approx([0.5, 0.23])


def test_json_and_a_wage_floor():
    game = hazard(toil=(0.0, 0.1, 0.3))
    assert repr(MoralHazard.from_dict(game.to_dict())) == repr(game)
    society = Society(game, [institution("quota", base="wage", limit=0.3)])
    actions = society.columns.null_actions(1)
    actions["principals"][:] = 10
    society.step(actions)
    assert np.allclose(society.state.wages, 0.3)


def test_refusals():
    with pytest.raises(InvalidParameter, match="sum 1"):
        hazard(probability=((0.5, 0.4), (0.5, 0.5)), toil=(0.0, 0.1))
    with pytest.raises(InvalidParameter, match="toil"):
        hazard(toil=(0.0, 0.1))
    with pytest.raises(NotExact, match="contracts"):
        hazard(wage_levels=2000).references()
    with pytest.raises(NotExact, match="continuous"):
        replace(hazard(), risk_aversion=1.0, wage_levels=None).references()
