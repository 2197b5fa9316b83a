"""Garbage in: whatever is given either works or is refused by a named error, and nothing has changed."""

import json
from dataclasses import MISSING, fields, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commonweal import Society, make, registry
from commonweal.benchmarks.suite_file import parse
from commonweal.cli import main
from commonweal.compatibility import fitting
from commonweal.errors import CommonwealError, InvalidAction, InvalidSuite, UnknownName
from commonweal.state import to_arrays
from tests.strategies import random_actions
from tests.test_suite import TEXT

QUIET = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
CLASSES = [
    *map(registry.dilemma_class, registry.DILEMMAS), *map(registry.institution_class, registry.INSTITUTIONS)
]  # fmt: skip
by_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)

numbers = st.one_of(
    st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e300, 1e-300, 0, -1, 1, 2.5, 10**30]),
    st.floats(-3.0, 30.0),
    st.integers(-3, 30),
)
garbage = st.one_of(
    numbers,
    st.booleans(),
    st.none(),
    st.text(max_size=3),
    st.lists(numbers, max_size=5),
    st.lists(st.lists(numbers, max_size=2), max_size=3),
    st.dictionaries(st.sampled_from(["coverage", "rate", ""]), numbers, max_size=2),
    st.builds(np.array, st.lists(st.floats(-1.0, 5.0), max_size=5)),
    st.sampled_from([np.zeros((2, 3, 4)), np.array("a"), np.int64(4), np.array(3.0), object(), b"x", 1 + 2j]),
)


def default(field):
    return field.default if field.default_factory is MISSING else field.default_factory()


def near(value):
    """Values like the default: mostly allowed, so that combinations are reached."""
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, int):
        return st.integers(value - 3, value + 3)
    if isinstance(value, float):
        return st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0, 10.0, -1.0]).map(lambda factor: factor * value)
    return st.just(value)


def parameters(cls, at_once):
    chosen = [st.fixed_dictionaries({}, optional={f.name: near(default(f)) for f in fields(cls)})]
    if fields(cls):
        bad = st.sampled_from(fields(cls)).flatmap(lambda f: st.tuples(st.just(f.name), garbage))
        chosen.append(st.lists(bad, max_size=at_once))
    return st.tuples(*chosen).map(lambda parts: {**parts[0], **dict(parts[1] if len(parts) > 1 else [])})


def check_finite(society, steps=4):
    """It steps with finite numbers and goes to JSON and back."""
    rng = np.random.default_rng(0)
    for _ in range(steps):
        step = society.step(random_actions(society, rng))
        for group in society.groups:
            assert np.isfinite(step.reward[group]).all()
            assert np.isfinite(step.observation[group]).all()
        assert np.isfinite(step.welfare).all()
    plain = json.loads(json.dumps(society.to_dict(), allow_nan=False))
    assert repr(Society.from_dict(plain)) == repr(society)


@by_class
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_parameters_work_or_are_refused(cls):
    @QUIET
    @given(parameters(cls, 1), st.sampled_from(list(registry.DILEMMAS)), st.integers(1, 2))
    def trial(values, dilemma, worlds):
        try:
            if cls.id in registry.DILEMMAS:
                society = Society(cls.from_dict(values), num_worlds=worlds)
            else:
                stack, _ = fitting(make(dilemma), cls.id)
                if stack is None:
                    return
                base = {"base": stack[-1].base} if hasattr(stack[-1], "base") else {}
                society = Society(make(dilemma), [*stack[:-1], cls(**{**base, **values})], num_worlds=worlds)
        except CommonwealError as error:
            assert str(error)
            return
        check_finite(society)

    trial()


@by_class
def test_every_parameter_refuses_what_it_does_not_mean(cls):
    for field in fields(cls):
        # Rows of different lengths are a table of numbers where the annotation says so.
        ragged = [[1, 2], ["three"]] if field.type.startswith("tuple[tuple") else [[1, 2], [3]]
        for value in (object(), 1 + 2j, float("nan"), ragged, np.zeros((2, 3, 4)), 10**30):
            with pytest.raises(CommonwealError) as caught:
                cls.from_dict({field.name: value})
            assert f"{cls.__name__}.{field.name}" in str(caught.value)
            assert "allowed: " in str(caught.value)
        with pytest.raises(UnknownName, match=f"did you mean '{field.name}'"):
            cls.from_dict({f"{field.name}_": default(field)})


FOUND = [registry.institution_class(name) for name in registry.INSTITUTIONS]
NAMES = st.sampled_from(
    ["tax.rate", "vote.low", "quota.limit", "income_tax.rates", "extraction", "income", "sanction", "harm",
     "contribution", "tax_evaded", "classifier_wrongful", "inspector_bribe", "citizens", "tax", "dilemma", "",
     "."]
)  # fmt: skip
PER_WORLD = st.sampled_from(
    [np.array([0.1, 0.2]), np.array([0.1, 0.2, 0.3]), np.array([[0.5], [1.0]], np.float16),
     [0.1] * 5, [1.0, 2.0], np.array([1, 2], np.uint8), np.ones((2, 5)),
     np.zeros((0, 1)), np.array([np.inf, 1.0], np.float16)]
)  # fmt: skip


@st.composite
def layers(draw):
    """An institution's id and parameters: lawful ones, names of other parts, arrays per world and agent."""
    cls = draw(st.sampled_from(FOUND))
    values = draw(parameters(cls, 0))
    for field in draw(st.lists(st.sampled_from(fields(cls)), max_size=2)) if fields(cls) else []:
        chosen = NAMES if field.type == "str" else st.one_of(PER_WORLD, near(default(field)))
        values[field.name] = draw(chosen)
    return {"id": cls.id, **values}


@settings(QUIET, max_examples=300)
@given(
    st.sampled_from(["fishery-v0", "public_goods-v0", "labour-v0", "matrix-v0", "double_auction-v0"]),
    st.lists(layers(), max_size=4),
    st.sampled_from([1, 2, 5]),
    st.sampled_from([np.inf, 0.0, 3.0]),
)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_any_stack_works_or_is_refused(dilemma, plain, worlds, credit):
    try:
        stack = [registry.institution_from(layer) for layer in plain]
        society = Society(make(dilemma), stack, num_worlds=worlds, credit=credit)
    except CommonwealError as error:
        assert str(error)
        return
    check_finite(society)


@st.composite
def edited(draw):
    """The plain JSON of a dilemma or an institution, edited by hand in one or two places."""
    part = draw(st.sampled_from([cls() for cls in CLASSES]))
    plain = json.loads(json.dumps(registry.describe(part)))
    for _ in range(draw(st.integers(1, 2))):
        place = plain
        inner = [value for value in plain.values() if isinstance(value, dict)]
        if inner and draw(st.booleans()):
            place = draw(st.sampled_from(inner))
        key = draw(st.sampled_from([*place, "id", "", "preset", "nam", 3]))
        if draw(st.booleans()):
            place.pop(key, None)
        else:
            place[key] = draw(garbage)
    return plain


@settings(QUIET, max_examples=400)
@given(edited())
def test_descriptions_edited_by_hand_are_read_or_refused(plain):
    for build in (registry.dilemma_from, registry.institution_from):
        try:
            build(plain)
        except CommonwealError as error:
            assert "allowed: " in str(error)


def one_bad(agent, value):
    efforts = np.zeros((1, 5, 1))
    efforts[0, agent, 0] = value
    return {"citizens": efforts}


@QUIET
@given(
    st.one_of(
        garbage,
        st.fixed_dictionaries({"citizens": garbage}),
        st.builds(
            lambda shape, value: {"citizens": np.full(shape, value)},
            st.lists(st.integers(0, 6), max_size=4),
            st.one_of(numbers, st.text(max_size=2), st.none()),
        ),
        st.builds(one_bad, st.integers(0, 4), st.floats()),
    )
)  # fmt: skip
def test_actions_are_played_or_refused_before_anything_changes(actions):
    respond = registry.institution("peer-sanctions", stage="respond")
    for stack in ([], [respond]):
        society = Society(make("fishery-v0"), stack)
        society.step(random_actions(society, np.random.default_rng(0)))
        before = {name: array.copy() for name, array in society.get_state().items()}
        try:
            society.step(actions)
        except InvalidAction as error:
            assert "allowed: " in str(error)
            after = society.get_state()
            assert all(np.array_equal(before[name], after[name], equal_nan=True) for name in before)
        else:
            assert all(np.isfinite(array).all() for array in society.get_state().values())


@pytest.mark.parametrize("name", registry.DILEMMAS)
def test_a_value_per_agent_works_or_is_refused(name):
    dilemma = make(name)
    shapes = {key: array.shape for key, array in to_arrays(Society(dilemma).state, "").items()}
    for parameter in dilemma.several():
        value = np.ravel(getattr(dilemma, parameter))
        try:
            society = Society(replace(dilemma, **{parameter: (value[0],) * sum(dilemma.groups.values())}))
        except CommonwealError:
            continue
        check_finite(society)
        assert {key: array.shape for key, array in to_arrays(society.state, "").items()} == shapes


# ---------------------------------------------------------------- suites and the command line

LINES = TEXT.splitlines()
PIECES = st.sampled_from(
    ['"x"', "-1", "nan", "inf", "{}", "[]", "[[dilemma]]", "[learner]", "=", '"', "id = 3", "\x00",
     "label = 1", "stack = 1", "stack = [1]", "parameters = 3", "hidden = 8", "steps = 1e9", "steps = -1",
     "lr = nan", "replicates = 2.5", 'seed = "x"', "name = 3", "preset = 3", "a.b.c = 1", "true", "1e400",
     "2000-01-01"]
)  # fmt: skip


@st.composite
def mutated(draw):
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        way = draw(st.sampled_from(["drop", "insert", "replace", "cut", "value", "swap"]))
        if way == "drop" and len(lines) > 1:
            del lines[at]
        elif way == "insert":
            lines.insert(at, draw(PIECES))
        elif way == "replace":
            lines[at] = draw(PIECES)
        elif way == "cut":
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
        elif way == "value":
            lines[at] = lines[at].partition("=")[0] + "= " + draw(PIECES)
        elif way == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
    return "\n".join(lines)


@settings(QUIET, max_examples=400)
@given(mutated())
def test_suites_parse_or_say_where(text):
    try:
        parse(text, "mine.toml")
    except InvalidSuite as error:
        assert str(error).startswith("mine.toml")
        assert "line " in str(error) or "at end of document" in str(error)


@pytest.mark.parametrize(
    "text",
    ["dilemma = [1]\ninstitution = [2]", "dilemma = 3", "x = " + "[" * 5000, "[[dilemma]]\nlabel = {}", ""],
)
def test_suites_of_the_wrong_form(text):
    with pytest.raises(InvalidSuite, match=r"line |at end of document"):
        parse(text)


words = st.one_of(
    st.sampled_from(
        ["run", "report", "list", "show", "verify", "quick", "fishery-v0", "--out", "--workers", "0", "-1",
         "nan", "--matrix", "--preset", "halibut", "--quiet", "--", "-", "", ".", "/dev/null", "/",
         "missing.toml"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=5),
)  # fmt: skip
# What would work for minutes, or only prints help, is not garbage.
harmless = st.lists(words, max_size=4).filter(
    lambda given: (
        given[:1] not in (["verify"], ["list"])
        and not (given[:1] in (["run"], ["show"]) and {"quick", "fishery-v0"} & set(given))
        and not any(word in ("-h", "--help") for word in given)
    )
)


@settings(QUIET, max_examples=150)
@given(harmless)
def test_the_command_line_answers_garbage_in_one_line(capsys, arguments):
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    told = capsys.readouterr()
    assert stopped.value.code == 2, told
    assert "Traceback" not in told.err
    if told.err.startswith("commonweal: "):  # what is amiss with options is told by tyro, in a box
        assert told.err.count("\n") == 1, told.err
