"""Levels and ranges of actions: what has no room for a choice is refused where it is given."""

import typing
from dataclasses import fields, replace

import numpy as np
import pytest

from commonweal import Society, institution, make, registry
from commonweal.annotations import hints
from commonweal.errors import CommonwealError, InvalidParameter, NotExact
from commonweal.parameters import Values
from commonweal.spaces import Levels, Real
from commonweal.typed import marker_of
from tests.strategies import random_actions
from tests.varied import dilemma, home

PARTS = [(make, name, registry.dilemma_class(name)) for name in registry.DILEMMAS]
PARTS += [(institution, name, registry.institution_class(name)) for name in registry.INSTITUTIONS]
LEVELS = [
    pytest.param(build, name, field.name, id=f"{name} {field.name}")
    for build, name, cls in PARTS
    for field in fields(cls)
    if hints(cls)[field.name] == Levels
]


def test_every_number_of_levels_is_one():
    for _, _, cls in PARTS:
        for field in fields(cls):
            assert field.name.endswith("levels") == (hints(cls)[field.name] == Levels), field
    assert len(LEVELS) >= 30


@pytest.mark.parametrize("levels", [1, 0, -3, 10_001, 10**9])
@pytest.mark.parametrize(("build", "name", "field"), LEVELS)
def test_levels_are_refused_by_name(build, name, field, levels):
    with pytest.raises(InvalidParameter, match=rf"\.{field} is {levels}; allowed: None or 2 to 10000$"):
        build(name, **{field: levels})


@pytest.mark.parametrize("levels", [1, 0, -1, 10_001])
def test_levels_of_a_number_are_refused_by_name(levels):
    with pytest.raises(InvalidParameter, match=rf"Real\.levels is {levels}; allowed: None or 2 to 10000"):
        Real(0.0, 1.0, levels=levels)


def test_levels_that_an_action_doubles():
    with pytest.raises(InvalidParameter, match=r"Exchange: Real\.levels is 10001; allowed: None or 2"):
        make("exchange-v0", levels=5_001)
    assert Society(make("exchange-v0", levels=5_000)).groups["citizens"].mask_size == 14_999


@pytest.mark.parametrize(
    ("name", "field"),
    [
        pytest.param(name, field, marks=pytest.mark.slow if name == "attention-v0" else ())
        for build, name, field in (p.values for p in LEVELS)
        if build is make
    ],
)
def test_two_levels_work(name, field):
    game = make(name, **{field: 2})
    check_finite(Society(game))
    try:
        found = game.references()
    except NotExact:
        return
    assert np.isfinite([found.selfish.welfare, found.planner.welfare]).all()


def check_finite(society):
    rng = np.random.default_rng(0)
    for _ in range(4):
        step = society.step(random_actions(society, rng))
        for group in society.groups:
            assert np.isfinite(step.reward[group]).all()
            assert np.isfinite(step.observation[group]).all()


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.0, 5e-324), (0.0, 1e-13), (1.0, 1.0 + 1e-9), (-1e13, 1.0), (0.0, 1e308), (-1e308, 1e308), (1.0, 1.0),
     (2.0, 1.0), (0.0, np.nan), (0.0, np.inf), (-5e-324, 5e-324)],
)  # fmt: skip
def test_ranges_without_room_are_refused(low, high):
    for refused in (
        lambda: Real(low, high),
        lambda: institution("vote", low=low, high=high),
        lambda: institution("mediator", low=low, high=high),
        lambda: make("moral_hazard-v0", min_wage=low, max_wage=high),
    ):
        with pytest.raises(InvalidParameter, match="allowed: "):
            refused()


@pytest.mark.parametrize(("low", "high"), [(0.0, 1e-12), (1.0, 1.001), (-1e12, 1e12), (-1e-12, 0.0)])
def test_ranges_with_room_hold_their_levels(low, high):
    space = Real(low, high, levels=10_000)
    values = low + space.step * np.arange(10_000)
    assert (np.diff(values) > 0).all()
    assert values[-1] == pytest.approx(high)
    assert 0 <= space.null < 10_000
    assert np.float32(low) < np.float32(high)


def numbers(cls):
    """Fields that hold a number or several."""
    for field in fields(cls):
        hint = hints(cls)[field.name]
        if isinstance(marker_of(hint), Values) or hint is float or float in typing.get_args(hint):
            yield field.name


@pytest.mark.parametrize("value", [5e-324, 1e-300, 1e-12])
@pytest.mark.parametrize(
    ("build", "name", "field"),
    [
        pytest.param(b, n, field, id=f"{n} {field}")
        for b, n, cls in PARTS
        for field in numbers(cls)
    ],
)
def test_numbers_near_nothing_work_or_are_refused(build, name, field, value):
    if build is make:
        game, stack = dilemma(name), []
    else:
        game, stack = home(name)
    try:
        if build is make:
            game = replace(game, **{field: value})
        else:
            stack = [replace(part, **{field: value}) if part.id == name else part for part in stack]
        society = Society(game, stack)
    except CommonwealError:
        return
    check_finite(society)
