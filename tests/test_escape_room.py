"""The Escape Room: what the group could get by exhaustive search, and that nobody moves."""

from itertools import product

import numpy as np
import pytest

from commonweal import institution, make
from commonweal.agents.scripted import scripted
from commonweal.envs.escape_room import DOOR, LEVER, START, EscapeRoom, RoomState
from commonweal.envs.normal_form import equilibria, payoffs
from commonweal.envs.one_state import Fixed
from commonweal.errors import IncompatibleInstitution, InvalidParameter, NotExact
from commonweal.evaluation import evaluate
from commonweal.society import Society

ROOMS = [
    {"num_agents": 2, "pullers": 1},
    {"num_agents": 3, "pullers": 2},
    {"num_agents": 2, "pullers": 2},
    {"num_agents": 4, "pullers": 1},
    {"num_agents": 3, "pullers": 1, "prize": 0.2},
    {"num_agents": 3, "pullers": 1, "prize": (10.0, 5.0, 5.0), "cost": (1.0, 7.0, 3.0)},
    {"num_agents": 3, "pullers": 2, "discount": 0.9},
]
rooms = pytest.mark.parametrize("parameters", ROOMS, ids=str)


def room(**parameters) -> EscapeRoom:
    found = make("escape_room-v0", **parameters)
    assert isinstance(found, EscapeRoom)
    return found


def go(dilemma, before, place, step=0.0):
    """One step of `step` from places `before (B, N)` to `place (B, N)`."""
    before, place = (np.asarray(x, np.float64) for x in (before, place))
    state = RoomState(np.full((len(before), 1), step), before)
    return dilemma.step(state, {"place": place}, Fixed(len(before), None, "test"))


def best_return(dilemma):
    """Largest group return by dynamic programming over all places, playing `step`."""
    places = np.array(list(product(range(3), repeat=dilemma.num_agents)), np.float64)
    value = np.zeros(len(places))
    for _ in range(dilemma.steps):
        options = []
        for before in places:
            _, outcome = go(dilemma, np.repeat(before[None], len(places), axis=0), places)
            going_on = dilemma.discount * value * ~outcome.terminated
            options.append((outcome.money.sum(axis=1) + going_on).max())
        value = np.array(options)
    return value[0]


@rooms
def test_the_planner_is_the_best_by_exhaustive_search(parameters):
    dilemma = room(**parameters)
    assert dilemma.references().planner.welfare == pytest.approx(best_return(dilemma))


@rooms
def test_no_sequence_of_places_of_one_agent_pays(parameters):
    dilemma = room(**parameters)
    sequences = np.array(list(product(range(3), repeat=dilemma.steps)), np.float64)
    for agent in range(dilemma.num_agents):
        before = np.zeros((len(sequences), dilemma.num_agents))
        total, alive = np.zeros(len(sequences)), np.ones(len(sequences))
        for t in range(dilemma.steps):
            place = np.zeros_like(before)
            place[:, agent] = sequences[:, t]
            following, outcome = go(dilemma, before, place, float(t))
            total += dilemma.discount**t * alive * outcome.money[:, agent]
            alive *= ~outcome.terminated
            before = following.place
        assert total.max() == pytest.approx(dilemma.references().selfish.epsilon) == 0.0


def test_drawn_rooms_by_enumeration():
    """One step: no equilibrium, mixed ones included, is worse than standing still; more: the planner."""
    rng = np.random.default_rng(0)
    for _ in range(25):
        n = int(rng.integers(1, 4))
        dilemma = room(
            num_agents=n, pullers=int(rng.integers(1, n + 1)), steps=int(rng.integers(1, 3)),
            prize=tuple(rng.choice([0.2, 1.0, 10.0], n)), cost=tuple(rng.choice([1e-3, 1.0, 5.0], n)),
            discount=float(rng.choice([0.5, 1.0])),
        )  # fmt: skip
        found = dilemma.references()
        assert found.planner.welfare == pytest.approx(best_return(dilemma))
        places = np.array(list(product(range(3), repeat=n)), np.float64)
        table = go(dilemma, np.zeros_like(places), places)[1].money.reshape(*[3] * n, n)
        every = equilibria(table)
        assert payoffs(table, every.laws[0]).sum() >= found.selfish.welfare - 1e-9
        assert any(all(law[START] == 1.0 for law in laws) for laws in every.laws)
        assert found.selfish.epsilon == 0.0


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_the_unit_of_money_does_not_matter_to_perfection(unit):
    values = room(num_agents=2, pullers=1, prize=10.0 * unit, cost=unit, steps=2).perfect_values()
    assert np.abs(values).max() == 0.0


@rooms
def test_subgame_perfect_play_leads_nowhere(parameters):
    assert np.allclose(room(**parameters).perfect_values(), 0.0)


@rooms
def test_simulating_a_rule_gives_its_welfare(parameters):
    dilemma = room(**parameters)
    found, society = dilemma.references(), Society(dilemma, num_worlds=2)
    for one in (found.selfish, found.planner):
        assert np.allclose(evaluate(society, scripted(society, one)).welfare, one.welfare)


def test_the_lever_makes_the_dilemma():
    """Pulling costs who pulls and brings the other out; where nobody is left to leave, nothing is lost."""
    dilemma = room(num_agents=2, pullers=1)
    _, helped = go(dilemma, [[LEVER, START]], [[LEVER, DOOR]])
    assert helped.money.tolist() == [[0.0, 10.0]]
    _, start = go(dilemma, [[START, START]], [[LEVER, DOOR]])
    assert start.money.tolist() == [[-1.0, 10.0]]
    _, shut = go(dilemma, [[START, START]], [[START, DOOR]])
    assert shut.money.tolist() == [[0.0, -1.0]]
    assert not shut.terminated[0]
    assert room(num_agents=2, pullers=2).references().gap == 0.0
    assert dilemma.references().gap == 9.0


def test_a_reward_for_pulling_above_its_cost_opens_the_door():
    contract = institution("contract", base="pulling", max_transfer=2.0, levels=None)
    society = Society(room(num_agents=2, pullers=1), [contract])
    names = [action.name for action in society.groups["citizens"].spaces]
    for name, entry in (("contract_offer", 2.0), ("contract_sign", 1), ("place", [LEVER, DOOR])):
        actions = society.columns.null_actions(1)
        actions["citizens"][0, :, names.index(name)] = entry
        step = society.step(actions)
    assert step.reward["citizens"].tolist() == [[1.0, 8.0]]  # both more than the 0 of standing still


def test_steps_by_hand():
    dilemma = room()
    one, first = go(dilemma, [[START] * 3], [[LEVER, DOOR, START]])
    assert first.money.tolist() == [[-1.0, -1.0, 0.0]]
    assert first.conduct["pulling"].tolist() == [[1.0, 0.0, 0.0]]
    # The first stays at the lever, the third comes; who already stands at the door is paid as well.
    two, second = go(dilemma, one.place, [[LEVER, DOOR, LEVER]], 1.0)
    assert second.money.tolist() == [[0.0, 10.0, -1.0]]
    assert second.conduct["escape"].tolist() == [[0.0, 1.0, 0.0]]
    assert second.terminated[0]
    seen = dilemma.observe(two)
    assert seen["own_place"][0].tolist() == [[0, 1, 0], [0, 0, 1], [0, 1, 0]]
    assert seen["others"][0].tolist() == [[0, 1, 1], [0, 2, 0], [0, 1, 1]]
    assert seen["progress"].item() == 2 / 5
    _, last = go(dilemma, [[START] * 3], [[START] * 3], 4.0)
    assert last.terminated[0]


def test_what_is_no_quantity_cannot_be_limited():
    for name in ("quota", "mediator", "tradable-quotas"):
        with pytest.raises(IncompatibleInstitution, match="cannot be limited"):
            Society(room(), [institution(name, base="pulling")])


def test_who_pulls_is_who_loses_least_by_it():
    found = room(**ROOMS[5]).references()
    # Staying behind costs 10 + 1, 5 + 7 and 5 + 3: the third pulls.
    assert found.planner.rule.place.tolist() == [DOOR, DOOR, LEVER]
    assert found.planner.welfare == 12.0


def test_theory():
    assert [check.name for check in EscapeRoom.theory() if not check.passed] == []


@pytest.mark.parametrize(
    ("parameters", "told"),
    [({"pullers": 4}, "from 1 to 3"), ({"cost": 0.0}, "above 0"), ({"steps": 0}, "steps")],
)
def test_bad_parameters_are_named(parameters, told):
    with pytest.raises(InvalidParameter, match=told):
        room(**parameters)


def test_what_the_theory_does_not_cover_is_said():
    with pytest.raises(NotExact, match="one world"):
        room(prize=np.array([5.0, 10.0])).references()
    with pytest.raises(NotExact, match="6 agents"):
        room(num_agents=6).perfect_values()
