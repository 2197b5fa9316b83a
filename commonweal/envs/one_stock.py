"""Yardsticks of dilemmas in one stock among equals (fish, goodwill), computed once a configuration."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Dilemma
from commonweal.envs.yardsticks import (
    constant_range,
    equilibrium_yardsticks,
    laissez_faire,
    one_state,
    plan_of,
    plan_yardstick,
)
from commonweal.references import References

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PlannedValue:
    """The planner's value without end by stock, `stock (G,)`, `value (G,)`."""

    stock: Array
    value: Array

    def at(self, stock: Array) -> Array:
        """The value of any stocks, of the same shape."""
        return np.interp(stock, self.stock, self.value)


def planned_value(dilemma: Dilemma) -> PlannedValue:
    """The planner's value on the finest grid.

    Raises:
        NotExact: a parameter differs by agent or by world.
    """
    one_state(dilemma)
    return _planned_value(type(dilemma), _key(dilemma))  # type: ignore[arg-type]


def stock_references(dilemma: Dilemma) -> References:
    """Worst symmetric Markov-perfect equilibrium and planner by dynamic programming, with its `facts()`.

    Args:
        dilemma: see `yardsticks.OneState`.

    Raises:
        NotExact: a parameter differs by agent or by world.
    """
    one_state(dilemma)
    return _references(type(dilemma), _key(dilemma))  # type: ignore[arg-type]


def _key(dilemma: Dilemma) -> str:
    return json.dumps(dilemma.to_dict(), sort_keys=True)


@lru_cache(maxsize=64)
def _planned_value(cls: type[Dilemma], key: str) -> PlannedValue:
    plan = plan_of(laissez_faire(cls.from_dict(json.loads(key))))
    return PlannedValue(plan.grid, plan.value)


@lru_cache(maxsize=64)
def _references(cls: type[Dilemma], key: str) -> References:
    dilemma = cls.from_dict(json.loads(key))
    problem = laissez_faire(dilemma)
    planned = plan_yardstick(problem)
    selfish, *more = equilibrium_yardsticks(problem, planned.welfare)
    low, high = constant_range(problem, problem.games()[0])
    found = [planned.welfare, selfish.welfare, *(other.welfare for other in more)]
    names = {f"another selfish search {i}": other for i, other in enumerate(more, start=1)}
    payoff_range = max(high, *found) - min(low, *found)
    facts = dilemma.facts()  # type: ignore[attr-defined]
    return References(selfish, planned, payoff_range, others=names, facts=facts)
