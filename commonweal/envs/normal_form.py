"""Equilibria of games in normal form: all pure ones by enumeration, mixed ones of two players by support.

A game is a table `(A_1, ..., A_N, N)`: the payoff of each player for every profile of acts. A mixed profile
is a list of N laws `(A_i,)`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from commonweal.random import Streams

Array = NDArray[np.float64]
ROUNDING = 1e-9  # gains and probabilities below this, in units of the range of payoffs, are rounding


@dataclass(frozen=True)
class Cells:
    """The table, its cells one by one `(A^N, N)`, and the distance of two acts of a player there `(N,)`."""

    table: Array
    rows: Array
    strides: Array

    @classmethod
    def of(cls, table: Array) -> Cells:
        """The cells of `table (A, ..., A, N)`."""
        n = table.ndim - 1
        return cls(table, table.reshape(-1, n), np.float64(table.shape[0]) ** np.arange(n)[::-1])

    def place(self, act: Array) -> NDArray[np.intp]:
        """Row `(B,)` of the cell that `act (B, N)` chooses."""
        return (act @ self.strides).astype(np.intp)


def expected(table: Array, laws: list[Array], player: int) -> Array:
    """What each act `(A_i,)` of `player` pays when the others draw from their laws."""
    value = table[..., player]
    for other in reversed(range(len(laws))):
        if other != player:
            value = np.tensordot(value, laws[other], axes=(other, 0))
    return np.asarray(value)


def payoffs(table: Array, laws: list[Array]) -> Array:
    """Expected payoff of each player, `(N,)`."""
    return np.array([laws[i] @ expected(table, laws, i) for i in range(len(laws))])


def deviation_gains(table: Array, laws: list[Array]) -> Array:
    """What each player gains by its best act against the others, `(N,)`; 0 in an equilibrium."""
    best = np.array([expected(table, laws, i).max() for i in range(len(laws))])
    return np.maximum(best - payoffs(table, laws), 0.0)


def pure_equilibria(table: Array) -> list[tuple[int, ...]]:
    """Every profile of acts from which no player gains by deviating alone."""
    slack = ROUNDING * max(float(np.ptp(table)), 1e-300)
    stable = np.ones(table.shape[:-1], bool)
    for player in range(table.shape[-1]):
        own = table[..., player]
        stable &= own >= own.max(axis=player, keepdims=True) - slack
    return [tuple(int(act) for act in profile) for profile in np.argwhere(stable)]


def mixed_equilibria(table: Array) -> list[list[Array]]:
    """Every equilibrium `[law, law]` of two players whose supports have the same number (at least 2) of acts.

    In a nondegenerate game these are all that are not pure. For each pair of supports the laws solve linear
    equations: whoever mixes is indifferent among the acts of its support.

    Source: support enumeration, e.g. Nisan, Roughgarden, Tardos and Vazirani (2007), Algorithmic Game
    Theory, algorithm 3.4.
    """
    first, second, _ = table.shape
    found = []
    for size in range(2, min(first, second) + 1):
        for rows in itertools.combinations(range(first), size):
            for columns in itertools.combinations(range(second), size):
                block = table[np.ix_(rows, columns)]
                # Each mixes so that the other is indifferent.
                own = _indifferent(block[..., 1].T, rows, first)
                other = _indifferent(block[..., 0], columns, second)
                if own is None or other is None:
                    continue
                laws = [own, other]
                if deviation_gains(table, laws).max() <= ROUNDING * max(float(np.ptp(table)), 1e-300):
                    found.append(laws)
    return found


def _indifferent(block: Array, support: tuple[int, ...], size: int) -> Array | None:
    """The law on `support` under which every row of `block (S, S)` pays the same; None: there is none."""
    count = len(support)
    system = np.zeros((count + 1, count + 1))
    system[:count, :count], system[:count, count], system[count, :count] = block, -1.0, 1.0
    if np.linalg.cond(system) > 1e12:
        return None
    law = np.linalg.solve(system, np.eye(count + 1)[count])[:count]
    if (law <= ROUNDING).any():
        return None
    full = np.zeros(size)
    full[list(support)] = law
    return full


@dataclass(frozen=True)
class Laws:
    """Each player draws its act from its own law `(N, A)`, in every state."""

    law: Array

    def probabilities(self, observed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Law of the act, `(B, n, A)`."""
        worlds, n = next(iter(observed.values())).shape[:2]
        return {"act": np.array(np.broadcast_to(self.law, (worlds, n, self.law.shape[1])))}

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """The act, `(B, n)`."""
        n = next(iter(observed.values())).shape[1]
        drawn = rng.uniform(n)[..., None]
        return {"act": (drawn >= np.cumsum(self.law, axis=1)[:, :-1]).sum(axis=-1).astype(np.float64)}
