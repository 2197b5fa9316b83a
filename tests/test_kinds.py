"""What every dilemma says about how its yardsticks are known."""

import math
from collections.abc import Mapping
from typing import get_args

import numpy as np
import pytest

from commonweal import registry
from commonweal.envs.yardsticks import LARGEST_EPSILON
from commonweal.errors import InvalidParameter, NotExact
from commonweal.references import KINDS, Kind, References, Yardstick

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
    # The planner is no worse than any equilibrium, but for what is not known of either.
    rounding = 1e-9 * (1.0 + abs(found.planner.welfare))
    for one in (found.selfish, *found.others.values()):
        assert one.welfare - one.error <= found.planner.welfare + found.planner.error + rounding
    agents = sum(dilemma.groups.values())
    if found.selfish.kind != "best known" and not math.isnan(found.scale):
        assert found.selfish.epsilon <= LARGEST_EPSILON * found.gap / agents + rounding


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
