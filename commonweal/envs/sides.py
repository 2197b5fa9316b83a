"""Two-sided games: parameters and strategies of one side among all agents, and what rounding is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Dilemma
from commonweal.errors import NotExact
from commonweal.random import Streams
from commonweal.references import Kind
from commonweal.spaces import Real

Array = NDArray[np.float64]
# Observed columns by name, `(B, n)`, or `(B, n, width)` where wider -> physical values by column, `(B, n)`.
Strategy = Callable[[Mapping[str, Array]], Mapping[str, Array]]

# Observations are single precision: amounts are equally good within this share of what is at stake.
SINGLE = 1e-6
ROUNDING = 1e-9  # a gain below it, relative to W, is none


def equally_good(worth: Array, stake: Array) -> NDArray[np.bool_]:
    """Which options `(..., L)` are as good as the best one, to who sees their amounts in single precision.

    Args:
        worth: of each option.
        stake: of each option the sum of the amounts that its worth is made of, all taken as positive.
    """
    top = worth.argmax(axis=-1)[..., None]
    tie = SINGLE * (stake + np.take_along_axis(stake, top, axis=-1))
    return np.asarray(worth >= np.take_along_axis(worth, top, axis=-1) - tie)


def exactly(kind: Kind, gain: float, welfare: float) -> Kind:
    """The kind of what is left with a gain: an equilibrium only where there is none."""
    return kind if gain <= ROUNDING * (1.0 + abs(welfare)) else "best known"


def of(value: Any, agents: slice) -> Array:
    """What of `value` concerns `agents`: columns of `(B, N)`; a number and `(B, 1)` concern all."""
    array = np.asarray(value, dtype=np.float64)
    return array[:, agents] if array.ndim == 2 and array.shape[1] > 1 else array


def by_agent(game: Dilemma, name: str, group: str) -> Array:
    """A parameter of each agent of a group, `(n,)`.

    Raises:
        NotExact: it differs by world.
    """
    value = of(getattr(game, name), game.agents_of(group))
    if value.ndim == 2 and len(value) > 1:
        who = f"{type(game).__name__}.{name}"
        raise NotExact(f"{who} has one value per world; allowed: a number or one per agent")
    return np.broadcast_to(value, (1, game.groups[group]))[0]


@dataclass(frozen=True)
class Strategies:
    """A rule of several groups: each plays a strategy of its own.

    Attributes:
        game: whose columns they are.
        by_signal: strategy of the group that alone sees the observation column named.
    """

    game: Dilemma
    by_signal: Mapping[str, Strategy]

    def _entries(self, observed: Mapping[str, Array]) -> dict[str, Array]:
        seen = {
            name: np.asarray(column[..., 0] if column.shape[2] == 1 else column, np.float64)
            for name, column in observed.items()
        }
        (signal,) = [name for name in self.by_signal if name in seen]
        played = self.by_signal[signal](seen)
        shape = next(iter(seen.values())).shape[:2]
        entries = {}
        for action in self.game.actions():
            if action.name in played:
                value, space = np.broadcast_to(played[action.name], shape), action.space
                if isinstance(space, Real) and space.levels:
                    value = np.rint((np.clip(value, space.low, space.high) - space.low) / space.step)
                entries[action.name] = np.array(value, dtype=np.float64)
        return entries

    def probabilities(self, observed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Law `(B, n, L)` of each discrete column: a sure thing."""
        sizes = {action.name: action.space.size for action in self.game.actions()}
        entries = self._entries(observed)
        return {name: np.eye(sizes[name])[e.astype(np.intp)] for name, e in entries.items() if sizes[name]}

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """Entries of the action array, `(B, n)`, by column."""
        return self._entries(observed)
