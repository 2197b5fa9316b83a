"""Exact values of symmetric games in one state: the planner's, a best reply's, any strategy's.

All are exact for the game on the grid (see `aggregative`), by Howard's policy iteration and linear
solves. Source: Puterman (1994), Markov Decision Processes, ch. 6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.aggregative import Cells, Game

Array = NDArray[np.float64]
Ints = NDArray[np.intp]


@dataclass(frozen=True)
class Plan:
    """What a planner does.

    Attributes:
        total: sum of the levels of all agents by state, `(G,)`.
        value: discounted W without end by state, `(G,)`.
    """

    total: Ints
    value: Array


def transitions(game: Game, cells: Cells, weight: Array) -> Array:
    """`(G, G)` matrix of a play with probabilities `weight (G, ...)` over `cells (G, ...)`."""
    size, width = len(game.grid), weight[0].size
    row = np.repeat(np.arange(size), width) * size
    flat = (cells.mass * weight).reshape(len(cells.mass), -1)
    where = (cells.corner.reshape(len(flat), -1) + row).ravel()
    matrix: Array = np.bincount(where, flat.ravel(), size * size).reshape(size, size).astype(np.float64)
    return matrix


@dataclass(frozen=True)
class Chain:
    """The Markov chain of a fixed way of playing: `reward, welfare (G,)`, `matrix (G, G)`."""

    reward: Array
    welfare: Array
    matrix: Array
    discount: float

    def forever(self, flow: Array) -> Array:
        """Discounted sum of `flow (G,)` without end, by starting state."""
        step = np.eye(len(flow)) - self.discount * self.matrix
        return np.asarray(np.linalg.solve(step, flow), np.float64)

    def over(self, flow: Array, plays: int) -> Array:
        """Discounted sum of `flow (G,)` over so many plays, by starting state."""
        total = np.zeros_like(flow)
        for _ in range(plays):
            total = flow + self.discount * (self.matrix @ total)
        return total


def chain(game: Game, own: Array, others: Array) -> Chain:
    """The chain when an agent plays `own (G, L)` and the others' profile has law `others (G, P)`."""
    weight = own[:, :, None] * others[:, None, :]
    cells = game.cells
    return Chain(
        np.einsum("glp,glp->g", weight, cells.reward),
        np.einsum("glp,glp->g", weight, cells.welfare),
        transitions(game, cells, weight),
        game.discount,
    )


def symmetric_chain(game: Game, strategy: Array) -> Chain:
    """The chain when everybody plays `strategy (G, L)`."""
    return chain(game, strategy, game.others.probabilities([strategy] * (game.num_agents - 1)))


def planned_cells(game: Game) -> Cells:
    """Cells `(G, K)` by total level, the effort shared as evenly as levels allow."""
    total = np.arange(game.num_agents * (game.num_levels - 1) + 1)
    own = total // game.num_agents
    return game.cells[slice(None), own, total - own]


def planner(game: Game) -> Plan:
    """The first best among all total levels, by policy iteration."""
    cells = planned_cells(game)
    reward, rows = cells.welfare, np.arange(len(game.grid))
    value = np.zeros(len(rows))
    choice = np.full(len(rows), -1)
    while True:
        action_value = reward + game.discount * cells.expect(value)
        best = action_value.max(axis=1)
        keep = action_value[rows, choice] >= best - 1e-12 * (1.0 + np.abs(best))
        improved = np.where(keep & (choice >= 0), choice, action_value.argmax(axis=1))
        if (improved == choice).all():
            return Plan(choice, value)
        choice = improved
        picked = cells[rows[:, None], choice[:, None]]
        matrix = transitions(game, picked, np.ones((len(rows), 1)))
        value = np.linalg.solve(np.eye(len(rows)) - game.discount * matrix, reward[rows, choice])


def planned_chain(game: Game, total: Ints) -> Chain:
    """The chain of a plan."""
    rows = np.arange(len(game.grid))
    cells = planned_cells(game)[rows[:, None], total[:, None]]
    matrix = transitions(game, cells, np.ones((len(rows), 1)))
    return Chain(cells.reward[:, 0], cells.welfare[:, 0], matrix, game.discount)


def response_cells(game: Game, others: Array) -> tuple[Array, Array]:
    """Reward `(G, L)` and transitions `(G, L, G)` of each own level against `others (G, P)`."""
    size, levels = len(game.grid), game.num_levels
    reward = np.einsum("gp,glp->gl", others, game.cells.reward)
    row = (np.arange(size * levels) * size).reshape(size, levels, 1)
    flat = (game.cells.mass * others[:, None, :]).ravel()
    matrix = np.bincount((game.cells.corner + row).ravel(), flat, size * levels * size)
    return reward, matrix.astype(np.float64).reshape(size, levels, size)


def best_response(reward: Array, matrix: Array, discount: float, start: Array) -> Array:
    """Value `(G,)` of the best reply, from `response_cells`; `start (G,)` is a first guess."""
    rows, value = np.arange(len(reward)), start
    choice = np.full(len(rows), -1)
    while True:
        action_value = reward + discount * (matrix @ value)
        best = action_value.max(axis=1)
        keep = action_value[rows, choice] >= best - 1e-12 * (1.0 + np.abs(best))
        improved = np.where(keep & (choice >= 0), choice, action_value.argmax(axis=1))
        if (improved == choice).all():
            return value
        choice = improved
        value = np.linalg.solve(np.eye(len(rows)) - discount * matrix[rows, choice], reward[rows, choice])


def deviation_gain(game: Game, strategy: Array) -> tuple[Array, Array]:
    """An agent's value when all play `strategy (G, L)`, and what deviating alone adds, `(G,)` each."""
    others = game.others.probabilities([strategy] * (game.num_agents - 1))
    others = np.broadcast_to(others, (len(game.grid), others.shape[1]))
    link = chain(game, strategy, others)
    value = link.forever(link.reward)
    reward, matrix = response_cells(game, others)
    return value, np.maximum(best_response(reward, matrix, game.discount, value) - value, 0.0)
