"""Games that are played afresh in each of a known number of rounds: what they have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonweal.curves import geometric_sum
from commonweal.envs.base import Dilemma
from commonweal.errors import require
from commonweal.parameters import check
from commonweal.random import Streams
from commonweal.spaces import MOST_LEVELS, Real, Signal

Array = NDArray[np.float64]

PROGRESS = Signal("progress", "share of rounds", 0.0, 1.0, public=True)


@dataclass
class RoundState:
    """Rounds played so far, `(B, 1)`."""

    round: Array


@dataclass(frozen=True, eq=False, repr=False)
class RepeatedGame(Dilemma):
    """A dilemma of independent rounds; nothing is carried over, and the model ends by itself.

    A game whose state holds more than the round extends `RoundState`, `signals`, `initial` and
    `observe`. The round is the coordinate of the exact solvers (`envs.one_state`).

    Attributes:
        rounds: rounds of the game.
        discount: weight of the next round.
    """

    rounds: int = 10
    discount: float = 1.0

    def validate(self) -> None:
        """Check rounds and discount, and that levels of a column are several."""
        who = type(self).__name__
        for name, value in vars(self).items():
            if name.endswith("levels") and value is not None:
                require(2 <= value <= MOST_LEVELS, f"{who}.{name}", value, f"None or 2 to {MOST_LEVELS}")
        check(f"{who}.rounds", self.rounds, 1, math.inf)
        check(f"{who}.discount", self.discount, 0.0, 1.0)

    @property
    def horizon(self) -> int:
        """The last round ends the game."""
        return self.rounds

    @property
    def weight(self) -> float:
        """Discounted number of rounds: what a round's payoff is worth if it is earned in all of them."""
        return geometric_sum(self.discount, self.rounds)

    @property
    def later_weight(self) -> float:
        """`weight` of all rounds but the first."""
        return self.discount * geometric_sum(self.discount, self.rounds - 1)

    def signals(self) -> list[Signal]:
        """The share of the rounds that has been played."""
        return [PROGRESS]

    def initial(self, rng: Streams) -> RoundState:
        """Before the first round."""
        return RoundState(np.zeros((rng.num_worlds, 1)))

    def observe(self, state: Any) -> Mapping[str, Array]:
        """All know the round."""
        return {"progress": state.round / self.rounds}

    def over(self, state: RoundState) -> NDArray[np.bool_]:
        """Whether the last round has been played, `(B,)`."""
        return np.asarray(state.round[:, 0] >= self.rounds)

    # ------------------------------------------------------------------ the round as a coordinate

    def coordinate(self, state: RoundState) -> Array:
        """The round, `(B,)`."""
        return state.round[:, 0]

    def state_at(self, coordinate: Array) -> RoundState:
        """The states before round `coordinate (B,)`."""
        return RoundState(coordinate[:, None])

    def grid(self, points: int) -> Array:
        """Every round; no grid is finer."""
        return np.arange(self.rounds + 1.0)


@dataclass(frozen=True)
class Always:
    """The rule of playing the same entries, `(1, N)` each or a number, in every state.

    Attributes:
        game: whose columns they are.
        values: by column, in physical units (the index of a choice).
    """

    game: Dilemma
    values: Mapping[str, Array | float]

    def _entries(self, observed: Mapping[str, Array]) -> dict[str, Array]:
        shape = next(iter(observed.values())).shape[:2]
        found = {}
        for action in self.game.actions():
            if action.name in self.values:
                value, space = np.asarray(self.values[action.name], np.float64), action.space
                if isinstance(space, Real) and space.levels:
                    value = np.rint((value - space.low) / space.step)
                found[action.name] = np.array(np.broadcast_to(value, shape))
        return found

    def probabilities(self, observed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Law `(B, n, L)` of each discrete column: a sure thing."""
        entries, sizes = self._entries(observed), {a.name: a.space.size for a in self.game.actions()}
        return {name: np.eye(sizes[name])[e.astype(np.intp)] for name, e in entries.items() if sizes[name]}

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """Entries of the action array, `(B, n)`, by column."""
        return self._entries(observed)
