"""The forest: rotations, the race in a shared one, concessions, amenity, fire, harm."""

import math

import numpy as np
import pytest

from commonweal import Society, institution, make, solvers
from commonweal.agents.scripted import Constant, Scripted, scripted
from commonweal.envs import rotation, stands
from commonweal.envs.dynamic_programming import planner
from commonweal.envs.forest import Forest, ForestState
from commonweal.envs.one_state import Fixed
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate
from commonweal.random import Streams, world_seeds

SHARED, CONCESSIONS = {}, {"num_stands": 5}
SETTINGS = [SHARED, CONCESSIONS, {"num_agents": 4, "num_stands": 2}, {"amenity": 0.005},
            {"num_stands": 5, "amenity": 0.005}, {"num_agents": 2},
            {"interval": 5.0}]  # fmt: skip
each_setting = pytest.mark.parametrize("parameters", SETTINGS, ids=str)


def forest(**parameters) -> Forest:
    found = make("forest-v0", **parameters)
    assert isinstance(found, Forest)
    return found


def stand(ages, stocked=None) -> ForestState:
    age = np.asarray(ages, float)
    share = (age > 0) * 1.0 if stocked is None else np.asarray(stocked, float)
    return ForestState(age, share, np.zeros((len(age), 1)))


def step(dilemma, state, work):
    return dilemma.step(state, {"work": np.asarray(work, float)}, Fixed(len(state.age), None, "test"))


def test_theory_passes():
    found = list(Forest.theory())
    assert len(found) == 12
    assert [check.name for check in found if not check.passed] == []


def test_rotations_are_ordered_and_beyond_the_textbook():
    facts = forest().references().facts
    assert facts["faustmann_rotation"] < facts["wicksell_rotation"] < facts["sustained_yield_rotation"]
    assert math.isnan(rotation.Stand(planting_cost=2000.0).faustmann())  # planting does not pay
    amenities = [rotation.Stand(amenity=a).hartman(120.0) for a in (0.0, 0.005, 0.01, 0.025)]
    assert amenities == sorted(amenities)
    assert amenities[0] == pytest.approx(facts["faustmann_rotation"])
    assert rotation.Stand(amenity=0.1).hartman(120.0) == math.inf  # the forest stays
    # No other age is worth more to Hartman's planner.
    enjoyed = rotation.Stand(amenity=0.01)
    best = enjoyed.land_value(enjoyed.hartman(120.0))
    assert all(enjoyed.land_value(age) <= best for age in np.linspace(10.0, 120.0, 111))


@each_setting
def test_simulating_a_yardsticks_rule_gives_its_welfare(parameters):
    dilemma = forest(**parameters)
    found, society = dilemma.references(), Society(dilemma)
    for yardstick in (found.planner, found.selfish):
        played = evaluate(society, scripted(society, yardstick)).welfare[0]
        assert played == pytest.approx(yardstick.welfare, abs=1e-6)
    assert found.planner.error == found.selfish.error == 0.0


@each_setting
def test_no_deviation_from_the_equilibrium_pays(parameters):
    """In every state, agent 0 does the opposite once, and all then follow the rule: one shot is enough."""
    dilemma = forest(**parameters)
    rule, grid = dilemma.references().selfish.rule, dilemma.grid(0)
    law = rule.probabilities({"age": grid[:, None, None]})["work"][:, 0, 1]
    assert set(np.unique(law.round(9))) <= {0.0, 1.0}
    n = dilemma.loggers_per_stand

    def returns(deviate):
        age = np.zeros((len(grid), dilemma.num_stands))
        age[:, 0] = grid
        state, total, weight = stand(age), np.zeros(len(grid)), 1.0
        for play in range(math.ceil(900 / dilemma.interval)):
            work = np.repeat(law[np.rint(state.age / dilemma.interval).astype(int)], n, axis=1)
            if deviate and play == 0:
                work[:, 0] = 1.0 - work[:, 0]
            state, outcome = step(dilemma, state, work)
            total += weight * dilemma.utility(state, outcome.money)[:, 0]
            weight *= dilemma.discount
        return total

    assert (returns(True) - returns(False)).max() < 1e-6
    assert dilemma.references().selfish.epsilon < 1e-6


@each_setting
def test_the_planner_is_not_beaten_by_random_rules(parameters):
    dilemma = forest(**parameters)
    rng, worlds, grid = np.random.default_rng(0), 300, dilemma.grid(0)
    # A chance of work at each age that grows from nothing to certainty around a random rotation.
    middle, width = rng.uniform(5, 100, (worlds, 1)), rng.uniform(0.1, 10, (worlds, 1))
    chance = 1.0 / (1.0 + np.exp(-(grid - middle) / width))
    chance[:, 0] = rng.random(worlds)
    society = Society(dilemma, num_worlds=worlds, time_limit=math.ceil(600 / dilemma.interval))

    def rule(observed, streams):
        place = np.rint(observed["age"][..., 0] / dilemma.interval).astype(int)
        drawn = streams.uniform(place.shape[1])
        return {"work": (drawn < np.take_along_axis(chance, place, axis=1)) * 1.0}

    single = Society(dilemma, time_limit=society.time_limit)
    best = evaluate(single, scripted(single, dilemma.references().planner)).welfare[0]
    assert evaluate(society, Scripted(society, rule)).welfare.max() < best + 1e-6


def test_sharing_the_forest_is_what_makes_it_a_dilemma():
    shared, owned = forest().references(), forest(num_stands=5).references()
    assert shared.gap > 0.5 * shared.payoff_range
    assert shared.selfish.kind == "dynamic programming"
    assert shared.selfish.epsilon == 0.0
    assert shared.selfish.detail["felling age"] == 2.0
    assert shared.selfish.detail["chance of planting"] == 0.0
    assert owned.gap == pytest.approx(0.0, abs=1e-6)
    assert owned.selfish.detail["felling age"] == owned.planner.detail["felling age"] == 33.0
    assert forest(num_agents=1).references().gap == pytest.approx(0.0, abs=1e-6)
    # The amenity is a public good: owners keep their timber for too short a time.
    enjoyed = forest(num_stands=5, amenity=0.005).references()
    assert enjoyed.selfish.detail["felling age"] < enjoyed.planner.detail["felling age"]
    assert enjoyed.gap > 0.05 * enjoyed.payoff_range


def test_a_few_years_by_hand():
    dilemma = forest()
    delta, volume = math.exp(-0.03), math.exp(10 - 50 / 21)
    following, outcome = step(dilemma, stand([[20.0]]), [[1, 1, 0, 0, 0]])
    assert outcome.conduct["extraction"] == pytest.approx(np.array([[volume, volume, 0, 0, 0]]) / 2)
    assert outcome.money == pytest.approx(np.array([[volume, volume, 0, 0, 0]]) * delta / 2)
    assert following.age.item() == 0.0
    assert following.stocked.item() == 0.0
    following, outcome = step(dilemma, following, [[1, 0, 1, 1, 1]])
    assert outcome.money == pytest.approx(np.array([[-25, 0, -25, -25, -25]]))
    assert outcome.conduct["planting"].sum() == pytest.approx(1.0)
    assert following.age.item() == 1.0
    assert following.stocked.item() == 1.0
    following, outcome = step(dilemma, following, [[0, 0, 0, 0, 0]])
    assert following.age.item() == 2.0
    assert (outcome.money == 0).all()


def test_a_stand_felled_in_part_keeps_its_age_and_is_planted_once_it_is_cleared():
    dilemma = forest(num_agents=2, levels=11)
    following, outcome = step(dilemma, stand([[29.0]]), [[0.3, 0.1]])
    volume = math.exp(10 - 50 / 30)
    assert outcome.conduct["extraction"] == pytest.approx(np.array([[0.3, 0.1]]) * volume)
    assert following.stocked.item() == pytest.approx(0.6)
    assert following.age.item() == 30.0
    following, outcome = step(dilemma, following, [[1.0, 0.5]])
    assert outcome.conduct["extraction"].sum() == pytest.approx(0.6 * math.exp(10 - 50 / 31))
    assert outcome.conduct["extraction"][0, 0] == pytest.approx(0.4 * math.exp(10 - 50 / 31))
    assert following.stocked.item() == 0.0
    tenths = stand([[29.0]])
    for _ in range(10):  # ten times a tenth of what was there at first
        tenths, _ = step(dilemma, tenths, [[0.1 / max(tenths.stocked.item(), 0.1), 0.0]])
    assert tenths.stocked.item() == 0.0
    with pytest.raises(NotExact, match="levels is 11"):
        dilemma.references()
    with pytest.raises(NotExact, match="in part"):
        dilemma.coordinate(stand([[3.0]], [[0.5]]))


def test_limits_bind_on_timber_and_on_planting():
    dilemma = forest(num_agents=2, num_stands=2)
    state, play = stand([[29.0, 0.0]]), {"work": np.ones((1, 2))}
    whole = math.exp(10 - 50 / 30)
    capped = dilemma.limit(state, play, {"extraction": (0.0, whole / 4)})
    assert capped["work"] == pytest.approx(np.array([[0.25, 1.0]]))
    assert step(dilemma, state, capped["work"])[1].conduct["extraction"][0, 0] == pytest.approx(whole / 4)
    assert dilemma.limit(state, play, {"planting": (0.0, 0.5)})["work"] == pytest.approx(np.array([[1, 0.5]]))
    idle = {"work": np.zeros((1, 2))}
    forced = dilemma.limit(state, idle, {"extraction": (np.array([[whole, -np.inf]]), np.inf)})
    assert forced["work"] == pytest.approx(np.array([[1.0, 0.0]]))


def test_a_quota_binds_in_the_society():
    society = Society(forest(), [institution("quota", limit=100.0, base="extraction")])
    done = society.step({"citizens": np.ones((1, 5, 1))})
    assert done.conduct["extraction"] == pytest.approx(100.0)
    assert society.state.stocked.item() == pytest.approx(1 - 500 / math.exp(10 - 50 / 21))


@pytest.mark.parametrize(
    "parameters", [{}, {"amenity": 0.01}, {"num_stands": 3, "num_agents": 6, "amenity": 0.01}]
)
def test_harm_is_the_loss_of_the_others_by_definition(parameters):
    dilemma = forest(**parameters)
    n, everybody, rng = dilemma.loggers_per_stand, dilemma.num_agents, np.random.default_rng(3)
    plan = dilemma._plan
    for _ in range(20):
        age = rng.integers(0, 60, (1, dilemma.num_stands)).astype(float)
        work = rng.integers(0, 2, (1, everybody)).astype(float)
        following, outcome = step(dilemma, stand(age), work)
        harm = dilemma.harm(stand(age), {"work": work}, outcome, following)
        for i in range(everybody):
            without = work.copy()
            without[0, i] = 0.0
            spared, other = step(dilemma, stand(age), without)
            now = np.delete(other.money - outcome.money, i).sum()
            later = 0.0
            for sign, state in ((1.0, spared), (-1.0, following)):
                m = i // n
                place = int(state.age[0, m])
                timber = plan.timber[place] + plan.until[place] * plan.bare[0] if place else plan.bare[0]
                amenity = plan.amenity[place] + plan.until[place] * plan.bare[1] if place else plan.bare[1]
                later += sign * ((1 - 1 / n) * timber + (1 - 1 / everybody) * amenity)
            assert harm[0, i] == pytest.approx(now + dilemma.discount * later)
            if work[0, i] == 0.0:
                assert harm[0, i] == pytest.approx(0.0)


@each_setting
def test_the_plan_behind_harm_is_the_planners_value(parameters):
    dilemma = forest(**parameters)
    plan, value = dilemma._plan, planner(stands.game_of(dilemma)[1]).value
    assert plan.timber[1:] + plan.amenity[1:] + plan.until[1:] * sum(plan.bare) == pytest.approx(value[1:])
    assert sum(plan.bare) == pytest.approx(value[0])


def test_felling_harms_nobody_in_a_concession_and_who_waits_for_the_planner_harms_nobody():
    owned, shared = forest(num_stands=5), forest()
    work = np.ones((1, 5))
    state = stand(np.full((1, 5), 20.0))
    following, outcome = step(owned, state, work)
    assert owned.harm(state, {"work": work}, outcome, following) == pytest.approx(0.0)
    alone = np.array([[1.0, 0, 0, 0, 0]])
    following, outcome = step(shared, stand([[20.0]]), alone)
    harm = shared.harm(stand([[20.0]]), {"work": alone}, outcome, following)[0, 0]
    left, land = math.exp(-0.03), rotation.Stand().land_value(33.0)
    assert harm == pytest.approx(0.8 * left * (left**12 * (math.exp(10 - 50 / 33) + land) - land))
    following, outcome = step(shared, stand([[0.0]]), alone)  # planting is a gift to the others
    gift = -shared.harm(stand([[0.0]]), {"work": alone}, outcome, following)[0, 0]
    assert gift == pytest.approx(0.8 * (land + 100.0 - left * land))  # else the land lies idle for a year


def test_a_tax_on_timber_that_goes_to_the_others_slows_the_race():
    dilemma = forest()
    taxed = solvers.equilibrium(Society(dilemma, [institution("taxation", base="extraction", rate=0.78)]))
    assert 0.8 < dilemma.references().efficiency(taxed.welfare) < 1.0
    assert taxed.epsilon < 0.1


def fires(dilemma, ages, worlds=4000, years=1):
    state, burnt = stand(np.tile(np.asarray(ages, float), (worlds, 1))), []
    seeds = world_seeds(1, worlds)
    for year in range(years):
        rng = Streams(seeds, 0).begin(year, 1)
        state, outcome = dilemma.step(state, {"work": np.zeros((worlds, dilemma.num_agents))}, rng)
        burnt.append(state.stocked == 0.0)
    return burnt[-1], outcome


def test_fire_strikes_at_its_rate_and_leaps_to_old_timber_only():
    alone = forest(num_agents=1, ignition=0.02)
    share = fires(alone, [20.0], years=10)[0].mean()
    assert share == pytest.approx(1 - math.exp(-0.2), abs=4 * math.sqrt(0.18 * 0.82 / 4000))
    row = {"num_agents": 5, "num_stands": 5, "ignition": 0.2}
    old, young = [120.0] * 5, [5.0] * 5
    everywhere = fires(forest(**row, spread=1.0), old)[0]
    assert (everywhere.all(axis=1) | ~everywhere.any(axis=1)).all()
    assert everywhere.any(axis=1).mean() == pytest.approx(1 - math.exp(-1.0), abs=0.03)
    assert fires(forest(**row, spread=0.0), old)[0].mean() == pytest.approx(1 - math.exp(-0.2), abs=0.02)
    assert fires(forest(**row, spread=1.0), young)[0].mean() == pytest.approx(1 - math.exp(-0.2), abs=0.02)
    gap = fires(forest(**row, spread=1.0), [120.0, 120.0, 0.0, 120.0, 120.0])[0]  # a bare stand stops it
    assert (gap[:, 0] == gap[:, 1]).all()
    assert (gap[:, 3] == gap[:, 4]).all()
    assert (gap[:, 0] != gap[:, 4]).mean() > 0.2


def test_what_burns_is_not_felled_and_fire_shortens_what_is_worth_waiting_for():
    dilemma = forest(num_agents=1, ignition=0.5)
    worlds = 2000
    state = stand(np.full((worlds, 1), 29.0))
    rng = Streams(world_seeds(0, worlds), 0).begin(0, 1)
    following, outcome = dilemma.step(state, {"work": np.ones((worlds, 1))}, rng)
    timber = outcome.conduct["extraction"] / math.exp(10 - 50 / 30)
    assert set(np.unique(timber.round(9))) == {0.0, 1.0}
    assert timber.mean() == pytest.approx(math.exp(-0.5), abs=0.05)
    assert (following.stocked == 0.0).all()
    faustmann, reed = (forest(num_agents=1, ignition=rate).references() for rate in (0.0, 0.02))
    assert (
        reed.facts["reed_rotation"]
        < faustmann.facts["reed_rotation"]
        == faustmann.facts["faustmann_rotation"]
    )
    assert reed.planner.detail["felling age"] < faustmann.planner.detail["felling age"]


BURNING = [
    {"num_agents": 2},
    {"num_agents": 3, "num_stands": 3, "spread": 0.0, "amenity": 0.005},
    {"num_agents": 1},
]


@pytest.mark.parametrize("parameters", BURNING, ids=str)
def test_references_with_fire_are_the_mean_of_play_and_the_plan_behind_harm(parameters):
    dilemma = forest(**parameters, ignition=0.02)
    found, society = dilemma.references(), Society(dilemma, num_worlds=2000)
    for yardstick in (found.planner, found.selfish):
        played = evaluate(society, scripted(society, yardstick)).welfare
        assert played.mean() == pytest.approx(yardstick.welfare, abs=4.0 * played.std() / math.sqrt(2000))
    plan, value = dilemma._plan, planner(stands.game_of(dilemma)[1]).value
    assert plan.timber[1:] + plan.amenity[1:] + plan.until[1:] * sum(plan.bare) == pytest.approx(value[1:])
    assert sum(plan.bare) == pytest.approx(value[0])
    assert found.selfish.epsilon < 1e-6


def test_nobody_is_blamed_for_what_burns():
    dilemma = forest(num_agents=2, ignition=1.0)
    seeds, state = world_seeds(2, 200), stand(np.full((200, 1), 20.0))
    both, alone = np.ones((200, 2)), np.array([[1.0, 0.0]] * 200)
    for work in (both, alone):
        following, outcome = dilemma.step(state, {"work": work}, Streams(seeds, 0).begin(0, 1))
        harm = dilemma.harm(state, {"work": work}, outcome, following)
        burnt = outcome.conduct["extraction"][:, 0] == 0.0
        assert 0.5 < burnt.mean() < 0.75
        assert harm[burnt] == pytest.approx(0.0)
        assert (harm[~burnt, 0] > 0.0).all()


def test_leaping_fire_has_no_exact_references():
    with pytest.raises(NotExact, match="fire leaps between 5 stands"):
        forest(num_stands=5, ignition=0.02).references()


def test_unequal_loggers_are_played_but_have_no_references():
    dilemma = forest(num_agents=2, price=(1.0, 2.0), planting_cost=(100.0, 50.0))
    outcome = step(dilemma, stand([[29.0]]), [[1, 1]])[1]
    assert outcome.money[0, 1] == pytest.approx(2 * outcome.money[0, 0])
    outcome = step(dilemma, stand([[0.0]]), [[1, 1]])[1]
    assert outcome.money == pytest.approx(np.array([[-50.0, -25.0]]))
    with pytest.raises(NotExact, match="has 2 values"):
        dilemma.references()
    worlds = forest(initial_age=np.array([0.0, 30.0]))
    assert worlds.initial(Fixed(2, None, "test")).stocked.ravel().tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"num_stands": 2}, "a divisor of N = 5"),
        ({"num_stands": 0}, "a divisor of N = 5"),
        ({"interest": 0.0}, "Forest.interest"),
        ({"price": -1.0}, "Forest.price"),
        ({"initial_age": 200.0}, "Forest.initial_age"),
        ({"spread": 1.5}, "Forest.spread"),
        ({"oldest": 0.5}, "Forest.oldest"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(InvalidParameter, match=message):
        forest(**parameters)


def test_exactness_is_refused_with_the_reason():
    with pytest.raises(NotExact, match="initial_age is"):
        forest(initial_age=7.5).references()
    with pytest.raises(NotExact, match="oldest is"):
        forest(interval=5.0, oldest=122.0).references()
    with pytest.raises(NotExact, match="num_stands = 1"):
        solvers.equilibrium(Society(forest(num_stands=5)))
    assert forest().references() is forest().references()


def test_the_solver_of_societies_agrees_and_constant_play_is_no_better_than_the_planner():
    dilemma = forest()
    found = dilemma.references()
    assert solvers.equilibrium(Society(dilemma)).welfare == pytest.approx(found.selfish.welfare)
    society = Society(dilemma)
    values = [evaluate(society, Constant(society, work=entry)).welfare[0] for entry in (0, 1)]
    assert max(values) < found.planner.welfare
    assert found.payoff_range >= found.planner.welfare - min(values) - 1e-9
