"""Actions as they come: one rounding outside of a space, of any memory, masked; through every door."""

import mmap

import gymnasium
import numpy as np
import pytest

import commonweal
from commonweal import Society, institution, make, registry
from commonweal.columns import Columns
from commonweal.errors import InvalidAction
from tests.strategies import random_actions


def continuous(name):
    """A dilemma with every column continuous that may be."""
    fields = registry.dilemma_class(name).__dataclass_fields__
    return make(name, **{field: None for field in fields if field.endswith("levels")})


DILEMMAS = sorted(registry.DILEMMAS)
NUMBERS = [
    name for name in DILEMMAS
    if any(not action.space.size for action in continuous(name).actions())
]  # fmt: skip


def null_policies(society):
    return {
        name: lambda seen, mask, n=name: society.columns.null_actions(len(seen))[n] for name in society.groups
    }


@pytest.fixture
def played(monkeypatch):
    """What the society has read of the actions, step by step."""
    found, read = [], Columns.read

    def spy(self, actions):
        found.append((self.groups, read(self, actions)))
        return found[-1][1]

    monkeypatch.setattr(Columns, "read", spy)
    return found


@pytest.mark.filterwarnings("ignore:.*precision lowered")
@pytest.mark.parametrize("name", DILEMMAS)
def test_a_rescaled_space_may_be_used_to_its_ends(name, played):
    for group in Society(continuous(name)).groups:
        society = Society(continuous(name))
        env = commonweal.gym_env(
            continuous(name), group=group, policies=null_policies(society), continuous=True
        )
        for dtype in (np.float32, np.float64):
            ends = [np.full(env.action_space.shape, end, dtype) for end in (-1.0, 1.0)]
            rescaled = gymnasium.wrappers.RescaleAction(env, *ends)
            for end in ends:
                rescaled.reset(seed=0)
                rescaled.step(end)
        for end in (env.action_space.low, env.action_space.high, env.action_space.sample()):
            env.reset(seed=0)
            env.step(end)
    for groups, actions in played:
        for group, values in actions.items():
            assert (values >= groups[group].low).all()
            assert (values <= groups[group].high).all()


def test_rescaling_a_fish_war_is_played_at_the_bound():
    policies = null_policies(Society(make("fish_war-v0")))
    env = gymnasium.wrappers.RescaleAction(commonweal.gym_env("fish_war-v0", policies=policies), -1.0, 1.0)
    env.reset(seed=0)
    env.step(np.array([-1.0], np.float32))
    assert env.unwrapped.transition.conduct["extraction"][0, 0] == 0.005 * 0.45


@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_further_outside_is_refused_with_the_bounds(name):
    society = Society(continuous(name))
    for name, group in society.groups.items():
        for column in np.flatnonzero(~group.discrete):
            for bound, away in ((group.low, -1.0), (group.high, 1.0)):
                actions = society.columns.null_actions(1)
                largest = np.float32(max(abs(group.low[column]), abs(group.high[column])))
                actions[name][0, 0, column] = bound[column] + away * 2.0 * np.spacing(largest)
                assert society.columns.read(actions)[name][0, 0, column] == bound[column]
                actions[name][0, 0, column] = bound[column] + away * 4.0 * np.spacing(largest)
                with pytest.raises(InvalidAction, match=r"allowed: .* to "):
                    society.step(actions)


def test_an_index_beside_a_whole_number_is_refused():
    society = Society(make("fishery-v0"))
    for value in (-1e-9, 1.0 + 1e-9, 10.0 + 1e-9, np.nan):
        with pytest.raises(InvalidAction, match="whole numbers 0 to 10"):
            society.step({"citizens": np.full((1, 5, 1), value)})


def memories(array):
    """The same numbers in other memory."""
    frozen = array.copy()
    frozen.setflags(write=False)
    backing = mmap.mmap(-1, array.nbytes + 1)
    backing.write(b"\0" + array.tobytes())
    yield "read-only", frozen
    yield "buffer", np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape)
    yield (
        "memory map at an odd address",
        np.frombuffer(backing, array.dtype, array.size, offset=1).reshape(array.shape),
    )
    yield "Fortran", np.asfortranarray(array)
    yield "negative strides", array[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1]
    yield "every other", np.repeat(array, 2, axis=1)[:, ::2]
    yield "big-endian", array.astype(">f8")
    yield "float32", array.astype(np.float32)
    yield "long double", array.astype(np.longdouble)


STACKS = {
    "fishery-v0": [],
    "double_auction-v0": [],
    "exchange-v0": [],
    "public_goods-v0": [
        institution("peer-sanctions", base="contribution", stage="respond"),
        institution("contract"),
    ],
}


@pytest.mark.parametrize("name", STACKS)
def test_actions_of_any_memory_are_the_same_actions(name):
    plain = Society(make(name), STACKS[name], num_worlds=3, seed=2)
    for kind in [kind for kind, _ in memories(np.zeros((2, 2, 2)))]:
        society = Society(make(name), STACKS[name], num_worlds=3, seed=2)
        plain.reset(2)
        for step in range(4):
            actions = {n: np.rint(a) for n, a in random_actions(plain, np.random.default_rng(step)).items()}
            others = {n: dict(memories(a))[kind] for n, a in actions.items()}
            one, two = plain.step(actions), society.step(others)
            for group in one.reward:
                assert np.array_equal(one.reward[group], two.reward[group]), kind
                assert np.array_equal(one.observation[group], two.observation[group]), kind


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float16])
def test_one_act_for_all_without_memory_of_its_own(dtype):
    one, two = (Society(make("irrigation-v0"), num_worlds=2) for _ in range(2))
    shape = (2, 5, 2)
    first = one.step({"citizens": np.ones(shape)})
    second = two.step({"citizens": np.broadcast_to(np.ones((), dtype), shape)})
    assert np.array_equal(first.reward["citizens"], second.reward["citizens"])


def test_doors_take_actions_of_any_memory():
    frozen = np.broadcast_to(np.float32(0.1), (1,))
    env = commonweal.parallel_env("fish_war-v0")
    env.reset(seed=0)
    env.step(dict.fromkeys(env.agents, frozen))
    vec = commonweal.vec_env("fish_war-v0", num_worlds=3)
    vec.seed(0)
    vec.reset()
    vec.step(np.broadcast_to(frozen, (6, 1)))
    vec.step(np.full((6, 1), 0.1, ">f4")[::-1])


def staged():
    tax = institution("taxation", base="extraction", name="tax")
    return Society(make("fish_war-v0"), [tax, institution("vote", on="tax.rate", every=1)])


def test_a_forbidden_act_counts_as_the_null_act_and_is_one_of_the_space():
    society, other = staged(), staged()
    assert society.agenda.names[society.memory.stage[0]][0] == "deliberate"
    actions = society.columns.null_actions(1)
    society.step(actions)
    actions["citizens"][..., 0] = 0.4  # no fishing while votes are cast
    assert other.step(actions).conduct == {}
    for name, array in society.get_state().items():
        assert np.array_equal(array, other.get_state()[name], equal_nan=True), name
    for value in (np.nan, 0.0, 0.6):
        actions["citizens"][..., 0] = value
        with pytest.raises(InvalidAction, match="share is"):
            staged().step(actions)


def test_no_door_takes_what_is_no_number_where_it_is_forbidden():
    env = commonweal.parallel_env("fish_war-v0", staged().institutions, continuous=True)
    env.reset(seed=0)
    before = env.society.get_state()
    with pytest.raises(InvalidAction, match="nan"):
        env.step(dict.fromkeys(env.agents, np.array([np.nan, 0.5], np.float32)))
    for name, array in env.society.get_state().items():
        assert np.array_equal(array, before[name], equal_nan=True), name


def test_masked_arrays_are_refused_by_name():
    society = Society(make("fishery-v0"))
    masked = np.ma.masked_array(np.zeros((1, 5, 1)), np.ones((1, 5, 1), bool))
    with pytest.raises(InvalidAction, match="citizens are masked float64; allowed: an array of numbers"):
        society.step({"citizens": masked})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda a: a.pop("citizen_3"), r"no action of \['citizen_3'\]; allowed"),
        (lambda a: a.update(boat_0=0), r"actions of unknown \['boat_0'\]; allowed"),
        (lambda a: a.update({0: a.pop("citizen_1")}), r"\['citizen_1'\] and .*unknown \[0\]; allowed"),
        (lambda a: a.clear(), r"no action of \['citizen_0', .*'citizen_4'\]; allowed"),
    ],
)  # fmt: skip
def test_wrong_keys_are_named(change, told):
    env = commonweal.parallel_env("fishery-v0")
    env.reset(seed=0)
    actions = dict.fromkeys(env.agents, 3)
    change(actions)
    with pytest.raises(InvalidAction, match=told):
        env.step(actions)
