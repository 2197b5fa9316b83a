"""One irrigation round solved by enumeration: pure equilibria by their sum of labour, and the best plan.

A farmer finds what the canal delivers less the openings above its own. With less left than it wants it takes
all, so that of the openings only those next to the peak of the yield are undominated: the level at or above
the peak where it yields no less than the one below it, else both. (Between two levels a yield is no less than
at the worse of them, and beyond the peak more water does damage.) A farmer's payoff depends on its own labour
and opening, on the sum of all labour and on the openings above. So for each sum of labour equilibria are
built from head to tail, of the acts that are best replies there; of those with equal openings and labour so
far the one of least W is kept. Nothing is left out, and no profile is tried twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import NotExact, require_memory

if TYPE_CHECKING:
    from commonweal.envs.irrigation import Irrigation

Array = NDArray[np.float64]
Ints = NDArray[np.intp]
Profile = tuple[tuple[int, int], ...]  # labour and opening of each farmer, head first, in levels
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


def undominated_openings(game: Irrigation) -> list[Ints]:
    """Levels of the opening of each farmer that no other is as good as whatever is left, see the module."""
    water = _steps(game)[1] * np.arange(game.water_levels or 0)
    found = []
    slopes, curvatures = (_by_farmer(game, v) for v in (game.yield_slope, game.yield_curvature))
    for slope, curvature in zip(slopes, curvatures, strict=True):
        above = min(int(np.searchsorted(water, slope / curvature - TIE)), len(water) - 1)
        below = max(above - 1, 0)
        value = [water[level] * (slope - 0.5 * curvature * water[level]) for level in (below, above)]
        better = value[1] >= value[0] - TIE * (1.0 + abs(value[0]))
        found.append(np.array([above] if better else [below, above], dtype=np.intp))
    return found


@dataclass(frozen=True)
class _Farmer:
    """What a farmer gets by sum of labour and openings above it, in units of water, `(S + 1, D + 1)`.

    Attributes:
        yields: of each of its openings, `(O, S + 1, D + 1)`.
        best: of the best of them.
        most: its highest level of labour.
        openings: `(O,)`.
    """

    yields: Array
    best: Array
    most: int
    openings: Ints

    def replies(self, total: int, above: int, step: float) -> list[tuple[int, int, float]]:
        """Labour, opening and yield of its best replies where all labour is `total`."""
        labour = np.arange(min(self.most, total) + 1)
        found = []
        for level in labour.tolist():
            own = np.arange(self.most + 1)
            sums = total - level + own
            reach = sums < len(self.best)
            value = self.best[sums[reach], above] - step * own[reach]
            slack = TIE * (1.0 + float(np.ptp(value)))
            for place, opening in enumerate(self.openings.tolist()):
                now = float(self.yields[place, total, above])
                if now - step * level >= value.max() - slack:
                    found.append((level, opening, now))
        return found


def equilibria(game: Irrigation) -> list[tuple[Array, Array]]:
    """Labour and openings `(1, N)` of the pure equilibrium of least W for each sum of labour.

    Raises:
        NotExact: there is none, or the table is too large.
    """
    step, unit = _steps(game)
    farmers = _farmers(game)
    found = []
    for total in range(len(farmers[0].best)):
        reached: dict[tuple[int, int], tuple[float, Profile]] = {(0, 0): (0.0, ())}
        for farmer in farmers:
            following: dict[tuple[int, int], tuple[float, Profile]] = {}
            for (given, above), (value, profile) in reached.items():
                for labour, opening, crop in farmer.replies(total, above, step):
                    if given + labour > total:
                        break
                    place = given + labour, min(above + opening, farmer.best.shape[1] - 1)
                    if place not in following or value + crop < following[place][0]:
                        following[place] = value + crop, (*profile, (labour, opening))
            reached = following
        ends = [one for (given, _), one in reached.items() if given == total]
        if ends:
            labours, openings = np.array(min(ends)[1], np.float64).T
            found.append((step * labours[None, :], unit * openings[None, :]))
    if not found:
        raise NotExact("no pure equilibrium of a round exists; allowed: parameters that have one")
    return found


def _farmers(game: Irrigation) -> list[_Farmer]:
    """The table of each farmer, head first; those alike share one."""
    step, unit = _steps(game)
    most = np.rint(_by_farmer(game, game.endowment) / step).astype(np.intp)
    water = game.delivered(step * np.arange(most.sum() + 1.0))
    units = _most_above(game, water)
    cells = len(water) * (units + 1) * game.num_agents
    acts = int(most.max()) + 1
    require_memory(8.0 * cells * acts, f"a table of {cells} sums of labour and openings by {acts} acts")
    above = np.arange(units + 1.0)
    left = np.maximum(water[:, None] - unit * above, 0.0)
    slope, curvature = (_by_farmer(game, v) for v in (game.yield_slope, game.yield_curvature))
    known: dict[tuple[float, ...], _Farmer] = {}
    farmers = []
    for i, openings in enumerate(undominated_openings(game)):
        kind = (float(slope[i]), float(curvature[i]), float(most[i]))
        if kind not in known:
            taken = np.minimum(unit * openings[:, None, None], left)
            yields = taken * (slope[i] - 0.5 * curvature[i] * taken)
            known[kind] = _Farmer(yields, yields.max(axis=0), int(most[i]), openings)
        farmers.append(known[kind])
    return farmers


def _most_above(game: Irrigation, water: Array) -> int:
    """Units opened above a gate at most: of more nothing is left of `water`, or nobody can open more."""
    most = game.num_agents * ((game.water_levels or 1) - 1)
    return min(math.ceil(float(water.max()) / _steps(game)[1] - TIE), most)


def plan(game: Irrigation) -> tuple[Array, Array]:
    """Labour and openings `(1, N)` of the largest sum of payoffs.

    Labour costs the same whoever gives it, so only its sum matters; the water of every sum is shared
    out by dynamic programming from tail to head over the units already taken.
    """
    labour, unit = _steps(game)
    most = np.rint(_by_farmer(game, game.endowment) / labour).astype(np.intp)
    sums, levels, n = np.arange(most.sum() + 1), game.water_levels or 0, game.num_agents
    water = game.delivered(labour * sums.astype(np.float64))
    units = _most_above(game, water) + 1
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
