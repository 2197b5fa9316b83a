"""Parameters at their bounds, beside them, huge and tiny: refused at once, or everything stays finite."""

import warnings
from dataclasses import fields

import numpy as np
import pytest

from commonweal import Society, make, registry
from commonweal.compatibility import matrix
from commonweal.errors import CommonwealError, InvalidParameter
from tests.strategies import extreme_actions, random_actions

TINY = [0.0, 5e-324, 1e-300, np.nextafter(1e-12, 0.0), 1e-12, np.nextafter(1e-12, 1.0), 1e-6, 0.01]
BESIDE_ONE = [0.999, 1.0 - 1e-6, np.nextafter(1.0, 0.0), 1.0, np.nextafter(1.0, 2.0), 1.001]
HUGE = [np.nextafter(10.0, 0.0), 10.0, 50.0, 100.0, np.nextafter(100.0, 200.0), 1e3, 1e6, 1e9, 1e12]
AMOUNTS = [-1e12, -50.0, -1e-12, *TINY, 0.5, np.nextafter(0.5, 1.0), *BESIDE_ONE, *HUGE]


def singles(part):
    """Every parameter of a dilemma or an institution at each of the values, alone; those of a monitor too."""
    given = part.to_dict()
    for field in fields(part):
        value = given[field.name]
        if isinstance(value, dict):
            yield from ({field.name: {**value, key: amount}} for key in value for amount in AMOUNTS)
        elif isinstance(value, float) or "Parameter" in str(field.type):
            yield from ({field.name: amount} for amount in AMOUNTS)
        elif isinstance(value, list | tuple) and value and isinstance(value[0], float):
            yield from ({field.name: [amount] * len(value)} for amount in AMOUNTS)
        elif isinstance(value, int | None) and not isinstance(value, bool):
            yield from ({field.name: number} for number in (1, 2, 9))


def founded(name, parameters, stack=(), place=0, **options):
    """A society of these parameters of its dilemma, or of the institution in that place; None if refused."""
    try:
        if not stack:
            return Society(make(name, **parameters), num_worlds=2, seed=1, **options)
        changed = type(stack[place]).from_dict({**stack[place].to_dict(), **parameters})
        return Society(make(name), [*stack[:place], changed, *stack[place + 1 :]], num_worlds=2, **options)
    except CommonwealError:
        return None


def played(name, parameters, stack=(), place=0, steps=6, **options):
    """Whether such a society can be founded; then all that it shows and pays is finite."""
    society = founded(name, parameters, stack, place, **options)
    if society is None:
        return False
    rng = np.random.default_rng(0)
    for number in range(steps):
        step = society.step((random_actions, extreme_actions)[number % 2](society, rng))
        shown = [step.money, step.welfare, step.ledger.net, *step.reward.values(), *step.conduct.values()]
        assert all(np.isfinite(array).all() for array in shown), parameters
        for group, array in step.observation.items():
            low, high = society.groups[group].observation_low, society.groups[group].observation_high
            assert np.isfinite(array).all(), parameters
            assert ((array >= low) & (array <= high)).all(), parameters
    return True


@pytest.mark.parametrize("name", sorted(registry.DILEMMAS))
def test_extreme_parameters_are_refused_or_everything_is_finite(name):
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a number that overflows on its way is no good sign either
        allowed = [parameters for parameters in singles(make(name)) if played(name, parameters)]
        assert len(allowed) > 10
        for _ in range(30):
            mixed = {}
            for place in rng.choice(len(allowed), rng.integers(2, 12)):
                mixed |= allowed[place]
            played(name, mixed)


@pytest.mark.parametrize("name", sorted(set(registry.INSTITUTIONS) - {"laissez-faire"}))
def test_extreme_institutions_are_refused_or_everything_is_finite(name):
    home, stack = next((home, row[name][0]) for home, row in matrix().items() if row[name][0] is not None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        allowed = [
            played(home, parameters, stack, place, credit=(np.inf, 5.0)[number % 2])
            for place, part in enumerate(stack)
            for number, parameters in enumerate(singles(part))
        ]
    assert sum(allowed) > 10


def test_a_forest_too_young_to_be_worth_anything_may_burn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert played("forest-v0", {"ignition": 100.0, "slowness": 1e9})


def test_what_cannot_be_told_apart_is_no_range():
    for name, parameters in (
        ("moral_hazard-v0", {"max_wage": 5e-324}),
        ("lemons-v0", {"highest_quality": 5e-324}),
    ):
        with pytest.raises(InvalidParameter, match="allowed: "):
            Society(make(name, **parameters))


def test_toil_beyond_all_numbers_is_refused():
    with pytest.raises(InvalidParameter, match="cost of max_labour is inf; allowed: below 1e\\+100"):
        make("labour-v0", elasticity=0.01, max_labour=1e6)
