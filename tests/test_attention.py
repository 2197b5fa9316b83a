"""Attention: Tullock's contest, goodwill as a stock, harm, and what a society without institutions yields."""

import math

import numpy as np
import pytest

from commonweal import Society, institution, make, solvers
from commonweal.agents.scripted import Constant, scripted
from commonweal.envs.attention import Attention
from commonweal.envs.one_state import Fixed
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate

CONTEST = {"dullness": 0.0, "wear": 0.0, "reader_harm": 0.0}
SMALL = {"num_agents": 3, "levels": 5, "discount": 0.8}


def test_theory():
    assert [check.name for check in Attention.theory() if not check.passed] == []


def test_playing_a_rule_gives_its_welfare():
    game = Attention(**SMALL)
    society, found = Society(game, num_worlds=256), game.references()
    for stick in (found.planner, found.selfish):
        welfare = evaluate(society, scripted(society, stick), seed=3).welfare
        assert abs(welfare.mean() - stick.welfare) <= stick.error + 3.0 * welfare.std() / 16.0 + 1e-6


def test_a_real_dilemma_in_which_a_little_provocation_is_best():
    found = Attention().references()
    assert found.gap > 0.5 * found.planner.welfare
    assert found.gap_error < 0.01 * found.gap
    assert found.selfish.kind == "dynamic programming"
    assert found.selfish.epsilon <= 0.01 * found.gap / 4
    society = Society(Attention(), num_worlds=64)
    planned, selfish = (
        evaluate(society, scripted(society, stick), seed=1) for stick in (found.planner, found.selfish)
    )
    assert planned.welfare[0] == pytest.approx(found.planner.welfare, abs=found.planner.error)
    noise = 3.0 * selfish.welfare.std() / 8.0
    assert abs(selfish.welfare.mean() - found.selfish.welfare) <= found.selfish.error + noise
    assert 0.5 < planned.series["provocation"][20:].mean() < 2.0
    assert selfish.series["provocation"][20:].mean() > 7.0


def test_the_planner_is_not_beaten_by_constant_or_random_play():
    game = Attention(**SMALL)
    best = game.references().planner.welfare
    society = Society(game, num_worlds=1)
    for level in range(5):
        assert evaluate(society, Constant(society, provocation=level)).welfare[0] <= best + 1e-9
    rng, crowd = np.random.default_rng(0), Society(game, num_worlds=2000)
    total, plays = np.zeros(2000), game.time_limit
    for period in range(plays):
        step = crowd.step({"citizens": rng.integers(0, 3, size=(2000, 3, 1)).astype(float)})
        total += 0.8**period * step.welfare
    assert total.max() <= best


def test_without_wear_every_period_is_tullocks_contest():
    # (N - 1) / N^2 pM / c - fame = 5, which is a level.
    game = Attention(
        num_agents=2, cost=25 / 6, fame=1.0, max_provocation=10.0, levels=11, discount=0.5, **CONTEST
    )
    assert game.facts()["contest_provocation"] == pytest.approx(5.0)
    law = game.references().selfish.rule.probabilities({"goodwill": np.ones((1, 2, 1))})["provocation"]
    assert law[0, 0].argmax() == 5
    assert law[0, 0, 5] > 0.99


def test_a_period_by_hand():
    game = Attention(num_agents=2, fame=1.0, dullness=0.5, reader_harm=0.1, wear=0.05)
    society = Society(game, num_worlds=1)
    step = society.step({"citizens": np.array([[[8.0], [0.0]]])})
    total = 100 * (1 - 0.5 * 0.6**2)
    assert step.conduct["attention"][0] == pytest.approx([0.9 * total, 0.1 * total])
    assert step.reward["citizens"][0] == pytest.approx([0.9 * total - 8, 0.1 * total])
    assert step.welfare[0] == pytest.approx(total - 8 - 0.1 * 4 * total)
    assert step.observation["citizens"][0, 0, 0] == pytest.approx(1 - 0.05 * 4)
    step = society.step({"citizens": np.zeros((1, 2, 1))})
    assert step.observation["citizens"][0, 0, 0] == pytest.approx(0.8 + 0.2 * 0.2)


def test_a_single_creator_whose_readers_are_not_harmed_is_the_planner():
    found = Attention(num_agents=1, reader_harm=0.0, levels=6, discount=0.8).references()
    assert found.gap == pytest.approx(0.0, abs=1e-3 * found.planner.welfare)


def test_more_creators_waste_more():
    waste = []
    for n in (2, 4):
        found = Attention(num_agents=n, levels=3, discount=0.5, reader_harm=0.0).references()
        waste.append(found.gap / found.planner.welfare)
    assert waste[1] > waste[0] > 0.0


def test_an_equilibrium_without_institutions_is_that_of_the_dilemma():
    # Through the society, whose W counts the readers, as the dilemma's own yardsticks must.
    game = Attention(**SMALL)
    assert solvers.equilibrium(Society(game)).welfare == pytest.approx(game.references().selfish.welfare)
    society = Society(game, num_worlds=64)
    played = evaluate(society, scripted(society, game.references().selfish), seed=2)
    assert played.welfare.mean() < played.returns.sum(axis=1).mean() - 1.0  # what the readers lose


def test_harm_is_the_loss_of_others_and_readers_by_definition():
    game = Attention(num_agents=3, price=1.5, levels=6)
    state, rng = game.state_at(np.array([0.7])), Fixed(1, None, "test")
    provocation = np.array([[6.0, 2.0, 4.0]])
    following, outcome = game.step(state, {"provocation": provocation}, rng)
    harm = game.harm(state, {"provocation": provocation}, outcome, following)
    for i in range(3):
        calm = provocation.copy()
        calm[0, i] = 0.0
        spared, other = game.step(state, {"provocation": calm}, rng)
        now = np.delete(other.money - outcome.money, i).sum() + (other.outside - outcome.outside)[0]
        value = game._planned
        later = game.discount * 2 / 3 * (value.at(spared.goodwill) - value.at(following.goodwill))[0, 0]
        assert harm[0, i] == pytest.approx(now + later)
    idle = {"provocation": 0 * provocation}
    following, outcome = game.step(state, idle, rng)
    assert game.harm(state, idle, outcome, following) == pytest.approx(0.0)


def test_a_tax_corrects_and_too_high_a_tax_bores():
    game = Attention(**SMALL)

    def taxed(**options):
        society = Society(game, [institution("taxation", **options)])
        return game.references().efficiency(solvers.equilibrium(society).welfare)

    assert 0.95 < taxed(base="provocation", rate=2.0) < 1.01
    assert taxed(base="provocation", rate=6.0) < 0.7
    assert 0.98 < taxed(base="harm", rate=1.0) < 1.01


def test_creators_may_differ_but_then_have_no_references():
    game = Attention(num_agents=2, fame=(1.0, 3.0), price=(1.0, 2.0), cost=(1.0, 0.5))
    step = Society(game, num_worlds=1).step({"citizens": np.zeros((1, 2, 1))})
    assert step.reward["citizens"][0] == pytest.approx([12.5, 75.0])
    with pytest.raises(NotExact, match="scalars"):
        game.references()


def test_continuous_provocation():
    society = Society(make("attention-v0", levels=None), num_worlds=1)
    step = society.step({"citizens": np.full((1, 4, 1), 0.25)})
    assert step.conduct["provocation"][0, 0] == 0.25


def test_bad_parameters():
    for options, what in (
        ({"num_agents": 0}, "num_agents"),
        ({"fame": 0.0}, "fame"),
        ({"dullness": 1.5}, "dullness"),
        ({"wear": 0.2}, "at most 1"),
        ({"cost": -1.0}, "cost"),
        ({"discount": 1.0}, "discount"),
        ({"initial_goodwill": math.inf}, "initial_goodwill"),
    ):
        with pytest.raises(InvalidParameter, match=what):
            Attention(**options)
