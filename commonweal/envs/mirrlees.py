r"""Optimal taxes for `labour-v0`: Mirrlees by convex programming, linear by its equilibrium, Saez at the top.

A planner who sees incomes but not skills can have citizen i consume $c_i$ and earn $z_i$ only if nobody
prefers another's pair. With $u_i = u(c_i)$ and $D_i = z_i^p / p$, $p = 1 + 1/\varepsilon$, toil is worth
$s_i D_i$, $s_i = k_i w_i^{-p}$, and the problem is convex:

$$\max \sum_i g_i (u_i - s_i D_i) \quad \text{subject to} \quad
u_i - s_i D_i \ge u_j - s_i D_j \;\; \forall i, j, \qquad \sum_i z(D_i) \ge \sum_i c(u_i) .$$

A solution is certified by Lagrangian duality: with any multipliers the dual function bounds the optimum
from above in closed form, so `gap` bounds the distance to the true optimum whatever the solver did.

The optimum is that of schedules, in which what i gets depends on its own income alone. Among few citizens a
tax whose revenue is shared equally is more: a citizen gets back a share of its own payment and knows it, so
the same redistribution discourages it less. Where curvature is strong it can beat the best schedule.

With utility linear in money and weights with mean one the optimum is known: with $M_i = \sum_{j > i}
(1 - g_j)$ the marginal rate $\tau_i$ solves $\tau_i / (1 - \tau_i) = M_i (1 - s_{i+1} / s_i)$ (Diamond's
formula for a finite number of types; it holds where incomes rise with skill). For Pareto skills it tends to
Saez's top rate $(1 - g) / (1 - g + a e)$.

Sources: Mirrlees (1971), Review of Economic Studies 38, 175-208; Diamond (1998), American Economic Review
88, 83-95; Saez (2001), Review of Economic Studies 68, 205-229 (top rate looked up; the finite formula is
derived here and tested against the programme).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.optimize import LinearConstraint, NonlinearConstraint, brentq, minimize, minimize_scalar, nnls

from commonweal.curves import isoelastic, isoelastic_inverse
from commonweal.errors import NotExact, require

Array = NDArray[np.float64]

ALL_PAIRS = 12  # up to this many citizens every pair is a constraint; beyond, neighbours (checked afterwards)
ACTIVE = 1e-6  # slack below which a constraint may have a multiplier


@dataclass(frozen=True)
class Economy:
    """Citizens whose incomes are seen and whose skills are not.

    Attributes:
        toil: s, toil per unit of `z^p / p`, falling with skill, `(n,)`.
        most: largest income of each, `(n,)`.
        weight: g, welfare weight of each, `(n,)`.
        risk_aversion: eta.
        elasticity: epsilon.
    """

    toil: Array
    most: Array
    weight: Array
    risk_aversion: float
    elasticity: float

    @classmethod
    def of(
        cls, skill: Array, labour_weight: Array | float, risk_aversion: float, elasticity: float,
        max_labour: float = 1e3, weight: Array | float = 1.0,
    ) -> Economy:  # fmt: skip
        """From skills w `(n,)` and weights k of labour, in rising order of skill."""
        skill = np.asarray(skill, dtype=np.float64)
        toil = np.broadcast_to(labour_weight, skill.shape) * skill ** -(1.0 + 1.0 / elasticity)
        require(bool((np.diff(toil) <= 0).all()), "toil of the citizens", toil.tolist(), "falling")
        return cls(
            toil,
            skill * max_labour,
            np.array(np.broadcast_to(weight, skill.shape)),
            risk_aversion,
            elasticity,
        )

    @property
    def power(self) -> float:
        """P."""
        return 1.0 + 1.0 / self.elasticity

    def utility(self, consumption: Array) -> Array:
        """U."""
        return np.asarray(isoelastic(consumption, self.risk_aversion))

    def consumption(self, utility: Array) -> Array:
        """The inverse of `utility`."""
        return np.asarray(isoelastic_inverse(utility, self.risk_aversion))

    def alone(self) -> Array:
        """Incomes `(n,)` without any tax."""
        free = self.toil ** (-1.0 / (self.power - 1.0 + self.risk_aversion))
        return np.minimum(free, self.most)

    # ------------------------------------------------------------------ linear tax

    def under_linear(self, rate: float, own_share: float = 0.0) -> tuple[Array, Array]:
        """Consumption and income in the equilibrium of a flat tax whose revenue all share equally.

        Args:
            rate: of the tax.
            own_share: share of its own payment that a citizen knows it gets back: 0 in a large
                economy, `1 / n` among n citizens.
        """
        kept = 1.0 - rate * (1.0 - own_share)

        def incomes(grant: float) -> Array:
            low, high = np.zeros_like(self.most), np.array(self.most)
            for _ in range(52):  # marginal utility of work falls with income: bisection
                middle = 0.5 * (low + high)
                money = np.maximum((1.0 - rate) * middle + grant, 1e-300)
                more = kept * money**-self.risk_aversion > self.toil * middle ** (self.power - 1.0)
                low, high = np.where(more, middle, low), np.where(more, high, middle)
            return 0.5 * (low + high)

        def excess(grant: float) -> float:
            return float(rate * incomes(grant).mean() - grant)

        grant = 0.0 if rate == 0.0 else float(brentq(excess, 0.0, rate * float(self.most.mean()), xtol=1e-13))
        income = incomes(grant)
        return (1.0 - rate) * income + grant, income

    def welfare(self, consumption: Array, income: Array) -> float:
        """Weighted sum of utilities."""
        value = self.utility(consumption) - self.toil * income**self.power / self.power
        return float((self.weight * value).sum())

    def best_linear(self, own_share: float = 0.0) -> tuple[float, float]:
        """Rate and welfare of the best flat tax."""

        def lost(rate: float) -> float:
            return -self.welfare(*self.under_linear(rate, own_share))

        rates = np.linspace(0.0, 0.999, 19)  # a scan, then a bracket around its best: peaks may be several
        place = int(np.argmin([lost(float(rate)) for rate in rates]))
        ends = float(rates[max(place - 1, 0)]), float(rates[min(place + 1, 18)])
        found = minimize_scalar(lost, bounds=ends, method="bounded", options={"xatol": 1e-9})
        return float(found.x), -float(found.fun)

    # ------------------------------------------------------------------ nonlinear tax

    @property
    def _range(self) -> tuple[float, float]:
        """Smallest and largest utility of consumption considered.

        Nobody can consume more than all can earn. Where money is worth infinitely much at nothing,
        nobody is left with a hundredth of what the poorest earns alone.
        """
        most = float(self.most.sum())
        least = 1e-7 * most if self.risk_aversion < 1.0 else 1e-2 * float(self.alone().min())
        low, high = self.utility(np.array([least, most]))
        return float(low), float(high)

    def _pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Who (i) must not envy whom (j)."""
        n = len(self.toil)
        one, two = np.nonzero(~np.eye(n, dtype=bool))
        near = np.abs(one - two) == 1
        return (one, two) if n <= ALL_PAIRS else (one[near], two[near])

    def optimum(self) -> Optimum:
        """The incentive-compatible allocation of largest welfare.

        Raises:
            NotExact: the solver's point is not incentive compatible, or its gap is above 1e-4 of W.
        """
        n, p = len(self.toil), self.power
        who, whom = self._pairs()
        rows = np.arange(len(who))
        envy = np.zeros((len(who), 2 * n))
        np.add.at(envy, (rows, who), 1.0)
        np.add.at(envy, (rows, whom), -1.0)
        np.add.at(envy, (rows, n + who), -self.toil[who])
        np.add.at(envy, (rows, n + whom), self.toil[who])
        gradient = np.concatenate([-self.weight, self.weight * self.toil])
        start = self.alone()
        first = np.concatenate([self.utility(start), start**p / p])

        def budget(x: Array) -> float:
            return float(((p * np.maximum(x[n:], 0.0)) ** (1.0 / p)).sum() - self.consumption(x[:n]).sum())

        def slope(x: Array) -> Array:
            income = (p * np.maximum(x[n:], 1e-12)) ** (1.0 / p)
            return np.concatenate([-(self.consumption(x[:n]) ** self.risk_aversion), income ** (1.0 - p)])

        found = minimize(
            lambda x: float(gradient @ x), first, jac=lambda x: gradient, method="SLSQP",
            bounds=[self._range] * n + [(0.0, top**p / p) for top in self.most],
            constraints=[
                LinearConstraint(envy, 0.0, np.inf),
                NonlinearConstraint(budget, 0.0, np.inf, jac=lambda x: slope(x)[None, :]),
            ],
            options={"ftol": 1e-15, "maxiter": 1000},
        )  # fmt: skip
        if not np.isfinite(found.x).all():
            raise NotExact(f"the solver left the numbers: {found.message}; allowed: a milder risk_aversion")
        utility, effort = found.x[:n], np.maximum(found.x[n:], 0.0)
        consumption, income = self.consumption(utility), (p * effort) ** (1.0 / p)
        # What is left of the budget is nobody's: take the rounding error from everybody's utility alike,
        # which keeps all differences, hence all constraints.
        surplus = float(income.sum() - consumption.sum())
        utility = utility + surplus / float((consumption**self.risk_aversion).sum())
        consumption = self.consumption(utility)
        worst = float((utility[:, None] - self.toil[:, None] * effort[:, None]
                       - utility[None, :] + self.toil[:, None] * effort[None, :]).min())  # fmt: skip
        gap = self._bound(utility, effort, envy @ np.concatenate([utility, effort])) - self.welfare(
            consumption, income
        )
        best = Optimum(self, consumption, income, max(gap, 0.0), max(-worst, 0.0))
        scale = max(1.0, abs(self.welfare(consumption, income)))
        if worst < -1e-6 or gap > 1e-4 * scale:
            raise NotExact(
                f"the optimal schedule is known only to {gap:g} of W, with envy {max(-worst, 0.0):g}; "
                f"allowed: at most {1e-4 * scale:g} and 1e-6"
            )
        return best

    def _bound(self, utility: Array, effort: Array, slack: Array) -> float:
        """An upper bound on W by Lagrangian duality, from the multipliers that fit the point best."""
        n, p, eta = len(self.toil), self.power, self.risk_aversion
        who, whom = (index[slack < ACTIVE] for index in self._pairs())
        marginal = self.consumption(utility) ** eta
        income = (p * np.maximum(effort, 1e-12)) ** (1.0 / p)
        free = (effort > 1e-9) & (income < self.most * (1.0 - 1e-9))
        # Stationarity, linear in the multipliers: the budget's first, then those of envy.
        matrix = np.zeros((2 * n, 1 + len(who)))
        matrix[:n, 0], matrix[n:, 0] = marginal, -(income ** (1.0 - p))
        columns = 1 + np.arange(len(who))
        np.add.at(matrix, (who, columns), -1.0)
        np.add.at(matrix, (whom, columns), 1.0)
        np.add.at(matrix, (n + who, columns), self.toil[who])
        np.add.at(matrix, (n + whom, columns), -self.toil[who])
        right = np.concatenate([self.weight, -self.weight * self.toil])
        rows = np.concatenate([np.ones(n, bool), free])
        found = nnls(matrix[rows], right[rows], maxiter=50 * (2 * n + len(who)))[0]
        price, envy = max(float(found[0]), 1e-12), found[1:]
        gain = self.weight + np.bincount(who, envy, n) - np.bincount(whom, envy, n)
        cost = (self.weight + np.bincount(who, envy, n)) * self.toil - np.bincount(
            whom, envy * self.toil[who], n
        )
        least, all_there_is = (float(c) for c in self.consumption(np.array(self._range)))
        if eta == 0.0:
            best = np.where(gain > price, all_there_is, least)
        else:
            with np.errstate(over="ignore"):
                best = (np.maximum(gain, 1e-300) / price) ** (1.0 / eta)
            best = np.clip(best, least, all_there_is)
        best_income = np.where(
            cost > 0.0, (price / np.maximum(cost, 1e-300)) ** self.elasticity, np.inf
        ).clip(0.0, self.most)
        value = gain * self.utility(best) - price * best
        value += price * best_income - cost * best_income**p / p
        return float(value.sum())


@dataclass(frozen=True)
class Optimum:
    """An incentive-compatible allocation.

    Attributes:
        economy: whose.
        consumption, income: of each citizen, `(n,)`.
        gap: bound on how much more welfare any other schedule could bring.
        envy: largest gain of anybody from another's pair.
    """

    economy: Economy
    consumption: Array
    income: Array
    gap: float
    envy: float

    @property
    def welfare(self) -> float:
        """Weighted sum of utilities."""
        return self.economy.welfare(self.consumption, self.income)

    @property
    def marginal_rates(self) -> Array:
        """Share of a further unit of income that the schedule takes at each citizen's choice, `(n,)`."""
        economy = self.economy
        price = economy.toil * self.income ** (economy.power - 1.0)
        return 1.0 - price * self.consumption**economy.risk_aversion


def finite_rates(economy: Economy) -> Array:
    """Optimal marginal rates `(n,)` where utility is linear in money, by the formula of the module."""
    require(economy.risk_aversion == 0.0, "risk_aversion", economy.risk_aversion, "0")
    weight = economy.weight / economy.weight.mean()
    above = (1.0 - weight)[::-1].cumsum()[::-1] - (1.0 - weight)
    following = np.append(economy.toil[1:], economy.toil[-1])
    ratio = above * (1.0 - following / economy.toil)
    return np.asarray(ratio / (1.0 + ratio), dtype=np.float64)


def saez_top_rate(pareto: float, elasticity: float, weight: float = 0.0) -> float:
    """Optimal marginal rate far up, `(1 - g) / (1 - g + a e)`.

    Args:
        pareto: a, exponent of the income distribution's tail.
        elasticity: e, of income with respect to one minus the marginal rate.
        weight: g, welfare weight of top earners relative to the value of public money.

    Source: Saez (2001), Review of Economic Studies 68, equation for the asymptotic rate.
    """
    return (1.0 - weight) / (1.0 - weight + pareto * elasticity)


def top_value(rate: float, pareto: float, elasticity: float, weight: float = 0.0) -> float:
    """Revenue of a top bracket above income 1, plus `weight` times the gain of those who reach it.

    By integration over earners whose incomes at rate zero have a Pareto tail: each chooses its
    income, `n (1 - rate)^e`, or stays at the threshold.
    """
    power = 1.0 + 1.0 / elasticity

    def earner(n: float) -> float:
        income = n * (1.0 - rate) ** elasticity
        gain = (1.0 - rate) * (income - 1.0) - n * ((income / n) ** power - (1.0 / n) ** power) / power
        return float((rate * (income - 1.0) + weight * gain) * pareto * n ** (-pareto - 1.0))

    return float(
        quad(earner, (1.0 - rate) ** -elasticity, math.inf, epsabs=1e-13, epsrel=1e-12, limit=200)[0]
    )


def best_top_rate(pareto: float, elasticity: float, weight: float = 0.0) -> float:
    """The rate that maximises `top_value`, by trying."""
    found = minimize_scalar(
        lambda rate: -top_value(rate, pareto, elasticity, weight), bounds=(0.02, 0.98), method="bounded",
        options={"xatol": 1e-10},
    )  # fmt: skip
    return float(found.x)
