"""What a society is given: refused by name, copied where it is kept, and never half taken."""

import numpy as np
import pytest

from commonweal import Society, institution, make
from commonweal.agents.scripted import Constant
from commonweal.errors import CommonwealError, CorruptCheckpoint
from tests.strategies import random_actions


def tax(**parameters):
    return institution("taxation", base="extraction", **parameters)


def test_a_generator_is_a_stack_too():
    assert [inst.address for inst in Society(make("fishery-v0"), (tax() for _ in range(1))).institutions] == [
        "tax"
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"institutions": tax()},
        {"institutions": None},
        {"seed": None},
        {"credit": np.array([1.0, 2.0])},
        {"credit": np.nan},
        {"time_limit": 0},
    ],
    ids=str,
)
def test_options_are_refused_by_name(options):
    (name,) = options
    with pytest.raises(CommonwealError, match=rf"{name}.*allowed: "):
        Society(make("fishery-v0"), **options)


def test_what_get_state_returns_may_be_written_into():
    society = Society(make("fishery-v0"), num_worlds=2)
    for array in society.get_state().values():
        array[...] = 7
    assert not any((array == 7).all() for array in society.get_state().values())


def same_actions(one, two, actions, dtype):
    one.step(actions)
    two.step({group: array.astype(dtype) for group, array in actions.items()})
    found = two.get_state()
    for key, array in one.get_state().items():
        assert array.dtype == found[key].dtype
        assert np.array_equal(array, found[key], equal_nan=True), key


@pytest.mark.parametrize("dtype", [np.int8, np.float32, np.longdouble, np.float16])
def test_actions_of_any_kind_of_number_are_the_same_actions(dtype):
    one, two = (Society(make("double_auction-v0"), num_worlds=2) for _ in range(2))
    drawn = random_actions(one, np.random.default_rng(0))
    same_actions(one, two, {group: np.floor(array) for group, array in drawn.items()}, dtype)


def test_unsigned_orders_are_the_same_orders():
    """Minus one, without a sign, is 255: who buys would sell as well."""
    quotas = [institution("tradable-quotas", levels=None)]
    one, two = (Society(make("fishery-v0", num_agents=3), quotas) for _ in range(2))
    same_actions(one, two, {"citizens": np.array([[[0.0, 1, 1], [0, 1, 0], [0, 1, 1]]])}, np.uint8)


def restored(**changed):
    """A society in a later step, its state before, and one with `changed` entries."""
    sanctions = institution("peer-sanctions", stage="respond")
    society = Society(make("fishery-v0"), [tax(), sanctions], num_worlds=2)
    society.step(random_actions(society, np.random.default_rng(0)))
    before = society.get_state()
    return society, before, {**before, **changed}


def test_a_state_in_other_numbers_becomes_the_same_state():
    society, before, given = restored(
        **{"dilemma.stock": np.full((2, 1), 5, np.float16), "society.plays": np.ones(2, np.int8)}
    )
    society.set_state(given)
    assert society.state.stock.tolist() == [[5.0], [5.0]]
    assert {name: array.dtype for name, array in society.get_state().items()} == {
        name: array.dtype for name, array in before.items()
    }
    society.set_state(before)
    society.step(random_actions(society, np.random.default_rng(0)))


@pytest.mark.parametrize(
    "changed",
    [
        {"society.stage": np.array([0, 99])},
        {"society.stage": np.array([0, -7])},
        {"society.plays": np.array([0, -1])},
        {"age": np.array([0, -1])},
        {"dilemma.stock": np.full((2, 1), "5")},
        {"dilemma.stock": np.full((3, 1), 5.0)},
        {"dilemma.stock": np.array([[5.0], [np.nan]])},
        {"dilemma.stock": np.array([[np.inf], [5.0]])},
        {"society.wealth": np.full((2, 5), -np.inf)},
        {"institution.tax.rate": np.full((2, 1), np.nan)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_state_out_of_range_is_refused_and_nothing_has_changed(changed):
    society, before, given = restored(**changed)
    with pytest.raises(CorruptCheckpoint, match=f"(?s){next(iter(changed))}.*allowed: "):
        society.set_state(given)
    assert all(np.array_equal(before[name], array) for name, array in society.get_state().items())


def market():
    society = Society(make("double_auction-v0"), num_worlds=2)
    for step in range(6):
        society.step(random_actions(society, np.random.default_rng(step)))
    return society


@pytest.mark.parametrize(
    ("name", "value"),
    [("left", np.nan), ("left", 99.0), ("since", np.inf), ("period", np.nan), ("quote", np.inf)],
)
def test_an_order_book_of_nonsense_is_refused_and_nothing_has_changed(name, value):
    society, twin = market(), market()
    given = society.get_state()
    given[f"dilemma.{name}"][1, 0] = value
    given["seeds"] += np.uint64(1)
    with pytest.raises(CorruptCheckpoint, match=r"allowed: finite|nothing can be seen"):
        society.set_state(given)
    for step in range(9):
        actions = random_actions(society, np.random.default_rng(step))
        one, two = society.step(actions), twin.step(actions)
        for group in one.reward:
            assert np.array_equal(one.reward[group], two.reward[group])
            assert np.array_equal(one.observation[group], two.observation[group])


def test_an_order_book_without_quotes_is_a_state_also_where_all_quote():
    society = market()
    state = society.get_state()
    society.set_state(state | {"dilemma.quote": np.full_like(state["dilemma.quote"], np.nan)})
    assert np.isnan(society.get_state()["dilemma.quote"]).all()


PLAIN = Society(make("fishery-v0"), [tax()]).to_dict()


@pytest.mark.parametrize(
    "plain",
    [
        None, [1], "abc", {}, {**PLAIN, "institutions": None},
        {**PLAIN, "num_world": 3}, {**PLAIN, "seed": 3}, {**PLAIN, 3: 4},
        {**PLAIN, "dilemma": None}, {**PLAIN, "dilemma": {}},
        {**PLAIN, "dilemma": {"id": "fishery-v0", "preset": []}},
        {**PLAIN, "dilemma": {3: 4, "id": "fishery-v0"}},
        {**PLAIN, "institutions": "taxation"},
        {**PLAIN, "institutions": ["taxation"]}, {**PLAIN, "institutions": [{"rate": 0.1}]},
    ],
    ids=range(15),
)  # fmt: skip
def test_a_description_edited_by_hand_is_refused_by_name(plain):
    with pytest.raises(CommonwealError, match="allowed: "):
        Society.from_dict(plain)


def test_the_nearest_option_is_named():
    with pytest.raises(CommonwealError, match="did you mean 'num_worlds'"):
        Society.from_dict({**PLAIN, "num_world": 3})


@pytest.mark.parametrize("effort", ["a", None, np.nan, np.inf, 0.5, 11, -1, [1.0]], ids=str)
def test_constant_play_is_a_number_that_its_column_has(effort):
    with pytest.raises(CommonwealError, match=r"effort.*allowed: "):
        Constant(Society(make("fishery-v0")), effort=effort)
