"""The race: the published table, all plans by brute force, the dilemma zone, regulation."""

import itertools

import numpy as np
import pytest

from commonweal import Society, institution, make
from commonweal.agents.scripted import Constant, scripted
from commonweal.envs.ai_race import AIRace
from commonweal.envs.ai_race_plans import constant_totals, reply
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate

SHORT = {"num_agents": 2, "steps": 4, "benefit": 3.0, "prize": 20.0}
CASES = [
    {},
    {"rounds": 6},
    {"rounds": 5, "speed": 1.5},
    {"risk": 0.05, "rounds": 6},
    {"risk": 0.1, "public_damage": 30.0, "rounds": 4},
    {"safety_cost": 4.0, "risk": 0.3},
    {"speed": 1.0},
    {"num_agents": 3, "steps": 3, "safety_cost": 2.0, "risk": 0.2, "rounds": 4},
]


def play(game, plans):
    """Total money `(P, N)` and W `(P,)` of plans `(P, T, N)`, each in a world of its own."""
    society = Society(game, num_worlds=len(plans))
    money, welfare = np.zeros((len(plans), game.num_agents)), np.zeros(len(plans))
    alive = np.ones(len(plans), bool)
    for acts in plans.transpose(1, 0, 2):
        step = society.step({"citizens": acts[:, :, None]})
        money += alive[:, None] * step.reward["citizens"]
        welfare += alive * step.welfare
        alive &= ~step.done
    assert not alive.any()
    return money, welfare


def every(bits):
    return np.array(list(itertools.product((0.0, 1.0), repeat=bits)))


def test_theory():
    assert [check.name for check in AIRace.theory() if not check.passed] == []


@pytest.mark.parametrize("options", CASES)
def test_the_planner_is_the_best_of_all_plans_when_played(options):
    game = AIRace(**{**SHORT, **options})
    plans = every(game.horizon * game.num_agents).reshape(-1, game.horizon, game.num_agents)
    best = play(game, plans)[1].max()
    found = game.references().planner
    assert found.welfare == pytest.approx(best)
    society = Society(game, num_worlds=1)
    assert evaluate(society, scripted(society, found)).welfare[0] == pytest.approx(best)


@pytest.mark.parametrize("options", CASES)
def test_best_replies_and_totals_are_those_of_all_plans_when_played(options):
    game = AIRace(**{**SHORT, **options})
    race, n, rounds = game.race(), game.num_agents, game.horizon
    own = every(rounds)
    for others in range(n):
        plans = np.zeros((len(own), rounds, n))
        plans[:, :, 0] = own
        plans[:, :, 1 : 1 + others] = 1.0
        assert reply(race, others) == pytest.approx(play(game, plans)[0][:, 0].max())
    for k in range(n + 1):
        plans = np.zeros((1, rounds, n))
        plans[:, :, :k] = 1.0
        money, welfare = play(game, plans)
        safe, unsafe, outside = constant_totals(race, k)
        assert money[0] == pytest.approx([unsafe] * k + [safe] * (n - k))
        assert welfare[0] == pytest.approx(k * unsafe + (n - k) * safe + outside)


@pytest.mark.parametrize("options", [{}, {"num_agents": 2}, {"risk": 0.8}, {"risk": 0.1, "rounds": 24}])
def test_playing_a_rule_gives_its_welfare(options):
    game = AIRace(**options)
    found, society = game.references(), Society(game, num_worlds=1)
    for stick in (found.selfish, found.planner, *found.others.values()):
        assert evaluate(society, scripted(society, stick)).welfare[0] == pytest.approx(stick.welfare)


def test_no_plan_of_one_developer_beats_the_default_equilibrium():
    game = AIRace()
    found = game.references().selfish
    assert (found.epsilon, found.kind, found.detail["unsafe developers"]) == (0.0, "dynamic programming", 3.0)
    plans = np.ones((64, 12, 3))
    plans[:, :6, 0] = every(6)  # the others arrive after six rounds
    money = play(game, plans)[0][:, 0]
    assert money.argmax() == 63
    assert money[63] * 3 == pytest.approx(found.welfare)


def test_by_hand():
    society = Society(AIRace(num_agents=2, steps=3, benefit=6.0, prize=30.0, risk=0.5))
    step = society.step({"citizens": np.array([[[1.0], [0.0]]])})
    assert step.reward["citizens"][0].tolist() == [4.0, 2.0 - 1.0]
    assert step.observation["citizens"][0] == pytest.approx(np.array([[1, 2, 3, 1], [1, 1, 0, 2]]) / 3)
    step = society.step({"citizens": np.array([[[0.0], [1.0]]])})
    # Both stand at three steps: 15 each; both were unsafe once and lose half of all they have.
    first, second = 4 + 2 - 1 + 15, 1 + 4 + 15
    assert step.terminated[0]
    assert step.reward["citizens"][0] == pytest.approx([first / 2 - 4, second / 2 - 1])
    assert step.conduct["disaster"][0].tolist() == [0.5, 0.5]


def test_disasters_are_drawn_with_the_expectation_that_is_taken_otherwise():
    means = {}
    for sampled in (False, True):
        game = AIRace(sampled=sampled, public_damage=5.0)
        plans = np.ones((20_000, 6, 3))
        plans[:, :, 2] = 0.0
        money, welfare = play(game, plans)
        means[sampled] = (*money.mean(axis=0), welfare.mean())
    assert means[True] == pytest.approx(means[False], rel=0.02)
    assert set(np.round(money[:, 2], 9)) == {round(6 * (6 / 5 - 1), 9)}  # the safe lose nothing


def test_the_dilemma_zone_by_playing_on_both_sides_of_its_borders():
    published = AIRace(**AIRace.presets["published"])
    facts = published.references().facts
    for risk in (facts["society_prefers_safety"] - 0.01, facts["society_prefers_safety"] + 0.01):
        game = make("ai_race-v0", preset="published", risk=risk)
        assert (game.played(0, 0) > game.played(1, 1)) == (risk > facts["society_prefers_safety"])
        # In either case a developer is better off unsafe, whatever the other does.
        assert game.played(1, 0) > game.played(0, 0)
        assert game.played(1, 1) > game.played(0, 1)
        assert game.references().selfish.detail["unsafe developers"] == 2
    for risk in (facts["safety_among_safe"] - 0.01, facts["safety_among_safe"] + 0.01):
        game = make("ai_race-v0", preset="published", risk=risk)
        assert (game.played(0, 0) > game.played(1, 0)) == (risk > facts["safety_among_safe"])
    assert 0.49 < facts["society_prefers_safety"] < facts["safety_is_risk_dominant"] < 0.84


def test_there_is_no_dilemma_without_risk_or_without_speed():
    assert AIRace().references().gap == pytest.approx(54.4)
    harmless = AIRace(risk=0.0, rounds=12).references()
    assert harmless.gap == pytest.approx(0.0)
    slow = AIRace(speed=1.0, safety_cost=0.0).references()
    assert slow.planner.welfare == pytest.approx(100 + 12 * 6)
    assert slow.selfish.welfare == pytest.approx(slow.planner.welfare)


def test_forbidding_unsafe_development_brings_the_planners_welfare():
    game = AIRace()
    society = Society(game, [institution("quota", base="unsafe", limit=0.0)], num_worlds=1)
    assert evaluate(society, Constant(society, unsafe=1)).welfare[0] == pytest.approx(136.0)


def test_a_tax_on_unsafe_rounds_turns_the_best_reply_around():
    game = AIRace(num_agents=2)

    def earned(rate, own):
        tax = institution("taxation", base="unsafe", rate=rate, revenue="treasury")
        society, total, over = Society(game, [tax], num_worlds=1), 0.0, False
        while not over:
            step = society.step({"citizens": np.array([[[own], [0.0]]])})
            total += step.reward["citizens"][0, 0]
            over = step.done[0]
        return total

    gain = game.played(1, 0) - game.played(0, 0)
    assert gain == pytest.approx(0.6 * (100 + 6 * 4) - (50 + 12 * 2))
    for rate in (gain / 6 - 0.01, gain / 6 + 0.01):
        assert (earned(rate, 1.0) > earned(rate, 0.0)) == (rate < gain / 6)


def test_developers_may_differ_but_then_have_no_references():
    society = Society(AIRace(speed=(1.0, 2.0, 3.0), safety_cost=(0.0, 1.0, 2.0)), num_worlds=1)
    step = society.step({"citizens": np.array([[[0.0], [0.0], [1.0]]])})
    assert step.reward["citizens"][0] == pytest.approx([6 / 5, 6 / 5 - 1, 18 / 5])
    for options, what in (({"speed": (1.0, 2.0, 3.0)}, "speed"), ({"discount": 0.9}, "discount")):
        with pytest.raises(NotExact, match=what):
            AIRace(**options).references()
    with pytest.raises(NotExact, match="plans"):
        AIRace(num_agents=8, steps=40).references()


def test_bad_parameters():
    for options in (
        {"num_agents": 0}, {"steps": 0}, {"speed": 0.5}, {"risk": 1.5}, {"prize": -1.0}, {"rounds": 0},
        {"discount": 2.0},
    ):  # fmt: skip
        with pytest.raises(InvalidParameter, match=next(iter(options))):
            AIRace(**options)
