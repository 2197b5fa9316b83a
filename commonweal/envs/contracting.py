"""Exact contracts of `employment-v0`: subgame-perfect terms, first best, and the gain of every deviation.

Workers are independent of each other, so each is solved with its own principals. A worker's answer to
terms is its best effort (ties go to the principals). With continuous columns the terms solve the linear
equations of `envs.employment` and are then compared with a fine scan of deviations; with levels all terms
are enumerated. A worker takes an offer worth its outside option. That nobody makes an acceptable offer is
an equilibrium where no principal can employ the worker alone at a profit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from commonweal.curves import cara
from commonweal.envs.employment import Employment
from commonweal.envs.sides import SINGLE, equally_good
from commonweal.errors import NotExact

Array = NDArray[np.float64]

SCAN = {1: 4001, 2: 101, 3: 31}  # points per slope in the scan of deviations, by measured tasks
SWEEPS = 60  # rounds of best replies before the search gives up
EQUAL = 1e-12  # money below which offers are equally good
CELLS = 30_000_000  # offers times efforts: more would not fit the memory


def accepted(
    game: Employment, wage: Array, slope: Array, effort: Array, c: Array | float, r: Array | float,
    o: Array | float,
) -> NDArray[np.bool_]:  # fmt: skip
    """Whether terms (sums) are worth the outside option o, `(...)`, to who exerts `effort (..., tasks)`.

    Terms are seen in single precision; what is paid is what can be wrong by that, not what might be paid.
    """
    paid = np.abs(wage) + (slope * effort[..., : game.measured]).sum(axis=-1)
    worth = certainty_equivalent(game, wage, slope, effort, c, r)
    return np.asarray(worth >= o - SINGLE * paid)


def answer(game: Employment, slope: Array, effort_cost: Array | float) -> Array:
    """Best effort `(..., tasks)` of a worker to the sum of slopes `(..., K)`."""
    slope, tasks = np.asarray(slope), len(game.benefit)
    c = np.broadcast_to(effort_cost, slope.shape[:-1])
    if game.effort_levels:
        tried = _grid(0.0, game.max_effort, game.effort_levels, tasks)
        tried = tried[np.argsort(-tried @ np.array(game.benefit), kind="stable")]
        pay, toil = slope @ tried[:, : game.measured].T, c[..., None] * _toil(game, tried)
        best = equally_good(pay - toil, pay + toil)
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


class Terms(NamedTuple):
    """Wage `(P,)` and slope `(P, K)` offered to a worker, and what a principal gains by another offer."""

    wage: Array
    slope: Array
    gain: float


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
        accepts = accepted(game, wage + others_wage, total, effort, self.c, self.r, self.o)
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

    def welfare(self, wage: Array, slope: Array) -> float:
        """W a round under `wage (P,)`, `slope (P, K)`, which the worker answers."""
        total, sums = wage.sum(), slope.sum(axis=0)
        effort = answer(self.game, sums, self.c)
        if not accepted(self.game, total, sums, effort, self.c, self.r, self.o):
            return self.o
        return float(self.total(total, sums, effort))

    def total(self, wage: Array, slope: Array, effort: Array) -> Array:
        """W a round `(...)` if the worker exerts `effort (..., tasks)` under these terms (sums)."""
        worth = certainty_equivalent(self.game, wage, slope, effort, self.c, self.r)
        pay = wage + (slope * effort[..., : self.game.measured]).sum(axis=-1)
        return effort @ np.array(self.game.benefit) - pay + self.o + cara(worth - self.o, np.array(self.r))

    # ------------------------------------------------------------------ terms in equilibrium

    def equilibria(self) -> dict[str, Terms]:
        """What was found, by name.

        Raises:
            NotExact: neither terms nor the absence of a contract are known to be an equilibrium.
        """
        found: dict[str, Terms] = {}
        nothing = self.no_contract()
        if nothing is not None and nothing.gain <= EQUAL:
            found["no contract"] = nothing
        try:
            found["contracts"] = self.enumerated() if self.game.wage_levels else self.exact()
        except NotExact:
            if not found:
                raise
        return found

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

    def exact(self) -> Terms:
        """Wage, slope and gain of the best deviation, with continuous columns.

        Raises:
            NotExact: the terms leave their range, or a corner beats them.
        """
        game = self.game
        wage, slope = self.linear()
        effort = answer(game, slope.sum(axis=0), self.c)
        inside = (slope >= 0).all() and (slope <= game.max_slope).all() and (abs(wage) <= game.max_wage).all()
        if not inside:
            raise NotExact(
                f"terms would be wages {wage} and slopes {slope.tolist()}; allowed: wages to "
                f"{game.max_wage}, slopes from 0 to {game.max_slope}"
            )
        tried = self._scan()
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
        return Terms(wage, slope, max(gain, 0.0))

    def enumerated(self) -> Terms:
        """Wage, slope and gain of the best deviation among all levels, where best replies in turn end.

        If they end nowhere: those passed through that are left with the least gain.
        """
        tried_wage, tried_slope = self.offers()
        wage, slope = self._near_linear()
        found, least = (wage.copy(), slope.copy()), np.inf
        for _ in range(SWEEPS):
            gains = np.zeros(len(wage))
            for p in range(len(wage)):
                profit, own = self._profits(wage, slope, p, tried_wage, tried_slope)
                gains[p] = profit.max() - own
                if gains[p] > EQUAL or len(wage) == 1:
                    ties = np.flatnonzero(profit >= profit.max() - EQUAL)
                    place = ties[0]
                    if len(wage) == 1:  # among equally good contracts, the worst for the group
                        place = min(ties, key=lambda t: self.welfare(tried_wage[[t]], tried_slope[[t]]))
                    wage[p], slope[p] = tried_wage[place], tried_slope[place]
            gain = self._largest_gain(wage, slope, tried_wage, tried_slope)
            if gain < least:
                found, least = (wage.copy(), slope.copy()), gain
            if least <= EQUAL:
                break
        return Terms(*found, least if least > EQUAL else 0.0)

    def _near_linear(self) -> tuple[Array, Array]:
        """Levels of wage `(P,)` and slope `(P, K)` near the interior terms, acceptable where wages reach."""
        game = self.game
        assert game.slope_levels
        _, slope = self.linear()
        step = game.max_slope / (game.slope_levels - 1)
        slope = np.rint(np.clip(slope, 0.0, game.max_slope) / step) * step
        needed = self.o - float(self.value(np.zeros(1), slope.sum(axis=0)[None, :])[0])
        return self._spread(needed, up=True), slope

    def _spread(self, wage: float, *, up: bool = False) -> Array:
        """A sum of wages as levels `(P,)`, as even as can be: the nearest sum, or the next one up."""
        game, share = self.game, self.game.principals_per_worker
        if not game.wage_levels:
            return np.full(share, wage / share)
        step = 2.0 * game.max_wage / (game.wage_levels - 1)
        place = (wage + share * game.max_wage) / step
        steps = min(max(math.ceil(place - 1e-9) if up else round(place), 0), share * (game.wage_levels - 1))
        spread = (steps // share + (np.arange(share) < steps % share)) * step - game.max_wage
        return np.asarray(spread, dtype=np.float64)

    def _profits(
        self, wage: Array, slope: Array, p: int, tried_wage: Array, tried_slope: Array
    ) -> tuple[Array, float]:
        """Principal p's profits from all offers tried, and from its own, against those of the others."""
        others = np.arange(len(wage)) != p
        against = float(wage[others].sum()), slope[others].sum(axis=0)
        own = self.profit(wage[[p]], slope[[p]], *against)[0]
        return self.profit(tried_wage, tried_slope, *against), float(own)

    def _largest_gain(self, wage: Array, slope: Array, tried_wage: Array, tried_slope: Array) -> float:
        several = (self._profits(wage, slope, p, tried_wage, tried_slope) for p in range(len(wage)))
        return max(float(profit.max()) - own for profit, own in several)

    def no_contract(self) -> Terms | None:
        """Wage, slope and a principal's gain by a good offer, where all offers are as bad as can be.

        None: the worker takes even these.
        """
        game, share = self.game, self.game.principals_per_worker
        wage, slope = np.full(share, -game.max_wage), np.zeros((share, game.measured))
        total, sums = wage.sum(), slope.sum(axis=0)
        if accepted(game, total, sums, answer(game, sums, self.c), self.c, self.r, self.o):
            return None
        others = float(wage[1:].sum())
        if game.wage_levels:
            tried_wage, tried_slope = self.offers()
        else:
            tried_slope = self._scan()
            needed = self.o - self.value(np.full(len(tried_slope), others), tried_slope)
            tried_wage = np.maximum(needed, wage[0])
            tried_wage, tried_slope = (x[tried_wage <= game.max_wage] for x in (tried_wage, tried_slope))
        profit = self.profit(tried_wage, tried_slope, others, slope[0])
        return Terms(wage, slope, max(0.0, float(profit.max(initial=0.0))))

    def _scan(self) -> Array:
        """Slopes `(G, K)` on a fine grid."""
        game = self.game
        if game.measured not in SCAN:
            raise NotExact(f"{game.measured} tasks are measured; allowed: {max(SCAN)}, or levels")
        return _grid(0.0, game.max_slope, SCAN[game.measured], game.measured)

    def first_best(self) -> tuple[Array, Array, Array, float]:
        """Wage `(P,)`, slope `(P, K)`, effort `(tasks,)` and W a round of the best employment.

        W is concave in the wage with a top where the worker is left its outside option. Wages on levels can
        miss that top by more than the risk of a slope costs, so that slopes are tried, too.

        Raises:
            NotExact: the wage leaves its range, or there are too many combinations to try.
        """
        game, share = self.game, self.game.principals_per_worker
        if not game.effort_levels:
            everything = replace(game, noise=(0.0,) * len(game.benefit))
            effort = answer(everything, np.array(game.benefit), self.c)
            wage, most = float(self.o + self.c * _toil(game, effort)), share * game.max_wage
            if abs(wage) > most and self.r > 0.0 and self.surplus(effort) > self.o:
                raise NotExact(f"the first best pays {wage}; allowed: from {-most} to {most}")
            wage = min(max(wage, -most), most)  # whose money it is does not matter then
            slope = np.zeros((share, game.measured))
            return self._spread(wage), slope, effort, float(self.surplus(effort))
        assert game.slope_levels
        assert game.wage_levels
        sums = share * (game.slope_levels - 1) + 1
        cells = 2 * sums**game.measured * game.effort_levels ** len(game.benefit)
        if cells > CELLS:
            raise NotExact(f"slopes and efforts have {cells} cells; allowed: {CELLS}")
        slope = _grid(0.0, share * game.max_slope, sums, game.measured)[:, None, None, :]
        effort = _grid(0.0, game.max_effort, game.effort_levels, len(game.benefit))[:, None, :]
        kept = self.o - certainty_equivalent(game, np.zeros(1), slope, effort, self.c, self.r)
        step, low = 2.0 * game.max_wage / (game.wage_levels - 1), -share * game.max_wage
        place = np.floor((kept - low) / step + 1e-9) + np.arange(2.0)  # the levels below and above
        wage = low + step * np.clip(place, 0, share * (game.wage_levels - 1))
        total = self.total(wage, slope, effort)
        s, e, w = np.unravel_index(int(total.argmax()), total.shape)
        steps = np.rint(slope[s, 0, 0] / game.max_slope * (game.slope_levels - 1)).astype(np.intp)
        each = steps // share + (np.arange(share)[:, None] < steps % share)
        slopes = each * game.max_slope / (game.slope_levels - 1)
        return self._spread(float(wage[s, e, w])), slopes, effort[e, 0], float(total.max())
