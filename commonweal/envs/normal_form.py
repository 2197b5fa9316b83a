"""Equilibria of games in normal form, and how sure it is that none is worse for the group.

A game is a table `(A_1, ..., A_N, N)`: the payoff of each player for every profile of acts. A mixed profile
is a list of N laws `(A_i,)`. Dominated acts go first. Two players are solved by vertices (`envs.bimatrix`),
more with two acts each by branch and bound (`envs.two_acts`); of larger games the pure equilibria are found.
Payoffs are compared in units of each player's own range: neither unit nor zero matters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.bimatrix import extreme_equilibria
from commonweal.envs.ties import slack
from commonweal.envs.two_acts import MOST_PLAYERS, alike_equilibria, worst_equilibrium
from commonweal.errors import NotExact
from commonweal.random import Streams
from commonweal.references import Kind

Array = NDArray[np.float64]
ROUNDING = 1e-12  # of a player's range of payoffs: a smaller gain is rounding
LARGEST_ERROR = 1e-6  # of the range of W: within it the worst equilibrium is known


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
    gains = best - payoffs(table, laws)
    return np.where(gains > rounding(table), gains, 0.0)


def rounding(table: Array) -> Array:
    """What is no gain for each player, `(N,)`, in its own unit: a part of its range, and float rounding."""
    return np.asarray(slack(table.reshape(-1, table.shape[-1]), ROUNDING, axis=0))


def pure_equilibria(table: Array) -> list[tuple[int, ...]]:
    """Every profile of acts from which no player gains by deviating alone."""
    close, stable = rounding(table), np.ones(table.shape[:-1], bool)
    for player in range(table.shape[-1]):
        own = table[..., player]
        stable &= own >= own.max(axis=player, keepdims=True) - close[player]
    return [tuple(int(act) for act in profile) for profile in np.argwhere(stable)]


def undominated(table: Array) -> list[NDArray[np.intp]]:
    """Acts of each player that outlast the elimination of those that another act beats against everything.

    No equilibrium, mixed or not, gives weight to the others.
    """
    close, left = rounding(table), [np.arange(acts) for acts in table.shape[:-1]]
    shrinking = True
    while shrinking:
        shrinking = False
        for player in range(len(left)):
            own = np.moveaxis(table[np.ix_(*left)][..., player], player, 0)
            own = own.reshape(len(left[player]), -1)
            beaten = [bool(((own - act).min(axis=1) > close[player]).any()) for act in own]
            left[player] = left[player][~np.array(beaten)]
            shrinking |= any(beaten)
    return left


@dataclass(frozen=True)
class Equilibria:
    """What was found of a game in normal form.

    Attributes:
        laws: equilibria, the worst for the group first.
        kind: how sure it is that no equilibrium is worse than the first.
        error: by how much one could be worse; 0 where that was not bounded and the kind is `best known`.
        searched: what was tried, in words.
    """

    laws: list[list[Array]]
    kind: Kind
    error: float
    searched: str


def equilibria(table: Array) -> Equilibria:
    """Equilibria of `table (A_1, ..., A_N, N)`, mixed ones included where they can be searched for.

    Raises:
        NotExact: none was found.
    """
    left = undominated(table)
    rest = table[np.ix_(*left)]
    active = [i for i, acts in enumerate(left) if len(acts) > 1]
    small = rest.reshape(*(rest.shape[i] for i in active), -1)  # those who have one act left play it
    found = _searched(small, active)
    if not found.laws:
        raise NotExact(
            f"no equilibrium found: {found.searched}; allowed: other payoffs, or fewer players or acts"
        )
    laws = [_whole_profile(table, left, dict(zip(active, one, strict=True))) for one in found.laws]
    return replace(found, laws=sorted(laws, key=lambda one: float(payoffs(table, one).sum())))


def _whole_profile(table: Array, left: list[NDArray[np.intp]], laws: dict[int, Array]) -> list[Array]:
    whole = [np.zeros(acts) for acts in table.shape[:-1]]
    for player, acts in enumerate(left):
        whole[player][acts] = laws.get(player, 1.0)
    return whole


def _searched(small: Array, active: list[int]) -> Equilibria:
    """Equilibria of the players `active`, all of `small (A_1, ..., A_n, N)` that outlasted elimination."""
    if not active:
        return Equilibria([[]], "enumeration", 0.0, "whatever else is dominated")
    table, total = small[..., active], small.sum(axis=-1)
    pure = [
        [np.eye(n)[act] for act, n in zip(cell, total.shape, strict=True)] for cell in pure_equilibria(table)
    ]
    if len(active) == 1:
        return Equilibria(pure, "enumeration", 0.0, "all acts")
    if len(active) == 2:
        with suppress(NotExact):
            return Equilibria(extreme_equilibria(table), "enumeration", 0.0, "all extreme ones")
    elif set(total.shape) == {2}:
        return _of_two_acts(table, total, pure)
    return Equilibria(pure, "best known", 0.0, "all pure ones; mixed ones were not searched")


def _of_two_acts(table: Array, total: Array, pure: list[list[Array]]) -> Equilibria:
    def laws(profile: Array) -> list[Array]:
        return [np.array([1.0 - q, q]) for q in profile]

    def worth(one: list[Array]) -> float:
        return float(one[0] @ expected(total[..., None], one, 0))  # W, as if the first player earned it

    alike = alike_equilibria(table)
    found = [*pure, *map(laws, alike or [])]
    if total.ndim <= MOST_PLAYERS:
        search = worst_equilibrium(table, total, min(map(worth, found), default=math.inf))
        found += map(laws, search.profiles)
        if not found:
            return Equilibria([], "best known", 0.0, "all boxes of profiles")
        error = max(min(map(worth, found)) - search.bound, 0.0)
        sure = error <= LARGEST_ERROR * float(np.ptp(total))
        how = "all pure ones, mixed ones by branch and bound"
        return Equilibria(found, "numerical" if sure else "best known", error, how)
    how = "all pure ones" if alike is None else "all pure ones, and those in which all who mix do so alike"
    return Equilibria(found, "best known", 0.0, f"{how}; other mixed ones were not searched")


@dataclass(frozen=True)
class Laws:
    """Each player draws its act, or the level of a column, from its own law `(N, A)`, in every state."""

    law: Array
    column: str = "act"

    def probabilities(self, observed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Law of the act, `(B, n, A)`."""
        worlds, n = next(iter(observed.values())).shape[:2]
        return {self.column: np.array(np.broadcast_to(self.law, (worlds, n, self.law.shape[1])))}

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """The act, `(B, n)`."""
        n = next(iter(observed.values())).shape[1]
        drawn = rng.uniform(n)[..., None]
        return {self.column: (drawn >= np.cumsum(self.law, axis=1)[:, :-1]).sum(axis=-1).astype(np.float64)}
