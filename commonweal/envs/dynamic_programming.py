"""Exact values of symmetric games in one state: the planner's, a best reply's, any strategy's.

All are exact for the game on the grid (see `aggregative`), by Howard's policy iteration and linear
solves. Source: Puterman (1994), Markov Decision Processes, ch. 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import linalg

from commonweal.envs.aggregative import (
    CERTAIN,
    Against,
    Cells,
    Draws,
    Game,
    Model,
    Others,
    play,
    require_playable,
)

Array = NDArray[np.float64]
Ints = NDArray[np.intp]

SPARSE = 4  # entries per row up to which a sparse solver is the faster one


@dataclass(frozen=True)
class Plan:
    """What a planner does.

    Attributes:
        total: which of the planned acts by state, `(G,)`; of whole levels, the sum over all agents.
        value: discounted W without end by state, `(G,)`.
    """

    total: Ints
    value: Array


def transitions(cells: Cells, weight: Array, size: int) -> Any:
    """Sparse `(C, G)` matrix of plays that draw one of `cells (C, ...)` by `weight (C, ...)`."""
    count, width = len(weight), weight[0].size
    row = np.broadcast_to(np.repeat(np.arange(count), width), (len(cells.mass), count * width))
    entries = (cells.mass * weight).ravel(), (row.ravel(), cells.corner.ravel())
    return sparse.csr_matrix(entries, shape=(count, size))


def endless(matrix: Any, discount: float, flow: Array) -> Array:
    """Discounted sum without end of `flow (G,)` along the sparse `matrix (G, G)`, by starting state."""
    if matrix.nnz <= SPARSE * len(flow):
        step = sparse.identity(len(flow), format="csc") - discount * matrix.tocsc()
        return np.asarray(linalg.spsolve(step, flow), np.float64)
    return np.asarray(np.linalg.solve(np.eye(len(flow)) - discount * matrix.toarray(), flow), np.float64)


@dataclass(frozen=True)
class Chain:
    """The Markov chain of a fixed way of playing: `reward, welfare (G,)`, sparse `matrix (G, G)`."""

    reward: Array
    welfare: Array
    matrix: Any
    discount: float

    def forever(self, flow: Array) -> Array:
        """Discounted sum of `flow (G,)` without end, by starting state."""
        return endless(self.matrix, self.discount, flow)

    def over(self, flow: Array, plays: int) -> Array:
        """Discounted sum of `flow (G,)` over so many plays, by starting state."""
        total = np.zeros_like(flow)
        for _ in range(plays):
            total = flow + self.discount * (self.matrix @ total)
        return total


def planned_cells(game: Game) -> Cells:
    """Cells `(G, K)` by total level, the effort shared as evenly as levels allow."""
    total = np.arange(game.num_agents * (game.num_levels - 1) + 1)
    own = total // game.num_agents
    return game.cells[slice(None), own, total - own]


def planner(game: Game) -> Plan:
    """The first best among all total levels, by policy iteration."""
    return best_plan(planned_cells(game), game.discount)


def best_plan(cells: Cells, discount: float) -> Plan:
    """The largest W among the acts of `cells (G, K)`, by policy iteration."""
    rows = np.arange(len(cells.welfare))
    value, choice = np.zeros(len(rows)), np.full(len(rows), -1)
    while True:
        improved = _improved(cells.welfare + discount * cells.expect(value), choice)
        if (improved == choice).all():
            return Plan(choice, value)
        choice = improved
        picked = cells[rows[:, None], choice[:, None]]
        matrix = transitions(picked, np.ones((len(rows), 1)), len(rows))
        value = endless(matrix, discount, picked.welfare[:, 0])


def _improved(action_value: Array, choice: Ints) -> Ints:
    """The best acts `(G,)` of `action_value (G, A)`; an earlier choice stays where it is as good."""
    best = action_value.max(axis=1)
    keep = action_value[np.arange(len(best)), choice] >= best - 1e-12 * (1.0 + np.abs(best))
    return np.where(keep & (choice >= 0), choice, action_value.argmax(axis=1))


@dataclass(frozen=True)
class Reply:
    """An agent's problem while the others' play is fixed.

    Attributes:
        reward, welfare: by state and own act, `(G, A)`.
        matrix: sparse, `(G A, G)`.
        discount: per play.
    """

    reward: Array
    welfare: Array
    matrix: Any
    discount: float

    def chain(self, own: Array) -> Chain:
        """The chain of the own acts' law `own (G, A)`."""
        size, acts = own.shape
        pick = sparse.csr_matrix(
            (own.ravel(), np.arange(size * acts), acts * np.arange(size + 1)), shape=(size, size * acts)
        )
        reward, welfare = (np.einsum("ga,ga->g", own, flow) for flow in (self.reward, self.welfare))
        return Chain(reward, welfare, pick @ self.matrix, self.discount)

    def best(self, start: Array) -> Array:
        """Value `(G,)` of the best reply; `start (G,)` is a first guess."""
        (size, acts), value = self.reward.shape, start
        rows, choice = np.arange(size), np.full(size, -1)
        while True:
            improved = _improved(
                self.reward + self.discount * (self.matrix @ value).reshape(size, acts), choice
            )
            if (improved == choice).all():
                return value
            choice = improved
            value = endless(self.matrix[rows * acts + choice], self.discount, self.reward[rows, choice])

    def gain(self, own: Array) -> tuple[Array, Array]:
        """The value of `own (G, A)` and what the best reply adds to it, `(G,)` each."""
        link = self.chain(own)
        value = link.forever(link.reward)
        return value, np.maximum(self.best(value) - value, 0.0)


def played_reply(
    model: Model, grid: Array, acts: Array, law: Array, others: Others, discount: float,
    draws: Draws = CERTAIN,
) -> Reply:  # fmt: skip
    """The same for any own acts `(A,)`, by playing no more than what the others do at all.

    Args:
        model: see `aggregative`.
        grid: of states, `(G,)`.
        acts: levels, or numbers between them where acts are continuous.
        law: of the others' profiles, `(G, P)`.
        others: the profiles.
        discount: per play.
        draws: see `aggregative`.
    """
    state, profile = np.nonzero(law > 0.0)
    count, width = len(acts), len(state)
    require_playable(count * width, 1 + others.profiles.shape[1], draws)
    own = np.repeat(acts, width)
    levels = Against(own, np.tile(profile, count), others.profiles)
    cells = play(model, grid, np.tile(grid[state], count), levels, draws)
    return _reply(cells.shaped((count, width)), state, law[state, profile], len(grid), discount)


def reply(game: Game, law: Array) -> Reply:
    """The problem of one agent against profiles with `law (G, P)`, from the game's tables."""
    state, profile = np.nonzero(law > 0.0)
    cells = game.cells[state, np.arange(game.num_levels)[:, None], profile]
    return _reply(cells, state, law[state, profile], len(game.grid), game.discount)


def _reply(cells: Cells, state: Ints, weight: Array, size: int, discount: float) -> Reply:
    """From cells `(A, W)` of each own act, in `state (W,)` with probability `weight (W,)` each."""
    count = len(cells.reward)
    row = state * count + np.arange(count)[:, None]
    reward, welfare = (
        np.bincount(row.ravel(), (weight * flow).ravel(), size * count).astype(np.float64)
        for flow in (cells.reward, cells.welfare)
    )
    entries = (cells.mass * weight).ravel(), (np.tile(row.ravel(), len(cells.mass)), cells.corner.ravel())
    matrix = sparse.csr_matrix(entries, shape=(size * count, size))
    return Reply(reward.reshape(size, count), welfare.reshape(size, count), matrix, discount)


def symmetric(game: Game, strategy: Array) -> Reply:
    """The problem of one agent when all others play `strategy (G, L)`."""
    law = game.others.probabilities([strategy] * (game.num_agents - 1))
    return reply(game, np.broadcast_to(law, (len(game.grid), law.shape[1])))


def symmetric_chain(game: Game, strategy: Array) -> Chain:
    """The chain when everybody plays `strategy (G, L)`."""
    return symmetric(game, strategy).chain(strategy)


def deviation_gain(game: Game, strategy: Array) -> tuple[Array, Array]:
    """An agent's value when all play `strategy (G, L)`, and what deviating alone adds, `(G,)` each."""
    return symmetric(game, strategy).gain(strategy)
