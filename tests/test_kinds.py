"""What every dilemma says about how its yardsticks are known."""

import math
from collections.abc import Mapping
from typing import get_args

import numpy as np
import pytest

from commonweal import registry
from commonweal.errors import InvalidParameter, NotExact
from commonweal.references import KINDS, LARGEST_EPSILON, Kind, References, Yardstick, contradictions

CONFIGURED = [
    pytest.param(name, preset, id=f"{name} {preset or ''}".strip())
    for name in registry.DILEMMAS
    for preset in (None, *registry.dilemma_class(name).presets)
]
VARIED = [
    pytest.param(name, parameter, id=f"{name} {parameter}")
    for name in registry.DILEMMAS
    for parameter in registry.dilemma_class(name).several()
]


def test_the_kinds_are_defined_in_one_place():
    assert tuple(KINDS) == get_args(Kind)
    with pytest.raises(InvalidParameter, match="kind of a yardstick is 'guess'"):
        Yardstick(0.0, "guess")


@pytest.mark.parametrize(("name", "preset"), CONFIGURED)
def test_yardsticks_keep_what_their_kind_promises(name, preset):
    dilemma = registry.make(name, preset=preset)
    found = dilemma.references()
    several: Mapping[str, Yardstick] = {**found.corrective, **found.others}
    for one in (found.selfish, found.planner, *several.values()):
        assert math.isfinite(one.welfare)
        assert one.error >= 0.0
    assert math.isnan(found.planner.epsilon)
    assert found.planner.kind != "best known"


@pytest.mark.parametrize(("name", "preset"), CONFIGURED)
def test_references_do_not_contradict_themselves(name, preset):
    dilemma = registry.make(name, preset=preset)
    assert contradictions(dilemma.references(), sum(dilemma.groups.values())) == []


def equilibrium(welfare, epsilon=0.0, kind="enumeration"):
    return Yardstick(welfare, kind, epsilon=epsilon)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, []),
        ({"selfish": equilibrium(0.0, 0.1)}, ["selfish is called enumeration, and an agent gains 0.1"]),
        ({"selfish": equilibrium(0.0, 0.1, "numerical")}, ["selfish is called numerical"]),
        ({"selfish": equilibrium(0.0, 0.04, "numerical")}, []),
        ({"selfish": equilibrium(0.0, 5.0, "best known")}, []),
        ({"selfish": Yardstick(0.0, "enumeration")}, ["selfish has no epsilon"]),
        ({"others": {"no trade": equilibrium(-1.0)}}, ["no trade is an equilibrium of W -1, and zero is 0"]),
        ({"others": {"no trade": equilibrium(-1.0, 0.1, "best known")}}, []),
        ({"others": {"second best": Yardstick(9.0, "numerical")}}, []),
        ({"others": {"too good": equilibrium(10.1)}}, ["W of too good is 0.1 above the planner's"]),
        ({"corrective": {"harm": equilibrium(0.0)}}, ["the tax on harm is called corrective, and W stays"]),
    ],
)
def test_contradictions_are_named(changed, says):
    sticks = {"selfish": equilibrium(0.0), "planner": Yardstick(10.0, "enumeration"), **changed}
    told = contradictions(References(payoff_range=10.0, **sticks), num_agents=2)
    assert len(told) == len(says)
    assert all(found.startswith(said) for found, said in zip(told, says, strict=True))


@pytest.mark.parametrize(("name", "parameter"), VARIED)
def test_parameters_that_differ_by_world_have_no_references(name, parameter):
    values = np.array([[1.0], [0.9]]) * float(np.mean(getattr(registry.make(name), parameter)) or 0.05)
    try:
        dilemma = registry.make(name, **{parameter: values})
    except InvalidParameter:
        return  # refused where it is given
    with pytest.raises(NotExact):
        dilemma.references()


@pytest.mark.parametrize(("name", "parameter"), VARIED)
def test_unequal_agents_are_solved_or_refused(name, parameter):
    plain = registry.make(name)
    values = np.full((1, sum(plain.groups.values())), float(np.mean(getattr(plain, parameter)) or 0.05))
    values[0, 0] *= 0.9
    try:
        found = registry.make(name, **{parameter: values}).references()
    except (InvalidParameter, NotExact):
        return
    if found.selfish.kind != "best known" and not math.isnan(found.scale):
        assert found.selfish.epsilon <= LARGEST_EPSILON * found.gap / values.size + 1e-9


@pytest.mark.parametrize(("selfish", "planner"), [(1.0, 1.0), (1.0 + 1e-12, 1.0), (2.0, 1.0), (1.0, 1.05)])
def test_no_share_of_a_gap_too_small_to_measure_by(selfish, planner):
    found = References(Yardstick(selfish, "closed form"), Yardstick(planner, "closed form"), 10.0)
    assert math.isnan(found.scale)
    assert np.isnan(found.efficiency(np.array([0.0, 5.0]))).all()
