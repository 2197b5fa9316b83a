"""Rules of behaviour in games of one state: strategies on a grid, plans, and the same act for ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.aggregative import lottery
from commonweal.envs.one_state import Problem
from commonweal.random import Streams
from commonweal.spaces import Action

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MixedRule:
    """Each agent draws its level from `strategy (G, L)`, interpolated at the state it sees."""

    problem: Problem
    grid: Array
    strategy: Array

    def probabilities(self, observed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Law of the level, `(B, n, L)`, by action column."""
        state = np.asarray(observed[self.problem.signal][..., 0], np.float64)
        (left, right), (_, upper) = lottery(self.grid, state, np.ones(1))
        share = upper[..., None]
        law = (1.0 - share) * self.strategy[left] + share * self.strategy[right]
        return {self.problem.action.name: law}

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """Entries of the action array, `(B, n)`, by action column."""
        law = self.probabilities(observed)[self.problem.action.name]
        drawn = rng.uniform(law.shape[1])[..., None]
        level = (drawn > np.cumsum(law, axis=-1)[..., :-1]).sum(axis=-1)
        return {self.problem.action.name: self.problem.entries(level.astype(np.float64))}


@dataclass(frozen=True)
class PlannedRule:
    """All play what is planned at the nearest grid point, `levels (G, N)`."""

    problem: Problem
    grid: Array
    levels: Array

    def at(self, coordinate: Array) -> Array:
        """Levels `(..., N)` at coordinates of any shape."""
        return self.levels[np.searchsorted(0.5 * (self.grid[1:] + self.grid[:-1]), coordinate)]

    def _levels(self, observed: Mapping[str, Array]) -> Array:
        state = np.asarray(observed[self.problem.signal][..., 0], np.float64)
        each = np.arange(state.shape[1])
        return self.at(state)[:, each, each]

    def probabilities(self, observed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Law of the level, `(B, n, L)`, by action column: a sure thing; empty where acts are continuous."""
        if self.problem.continuous:
            return {}
        levels = self._levels(observed).astype(np.intp)
        return {self.problem.action.name: np.eye(self.problem.num_levels)[levels]}

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """Entries of the action array, `(B, n)`, by action column."""
        return {self.problem.action.name: self.problem.entries(self._levels(observed))}


@dataclass(frozen=True)
class ConstantRule:
    """Agents always play the same entries of the action column, `(N,)`."""

    action: Action
    entry: Array

    def probabilities(self, observed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Law of the level, `(B, n, L)`, by action column; empty where the column is continuous."""
        if not self.action.space.size:
            return {}
        worlds, n = next(iter(observed.values())).shape[:2]
        sure = np.eye(self.action.space.size)[np.rint(self.entry).astype(np.intp)]
        return {self.action.name: np.array(np.broadcast_to(sure, (worlds, n, sure.shape[1])))}

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """Entries of the action array, `(B, n)`, by action column."""
        return {self.action.name: np.full(next(iter(observed.values())).shape[:2], self.entry)}
