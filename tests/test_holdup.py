"""Hold-up: equilibria by trying every deviation, harm by undoing each act, and when nothing is held up."""

import numpy as np
import pytest

from commonweal import Society, institution, make
from commonweal.agents.scripted import scripted
from commonweal.envs.holdup import Holdup
from commonweal.envs.one_state import Fixed
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate


def holdup(**parameters) -> Holdup:
    found = make("holdup-v0", **parameters)
    assert isinstance(found, Holdup)
    return found


def play(game, investment):
    rng = Fixed(len(investment), None, "test")
    return game.step(game.initial(rng), {"investment": np.asarray(investment, float)}, rng)


def test_theory():
    for check in Holdup.theory():
        assert check.passed, check


VARIANTS = [
    {},
    {"levels": None},
    {"bargaining_power": 0.8, "complementarity": 0.3},
    {"levels": None, "specificity": (1.0, 0.5, 0.3, 0.9), "cost": (1.0, 1.5, 2.0, 1.0), "num_pairs": 2},
    {"marginal_return": (1.0, 0.5, 0.7, 1.2), "complementarity": 0.2, "num_pairs": 2},
]


@pytest.mark.parametrize("parameters", VARIANTS)
def test_no_deviation_pays_and_the_rules_are_worth_what_is_said(parameters):
    game = holdup(**parameters)
    found = game.references()
    step = game.actions()[0].space.step or 1.0
    n = 2 * game.num_pairs
    chosen = np.asarray(found.selfish.rule({"progress": np.zeros((1, n, 1))}, None)["investment"]) * step
    own = play(game, chosen)[1].money[0]
    tried = np.linspace(0, 2, game.levels or 4001)
    for agent in range(n):
        worlds = np.repeat(chosen, len(tried), axis=0)
        worlds[:, agent] = tried
        assert play(game, worlds)[1].money[:, agent].max() <= own[agent] + 1e-9
    society = Society(game)
    for yardstick in (found.selfish, found.planner, *found.others.values()):
        welfare = evaluate(society, scripted(society, yardstick)).welfare[0]
        assert welfare == pytest.approx(yardstick.welfare, abs=1e-9)
    draws = np.random.default_rng(0).uniform(0, 2, (4000, n))
    assert play(game, draws)[1].money.sum(axis=1).max() * game.rounds < found.planner.welfare + 1e-9


def test_harm_is_what_undoing_the_investment_costs_the_partner():
    game = holdup(num_pairs=2, complementarity=0.4, specificity=0.7, bargaining_power=0.3)
    invested = np.array([[0.5, 1.0, 0.8, 1.4]])
    state, outcome = play(game, invested)
    harm = game.harm(state, {}, outcome, state)
    for agent in range(4):
        without = invested.copy()
        without[0, agent] = 0.0
        partner = (agent + 2) % 4
        lost = play(game, without)[1].money[0, partner] - outcome.money[0, partner]
        assert harm[0, agent] == pytest.approx(lost)


def test_what_is_not_specific_is_not_held_up():
    assert holdup(specificity=0.0).references().gap == pytest.approx(0.0)
    gaps = [holdup(specificity=s, levels=None).references().gap for s in (0.25, 0.5, 1.0)]
    assert 0 < gaps[0] < gaps[1] < gaps[2]


def test_a_contract_that_pays_for_investment_restores_the_first_best():
    """The partner pays one half per unit: what bargaining would take."""
    game = holdup(num_pairs=1, levels=None)
    society = Society(game, [institution("contract", base="investment", max_transfer=0.5, levels=None)])
    levels = np.linspace(0, 2, 41)
    payoff = []
    for level in levels:
        society.reset(0)
        actions = society.columns.null_actions(1)
        actions["citizens"][0] = [[level, 0.5, 1.0], [0.3, 0.5, 1.0]]
        for _ in range(3):  # propose, sign, play
            step = society.step(actions)
        payoff.append(step.reward["citizens"][0, 0])
    assert levels[np.argmax(payoff)] == pytest.approx(1.0)


def test_levels_can_leave_more_than_one_equilibrium():
    found = holdup(complementarity=0.9, levels=6, max_investment=11.0).references()
    highest = found.others["highest equilibrium"]
    assert highest.epsilon == pytest.approx(0.0, abs=1e-12)
    assert highest.detail["investment"] > found.selfish.detail["investment"]
    assert highest.welfare > found.selfish.welfare


def test_a_round_by_hand():
    _, outcome = play(holdup(num_pairs=1), [[1.0, 0.5]])
    # R = 1.5, half each; costs 0.5 and 0.125.
    assert outcome.money[0] == pytest.approx([0.25, 0.625])


def test_refusals():
    with pytest.raises(InvalidParameter, match="specificity"):
        holdup(specificity=1.5)
    with pytest.raises(NotExact, match="without bound"):
        holdup(complementarity=1.0).references()
    with pytest.raises(NotExact, match="max_investment"):
        holdup(marginal_return=3.0).references()
