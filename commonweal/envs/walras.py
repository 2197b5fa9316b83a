r"""Exchange economies of traders with constant elasticity of substitution, and their Walrasian equilibria.

Trader i values a bundle by

$$u_i = \Bigl(\sum_l a_{il}^{1/\sigma_i} x_l^{(\sigma_i-1)/\sigma_i}\Bigr)^{\sigma_i/(\sigma_i-1)},
\qquad u_i = \prod_l (x_l / a_{il})^{a_{il}} \ \text{at}\ \sigma_i = 1 ,$$

with weights that sum to one. It spends $e_i(p, u) = P_i(p)\, u$ on a utility of u, where
$P_i = (\sum_l a_{il} p_l^{1-\sigma_i})^{1/(1-\sigma_i)}$, and demands
$x_l = m\, a_{il} p_l^{-\sigma_i} P_i^{\sigma_i-1}$ of an income m.

Source: Mas-Colell, Whinston and Green (1995), Microeconomic Theory, chapters 3, 15 and 16 (recalled; the
tests check demand, equilibrium and both welfare theorems numerically).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import root

from commonweal.curves import power_mean
from commonweal.errors import NotExact

Array = NDArray[np.float64]

CLEARED = 1e-8  # excess demand, as a share of the supply, at which a market counts as cleared
ROUNDS = (0, 30, 300, 3000)  # of tatonnement before the root is sought, tried in turn


@dataclass(frozen=True)
class Economy:
    """Traders and what they own.

    Attributes:
        endowment: e, units of each good, `(N, L)`.
        weight: a, positive, each row sums to one, `(N, L)`.
        substitution: sigma, `(N,)`.
    """

    endowment: Array
    weight: Array
    substitution: Array

    def utility(self, bundle: Array) -> Array:
        """Utilities `(..., N)` of bundles `(..., N, L)`."""
        sigma = self.substitution
        return np.asarray(power_mean(bundle / self.weight, (sigma - 1.0) / sigma, self.weight))

    def price_index(self, price: Array) -> Array:
        """P, the cost of a unit of utility, `(N,)`, at prices `(L,)`."""
        return np.asarray(power_mean(price, 1.0 - self.substitution, self.weight))

    def demand(self, price: Array, income: Array) -> Array:
        """Bundles `(N, L)` bought at prices `(L,)` with incomes `(N,)`."""
        relative = np.log(price / self.price_index(price)[:, None])
        share = self.weight * np.exp((1.0 - self.substitution)[:, None] * relative)  # of the income
        return np.asarray(income[:, None] * share / price)

    def income(self, price: Array, share: Array | None = None) -> Array:
        """Incomes `(N,)`: the worth of the endowments, or shares of the worth of all."""
        own = self.endowment @ price
        return np.asarray(own if share is None else share * own.sum())

    def excess(self, price: Array, share: Array | None = None) -> Array:
        """Excess demand `(L,)` as a share of the supply."""
        supply = self.endowment.sum(axis=0)
        return np.asarray(self.demand(price, self.income(price, share)).sum(axis=0) / supply - 1.0)

    def equilibrium(self, share: Array | None = None) -> Array:
        """Walrasian prices `(L,)`; the last good's is one.

        With `share (N,)` incomes are those shares of the worth of all goods, whoever owns them: every
        Pareto-efficient allocation is such an equilibrium (Eisenberg and Gale 1959: it maximises
        `sum share * log u`). It is the only one where goods are gross substitutes (all
        sigma at least 1, or incomes by share); else one of several may be found.

        Raises:
            NotExact: no start led to prices at which all markets clear to 1e-8.
        """
        goods = self.endowment.shape[1]

        def unbalanced(log: Array) -> Array:
            return self.excess(np.exp(np.append(np.clip(log, -50.0, 50.0), 0.0)), share)[:-1]

        log = np.zeros(goods - 1)
        for before, after in zip((0, *ROUNDS), ROUNDS, strict=False):
            for _ in range(after - before):  # prices follow excess demand
                log = log + 0.3 * np.clip(unbalanced(log), -1.0, 1.0)
            found = root(unbalanced, log, tol=1e-13)
            price = np.exp(np.append(np.clip(found.x, -50.0, 50.0), 0.0))
            if np.isfinite(price).all() and np.abs(self.excess(price, share)).max() <= CLEARED:
                return price
        raise NotExact(f"no prices found that clear {goods} markets to {CLEARED:g}; allowed: other economies")
