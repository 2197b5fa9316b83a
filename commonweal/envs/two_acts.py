"""Games of several players with two acts each: the worst equilibrium, and the symmetric ones.

A profile is a point q of the unit cube: the probability with which each plays act 1. What a player gains by
act 1 is linear in every other's probability, as is W; over a box of profiles either is between its
values at the corners. So a box holds no equilibrium in which somebody who gains plays act 0, and none worse
than the least corner of W: branch and bound leaves no equilibrium out.

Source: branch and bound, Land and Doig (1960); roots in one probability for players alike: Diekmann (1985),
J. Conflict Resolution 29, 605-610 (recalled, not looked up; the tests know mixed equilibria in closed form).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MOST_PLAYERS = 5  # in branch and bound
MOST_BOXES = 4000  # looked at together; above it the search stops and tells how far it came
NARROW = 1e-9  # side of a box that is not divided further
ENOUGH = 1e-7  # of the range of W: what could be worse by less is not sought
CLOSE = 1e-12  # of a player's range of payoffs: a smaller gain is rounding
STEPS = 12  # of Newton's method


@dataclass(frozen=True)
class Search:
    """What branch and bound found.

    Attributes:
        profiles: equilibria met on the way, probabilities of act 1 `(n,)` each.
        bound: no equilibrium has a smaller W.
    """

    profiles: list[Array]
    bound: float


@dataclass(frozen=True)
class _Game:
    """Gains of act 1 over act 0 in units of each player's range, then W: `(2, ..., 2, n + 1)`."""

    values: Array

    @property
    def size(self) -> int:
        return self.values.ndim - 1

    def corners(self, low: Array, high: Array) -> Array:
        """Gains and W at the corners of boxes `(K, n)`, `(K, 2^n, n + 1)`."""
        found = self.values[None]
        for player in range(self.size):
            zero, one = (np.take(found, [act], axis=1 + player) for act in (0, 1))
            shape = (-1, *[1] * (self.size + 1))
            ends = [zero + (one - zero) * end[:, player].reshape(shape) for end in (low, high)]
            found = np.concatenate(ends, axis=1 + player)
        return found.reshape(len(low), -1, self.size + 1)

    def at(self, profiles: Array) -> Array:
        """Gains and W `(K, n + 1)` at profiles `(K, n)`."""
        found = np.broadcast_to(self.values, (len(profiles), *self.values.shape))
        for player in range(self.size):
            q = profiles[:, player].reshape(-1, *[1] * (self.size - player))
            found = found[:, 0] * (1.0 - q) + found[:, 1] * q
        return found

    def slopes(self, profile: Array) -> Array:
        """Derivatives `(n + 1, n)` of gains and W by the probabilities `(n,)`."""
        low, high = (np.where(np.eye(self.size, dtype=bool), end, profile) for end in (0.0, 1.0))
        return np.asarray((self.at(high) - self.at(low)).T)

    def regret(self, profile: Array) -> float:
        """What the player who gains most gains by a pure act, in units of its range."""
        gain = self.at(profile[None])[0, :-1]
        return float(np.maximum(gain * (1.0 - profile), -gain * profile).max())


def worst_equilibrium(table: Array, total: Array, known: float) -> Search:
    """Seek equilibria worse than one of W `known`, and bound W from below.

    Args:
        table: payoffs of n players, `(2, ..., 2, n)`.
        total: W of each cell, `(2, ..., 2)`.
        known: W of the worst equilibrium known so far; infinite: none is.
    """
    game, wide = _game(table, total), float(np.ptp(total))
    enough, best = ENOUGH * wide, known
    found: list[Array] = []
    low, high, bound = np.zeros((1, game.size)), np.ones((1, game.size)), math.inf
    while len(low):
        corners, narrow = game.corners(low, high), (high - low).max(axis=1) <= NARROW
        keep = _contract(corners[..., :-1], low, high) & (corners[..., -1].min(axis=1) < best - enough)
        low, high, corners, narrow = low[keep], high[keep], corners[keep], narrow[keep]
        if not len(low):
            break
        least = corners[..., -1].min(axis=1)
        first = int(least.argmin())
        near = any((abs(one - 0.5 * (low + high)[first]) <= high[first] - low[first]).all() for one in found)
        for profile in [] if near else _polished(game, corners[first, :, :-1], low[first], high[first]):
            worth = float(game.at(profile[None])[0, -1])
            if worth < best - enough:
                best, found = worth, [*found, profile]
        stop = len(low) > MOST_BOXES
        bound = min(bound, float(least[narrow | stop].min(initial=math.inf)))
        if stop:
            break
        low, high = _halves(low[~narrow], high[~narrow])
    return Search(found, min(bound, best - enough))


def _game(table: Array, total: Array) -> _Game:
    n, values = table.ndim - 1, []
    for player in range(n):
        own = table[..., player]
        gain = np.diff(own, axis=player) / max(float(np.ptp(own)), 1e-300)
        values.append(np.broadcast_to(gain, own.shape))
    return _Game(np.stack([*values, total], axis=-1))


def _contract(gains: Array, low: Array, high: Array) -> NDArray[np.bool_]:
    """Narrow boxes in place to where who gains by an act plays it; returns which may hold an equilibrium."""
    plays_one, plays_zero = gains.min(axis=1) > CLOSE, gains.max(axis=1) < -CLOSE
    possible = ~((plays_one & (high < 1.0)) | (plays_zero & (low > 0.0))).any(axis=1)
    low[plays_one], high[plays_zero] = 1.0, 0.0
    return np.asarray(possible & (low <= high).all(axis=1))


def _halves(low: Array, high: Array) -> tuple[Array, Array]:
    """Both halves of each box, cut across its longest side; a narrow one stays as it is."""
    row, side = np.arange(len(low)), (high - low).argmax(axis=1)
    middle = 0.5 * (low[row, side] + high[row, side])
    lower, upper = high.copy(), low.copy()
    lower[row, side], upper[row, side] = middle, middle
    wide = (high - low)[row, side] > NARROW
    return np.concatenate([low, upper[wide]]), np.concatenate(
        [np.where(wide[:, None], lower, high), high[wide]]
    )


def _polished(game: _Game, gains: Array, low: Array, high: Array) -> list[Array]:
    """Equilibria near a box: those whose gain has no sign there are made indifferent, by Newton's method."""
    open_ = (gains.min(axis=0) <= CLOSE) & (gains.max(axis=0) >= -CLOSE)
    found = []
    for free in (high > low, (high > low) & (low > 0.0) & (high < 1.0)):
        edge = np.where(low > 0.0, 1.0, 0.0)  # a box at an edge may hold an equilibrium on it
        profile = np.where(free, 0.5 * (low + high), np.where(high > low, edge, low))
        if free.any() and open_.any():
            for _ in range(STEPS):
                gain, slope = game.at(profile[None])[0, :-1][open_], game.slopes(profile)[:-1][open_][:, free]
                profile[free] -= np.linalg.lstsq(slope, gain, rcond=1e-10)[0]
                profile = np.clip(profile, 0.0, 1.0)
        if game.regret(profile) <= CLOSE:
            found.append(profile)
    return found


def alike_equilibria(table: Array) -> list[Array] | None:
    """Profiles `(n,)` in which all who mix do so alike, if players are alike; None: they are not.

    Some play act 0, some act 1, and the others mix with one probability, a root of what act 1 brings them.
    Players are interchangeable, so that one profile stands for all of its kind; only those from which
    nobody gains by deviating are kept.
    """
    game = _game(table, np.zeros(table.shape[:-1]))
    n, acts = game.size, np.moveaxis(np.indices((2,) * game.size), 0, -1)
    others = acts.sum(axis=-1, keepdims=True) - acts
    by_count = [game.values[..., :-1][others == count] for count in range(n)]
    if max(float(np.ptp(gain)) for gain in by_count) > CLOSE:
        return None
    gain, profiles = np.array([same[0] for same in by_count]), []
    for mixing in range(2, n + 1):
        for sure in range(n - mixing + 1):
            for q in _roots(gain[sure : sure + mixing]):
                profiles.append(np.array([q] * mixing + [1.0] * sure + [0.0] * (n - mixing - sure)))
    return [profile for profile in profiles if game.regret(profile) <= CLOSE]


def _roots(gain: Array) -> list[float]:
    """Where in (0, 1) the mean of `gain (k,)` under a binomial law of k - 1 trials is nothing."""
    degree, one = len(gain) - 1, np.polynomial.Polynomial([0.0, 1.0])
    terms = [math.comb(degree, s) * one**s * (1.0 - one) ** (degree - s) * g for s, g in enumerate(gain)]
    roots = sum(terms[1:], terms[0]).trim(CLOSE).roots()
    real = roots[np.abs(roots.imag) < 1e-7].real
    return sorted(float(q) for q in real if 0.0 < q < 1.0)
