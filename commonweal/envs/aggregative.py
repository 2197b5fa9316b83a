"""One-step tables of a symmetric game in one state, made by the very dynamics that the agents face.

What N - 1 others do reaches an agent through a *profile*: the sum of their levels, where nothing
else matters, or the multiset of their levels. `tabulate` plays every cell (state, own level,
profile) once and keeps the reward, the flow of welfare and the lottery over the next grid points.
Linear interpolation between grid points is that lottery: the game on the grid is itself a Markov
game, solved exactly; its distance to the continuous one is measured by refining the grid.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import NotExact, require_memory

Array = NDArray[np.float64]
Ints = NDArray[np.intp]

CHUNK = 300_000  # acts played at once; keeps the working set near the cache
WIDEST_SHOCK = 4.5  # standard deviations; beyond lies a chance of 7e-6

Draws = tuple[Array, Array]  # nodes and weights of an expectation over what is drawn within a play
CERTAIN: Draws = (np.zeros(1), np.ones(1))


@dataclass(frozen=True)
class OneStep:
    """What agent 0 and the group get in one play of `B` worlds.

    Attributes:
        reward: of agent 0, `(B,)`.
        welfare: flow of W, `(B,)`.
        following: coordinate of the next state, `(B,)`.
        continues: 0 where the world ended by its own dynamics, else 1, `(B,)`.
    """

    reward: Array
    welfare: Array
    following: Array
    continues: Array


# Level indices; a number between two stands for an act between them where acts are continuous.
Levels = Ints | Array


@dataclass(frozen=True)
class Against:
    """Levels of all agents `(C, N)` in cells of an own level and a profile of the others, a part at a time.

    Attributes:
        own: `(C,)`.
        profile: which of the profiles, `(C,)`.
        profiles: `(P, N - 1)`.
    """

    own: Levels
    profile: Ints
    profiles: Levels

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and agents."""
        return len(self.own), 1 + self.profiles.shape[1]

    def __getitem__(self, part: slice) -> Levels:
        return np.concatenate([self.own[part, None], self.profiles[self.profile[part]]], axis=1)


# Coordinates of the state `(B,)`, levels of all agents `(B, N)`, a standard normal shock.
Model = Callable[[Array, Levels, float], OneStep]


@dataclass(frozen=True)
class Others:
    """What the others can do, up to what matters to one agent.

    Attributes:
        profiles: an example of each class, `(P, N - 1)` level indices.
        joins: for k = 0 .. N - 2, `(P_k, L)`: the class that k others of some class become when
            one more plays a level.
    """

    profiles: Ints
    joins: tuple[Ints, ...]

    def probabilities(self, strategies: Sequence[Array]) -> Array:
        """`(G, P)` from the mixed strategies `(G, L)` of each of the others, drawn independently."""
        weight = np.ones((len(strategies[0]) if strategies else 1, 1))
        for join, strategy in zip(self.joins, strategies, strict=True):
            joint = np.zeros((len(weight), join.max() + 1))
            for level in range(join.shape[1]):  # distinct classes stay distinct: no collision
                joint[:, join[:, level]] += weight * strategy[:, level : level + 1]
            weight = joint
        return weight


@lru_cache(maxsize=16)
def sums(num_agents: int, num_levels: int) -> Others:
    """Others of whom only the sum of levels matters; the example is the most even profile."""
    others = num_agents - 1
    require_memory(4.0 * (others * num_levels) ** 2, f"sums of {num_levels} levels of {others} others")
    total = np.arange(others * (num_levels - 1) + 1)[:, None]
    even = total // max(others, 1) + (np.arange(others) < total % max(others, 1))
    joins = [np.arange(k * (num_levels - 1) + 1)[:, None] + np.arange(num_levels) for k in range(others)]
    return Others(even.reshape(len(total), others), tuple(joins))


@lru_cache(maxsize=4)
def multisets(num_agents: int, num_levels: int) -> Others:
    """Others of whom it matters who plays which level, whoever it is."""
    place: dict[tuple[int, ...], int] = {(): 0}
    classes, joins = [()], []
    for k in range(1, num_agents):
        following = list(itertools.combinations_with_replacement(range(num_levels), k))
        place = {profile: index for index, profile in enumerate(following)}
        joins.append(
            np.array([[place[tuple(sorted((*c, level)))] for level in range(num_levels)] for c in classes])
        )
        classes = following  # type: ignore[assignment]
    return Others(np.array(classes, dtype=np.intp).reshape(len(classes), num_agents - 1), tuple(joins))


def num_multisets(num_agents: int, num_levels: int) -> int:
    """Number of classes of `multisets`."""
    return math.comb(num_levels + num_agents - 2, num_agents - 1)


@dataclass(frozen=True)
class Cells:
    """Cells of a game: reward now, flow of W, and the lottery over grid points next.

    Attributes:
        reward, welfare: any shape S.
        corner, mass: `(2 Q, *S)`, index and probability of the possible next grid points.
    """

    reward: Array
    welfare: Array
    corner: Ints
    mass: Array

    def __getitem__(self, index: tuple[Ints | slice, ...]) -> Cells:
        return Cells(
            self.reward[index], self.welfare[index], self.corner[(slice(None), *index)],
            self.mass[(slice(None), *index)],
        )  # fmt: skip

    def shaped(self, shape: tuple[int, ...]) -> Cells:
        """The same cells in another shape."""
        return Cells(
            self.reward.reshape(shape), self.welfare.reshape(shape),
            self.corner.reshape(-1, *shape), self.mass.reshape(-1, *shape),
        )  # fmt: skip

    def expect(self, value: Array) -> Array:
        """Expected value next, shape S, of `value (G,)`."""
        return np.einsum("q...,q...->...", self.mass, value[self.corner])


@dataclass(frozen=True)
class Game:
    """A symmetric game in one state on a grid.

    Attributes:
        grid: coordinates of the state, `(G,)`, increasing.
        num_agents, num_levels: N, L.
        discount: per play.
        others: the profiles of the others.
        cells: shape `(G, L, P)`: state, own level, profile of the others.
    """

    grid: Array
    num_agents: int
    num_levels: int
    discount: float
    others: Others
    cells: Cells

    def at(self, value: Array, coordinate: float) -> float:
        """`value (G,)` between grid points."""
        return float(np.interp(coordinate, self.grid, value))


def normal(step: float) -> Draws:
    """A standard normal shock on evenly spaced nodes.

    Exact to rounding for smooth integrands from a step of 0.5 on; where the stock collapses or is clipped
    the integrand jumps or bends, and the error falls with the step. Gauss-Hermite nodes are far apart
    where most of the mass is, and missed collapses by percents of W.
    """
    most = math.floor(WIDEST_SHOCK / step)
    nodes = step * np.arange(-most, most + 1.0)
    weights: Array = np.exp(-0.5 * nodes**2)
    return nodes, weights / weights.sum()


def lottery(grid: Array, coordinate: Array, scale: Array) -> tuple[Ints, Array]:
    """The two grid points around `coordinate` and their probabilities times `scale`, `(2, B)`."""
    right = np.clip(np.searchsorted(grid, coordinate), 1, len(grid) - 1)
    share = (coordinate - grid[right - 1]) / (grid[right] - grid[right - 1])
    share = np.clip(share, 0.0, 1.0)
    return np.stack([right - 1, right]), np.stack([(1.0 - share) * scale, share * scale])


def require_playable(cells: int, num_agents: int, draws: Draws = CERTAIN) -> None:
    """Raise `NotExact` where so many cells, and what all agents do in each, are too large a table."""
    words = num_agents + 2 + 4 * len(draws[0])  # acts, reward and welfare, two grid points for each draw
    require_memory(8.0 * words * cells, f"a table of {cells} plays of {num_agents} agents")


def play(model: Model, grid: Array, state: Array, levels: Levels | Against, draws: Draws = CERTAIN) -> Cells:
    """Play `C` cells once: coordinates `(C,)`, levels of all agents `(C, N)`. Lotteries are over `grid`.

    Raises:
        NotExact: from the model, where a table cannot hold what it does; or a payoff is infinite, or the
            table is too large.
    """
    count, (nodes, weights), num_agents = len(state), draws, levels.shape[1]
    require_playable(count, num_agents, draws)
    chunk = max(CHUNK // num_agents, 1)
    reward, welfare = np.zeros(count), np.zeros(count)
    corner = np.empty((2 * len(nodes), count), np.intp)
    mass = np.empty((2 * len(nodes), count))
    for start in range(0, count, chunk):
        part = slice(start, min(start + chunk, count))
        acts = levels[part]
        for q, (shock, weight) in enumerate(zip(nodes, weights, strict=True)):
            step = model(state[part], acts, float(shock))
            reward[part] += weight * step.reward
            welfare[part] += weight * step.welfare
            pair = slice(2 * q, 2 * q + 2)
            corner[pair, part], mass[pair, part] = lottery(grid, step.following, weight * step.continues)
    if not (np.isfinite(reward).all() and np.isfinite(welfare).all()):
        raise NotExact("some play yields an infinite payoff; allowed: finite payoffs in every cell")
    return Cells(reward, welfare, corner, mass)


def tabulate(
    model: Model, grid: Array, num_levels: int, num_agents: int, discount: float,
    others: Others | None = None, draws: Draws = CERTAIN,
) -> Game:  # fmt: skip
    """Play every cell once; `others` defaults to sums of levels.

    Raises:
        NotExact: see `play`.
    """
    if others is None:
        many = (num_agents - 1) * (num_levels - 1) + 1
        require_playable(len(grid) * num_levels * many, num_agents, draws)
        others = sums(num_agents, num_levels)
    shape = (len(grid), num_levels, len(others.profiles))
    require_playable(math.prod(shape), num_agents, draws)
    state, own, profile = np.unravel_index(np.arange(math.prod(shape)), shape)
    levels = Against(own, profile, others.profiles)
    cells = play(model, grid, grid[state], levels, draws).shaped(shape)
    return Game(grid, num_agents, num_levels, discount, others, cells)
