"""GovSim's fishery: the published bounds, backward induction by brute force, rationing, the measures."""

import itertools
from functools import cache

import numpy as np
import pytest

from commonweal import Society, institution, make
from commonweal.agents.scripted import Scripted, scripted
from commonweal.envs.govsim import GovSim
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate
from commonweal.random import Streams, world_seeds

SMALL = {"num_agents": 3, "capacity": 6.0, "max_catch": 6.0, "levels": 7, "collapse": 1.0, "months": 3}


def test_theory():
    assert [check.name for check in GovSim.theory() if not check.passed] == []


@pytest.mark.parametrize("rationing", ["equal", "proportional"])
@pytest.mark.parametrize(
    "options", [{}, {"max_catch": 20.0, "levels": 21}, {"discount": 0.9}, {"growth": 3.0}]
)
def test_playing_a_rule_gives_its_welfare(options, rationing):
    game = GovSim(rationing=rationing, **options)
    society, found = Society(game, num_worlds=1), game.references()
    for stick in (found.selfish, found.planner):
        played = evaluate(society, scripted(society, stick)).welfare[0]
        assert played == pytest.approx(stick.welfare)


@pytest.mark.parametrize("rationing", ["equal", "proportional"])
def test_every_equilibrium_of_backward_induction_collapses_at_once(rationing):
    game = GovSim(**SMALL, rationing=rationing)
    wishes = np.array(list(itertools.product(range(7), repeat=3)), float)
    outcomes = set()

    @cache
    def values(month, stock):
        """All payoffs `(3,)` of stage equilibria, rounded; the induction goes on with each of them."""
        if month == 3 or stock == 0:
            return ((0.0, 0.0, 0.0),)
        catch = game.ration(np.full((len(wishes), 1), float(stock)), wishes)
        following, lost = game.regrow(stock - catch.sum(axis=1))
        found = set()
        # Continuation payoffs by next stock: every selection of equilibria there.
        stocks = sorted({round(float(s)) for s, over in zip(following, lost, strict=True) if not over})
        for chosen in itertools.product(*(values(month + 1, s) for s in stocks)):
            later = dict(zip(stocks, chosen, strict=True))
            future = np.array(
                [(0.0,) * 3 if o else later[round(float(s))] for s, o in zip(following, lost, strict=True)]
            )
            cube = (catch + future).reshape(7, 7, 7, 3)
            stable = np.ones((7, 7, 7), bool)
            for i in range(3):
                stable &= cube[..., i] >= cube[..., i].max(axis=i, keepdims=True) - 1e-9
            kept = stable.reshape(-1)
            found |= {tuple(np.round(row, 9)) for row in cube.reshape(-1, 3)[kept]}
            if month == 0:
                outcomes.update(np.round(catch.sum(axis=1)[kept], 9).tolist())
        return tuple(sorted(found))

    assert values(0, 6) == ((2.0, 2.0, 2.0),)
    assert outcomes == {6.0}
    assert game.references().selfish.welfare == pytest.approx(6.0)


def test_the_planner_is_the_best_of_all_plans():
    game = GovSim(**SMALL)
    best = 0.0
    for plan in itertools.product(range(7), repeat=3):
        stock, total = 6.0, 0.0
        for wanted in plan:
            caught = min(wanted, stock)
            total += caught
            if stock - caught < 1:
                break
            stock = min(2 * (stock - caught), 6.0)
        best = max(best, total)
    assert game.references().planner.welfare == pytest.approx(best) == pytest.approx(12.0)


def test_no_play_beats_the_planner():
    game = GovSim()
    society = Society(game, num_worlds=2000)
    rng = np.random.default_rng(0)
    best = np.zeros(2000)
    alive = np.ones(2000, bool)
    for _ in range(12):
        wish = rng.integers(5, 13, size=(2000, 5, 1)).astype(float)
        step = society.step({"citizens": wish})
        best += alive * step.welfare
        alive &= ~step.done
    assert best.max() <= game.references().planner.welfare


@pytest.mark.parametrize("rationing", ["equal", "proportional"])
def test_no_deviation_from_the_selfish_equilibrium_pays(rationing):
    game = GovSim(rationing=rationing)
    for wish in range(101):
        society = Society(game, num_worlds=1)
        acts = np.full((1, 5, 1), 100.0)
        acts[0, 0, 0] = wish
        step = society.step({"citizens": acts})
        assert step.terminated[0]
        assert step.reward["citizens"][0, 0] <= 20 + 1e-9


def test_where_a_fisher_can_save_the_lake_the_claim_is_weaker():
    # Five boats of at most 11 tons empty the lake slowly, and one that holds back prolongs it.
    small = GovSim(max_catch=11.0, levels=12)
    found = small.references().selfish
    assert found.kind == "best known"
    society = Society(small, num_worlds=1)

    def hold_back(observed, rng):
        wish = np.full((1, 5), 11.0)
        wish[0, 0] = 11.0 if observed["progress"][0, 0, 0] > 10.5 / 12 else 6.0
        return {"wish": wish}

    saved = evaluate(society, Scripted(society, hold_back)).returns[0, 0] - found.detail["gain"]
    assert 0 < saved <= found.epsilon + 1e-9


def test_without_scarcity_there_is_no_dilemma():
    assert GovSim(max_catch=10.0, levels=11).references().gap == pytest.approx(0.0)
    assert GovSim(num_agents=1).references().gap == 0.0
    assert GovSim().references().gap == 550.0


def test_rationing_by_hand():
    wish = np.array([[50.0, 10, 40, 0, 60]])
    equal, share = GovSim(), GovSim(rationing="proportional")
    assert equal.ration(np.array([[100.0]]), wish).tolist() == [[30, 10, 30, 0, 30]]
    assert equal.ration(np.array([[200.0]]), wish).tolist() == wish.tolist()
    assert equal.ration(np.array([[0.0]]), wish).tolist() == [[0] * 5]
    assert share.ration(np.array([[80.0]]), wish).tolist() == [[25, 5, 20, 0, 30]]
    assert share.ration(np.array([[80.0]]), 0 * wish).tolist() == [[0] * 5]


def test_the_uniform_rule_is_the_course_of_ton_by_ton():
    # GovSim's default hands out one ton at a time to somebody drawn from those still wanting.
    rng, wish, mean = np.random.default_rng(0), np.array([50, 10, 40, 0, 60]), np.zeros(5)
    for _ in range(400):
        left = wish.copy()
        for _ in range(100):
            left[rng.choice(np.flatnonzero(left))] -= 1
        mean += (wish - left) / 400
    assert GovSim().ration(np.array([[100.0]]), wish[None, :].astype(float))[0] == pytest.approx(
        mean, abs=0.6
    )


def test_a_few_months_by_hand():
    society = Society(GovSim(), num_worlds=1)
    step = society.step({"citizens": np.array([[[30], [10], [10], [0], [10]]], float)})
    assert step.reward["citizens"][0].tolist() == [30, 10, 10, 0, 10]
    seen = step.observation["citizens"][0]
    assert seen[0] == pytest.approx([1 / 12, 80, 30, 10, 10, 0, 10])
    assert seen[3] == pytest.approx([1 / 12, 80, 0, 10, 30, 10, 10])
    step = society.step({"citizens": np.full((1, 5, 1), 15.0)})
    assert step.observation["citizens"][0, 0, 1] == 10  # five tons are left and double
    assert not step.done[0]
    step = society.step({"citizens": np.array([[[6], [0], [0], [0], [0]]], float)})
    assert step.terminated[0]  # four tons are too few


def test_the_measures_of_published_play():
    game = GovSim()
    steady = game.scores(np.full((12, 1, 5), 10.0))
    expected = {
        "survival_time": 12,
        "survival": 1,
        "gain": 120,
        "efficiency": 1,
        "equality": 1,
        "over_usage": 0,
    }
    assert {name: value[0] for name, value in steady.items()} == pytest.approx(expected)
    greedy = np.full((12, 1, 5), np.nan)
    greedy[0] = 20.0
    found = {name: value[0] for name, value in game.scores(greedy).items()}
    expected = {"survival_time": 1, "survival": 0, "gain": 20, "equality": 1, "over_usage": 1}
    assert found == pytest.approx({**expected, "efficiency": 100 / 600})
    one = np.zeros((12, 1, 5))
    one[:, :, 0] = 50.0
    found = {name: value[0] for name, value in game.scores(one).items()}
    assert found["equality"] == pytest.approx(0.2)  # one has all: 1 - (N - 1) / N
    assert found["over_usage"] == pytest.approx(0.2)
    assert np.isnan(game.scores(np.zeros((12, 1, 5)))["equality"][0])


def test_measures_of_an_evaluated_population_agree_with_its_return():
    game = GovSim()
    society = Society(game, num_worlds=3, seed=5)
    rng = np.random.default_rng(1)
    catches, alive = np.full((12, 3, 5), np.nan), np.ones(3, bool)
    for month in range(12):
        step = society.step({"citizens": rng.integers(6, 14, size=(3, 5, 1)).astype(float)})
        catches[month, alive] = step.conduct["extraction"][alive]
        alive &= ~step.done
    found = game.scores(catches)
    assert found["gain"] * 5 == pytest.approx(np.nansum(catches, axis=(0, 2)))
    assert (found["survival_time"] == (~np.isnan(catches[:, :, 0])).sum(axis=0)).all()


def test_harm_is_the_loss_of_the_others_by_definition():
    game = GovSim(num_agents=3)
    rng = Streams(world_seeds(0, 1), 0)
    state = game.initial(rng)
    wish = np.array([[50.0, 20.0, 45.0]])
    following, outcome = game.step(state, {"wish": wish}, rng)
    harm = game.harm(state, {"wish": wish}, outcome, following)
    for i in range(3):
        idle = wish.copy()
        idle[0, i] = 0.0
        spared, other = game.step(state, {"wish": idle}, rng)
        now = np.delete(other.money - outcome.money, i).sum()
        month = np.array([1])
        later = (
            2 / 3 * (game._planned.at(month, spared.stock) - game._planned.at(month, following.stock))[0, 0]
        )
        assert harm[0, i] == pytest.approx(now + later)
    assert harm[0, 0] > 0


def test_a_quota_of_ten_tons_sustains_the_lake():
    game = GovSim()
    society = Society(game, [institution("quota", limit=10.0)], num_worlds=1)
    greedy = evaluate(society, Scripted(society, lambda seen, rng: {"wish": np.full((1, 5), 100.0)}))
    assert greedy.welfare[0] == pytest.approx(600.0)
    assert greedy.length[0] == 12


def test_continuous_wishes():
    game = make("govsim-v0", levels=None)
    with pytest.raises(NotExact, match="levels"):
        game.references()
    society = Society(game, num_worlds=1)
    assert society.step({"citizens": np.full((1, 5, 1), 9.5)}).reward["citizens"][0, 0] == 9.5
    harm = Society(game, [institution("taxation", base="harm", rate=1.0)], num_worlds=1)
    assert np.isfinite(harm.step({"citizens": np.full((1, 5, 1), 9.5)}).reward["citizens"]).all()


def test_bad_parameters():
    for options, what in (
        ({"num_agents": 0}, "num_agents"),
        ({"growth": 0.5}, "growth"),
        ({"collapse": 200.0}, "collapse"),
        ({"max_catch": 101.0}, "max_catch"),
        ({"rationing": "random"}, "rationing"),
        ({"months": 0}, "months"),
    ):
        with pytest.raises(InvalidParameter, match=what):
            GovSim(**options)
    for options in ({"growth": 1.5}, {"max_catch": 30.0, "levels": 21}):
        with pytest.raises(NotExact, match="whole"):
            GovSim(**options).references()
