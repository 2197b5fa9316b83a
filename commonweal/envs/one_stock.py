"""Yardsticks of dilemmas in one stock among equals (fish, goodwill), computed once a configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Dilemma, plays_that_count
from commonweal.envs.one_state import laissez_faire, one_state
from commonweal.envs.yardsticks import constant_range, equilibrium_yardsticks, plan_of, plan_yardstick
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


class OneStock(Dilemma):
    """An endless game of equals in one stock; see `yardsticks.OneState` for what it declares."""

    discount: float  # a field of each dilemma, which gives its unit and default

    @property
    def time_limit(self) -> int:
        """The first play whose weight in W is below one hundredth."""
        return plays_that_count(self.discount)

    def facts(self) -> Mapping[str, float]:
        """Closed forms that stand beside the yardsticks."""
        raise NotImplementedError

    @cached_property
    def _planned(self) -> PlannedValue:
        """The planner's value on the finest grid.

        Raises:
            NotExact: a parameter differs by agent or by world.
        """
        one_state(self)
        return _planned_value(type(self), _key(self))  # type: ignore[arg-type]

    def references(self) -> References:
        """Worst symmetric Markov-perfect equilibrium and planner by dynamic programming, with `facts`.

        Raises:
            NotExact: a parameter differs by agent or by world.
        """
        one_state(self)
        return _references(type(self), _key(self))  # type: ignore[arg-type]


def _key(dilemma: OneStock) -> str:
    return json.dumps(dilemma.to_dict(), sort_keys=True)


@lru_cache(maxsize=64)
def _planned_value(cls: type[OneStock], key: str) -> PlannedValue:
    plan = plan_of(laissez_faire(cls.from_dict(json.loads(key))))
    return PlannedValue(plan.grid, plan.value)


@lru_cache(maxsize=64)
def _references(cls: type[OneStock], key: str) -> References:
    dilemma = cls.from_dict(json.loads(key))
    problem = laissez_faire(dilemma)
    problem.require_tables()
    planned = plan_yardstick(problem)
    selfish, *more = equilibrium_yardsticks(problem, planned.welfare)
    low, high = constant_range(problem, problem.games()[0])
    found = [planned.welfare, selfish.welfare, *(other.welfare for other in more)]
    names = {f"another selfish search {i}": other for i, other in enumerate(more, start=1)}
    payoff_range = max(high, *found) - min(low, *found)
    facts = dilemma.facts()
    return References(selfish, planned, payoff_range, others=names, facts=facts)
