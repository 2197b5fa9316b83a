"""The canal: water in turn, equilibria and plans against brute force, harm downstream."""

import itertools

import numpy as np
import pytest

from commonweal import Society, institution, make, solvers
from commonweal.agents.scripted import Random, scripted
from commonweal.envs import canal
from commonweal.envs.irrigation import Irrigation
from commonweal.envs.one_state import Fixed
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate

SMALL = {"num_agents": 3, "endowment": 3.0, "contribution_levels": 4, "base_flow": 3.0, "capacity": 12.0,
         "half_labour": 3.0, "yield_slope": 2.0, "yield_curvature": 0.4, "max_water": 6.0, "water_levels": 7,
         "rounds": 1}  # fmt: skip
SETTINGS = [{}, {"preset": "threshold"}, {"num_agents": 2}, {"num_agents": 8}, SMALL,
            {"yield_slope": (2.0, 2.0, 3.0, 3.0, 4.0)}, {"water_levels": 9},
            {"endowment": (10.0, 10.0, 5.0, 5.0, 1.0), "discount": 0.9}]  # fmt: skip
each_setting = pytest.mark.parametrize("parameters", SETTINGS, ids=str)


def irrigation(**parameters) -> Irrigation:
    found = make("irrigation-v0", **parameters)
    assert isinstance(found, Irrigation)
    return found


def play(game, given, water):
    rng = Fixed(len(given), None, "test")
    acts = {"contribution": np.asarray(given, float), "water": np.asarray(water, float)}
    following, outcome = game.step(game.initial(rng), acts, rng)
    return following, outcome, acts


def money(game, given, water):
    return play(game, given, water)[1].money


def test_theory_passes():
    found = list(Irrigation.theory())
    assert len(found) == 7
    assert [check.name for check in found if not check.passed] == []


def test_a_round_by_hand():
    game = irrigation()
    following, outcome, _ = play(game, [[0, 10, 0, 0, 0]], [[35, 10, 40, 3, 0]])
    # W(10) = 50: 35 and 10 are taken, 5 are left for the third, and nothing for the others.
    assert outcome.conduct["extraction"].tolist() == [[35, 10, 5, 0, 0]]
    assert following.arrived.tolist() == [[50, 15, 5, 0, 0]]
    assert following.maintained.item() == 0.2
    assert outcome.money == pytest.approx(np.array([[10 + 105 - 61.25, 30 - 5, 10 + 15 - 1.25, 10, 10]]))


@each_setting
def test_simulating_a_yardsticks_rule_gives_its_welfare(parameters):
    game = irrigation(**parameters)
    found, society = game.references(), Society(game)
    for yardstick in (found.planner, found.selfish, *found.others.values()):
        assert evaluate(society, scripted(society, yardstick)).welfare[0] == pytest.approx(yardstick.welfare)


@each_setting
def test_no_deviation_from_the_equilibrium_pays(parameters):
    game = irrigation(**parameters)
    rule = game.references().selfish.rule.values
    given, water = rule["contribution"], rule["water"]
    before = money(game, given, water)[0]
    most = np.broadcast_to(np.asarray(game.endowment), (1, game.num_agents))[0]
    for i in range(game.num_agents):
        levels = np.linspace(0.0, np.max(game.endowment), game.contribution_levels)
        tried = list(
            itertools.product(levels[levels <= most[i]], np.linspace(0, game.max_water, game.water_levels))
        )
        g, w = (np.repeat(a, len(tried), axis=0) for a in (given, water))
        g[:, i], w[:, i] = np.array(tried).T
        assert money(game, g, w)[:, i].max() <= before[i] + 1e-9
    assert game.references().selfish.epsilon <= 1e-9 * game.weight


def test_equilibria_are_all_that_brute_force_finds():
    totals = set()
    for slope, base, half in itertools.product((1.0, 2.0, 3.0), (0.0, 3.0, 6.0), (1.0, 3.0)):
        game = irrigation(**{**SMALL, "yield_slope": slope, "base_flow": base, "half_labour": half})
        gate = np.full((1, 3), min(np.ceil(2.5 * slope), 6.0))  # at the peak of the yield or above: dominant
        profiles = np.array(list(itertools.product(range(4), repeat=3)), float)
        payoff = money(game, profiles, np.repeat(gate, len(profiles), axis=0)).reshape(4, 4, 4, 3)
        best = np.all(
            [payoff[..., i] >= payoff[..., i].max(axis=i, keepdims=True) - 1e-9 for i in range(3)], axis=0
        )
        brute = set(profiles[best.ravel()].sum(axis=1))
        totals |= brute
        if not brute:
            with pytest.raises(NotExact, match="no pure equilibrium"):
                game.references()
            continue
        assert canal.undominated_openings(game) == [[gate[0, 0]]] * 3
        found = [given for given, _ in canal.equilibria(game)]
        assert {given.sum() for given in found} == brute
        assert all(best[tuple(given[0].astype(int))] for given in found)
        # Among several, the worst is the selfish yardstick and the others are shown.
        values = {payoff[tuple(p.astype(int))].sum() for p in profiles[best.ravel()]}
        assert game.references().selfish.welfare == pytest.approx(min(values))
        assert len(game.references().others) == len(brute) - 1
    assert len(totals) > 2


def test_taking_in_turn_by_backward_induction_is_the_dominant_opening():
    game = irrigation(**SMALL)
    levels, gate = np.arange(7.0), np.full(3, float(canal.undominated_openings(game)[0][0]))

    def in_turn(left, farmer):
        """What the farmers from `farmer` on take of `left`, each knowing what is left to it."""
        if farmer == 3:
            return ()
        own = np.minimum(levels, left)
        best = own[(2.0 * own - 0.2 * own**2).argmax()]
        return (best, *in_turn(left - best, farmer + 1))

    for given in itertools.product(range(4), repeat=3):
        taken = play(game, [given], gate[None])[1].conduct["extraction"][0]
        assert taken == pytest.approx(in_turn(float(game.delivered(np.array(float(sum(given))))), 0))


def test_no_plan_is_better_by_brute_force():
    for parameters in (
        SMALL,
        {**SMALL, "yield_slope": (1.0, 2.0, 3.0)},
        {**SMALL, "yield_curvature": (0.3, 0.2, 0.4)},
    ):
        game = irrigation(**parameters)
        water = np.array(list(itertools.product(range(7), repeat=3)), float)
        best = max(
            money(game, np.full((len(water), 3), total / 3.0), water).sum(axis=1).max() for total in range(10)
        )
        assert money(game, *canal.plan(game)).sum() == pytest.approx(best)


@each_setting
def test_the_planner_is_not_beaten_by_random_play(parameters):
    game = irrigation(**parameters)
    society = Society(game, num_worlds=500)
    assert evaluate(society, Random(society)).welfare.max() <= game.references().planner.welfare + 1e-9


def test_it_is_a_dilemma_because_of_the_canal_and_of_the_order():
    found = irrigation().references()
    assert found.gap > 0.2 * found.payoff_range
    assert found.selfish.detail["labour"] < 0.5 * found.planner.detail["labour"]
    assert found.selfish.detail["tail's water"] == 0.0
    assert found.planner.detail["tail's water"] > 10.0
    # A canal that delivers all whatever is done, or a single farmer: nothing is wasted.
    full = irrigation(base_flow=150.0, capacity=150.0).references()
    assert full.gap == pytest.approx(0.0)
    alone = irrigation(num_agents=1).references()
    assert alone.gap == pytest.approx(0.0)
    # Below a threshold the tokens of any one are of no use.
    threshold = irrigation(preset="threshold").references()
    assert threshold.selfish.detail["labour"] == 0.0
    assert threshold.gap > 0.7 * threshold.payoff_range


def test_harm_is_the_loss_of_the_others_by_definition():
    rng = np.random.default_rng(0)
    for parameters in (
        {},
        {"yield_slope": (2.0, 2.0, 3.0, 3.0, 4.0)},
        {"capacity": np.linspace(50, 120, 20)},
    ):
        game = irrigation(**parameters)
        given = rng.integers(0, 11, (20, 5)).astype(float)
        water = rng.integers(0, 41, (20, 5)).astype(float)
        following, outcome, acts = play(game, given, water)
        harm = game.harm(None, acts, outcome, following)
        for i in range(5):
            absent = [np.where(np.arange(5) == i, 0.0, array) for array in (given, water)]
            loss = np.delete(money(game, *absent) - outcome.money, i, axis=1).sum(axis=1)
            assert harm[:, i] == pytest.approx(loss)
    game = irrigation()
    following, outcome, acts = play(game, np.zeros((1, 5)), [[30, 30, 0, 0, 0]])
    harm = game.harm(None, acts, outcome, following)[0]
    assert harm[0] == pytest.approx(45.0)  # the second would have had the 30 units that the head took
    assert harm[1:] == pytest.approx(0.0)
    following, outcome, acts = play(game, [[0, 0, 0, 0, 10]], [[30, 30, 0, 0, 0]])
    assert game.harm(None, acts, outcome, following)[0, 4] == pytest.approx(-40.0)  # labour of the tail


def test_limits_and_a_quota_on_water():
    game = irrigation(endowment=(10.0, 10.0, 5.0, 5.0, 5.0))
    acts = {"contribution": np.full((1, 5), 10.0), "water": np.full((1, 5), 40.0)}
    limited = game.limit(None, acts, {"extraction": (0.0, 12.0), "contribution": (0.0, 8.0)})
    assert limited["water"].tolist() == [[12.0] * 5]
    assert limited["contribution"].tolist() == [[8, 8, 5, 5, 5]]
    society = Society(irrigation(), [institution("quota", base="extraction", limit=10.0)])
    step = society.step({"citizens": np.array([[[6.0, 40.0]] * 5])})
    assert step.conduct["extraction"].tolist() == [[10.0] * 5]  # the tail has as much as the head


def test_farmers_see_their_place_and_the_round_before():
    society = Society(irrigation())
    seen = society.step({"citizens": np.array([[[2.0, 30.0]] * 5])}).observation["citizens"][0]
    group = society.groups["citizens"]
    assert seen[:, group.signal_slice("position")].ravel().tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert seen[:, group.signal_slice("arrived")].ravel().tolist() == [50, 20, 0, 0, 0]
    assert seen[:, group.signal_slice("maintained")].ravel() == pytest.approx(0.2)
    for _ in range(9):
        last = society.step({"citizens": np.zeros((1, 5, 2))})
    assert last.terminated[0]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"capacity": 20.0}, "Irrigation.capacity"),
        ({"half_labour": 0.0}, "Irrigation.half_labour"),
        ({"endowment": -1.0}, "Irrigation.endowment"),
        ({"num_agents": 0}, "Irrigation.num_agents"),
        ({"rounds": 0}, "Irrigation.rounds"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(InvalidParameter, match=message):
        irrigation(**parameters)


def test_exactness_is_refused_with_the_reason():
    for parameters, message in (
        ({"water_levels": None}, "continuous"),
        ({"contribution_levels": None}, "continuous"),
        ({"capacity": np.array([80.0, 90.0])}, "capacity differs by world"),
        ({"endowment": (10.0, 9.5, 9.0, 9.0, 9.0)}, "multiples of 1 tokens"),
        ({"base_flow": 0.0, "half_labour": 10.0, "yield_curvature": 0.15}, "no pure equilibrium"),
    ):
        with pytest.raises(NotExact, match=message):
            irrigation(**parameters).references()
    with pytest.raises(NotExact, match="head and tail"):
        solvers.corrective_tax(irrigation())


def test_continuous_acts_are_played():
    game = irrigation(contribution_levels=None, water_levels=None)
    society = Society(game)
    step = society.step({"citizens": np.array([[[2.5, 12.25]] * 5])})
    assert step.conduct["extraction"][0, 0] == 12.25
    assert step.conduct["contribution"].sum() == 12.5


@pytest.mark.parametrize(("width", "total"), [(1e-12, 500.0), (1e-6, 500.00015), (2.0, 790.0)])
def test_narrow_gates_need_no_table_of_all_the_water(width, total):
    """All open their gates, and nobody works: 10 rounds of five endowments and of five yields."""
    found = make("irrigation-v0", max_water=width).references()
    assert 50.0 * (10.0 + 3.0 * width - 0.05 * width**2) == pytest.approx(total, rel=1e-9)
    assert found.selfish.welfare == pytest.approx(total, rel=1e-9)
    assert found.planner.welfare == pytest.approx(total, rel=1e-9)
