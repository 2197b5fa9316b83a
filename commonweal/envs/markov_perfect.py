"""Symmetric Markov-perfect equilibria of games in one state, by backward induction.

A symmetric mixed strategy here mixes two adjacent levels and is written as one real number per
state, the *position*: 3.25 plays level 3 with probability 0.75 and level 4 with probability 0.25.
Every stage has such an equilibrium as far as adjacent levels go; what a jump to a farther level
would gain counts as regret and shows up in the gain from deviating.

Plain backward induction from a finite horizon need not come to rest: where catching the last fish
is a race, thresholds chase each other and the strategies cycle with the horizon. *Relaxed*
induction moves only part of the way at each step and stays with the stage equilibrium nearest to
the last one; where it rests, the stationary strategy is an equilibrium, whatever led to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.aggregative import Game
from commonweal.envs.dynamic_programming import deviation_gain, symmetric_chain

Array = NDArray[np.float64]
Ints = NDArray[np.intp]

HORIZONS = (1, 20, 60)  # plays after which plain induction hands over to relaxed induction
RELAXED_STEPS = 200
RELAXED_CHECK = 20
AT_REST = 1e-7  # gain from deviating, relative to the largest reward, that counts as none


@dataclass(frozen=True)
class Equilibrium:
    """A symmetric stationary strategy and what one agent could still gain against it.

    Attributes:
        position: by state, `(G,)`; see the module.
        value: an agent's discounted payoff without end when all play it, `(G,)`.
        gain: what one agent gains by deviating alone for ever, by state, `(G,)`.
        limit: whether plain finite-horizon induction had come to rest at it.
    """

    position: Array
    value: Array
    gain: Array
    limit: bool = False


def mixture(position: Array, num_levels: int) -> Array:
    """Probabilities `(G, L)` of the levels from positions `(G,)`."""
    return np.maximum(1.0 - np.abs(position[:, None] - np.arange(num_levels)), 0.0)


class Induction:
    """One step of backward induction: a symmetric equilibrium of the stage game in every state."""

    def __init__(self, game: Game) -> None:
        self.game, self.others = game, game.num_agents - 1
        low, self.k = np.arange(game.num_levels - 1)[:, None], np.arange(game.num_agents)
        # Others between level l and l + 1: k of them play the higher.
        self.profile = self.others * low + self.k
        self.low = game.cells[slice(None), low + 0 * self.k, self.profile]
        self.high = game.cells[slice(None), low + 1 + 0 * self.k, self.profile]
        self.binomial = np.array([comb(self.others, int(k)) for k in self.k], dtype=np.float64)
        self.scale = float(np.abs(game.cells.reward).max()) or 1.0

    def _law(self, share: Array) -> Array:
        """Probability `(C, N)` that k of the others play the higher level."""
        share = share[:, None]
        return self.binomial * share**self.k * (1.0 - share) ** (self.others - self.k)

    def _root(self, gain: Array) -> Array:
        """The share at which the expected gain `(C, N)` from the higher level falls to zero."""
        low, high = np.zeros(len(gain)), np.ones(len(gain))
        for _ in range(45):
            middle = 0.5 * (low + high)
            positive = np.einsum("ck,ck->c", self._law(middle), gain) > 0.0
            low, high = np.where(positive, middle, low), np.where(positive, high, middle)
        return 0.5 * (low + high)

    def _candidates(self, value: Array) -> tuple[Ints, Ints, Array]:
        """Positions from which no adjacent level is better: state, lower level, share of the higher."""
        gain = self.high.reward - self.low.reward
        gain = gain + self.game.discount * (self.high.expect(value) - self.low.expect(value))
        at_low, at_high = gain[:, :, 0], gain[:, :, -1]  # when no other, every other plays the higher
        edge = np.ones((len(gain), 1), bool)
        pure = np.hstack([edge, at_high >= 0.0]) & np.hstack([at_low <= 0.0, edge])
        state, level = np.nonzero(pure)
        top = level == self.game.num_levels - 1
        mixed_state, mixed_level = np.nonzero((at_low > 0.0) & (at_high < 0.0))
        share = self._root(gain[mixed_state, mixed_level])
        return (
            np.concatenate([state, mixed_state]),
            np.concatenate([level - top, mixed_level]),
            np.concatenate([top.astype(np.float64), share]),
        )

    def __call__(self, value: Array, near: Array | None = None) -> tuple[Array, Array]:
        """Positions and values `(G,)` of the stage before the continuation `value (G,)`.

        Among several stage equilibria: the one with the least regret; among equals the one nearest
        to the positions `near (G,)`, or the highest.
        """
        state, level, share = self._candidates(value)
        own = np.arange(self.game.num_levels)[None, :, None]
        cells = self.game.cells[state[:, None, None], own, self.profile[level][:, None, :]]
        expected = np.einsum(
            "ck,clk->cl", self._law(share), cells.reward + self.game.discount * cells.expect(value)
        )
        each = np.arange(len(state))
        played = (1.0 - share) * expected[each, level] + share * expected[each, level + 1]
        regret = np.round((expected.max(axis=1) - played) / (1e-9 * self.scale))
        distance = -(level + share) if near is None else np.abs(level + share - near[state])
        order = np.lexsort((distance, regret, state))
        first = order[np.searchsorted(state[order], np.arange(len(value)))]
        return (level + share)[first], played[first]


def plain(induct: Induction, plays: int) -> tuple[Array, Array]:
    """Positions and values `(G,)` with so many plays to go."""
    value = np.zeros(len(induct.game.grid))
    for _ in range(plays):
        position, value = induct(value)
    return position, value


def stationary(game: Game, position: Array, limit: bool = False) -> Equilibrium:
    """The strategy at `position (G,)`, played for ever, with its value and the gain from deviating."""
    return Equilibrium(position, *deviation_gain(game, mixture(position, game.num_levels)), limit)


def relaxed(induct: Induction, position: Array, value: Array, steps: int = RELAXED_STEPS) -> Equilibrium:
    """The best stationary strategy met by relaxed induction from `position` and `value`, `(G,)` each."""
    best: Equilibrium | None = None
    for step in range(1, steps + 1):
        weight = max(0.5 * 0.98**step, 0.02)
        position, ahead = induct(value, position)
        value = (1.0 - weight) * value + weight * ahead
        if step % RELAXED_CHECK == 0:
            found = stationary(induct.game, position)
            if best is None or found.gain.max() < best.gain.max():
                best = found
            if found.gain.max() < AT_REST * induct.scale:
                break
    assert best is not None
    return best


def equilibria(game: Game, horizons: tuple[int, ...] = HORIZONS) -> list[Equilibrium]:
    """Stationary strategies reached from several horizons; one alone where plain induction rests.

    Each carries its gain from deviating: whether it is an equilibrium is for the caller to judge.
    """
    induct = Induction(game)
    found: list[Equilibrium] = []
    for plays in reversed(horizons):
        position, value = plain(induct, plays)
        if plays == max(horizons):
            again, _ = induct(stationary(game, position).value, position)
            here = stationary(game, position, limit=True)
            if np.abs(again - position).max() < 1e-6 and here.gain.max() < AT_REST * induct.scale:
                return [here]
        settled = relaxed(induct, position, value)
        if all(np.abs(settled.position - other.position).max() > 1e-3 for other in found):
            found.append(settled)
    return found


def refined(coarse: Game, fine: Game, equilibrium: Equilibrium) -> Equilibrium:
    """The equilibrium on a finer grid that lies nearest to one on a coarser grid."""
    position = np.interp(fine.grid, coarse.grid, equilibrium.position)
    value = np.interp(fine.grid, coarse.grid, equilibrium.value)
    return relaxed(Induction(fine), position, value, RELAXED_STEPS // 2)


def welfare(game: Game, strategy: Array, plays: int, coordinate: float) -> float:
    """W over so many plays from the state at `coordinate` when all play `strategy (G, L)`."""
    link = symmetric_chain(game, strategy)
    return game.at(link.over(link.welfare, plays), coordinate)
