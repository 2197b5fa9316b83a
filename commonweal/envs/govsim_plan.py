"""GovSim's fishery by backward induction over the stock: the planner, and the best reply to the greedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import require_memory
from commonweal.random import Streams

if TYPE_CHECKING:
    from commonweal.envs.govsim import GovSim

Array = NDArray[np.float64]
ROUNDING = 1e-9  # of the capacity


@dataclass(frozen=True)
class Plan:
    """By month and stock `grid (S + 1,)`: value `(T + 1, S + 1)`, total to catch `(T, S + 1)`, in tons."""

    grid: Array
    value: Array
    total: Array

    def at(self, month: NDArray[np.intp], stock: Array) -> Array:
        """The value at the start of `month (B,)`, of the shape of `stock (B, .)`."""
        place = stock / self.grid[1]
        low = np.minimum(place.astype(np.intp), len(self.grid) - 2)
        share, rows = place - low, month[:, None]
        return np.asarray((1.0 - share) * self.value[rows, low] + share * self.value[rows, low + 1])


def planner(game: GovSim) -> Plan:
    """The best total of every month and stock, in levels of the wish, else in hundredths of the capacity.

    Raises:
        NotExact: the levels are too many.
    """
    unit = game.max_catch / (game.levels - 1) if game.levels else game.capacity / 100.0
    size = round(game.capacity / unit)
    most = min(round(game.num_agents * game.max_catch / unit), size)
    require_memory(32.0 * (size + 1) * (most + 1), f"a table of {size + 1} stocks by {most + 1} catches")
    require_memory(16.0 * (size + 1) * game.months, f"a table of {size + 1} stocks by {game.months} months")
    grid = np.linspace(0.0, game.capacity, size + 1)
    total = grid[: most + 1]
    left = grid[:, None] - total
    following, lost = game.regrow(np.maximum(left, 0.0))
    value, plan = np.zeros((game.months + 1, size + 1)), np.zeros((game.months, size + 1))
    for month in reversed(range(game.months)):
        later = np.where(lost, 0.0, np.interp(following, grid, value[month + 1]))
        worth = np.where(left >= -game.tie, total + game.discount * later, -np.inf)
        value[month], plan[month] = worth.max(axis=1), total[worth.argmax(axis=1)]
    return Plan(grid, value, plan)


def greed(game: GovSim, grid: Array) -> tuple[float, float]:
    """What a fisher gets when all always want the most, and by its best reply to the others who do."""
    assert game.levels
    cells = len(grid) * game.levels * game.num_agents
    require_memory(32.0 * cells, f"a table of {cells} wishes")
    wishes = np.full((len(grid) * game.levels, game.num_agents), game.max_catch)
    wishes[:, 0] = np.tile(np.linspace(0.0, game.max_catch, game.levels), len(grid))
    stock = np.repeat(grid, game.levels)[:, None]
    catch = game.ration(stock, wishes)
    following, lost = game.regrow(stock - catch.sum(axis=1, keepdims=True))
    shape = (len(grid), game.levels)
    own, following = catch[:, 0].reshape(shape), following.reshape(shape)
    going = (~lost).reshape(shape) * game.discount
    greedy, reply = np.zeros(len(grid)), np.zeros(len(grid))
    for _ in range(game.months):
        greedy = own[:, -1] + going[:, -1] * np.interp(following[:, -1], grid, greedy)
        reply = (own + going * np.interp(following, grid, reply)).max(axis=1)
    return float(greedy[-1]), float(reply[-1])


@dataclass(frozen=True)
class Planned:
    """All together want the planner's total, the first fishers more where it does not divide."""

    game: GovSim
    plan: Plan

    def _levels(self, observed: Mapping[str, Array]) -> NDArray[np.intp]:
        grid, n = self.plan.grid, self.game.num_agents
        month = np.rint(observed["progress"][..., 0] * self.game.months).astype(np.intp)
        stock = np.rint(observed["stock"][..., 0] / grid[1]).astype(np.intp)
        total = self.plan.total[np.minimum(month, self.game.months - 1), stock]
        levels = np.rint(total / grid[1]).astype(np.intp)
        return levels // n + (np.arange(n) < levels % n)

    def probabilities(self, observed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Law `(B, n, L)` of the wish: a sure thing."""
        assert self.game.levels
        return {"wish": np.eye(self.game.levels)[self._levels(observed)]}

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """The wish, `(B, n)`."""
        return {"wish": self._levels(observed).astype(np.float64)}
