"""Yardsticks of dilemmas in one stock among equals (fish, goodwill), computed once a configuration."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Dilemma
from commonweal.envs.dynamic_programming import planner
from commonweal.envs.yardsticks import (
    constant_range,
    equilibrium_yardsticks,
    laissez_faire,
    one_state,
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


def stock_references(dilemma: Dilemma, planner_caution: float = 1.0) -> References:
    """Worst symmetric Markov-perfect equilibrium and planner by dynamic programming, with its `facts()`.

    Args:
        dilemma: see `yardsticks.OneState`.
        planner_caution: times the difference of the two finest grids is the planner's error bound.

    Raises:
        NotExact: a parameter differs by agent or by world.
    """
    one_state(dilemma)
    return _references(type(dilemma), _key(dilemma), planner_caution)  # type: ignore[arg-type]


def _key(dilemma: Dilemma) -> str:
    return json.dumps(dilemma.to_dict(), sort_keys=True)


@lru_cache(maxsize=64)
def _planned_value(cls: type[Dilemma], key: str) -> PlannedValue:
    game = laissez_faire(cls.from_dict(json.loads(key))).games()[-1]
    return PlannedValue(game.grid, planner(game).value)


@lru_cache(maxsize=64)
def _references(cls: type[Dilemma], key: str, planner_caution: float) -> References:
    dilemma = cls.from_dict(json.loads(key))
    problem = laissez_faire(dilemma)
    games = problem.games()
    planned, _ = plan_yardstick(problem, games)
    planned = replace(planned, error=planner_caution * planned.error)
    selfish, *more = equilibrium_yardsticks(problem, games, planned.welfare)
    low, high = constant_range(problem, games[0])
    found = [planned.welfare, selfish.welfare, *(other.welfare for other in more)]
    names = {f"another selfish search {i}": other for i, other in enumerate(more, start=1)}
    payoff_range = max(high, *found) - min(low, *found)
    facts = dilemma.facts()  # type: ignore[attr-defined]
    return References(selfish, planned, payoff_range, others=names, facts=facts)
