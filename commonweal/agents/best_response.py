"""What one agent would gain by its best reply to frozen policies, exactly, by dynamic programming.

The tables are played by the society itself. Levels: the others' joint play is folded up policy by
policy, as a sum of levels where nothing else matters and else as a multiset. Continuous acts: the
others' deterministic acts enter the tables directly and the reply is sought on a fine set of acts.

Exact for the game on a grid of states, which is made finer until the largest gains no longer move: sharp
policies are blurred between grid points. For the default fishery's selfish rule 401 points find 0.10 and
801 to 3,201 points 0.16, where the gap per agent is 21; smooth policies are settled at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.aggregative import (
    Game,
    Others,
    multisets,
    num_multisets,
    play,
    require_playable,
    sums,
    tabulate,
)
from commonweal.envs.dynamic_programming import Reply, reply, transitions
from commonweal.envs.one_state import CONTINUOUS_LEVELS, Problem, draws_of, one_state
from commonweal.errors import NotExact
from commonweal.society import Society
from commonweal.solvers import at_states, model_of, only_column, problem_of
from commonweal.spaces import Real
from commonweal.typed import whole

Array = NDArray[np.float64]

POINTS = 401  # of the coarsest grid of states
FEW_POINTS = 201  # where tables are large
FINER = 3  # times that the grid may be halved
LARGE = 0.8  # of the largest gain in a replicate: smaller ones need not be known any better
SETTLED = 0.02  # of the gain: what the next finer grid may change
NEGLIGIBLE = 1e-3  # of the agent's own payoff: so little need not be known any better either
REPLIES = 401  # acts among which the reply to continuous acts is sought


class Frozen(Protocol):
    """Policies that tell their probabilities (levels) or act deterministically (continuous acts)."""

    def act(self, observation: Mapping[str, NDArray[np.float32]], mask: Any = None) -> dict[str, Array]:
        """Actions `(B, n, C)` by group."""
        ...

    def probabilities(
        self, observation: Mapping[str, NDArray[np.float32]], mask: Any = None
    ) -> dict[str, list[Array | None]]:
        """Law `(B, n, L)` of each discrete column by group."""
        ...


def best_response_gain(society: Society, policies: Frozen, replicates: int = 1) -> Array:
    """Gain of each agent's best reply for ever, from the initial state, `(R, N)`.

    In units of the agent's discounted utility without end; never below zero. What is well below the largest
    gain of its replicate is that of the coarsest grid.

    Args:
        society: a dilemma in one state under institutions without memory; see `solvers`.
        policies: of all agents; the first `B / R` worlds shown to them belong to replicate 0, and so on.
        replicates: R.

    Raises:
        InvalidParameter: replicates are no whole number from 1 on.
        NotExact: no table can hold this society, or the policies are random in a continuous column.
    """
    replicates = whole("replicates", replicates, 1)
    _, space = only_column(society)
    solve = _levels if space.levels else _continuous
    asked = np.ones((replicates, one_state(society.dilemma).num_agents), bool)
    value, gains = solve(society, policies, asked, 1)
    for halved in range(1, FINER + 1):
        if len(_grid(society, 2**halved)) == len(_grid(society, 2 ** (halved - 1))):
            break  # every state is on the grid
        asked &= gains >= LARGE * gains.max(axis=1, keepdims=True)
        try:
            value[asked], finer = (found[asked] for found in solve(society, policies, asked, 2**halved))
        except NotExact:  # too large a table: this is as near as can be had
            break
        changed = np.abs(finer - gains[asked])
        gains[asked] = finer
        asked[asked] = changed > np.maximum(SETTLED * finer, NEGLIGIBLE * np.abs(value[asked]))
        if not asked.any():
            break
    return gains


def _grid(society: Society, finer: int) -> Array:
    """The coarsest grid of states, or one so many times as fine."""
    game = one_state(society.dilemma)
    few = not only_column(society)[1].levels or len(draws_of(society.dilemma)) > 1
    return game.grid(finer * ((FEW_POINTS if few else POINTS) - 1) + 1)


def _levels(society: Society, policies: Frozen, asked: NDArray[np.bool_], finer: int) -> tuple[Array, Array]:
    """Own values and gains of the agents `asked (R, N)`, by tables of levels; 0 for the others."""
    group, _ = only_column(society)
    game = _game(json.dumps({**society.to_dict(), "num_worlds": 1}, sort_keys=True), finer)
    law = policies.probabilities(_seen(society, game.grid, len(asked)))[group][0]
    assert law is not None
    laws = np.asarray(law, np.float64)
    laws = laws / laws.sum(axis=-1, keepdims=True)  # float32 networks are off by rounding
    problem, parts = problem_of(society), np.split(laws, len(asked))
    found = np.stack([_discrete(game, problem, part, who) for part, who in zip(parts, asked, strict=True)])
    return found[..., 0], found[..., 1]


def _seen(society: Society, grid: Array, replicates: int) -> dict[str, NDArray[np.float32]]:
    """What every agent of every replicate sees at each grid point, `(R G, n, D)` by group."""
    seen = at_states(society, grid).observation
    return {name: np.tile(array, (replicates, 1, 1)) for name, array in seen.items()}


def _discrete(game: Game, problem: Problem, laws: Array, asked: NDArray[np.bool_]) -> Array:
    """Own value and gain `(N, 2)` of the agents `asked (N,)` against the laws `(G, N, L)`."""
    agents = range(laws.shape[1])
    found = np.zeros((len(agents), 2))
    known: dict[bytes, tuple[float, float]] = {}
    for i in np.flatnonzero(asked):
        strategies = [laws[:, j] for j in agents if j != i]
        key = laws[:, i].tobytes() + b"".join(sorted(strategy.tobytes() for strategy in strategies))
        if key not in known:  # equal policies (shared parameters) are solved once
            others = np.broadcast_to(
                game.others.probabilities(strategies), (len(game.grid), len(game.others.profiles))
            )
            value, gain = reply(game, others).gain(laws[:, i])
            known[key] = problem.at(game.grid, value), problem.at(game.grid, gain)
        found[i] = known[key]
    return found


@lru_cache(maxsize=8)
def _game(key: str, finer: int) -> Game:
    """The tables of a society on `_grid`, against sums of levels where they are all that matters."""
    society = Society.from_dict(json.loads(key))
    dilemma, problem, model = one_state(society.dilemma), problem_of(society), model_of(society)
    n, levels = dilemma.num_agents, problem.num_levels

    def table(grid: Array, others: Others) -> Game:
        return tabulate(model, grid, levels, n, dilemma.discount, others, problem.draws[0])

    even = sums(n, levels)
    total = np.arange(len(even.profiles))[:, None]
    uneven = np.clip(total - np.arange(n - 1) * (levels - 1), 0, levels - 1)
    coarse, grid = dilemma.grid(13), _grid(society, finer)
    first, second = table(coarse, even), table(coarse, Others(uneven, even.joins))
    same = np.allclose(first.cells.reward, second.cells.reward, rtol=1e-9, atol=1e-9) and np.allclose(
        first.cells.expect(first.grid), second.cells.expect(first.grid), rtol=1e-9, atol=1e-9
    )
    if same:
        return table(grid, even)
    require_playable(len(grid) * levels * num_multisets(n, levels), n, problem.draws[0])
    return table(grid, multisets(n, levels))


def _continuous(
    society: Society, policies: Frozen, asked: NDArray[np.bool_], finer: int
) -> tuple[Array, Array]:
    """Own values and gains of the agents `asked (R, N)`, against deterministic acts; 0 for the others."""
    group, space = only_column(society)
    grid, count = _grid(society, finer), len(asked)
    observation = _seen(society, grid, count)
    acts, again = policies.act(observation)[group][..., 0], policies.act(observation)[group][..., 0]
    if not np.array_equal(acts, again):
        raise NotExact("the policies act at random in a continuous column; allowed: deterministic ones")
    problem = problem_of(society)
    parts = np.split(np.asarray(acts, np.float64), count)
    found = np.zeros((*asked.shape, 2))
    for r, i in np.argwhere(asked):
        found[r, i] = _reply(society, problem, space, grid, parts[r], i)
    return found[..., 0], found[..., 1]


def _reply(
    society: Society, problem: Problem, space: Real, grid: Array, acts: Array, agent: int
) -> tuple[float, float]:
    """Own value and gain of one agent against the acts `(G, N)` of the others."""
    dilemma, model = one_state(society.dilemma), model_of(society)
    # One table for each agent: all of them together are what must be laid out.
    require_playable(acts.size * (REPLIES + 1), acts.shape[1], draws_of(society.dilemma)[0])
    options = np.linspace(space.low, space.high, REPLIES)
    size, count = len(grid), REPLIES + 1  # the last option is what the agent does now
    own = np.concatenate([np.tile(options, (size, 1)), acts[:, agent, None]], axis=1).ravel()
    others = np.repeat(np.delete(acts, agent, axis=1), count, axis=0)
    entries = np.concatenate([own[:, None], others], axis=1)
    levels = (entries - space.low) / (space.high - space.low) * (CONTINUOUS_LEVELS - 1)
    levels = np.clip(levels, 0.0, CONTINUOUS_LEVELS - 1.0)
    state = np.repeat(grid, count)
    cells = play(model, grid, state, levels, draws_of(society.dilemma)[0])
    table = Reply(
        cells.reward.reshape(size, count),
        cells.welfare.reshape(size, count),
        transitions(cells.shaped((len(own), 1)), np.ones((len(own), 1)), size),
        dilemma.discount,
    )
    now = np.zeros((size, count))
    now[:, -1] = 1.0
    value, gain = table.gain(now)
    return problem.at(grid, value), problem.at(grid, gain)
