r"""`double_auction-v0`: a continuous double auction with price-time priority.

Each buyer values one unit at $v_i$, each seller can provide one at cost $c_j$. In every step each
agent waits or posts a limit price; agents arrive in random order. An arriving order trades at once
with the best standing order of the other side if the prices cross, at the standing price (the
earlier of equal prices first), and stands in the book otherwise; a new quote replaces the agent's
old one. Who has traded is out of the market. The episode ends after a fixed number of steps.

Source: Smith (1962), J. Political Economy 70; Gode and Sunder (1993), J. Political Economy 101.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numba
import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Dilemma, Outcome, Play
from commonweal.errors import require
from commonweal.parameters import check
from commonweal.random import Streams
from commonweal.references import References, Yardstick
from commonweal.spaces import Action, Choice, Conduct, Real, Signal

Array = NDArray[np.float64]


@dataclass
class DoubleAuctionState:
    """The book and who is still in the market.

    Attributes:
        value: values of buyers, then costs of sellers, `(B, N)`.
        quote: standing prices, nan where none stands, `(B, N)`.
        since: arrival number of the standing quote, `(B, N)`.
        active: 1 while the agent can still trade, `(B, N)`.
        arrivals: arrivals so far, `(B, 1)`.
        last_price: price of the last trade, nan before, `(B, 1)`.
        period: steps so far, `(B, 1)`.
    """

    value: Array
    quote: Array
    since: Array
    active: Array
    arrivals: Array
    last_price: Array
    period: Array


@numba.njit(cache=True)
def _match(order, posts, price, buyers, quote, since, active, arrivals, last, paid):  # type: ignore[no-untyped-def]
    """Let agents arrive in `order (B, N)`; fills `paid`, the price at which each traded (nan: none)."""
    worlds, n = order.shape
    for b in range(worlds):
        for k in range(n):
            i = order[b, k]
            if not posts[b, i] or active[b, i] == 0.0:
                continue
            arrivals[b, 0] += 1.0
            buys = i < buyers
            low, high = (buyers, n) if buys else (0, buyers)
            best = -1
            for j in range(low, high):
                if active[b, j] == 0.0 or math.isnan(quote[b, j]):
                    continue
                crosses = quote[b, j] <= price[b, i] if buys else quote[b, j] >= price[b, i]
                if not crosses:
                    continue
                if best < 0:
                    best = j
                    continue
                better = quote[b, j] < quote[b, best] if buys else quote[b, j] > quote[b, best]
                if better or (quote[b, j] == quote[b, best] and since[b, j] < since[b, best]):
                    best = j
            if best < 0:
                quote[b, i] = price[b, i]
                since[b, i] = arrivals[b, 0]
            else:
                paid[b, i] = paid[b, best] = last[b, 0] = quote[b, best]
                active[b, i] = active[b, best] = 0.0
                quote[b, i] = quote[b, best] = math.nan


@dataclass(frozen=True, eq=False, repr=False)
class DoubleAuction(Dilemma):
    """Continuous double auction for single units.

    Attributes:
        num_buyers, num_sellers: traders on each side.
        values: v, what each buyer would pay at most; evenly spaced over the ceiling by default.
        costs: c, what each seller must get at least; evenly spaced by default.
        ceiling: highest admissible price.
        price_levels: levels of prices from 0 to the ceiling; None: continuous.
        steps: steps of an episode.
        discount: weight of the next step.
    """

    id: ClassVar[str] = "double_auction-v0"
    is_dilemma: ClassVar[bool] = False
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "income": Conduct("money"),
        "turnover": Conduct("money"),
        "trade": Conduct("units"),
    }

    num_buyers: int = 4
    num_sellers: int = 4
    values: tuple[float, ...] | None = None
    costs: tuple[float, ...] | None = None
    ceiling: float = 200.0
    price_levels: int | None = 101
    steps: int = 20
    discount: float = 1.0

    def validate(self) -> None:
        """Check the ranges and fill in evenly spaced values and costs."""
        check("DoubleAuction.num_buyers", self.num_buyers, 1, math.inf)
        check("DoubleAuction.num_sellers", self.num_sellers, 1, math.inf)
        check("DoubleAuction.ceiling", self.ceiling, 0.0, math.inf, open_low=True)
        check("DoubleAuction.steps", self.steps, 1, math.inf)
        check("DoubleAuction.discount", self.discount, 0.0, 1.0)
        for name in ("values", "costs"):
            given = getattr(self, name)
            if given is not None:
                check(f"DoubleAuction.{name}", np.array(given), 0.0, self.ceiling)
                number = self.num_buyers if name == "values" else self.num_sellers
                require(len(given) == number, f"entries of DoubleAuction.{name}", len(given), str(number))

    @property
    def groups(self) -> Mapping[str, int]:
        """Buyers, then sellers."""
        return {"buyers": self.num_buyers, "sellers": self.num_sellers}

    @property
    def reservation(self) -> Array:
        """Values of buyers and costs of sellers, `(1, N)`."""
        evenly = np.linspace(0.05, 0.95, self.num_buyers)[::-1] * self.ceiling
        rising = np.linspace(0.05, 0.95, self.num_sellers) * self.ceiling
        values = evenly if self.values is None else np.array(self.values)
        costs = rising if self.costs is None else np.array(self.costs)
        return np.concatenate([values, costs])[None, :]

    def actions(self) -> list[Action]:
        """Whether to quote, and the limit price."""
        return [
            Action("quote", Choice(("wait", "post"))),
            Action("price", Real(0.0, self.ceiling, "money", self.price_levels)),
        ]

    def signals(self) -> list[Signal]:
        """Best bid, best ask (0 and the ceiling when none stands), last price, own value, own state."""
        money = ("money", 0.0, self.ceiling)
        names = ("best_bid", "best_ask", "last_price", "reservation")
        share = [Signal("active", "", 0.0, 1.0), Signal("progress", "share of steps", 0.0, 1.0)]
        return [Signal(name, *money) for name in names] + share

    def initial(self, rng: Streams) -> DoubleAuctionState:
        """An empty book."""
        worlds = rng.num_worlds
        n = self.num_buyers + self.num_sellers
        value = np.array(np.broadcast_to(self.reservation, (worlds, n)))
        zero, one = np.zeros((worlds, 1)), np.ones((worlds, n))
        nothing = np.full((worlds, n), np.nan)
        return DoubleAuctionState(value, nothing, 0 * one, one, zero, zero + np.nan, 1 * zero)

    def step(self, state: DoubleAuctionState, play: Play, rng: Streams) -> tuple[DoubleAuctionState, Outcome]:
        """One round of arrivals."""
        n = state.value.shape[1]
        quote, since, active = state.quote.copy(), state.since.copy(), state.active.copy()
        arrivals, last = state.arrivals.copy(), state.last_price.copy()
        paid = np.full_like(quote, np.nan)
        posts = play["quote"] > 0.5
        order = rng.permutation(n)
        price = np.ascontiguousarray(play["price"])
        _match(order, posts, price, self.num_buyers, quote, since, active, arrivals, last, paid)
        traded = ~np.isnan(paid)
        side = np.where(np.arange(n) < self.num_buyers, 1.0, -1.0)
        gain = np.where(traded, side * (state.value - np.where(traded, paid, 0.0)), 0.0)
        following = DoubleAuctionState(state.value, quote, since, active, arrivals, last, state.period + 1.0)
        over = following.period[:, 0] >= self.steps
        turnover = np.where(traded, paid, 0.0)
        conduct = {"income": gain, "turnover": turnover, "trade": traded.astype(np.float64)}
        return following, Outcome(gain, conduct, over)

    def observe(self, state: DoubleAuctionState) -> Mapping[str, Array]:
        """The book's best prices are public, values are private."""
        buyers = self.num_buyers
        bids = np.where(np.isnan(state.quote[:, :buyers]), 0.0, state.quote[:, :buyers])
        asks = np.where(np.isnan(state.quote[:, buyers:]), self.ceiling, state.quote[:, buyers:])
        return {
            "best_bid": bids.max(axis=1, keepdims=True),
            "best_ask": asks.min(axis=1, keepdims=True),
            "last_price": np.where(np.isnan(state.last_price), 0.5 * self.ceiling, state.last_price),
            "reservation": state.value,
            "active": state.active,
            "progress": state.period / self.steps,
        }

    @property
    def surplus(self) -> float:
        """Largest gain from trade: the highest values matched with the lowest costs."""
        reservation = self.reservation[0]
        values = np.sort(reservation[: self.num_buyers])[::-1]
        costs = np.sort(reservation[self.num_buyers :])
        pairs = min(len(values), len(costs))
        return float(np.maximum(values[:pairs] - costs[:pairs], 0.0).sum())

    def references(self) -> References:
        """Planner: all gains from trade at once. No equilibrium is known: autarky stands for zero."""
        planner = Yardstick(self.surplus, "closed form", selection="all gains from trade at once")
        nobody = Yardstick(0.0, "best known", selection="no trade; no equilibrium is computed")
        return References(nobody, planner, self.surplus)
