"""Traders of the double auction: price takers, and those without intelligence; its competitive equilibrium.

Source: Gode and Sunder (1993), J. Political Economy 101, 119-137.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from commonweal.random import Streams, world_seeds
from commonweal.references import Rule

if TYPE_CHECKING:
    from commonweal.envs.double_auction import DoubleAuction

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Competitive:
    """The competitive equilibrium of a market.

    Attributes:
        traded: the units that change hands, `(N, U + 1)`.
        low, high: the prices at which demand is supply.
        surplus: gains from trade, money.
    """

    traded: NDArray[np.bool_]
    low: float
    high: float
    surplus: float


def competitive(market: DoubleAuction) -> Competitive:
    """The units whose value exceeds their cost when values fall and costs rise, and the prices."""
    known, ranked = ~np.isnan(market.schedule), []
    for side in (1.0, -1.0):
        i, k = np.nonzero(known & (market.side == side)[:, None])
        order = np.argsort(-side * market.schedule[i, k], kind="stable")
        ranked.append((i[order], k[order]))
    (i, k), (j, m) = ranked
    value, cost = market.schedule[i, k], market.schedule[j, m]
    pairs = min(len(value), len(cost))
    quantity = int((value[:pairs] > cost[:pairs]).sum())
    traded = np.zeros(market.schedule.shape, dtype=bool)
    traded[i[:quantity], k[:quantity]] = traded[j[:quantity], m[:quantity]] = True
    worth, charge = np.append(value, 0.0), np.append(cost, market.ceiling)  # beyond the last unit
    low = max(cost[quantity - 1] if quantity else 0.0, worth[quantity])
    high = min(value[quantity - 1] if quantity else market.ceiling, charge[quantity])
    surplus = float((value[:quantity] - cost[:quantity]).sum())
    return Competitive(traded, float(low), float(high), surplus)


@dataclass(frozen=True)
class PriceTaking:
    """Quote the competitive price for each unit that is traded at it.

    Attributes:
        market: whose units they are.
        price: entry of the price column.
    """

    market: DoubleAuction
    price: float

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """Entries of the action array, `(B, n)`, by column."""
        left, buys = observed["units_left"][..., 0], observed["side"][0, 0, 0] > 0
        start = 0 if buys else self.market.num_buyers
        agent = start + np.arange(left.shape[1])
        unit = np.rint(self.market.units[agent] - left).astype(np.intp)
        trades = self.market.competitive.traded[agent, unit]
        return {"quote": trades.astype(np.float64), "price": np.full(left.shape, self.price)}


@dataclass(frozen=True)
class Waiting:
    """Never quote."""

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """Entries of the action array, `(B, n)`, by column."""
        return {"quote": np.zeros(observed["side"].shape[:2])}


@dataclass(frozen=True)
class ZeroIntelligence:
    """Quote at random in every step.

    Source: Gode and Sunder (1993), J. Political Economy 101, 119-137.

    Attributes:
        market: whose prices they are.
        constrained: whether a quote may not lose money: buyers' prices are uniform up to the value,
            sellers' from the cost to the ceiling; else all are uniform up to the ceiling.
    """

    market: DoubleAuction
    constrained: bool = True

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """Entries of the action array, `(B, n)`, by column; levels are drawn with equal probability."""
        worth, buys = observed["reservation"][..., 0], observed["side"][..., 0] > 0
        top, levels = self.market.ceiling, self.market.price_levels
        low = np.where(buys | (not self.constrained), 0.0, worth)
        high = np.where(buys & self.constrained, worth, top)
        draw = rng.uniform(worth.shape[1])
        if not levels:
            return {"quote": np.ones_like(worth), "price": low + (high - low) * draw}
        step = top / (levels - 1)
        first, last = np.ceil(low / step - 1e-6), np.floor(high / step + 1e-6)
        price = np.minimum(first + np.floor(draw * (last - first + 1.0)), last)
        return {"quote": np.ones_like(worth), "price": price}


def zero_intelligence(market: DoubleAuction, constrained: bool = True) -> Rule:
    """Traders without intelligence, with or without the budget constraint, as a rule to script."""
    return ZeroIntelligence(market, constrained)


def simulate(market: DoubleAuction, constrained: bool, markets: int, seed: int = 0) -> Array:
    """W of episodes among zero-intelligence traders, `(B,)`."""
    rule, seeds = zero_intelligence(market, constrained), world_seeds(seed, markets)
    nature, chance = Streams(seeds, 0), Streams(seeds, 1)
    state, total = market.initial(nature), np.zeros(markets)
    buyers = market.num_buyers
    for step in range(market.steps):
        seen = {name: np.broadcast_to(v, state.left.shape) for name, v in market.observe(state).items()}
        play: list[Mapping[str, Array]] = []
        for phase, group in enumerate((slice(0, buyers), slice(buyers, None))):
            mine = {name: value[:, group, None] for name, value in seen.items()}
            play.append(rule(mine, chance.begin(step, phase)))
        both = {name: np.concatenate([part[name] for part in play], axis=1) for name in ("quote", "price")}
        if market.price_levels:
            both["price"] = both["price"] * (market.ceiling / (market.price_levels - 1))
        state, outcome = market.step(state, both, nature.begin(step, 0))
        total += market.discount**step * outcome.money.sum(axis=1)
    return total
