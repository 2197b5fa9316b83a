"""Exact contracts of `employment-v0`: subgame-perfect terms, first best, and the gain of every deviation.

Workers are independent of each other, so each is solved with its own principals. A worker's answer to
terms is its best effort (ties go to the principals). With continuous columns the terms solve the linear
equations of `envs.employment` and are then compared with a fine scan of deviations; with levels all terms
are enumerated. A worker takes an offer worth its outside option.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from commonweal.curves import cara
from commonweal.envs.employment import Employment
from commonweal.errors import NotExact

Array = NDArray[np.float64]

TIE = 5e-6  # money below which an offer counts as worth the outside option: observations are single precision
SCAN = {1: 4001, 2: 101, 3: 31}  # points per slope in the scan of deviations, by measured tasks
CELLS = 30_000_000  # offers times efforts: more would not fit the memory


def answer(game: Employment, slope: Array, effort_cost: Array | float) -> Array:
    """Best effort `(..., tasks)` of a worker to the sum of slopes `(..., K)`."""
    slope, tasks = np.asarray(slope), len(game.benefit)
    c = np.broadcast_to(effort_cost, slope.shape[:-1])
    if game.effort_levels:
        tried = _grid(0.0, game.max_effort, game.effort_levels, tasks)
        tried = tried[np.argsort(-tried @ np.array(game.benefit), kind="stable")]
        value = slope @ tried[:, : game.measured].T - c[..., None] * _toil(game, tried)
        best = value >= value.max(axis=-1, keepdims=True) - TIE
        return tried[best.argmax(axis=-1)]
    pull = np.zeros((*slope.shape[:-1], tasks))
    pull[..., : game.measured] = slope / c[..., None]
    effort = np.full_like(pull, game.intrinsic)
    # One coordinate after the other; the cost is convex, so this ends at the optimum within the range.
    for _ in range(1 if tasks == 1 else 2000):
        before = effort.copy()
        for j in range(tasks):
            others = (effort - game.intrinsic).sum(axis=-1) - (effort[..., j] - game.intrinsic)
            free = game.intrinsic + pull[..., j] - game.rivalry * others
            effort[..., j] = np.clip(free, 0.0, game.max_effort)
        if np.abs(effort - before).max(initial=0.0) < 1e-14:
            break
    return effort


def _grid(low: float, high: float, levels: int, dimensions: int) -> Array:
    return np.array(list(product(np.linspace(low, high, levels), repeat=dimensions)))


def _toil(game: Employment, effort: Array) -> Array:
    """Cost of effort `(..., tasks)` where c = 1."""
    above = effort - game.intrinsic
    return 0.5 * (
        (1.0 - game.rivalry) * (above**2).sum(axis=-1) + game.rivalry * above.sum(axis=-1) ** 2
    )  # fmt: skip


def certainty_equivalent(
    game: Employment, wage: Array, slope: Array, effort: Array, effort_cost: Array | float,
    risk_aversion: Array | float,
) -> Array:  # fmt: skip
    """What terms (sums over principals) and effort are certainly worth to a worker, money."""
    expected = wage + (slope * effort[..., : game.measured]).sum(axis=-1)
    risk = 0.5 * risk_aversion * (np.array(game.noise) * slope**2).sum(axis=-1)
    return expected - effort_cost * _toil(game, effort) - risk


@dataclass(frozen=True)
class Employer:
    """One worker and its principals, in numbers.

    Attributes:
        game: the game.
        c, r, o: effort cost, risk aversion and outside option of the worker.
    """

    game: Employment
    c: float
    r: float
    o: float

    def value(self, wage: Array, slope: Array) -> Array:
        """Certainty equivalent of terms (sums), `(...)`, at the best effort."""
        effort = answer(self.game, slope, self.c)
        return certainty_equivalent(self.game, wage, slope, effort, self.c, self.r)

    def profit(self, wage: Array, slope: Array, others_wage: float, others_slope: Array) -> Array:
        """A principal's profit `(G,)` from own `wage (G,)`, `slope (G, K)`, given the others' sums."""
        game, total = self.game, slope + others_slope
        effort = answer(game, total, self.c)
        accepts = self.value(wage + others_wage, total) >= self.o - TIE
        gross = effort @ (np.array(game.benefit) / game.principals_per_worker)
        return accepts * (gross - wage - (slope * effort[..., : game.measured]).sum(axis=-1))

    def offers(self) -> tuple[Array, Array]:
        """Every offer on the levels: wages `(G,)` and slopes `(G, K)`.

        Raises:
            NotExact: there are too many to try.
        """
        game = self.game
        assert game.wage_levels
        assert game.slope_levels
        efforts = (game.effort_levels or 1) ** len(game.benefit)
        cells = game.wage_levels * game.slope_levels**game.measured * efforts
        if cells > CELLS:
            raise NotExact(f"offers and efforts have {cells} cells; allowed: {CELLS}, or continuous columns")
        slopes = _grid(0.0, game.max_slope, game.slope_levels, game.measured)
        wages = np.linspace(-game.max_wage, game.max_wage, game.wage_levels)
        return np.tile(wages, len(slopes)), np.repeat(slopes, len(wages), axis=0)

    def surplus(self, effort: Array) -> Array:
        """Benefit less toil of effort `(..., tasks)`."""
        return effort @ np.array(self.game.benefit) - self.c * _toil(self.game, effort)

    def welfare(self, wage: Array, slope: Array, effort: Array | None = None) -> float:
        """W a round under `wage (P,)`, `slope (P, K)`; the worker answers, or is told its effort."""
        told = effort is not None
        total, sums = wage.sum(), slope.sum(axis=0)
        effort = answer(self.game, sums, self.c) if effort is None else effort
        worth = certainty_equivalent(self.game, total, sums, effort, self.c, self.r)
        if not told and worth < self.o - TIE:
            return self.o
        pay = total + float(sums @ effort[: self.game.measured])
        left = float(cara(worth - self.o, self.r))
        return float(effort @ np.array(self.game.benefit) - pay + self.o + left)

    # ------------------------------------------------------------------ terms in equilibrium

    def linear(self) -> tuple[Array, Array]:
        """Wage `(P,)` and slope `(P, K)` of the interior equilibrium in continuous terms."""
        game, k, share = self.game, self.game.measured, self.game.principals_per_worker
        tasks = len(game.benefit)
        cost = self.c * ((1.0 - game.rivalry) * np.eye(tasks) + game.rivalry)
        inverse = np.linalg.inv(cost)
        risk = share * self.r * np.diag(np.array(game.noise))
        sums = np.linalg.solve(inverse[:k, :k] + risk, (inverse @ np.array(game.benefit))[:k])
        wage = self.o - self.value(np.zeros(1), sums[None, :])[0]
        return np.full(share, wage / share), np.tile(sums / share, (share, 1))

    def exact(self) -> tuple[Array, Array, float]:
        """Wage, slope and gain of the best deviation, with continuous columns.

        Raises:
            NotExact: the terms leave their range, or a corner beats them.
        """
        game = self.game
        wage, slope = self.linear()
        effort = answer(game, slope.sum(axis=0), self.c)
        inside = (slope >= 0).all() and (slope <= game.max_slope).all() and (abs(wage) <= game.max_wage).all()
        if not inside or game.measured not in SCAN:
            raise NotExact(
                f"terms would be wages {wage} and slopes {slope.tolist()}; allowed: wages to "
                f"{game.max_wage}, slopes from 0 to {game.max_slope}, at most {max(SCAN)} measured tasks"
            )
        tried = _grid(0.0, game.max_slope, SCAN[game.measured], game.measured)
        others_wage, others_slope = wage[1:].sum(), slope[1:].sum(axis=0)
        # The best wage with given slopes leaves the worker its outside option.
        best_wage = self.o - self.value(np.full(len(tried), others_wage), tried + others_slope)
        profit = self.profit(np.maximum(best_wage, -game.max_wage), tried, others_wage, others_slope)
        own = self.profit(wage[:1], slope[:1], others_wage, others_slope)[0]
        gain = max(float(profit[best_wage <= game.max_wage].max()), 0.0) - own
        if gain > 1e-6:
            raise NotExact(
                f"slopes {slope[0].tolist()} and effort {effort.tolist()} are beaten by terms at the edge of "
                f"the worker's range of effort, by {gain:g}; allowed: parameters with an interior optimum"
            )
        return wage, slope, max(gain, 0.0)

    def enumerated(self) -> tuple[Array, Array, float]:
        """Wage, slope and gain of the best deviation among all levels."""
        game, share = self.game, self.game.principals_per_worker
        tried_wage, tried_slope = self.offers()

        def best(wage: Array, slope: Array, p: int) -> tuple[int, float]:
            others = np.arange(share) != p
            profit = self.profit(
                tried_wage, tried_slope, float(wage[others].sum()), slope[others].sum(axis=0)
            )
            now = self.profit(
                wage[[p]], slope[[p]], float(wage[others].sum()), slope[others].sum(axis=0)
            )[0]  # fmt: skip
            ties = np.flatnonzero(profit >= profit.max() - 1e-12)
            if share == 1:  # among equally good contracts, the worst for the group
                ties = ties[np.argsort([self.welfare(tried_wage[[t]], tried_slope[[t]]) for t in ties])]
            return int(ties[0]), float(profit.max() - now)

        wage, slope = self.linear()
        step = 2.0 * game.max_wage / (game.wage_levels - 1)  # type: ignore[operator]
        slope = np.rint(np.clip(slope, 0.0, game.max_slope) * (game.slope_levels - 1) / game.max_slope)  # type: ignore[operator]
        slope *= game.max_slope / (game.slope_levels - 1)  # type: ignore[operator]
        needed = self.o - self.value(np.zeros(1), slope.sum(axis=0)[None, :])[0] + game.max_wage * share
        steps = int(np.ceil(needed / step - 1e-9))
        wage = (steps // share + (np.arange(share) < steps % share)) * step - game.max_wage
        for _ in range(60):
            moved = False
            for p in range(share):
                place, gain = best(wage, slope, p)
                if gain > 1e-12 or share == 1:
                    moved |= gain > 1e-12
                    wage[p], slope[p] = tried_wage[place], tried_slope[place]
            if not moved:
                break
        return wage, slope, max(best(wage, slope, p)[1] for p in range(share))

    def gain_over_nothing(self) -> float:
        """What a principal gains by a good offer when the others' offers are as bad as can be."""
        game, others = self.game, self.game.principals_per_worker - 1
        others_wage, nothing = -game.max_wage * others, np.zeros(game.measured)
        if game.wage_levels:
            wage, slope = self.offers()
        else:
            slope = _grid(0.0, game.max_slope, SCAN[game.measured], game.measured)
            wage = np.clip(self.o - self.value(np.full(len(slope), others_wage), slope), -game.max_wage, None)
            wage, slope = wage[wage <= game.max_wage], slope[wage <= game.max_wage]
        return float(self.profit(wage, slope, others_wage, nothing).max(initial=0.0))

    def first_best(self) -> tuple[Array, Array]:
        """Wage `(P,)` without slopes, and the effort `(tasks,)`, that maximise W."""
        game, share = self.game, self.game.principals_per_worker
        if game.effort_levels:
            tried = _grid(0.0, game.max_effort, game.effort_levels, len(game.benefit))
            effort = tried[self.surplus(tried).argmax()]
        else:
            everything = replace(game, noise=(0.0,) * len(game.benefit))
            effort = answer(everything, np.array(game.benefit), self.c)
        wage = float(self.o + self.c * _toil(game, effort))
        if wage > share * game.max_wage:
            raise NotExact(f"the first best pays {wage}; allowed: at most {share * game.max_wage}")
        if not game.wage_levels:
            return np.full(share, wage / share), effort
        step = 2.0 * game.max_wage / (game.wage_levels - 1)
        steps = round((wage + share * game.max_wage) / step)
        spread = (steps // share + (np.arange(share) < steps % share)) * step - game.max_wage
        return np.asarray(spread, dtype=np.float64), effort
