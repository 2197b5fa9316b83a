"""One irrigation round solved by enumeration: pure equilibria by their sum of labour, and the best plan.

To open the gate by the level of highest yield is weakly dominant (less than that is left: take it
all). Given that, a farmer's payoff depends on its own labour and on the sum of all; so for each sum the
levels from which no farmer wants to move are listed, and the sum is an equilibrium where one level of
each adds up to it. Nothing is left out, and no profile is tried twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import NotExact

if TYPE_CHECKING:
    from commonweal.envs.irrigation import Irrigation

Array = NDArray[np.float64]
Ints = NDArray[np.intp]
TIE = 1e-9  # payoffs nearer than this are equal


def require_exact(game: Irrigation) -> None:
    """Raise `NotExact` where a round cannot be enumerated."""
    if not (game.contribution_levels and game.water_levels):
        raise NotExact("labour or water is continuous; allowed: contribution_levels and water_levels")
    for name, value in vars(game).items():
        by_farmer = name in ("endowment", "yield_slope", "yield_curvature")
        if isinstance(value, np.ndarray) and not (by_farmer and value.shape == (1, game.num_agents)):
            raise NotExact(f"Irrigation.{name} differs by world; allowed: one value, or one per farmer")
    places = _by_farmer(game, game.endowment) / _steps(game)[0]
    if np.abs(places - np.rint(places)).max() > TIE:
        raise NotExact(
            f"Irrigation.endowment is {game.endowment}; allowed: multiples of {_steps(game)[0]:g} tokens"
        )


def _by_farmer(game: Irrigation, value: Array | float) -> Array:
    return np.broadcast_to(np.asarray(value, np.float64).reshape(1, -1), (1, game.num_agents))[0]


def _steps(game: Irrigation) -> tuple[float, float]:
    """Distance between two levels of labour, and of water."""
    labour, water = (action.space for action in game.actions())
    return labour.step, water.step  # type: ignore[union-attr]


def dominant_openings(game: Irrigation) -> Array:
    """The level of highest yield of each farmer, `(1, N)`."""
    water = _steps(game)[1] * np.arange(game.water_levels or 0)
    best = game.harvest(np.repeat(water[:, None], game.num_agents, axis=1)).argmax(axis=0)
    return water[best][None, :]


def equilibria(game: Irrigation, openings: Array) -> list[Array]:
    """One profile of labour `(1, N)` for each sum of labour in pure equilibria.

    Among the profiles of a sum it is one in which those nearer to the head give least.

    Raises:
        NotExact: there is none.
    """
    step = _steps(game)[0]
    most: Ints = np.rint(_by_farmer(game, game.endowment) / step).astype(np.intp)
    sums = np.arange(most.sum() + 1)
    water = game.delivered(step * sums[:, None].astype(np.float64))
    worth = game.harvest(game.share_out(water, np.repeat(openings, len(sums), axis=0))[1])
    found = []
    for total in sums:
        reached: dict[int, tuple[int, ...]] = {0: ()}
        for i in range(game.num_agents):
            stable = _stable(worth[:, i], int(total), int(most[i]), step)
            following: dict[int, tuple[int, ...]] = {}
            for so_far, profile in reached.items():
                for level in stable:
                    following.setdefault(so_far + level, (*profile, level))
            reached = following
        if int(total) in reached:
            found.append(step * np.array([reached[int(total)]], dtype=np.float64))
    if not found:
        raise NotExact("no pure equilibrium of a round exists; allowed: parameters that have one")
    return found


def _stable(worth: Array, total: int, most: int, step: float) -> list[int]:
    """A farmer's levels of labour from which it does not want to move, where all give `total`."""
    own = np.arange(most + 1)
    stable = []
    for level in own[own <= total]:
        sums = total - level + own
        reachable = sums < len(worth)
        value = worth[sums[reachable]] - step * own[reachable]
        if value.max() <= worth[total] - step * level + TIE:
            stable.append(int(level))
    return stable


def plan(game: Irrigation) -> tuple[Array, Array]:
    """Labour and openings `(1, N)` of the largest sum of payoffs.

    Labour costs the same whoever gives it, so only its sum matters; the water of every sum is shared
    out by dynamic programming from tail to head over the units already taken.
    """
    labour, unit = _steps(game)
    most = np.rint(_by_farmer(game, game.endowment) / labour).astype(np.intp)
    sums, levels, n = np.arange(most.sum() + 1), game.water_levels or 0, game.num_agents
    water = game.delivered(labour * sums.astype(np.float64))
    units = int(np.ceil(water.max() / unit)) + 1
    left = water[:, None] - unit * np.arange(units + levels)  # what a farmer finds after so many units
    value, choice = np.where(left > -TIE, 0.0, -np.inf), np.zeros((n, *left.shape), np.intp)
    slope, curvature = _by_farmer(game, game.yield_slope), _by_farmer(game, game.yield_curvature)
    for i in reversed(range(n)):
        tried = np.full((levels, *left.shape), -np.inf)
        for level in range(levels):
            taken = np.clip(unit * level, 0.0, np.maximum(left, 0.0))
            after = np.full_like(left, -np.inf)
            after[:, : left.shape[1] - level] = value[:, level:]
            rest = np.where(unit * level < left, after, 0.0)  # who takes the rest leaves nothing
            tried[level] = taken * (slope[i] - 0.5 * curvature[i] * taken) + rest
        choice[i] = tried.argmax(axis=0)
        value = np.where(left > -TIE, tried.max(axis=0), -np.inf)
    best = int((value[:, 0] - labour * sums).argmax())
    openings, taken_units = np.zeros(n), 0
    for i in range(n):
        level = int(choice[i, best, min(taken_units, left.shape[1] - 1)])
        openings[i], taken_units = unit * level, taken_units + level
    given = _evenly(best, most)
    return labour * given[None, :].astype(np.float64), openings[None, :]


def _evenly(total: int, most: Ints) -> Ints:
    """Whole numbers with that sum, as equal as the limits `most (N,)` allow."""
    given = np.zeros_like(most)
    while given.sum() < total:
        open_ = np.flatnonzero(given < most)
        lowest = open_[given[open_] == given[open_].min()]
        given[lowest[: total - int(given.sum())]] += 1
    return given


def deviation_gain(game: Irrigation, given: Array, openings: Array, farmer: int) -> float:
    """What a farmer gains in a round by its best deviation in labour and water, all tried, played."""
    labour, unit = _steps(game)
    own = labour * np.arange(round(_by_farmer(game, game.endowment)[farmer] / labour) + 1)
    tried = np.stack(np.meshgrid(own, unit * np.arange(game.water_levels or 0)), axis=-1).reshape(-1, 2)
    others = [np.repeat(array, len(tried), axis=0) for array in (given, openings)]
    others[0][:, farmer], others[1][:, farmer] = tried.T
    return float(game._round(*others)[0][:, farmer].max() - game._round(given, openings)[0][0, farmer])
