r"""`lemons-v0`: a market in which the seller alone knows the quality (adverse selection).

Every seller has one good of quality $q \sim U[l, h]$ in each round, drawn anew. It sees $q$ and asks a
price; its buyers bid without seeing anything. The highest bid $p$ gets the good if it is at least the ask
(ties by lot) and pays what it bid. To the seller the good is worth $q$, to a buyer $k q$ with $k > 1$:

$$\pi_{\text{seller}} = p - q, \qquad \pi_{\text{buyer}} = k q - p \quad \text{if traded, else } 0 .$$

Every trade is a gain, and a planner trades all: W = $(k - 1)\, \mathrm E\, q$ a seller and round. The
buyer sets the price, so asking $q$ is a dominant strategy; a bid then buys the worst goods first and is
worth

$$\pi(p) = \frac{p - l}{h - l} \Bigl[ k\, \frac{l + p}{2} - p \Bigr], \qquad l \le p \le h .$$

With one buyer the best bid is $l / (2 - k)$; two or more bid profits away: $k l / (2 - k)$. Goods above that
price stay unsold, and with $l = 0$ and $k < 2$ all do: no trade at all, although all trades are worth
while. At $k \ge 2$ nothing unravels (one buyer), or above $k (l + h) / 2 \ge h$ (several): no dilemma then.

Buyers' losses from a bad good are the price they offered for it: no `harm` is defined.

Sources: Akerlof (1970), Quarterly J. of Economics 84, 488-500; with one buyer the game is "acquiring a
company" of Samuelson and Bazerman (1985), k = 1.5 and l = 0. Recalled, not looked up; the formulas are
tested by playing every bid.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Outcome, Play
from commonweal.envs.repeated import PROGRESS, RepeatedGame, RoundState
from commonweal.envs.sides import Strategies, by_agent, of
from commonweal.errors import NotExact, require
from commonweal.parameters import AgentParameter, Parameter, check
from commonweal.random import Streams
from commonweal.references import Check, Kind, References, Yardstick
from commonweal.spaces import Action, Bounds, Conduct, Levels, Real, Signal

Array = NDArray[np.float64]
TRIED = 20_001  # bids tried in the gain of a deviation, where they are continuous


@dataclass
class LemonsState(RoundState):
    """Rounds so far `(B, 1)`, qualities in the coming one `(B, S)`, last quality bought `(B, S M)`."""

    quality: Array
    received: Array


@dataclass(frozen=True, eq=False, repr=False)
class Lemons(RepeatedGame):
    """Market with hidden quality.

    Agents are the sellers, then the buyers (those of the first seller, of the second, …). Qualities are
    read at the sellers, the premium at the buyers.

    Attributes:
        num_sellers: S.
        buyers_per_seller: M; each good has buyers of its own.
        lowest_quality, highest_quality: l and h, in money to the seller.
        premium: k, value to a buyer per value to the seller.
        price_levels: levels of asks and bids from 0 to the largest k h; None: continuous.
        rounds: rounds of the game, each with fresh goods.
        discount: weight of the next round.
    """

    id: ClassVar[str] = "lemons-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "ask": Conduct("money units", limitable=True),
        "bid": Conduct("money units", limitable=True),
        "trade": Conduct("units"),
        "turnover": Conduct("money"),
        "income": Conduct("money"),
    }

    num_sellers: int = 4
    buyers_per_seller: int = 1
    lowest_quality: Parameter = 0.0
    highest_quality: AgentParameter = 1.0
    premium: AgentParameter = 1.5
    price_levels: Levels = 31

    def validate(self) -> None:
        """Check the ranges."""
        super().validate()
        check("Lemons.num_sellers", self.num_sellers, 1, math.inf)
        check("Lemons.buyers_per_seller", self.buyers_per_seller, 1, math.inf)
        check("Lemons.lowest_quality", self.lowest_quality, 0.0, math.inf)
        check("Lemons.premium", self.premium, 1.0, math.inf)
        rising = bool((np.asarray(self.lowest_quality) < np.asarray(self.highest_quality)).all())
        require(rising, "Lemons.highest_quality", self.highest_quality, "above lowest_quality")

    @property
    def groups(self) -> Mapping[str, int]:
        """Sellers, then buyers."""
        return {"sellers": self.num_sellers, "buyers": self.num_sellers * self.buyers_per_seller}

    @property
    def ceiling(self) -> float:
        """Highest admitted price, money."""
        best = float(np.max(of(self.highest_quality, self.agents_of("sellers"))))
        return float(np.max(of(self.premium, self.agents_of("buyers")))) * best

    def actions(self) -> list[Action]:
        """Lowest acceptable price of a seller, bid of a buyer."""
        price = Real(0.0, self.ceiling, "money", self.price_levels)
        return [Action("ask", price, "sellers"), Action("bid", price, "buyers")]

    def signals(self) -> list[Signal]:
        """Sellers see the quality of their good, buyers that of the last good they bought (0: none)."""
        best = float(np.max(of(self.highest_quality, self.agents_of("sellers"))))
        return [
            PROGRESS,
            Signal("quality", "money", 0.0, best, "sellers"),
            Signal("received", "money", 0.0, best, "buyers"),
        ]

    def initial(self, rng: Streams) -> LemonsState:
        """Goods of the first round."""
        nothing = np.zeros((rng.num_worlds, self.groups["buyers"]))
        return LemonsState(np.zeros((rng.num_worlds, 1)), self._draw(rng), nothing)

    def _draw(self, rng: Streams) -> Array:
        sellers = self.agents_of("sellers")
        low, high = of(self.lowest_quality, sellers), of(self.highest_quality, sellers)
        return low + (high - low) * rng.uniform(self.num_sellers)

    def step(self, state: LemonsState, play: Play, rng: Streams) -> tuple[LemonsState, Outcome]:
        """One round of trade."""
        ask, bid = play["ask"], play["bid"]
        worlds, rivals = len(bid), self.buyers_per_seller
        if rivals == 1:
            highest, wins = bid, np.ones_like(bid)
        else:
            offers = bid.reshape(worlds, -1, rivals)
            highest = offers.max(axis=2)
            lot = rng.uniform(bid.shape[1]).reshape(offers.shape)
            first = np.where(offers == highest[:, :, None], lot, -1.0).argmax(axis=2)
            wins = (np.arange(rivals) == first[:, :, None]).astype(np.float64).reshape(bid.shape)
        traded = (highest >= ask).astype(np.float64)
        quality = np.repeat(state.quality, rivals, axis=1)
        bought = wins * np.repeat(traded, rivals, axis=1)
        sold = traded * (highest - state.quality)
        gain = bought * (of(self.premium, self.agents_of("buyers")) * quality - bid)
        money = np.concatenate([sold, gain], axis=1)
        following = LemonsState(state.round + 1.0, self._draw(rng), bought * quality)
        conduct = {
            "ask": np.concatenate([ask, 0.0 * bid], axis=1),
            "bid": np.concatenate([0.0 * ask, bid], axis=1),
            "trade": np.concatenate([traded, bought], axis=1),
            "turnover": np.concatenate([traded * highest, bought * bid], axis=1),
            "income": money,
        }
        return following, Outcome(money, conduct, self.over(following))

    def observe(self, state: LemonsState) -> Mapping[str, Array]:
        """Quality is private to its seller; a buyer learns it after the trade."""
        return {"progress": state.round / self.rounds, "quality": state.quality, "received": state.received}

    def limit(self, state: LemonsState, play: Play, bounds: Bounds) -> Play:
        """Change asks and bids to what the bounds allow."""
        limited = dict(play)
        for name, agents in (("ask", self.agents_of("sellers")), ("bid", self.agents_of("buyers"))):
            if name in bounds:
                low, high = (of(end, agents) for end in bounds[name])
                limited[name] = np.clip(np.clip(play[name], low, high), 0.0, self.ceiling)
        return limited

    # ------------------------------------------------------------------ theory

    def worth(self, price: Array, low: float, high: float, premium: float) -> tuple[Array, Array]:
        """Expected gain of the winning bid, and of both sides together, at `price`, when sellers ask q."""
        best = np.clip(price, low, high)  # the best quality that is sold
        share, mean = (best - low) / (high - low), 0.5 * (low + best)
        return share * (premium * mean - price), share * (premium - 1.0) * mean

    def _prices(self, low: float, high: float, premium: float) -> tuple[list[float], float]:
        """Prices of the symmetric equilibria, the worst for the group first, and the gain of deviating."""
        rivals = self.buyers_per_seller
        tried = np.linspace(0.0, self.ceiling, self.price_levels or TRIED)
        worth = self.worth(tried, low, high, premium)[0]

        def gain(price: float) -> float:
            own = self.worth(np.array([price]), low, high, premium)[0][0]
            above = worth[tried > price + 1e-12].max(initial=0.0)  # below: no trade, or the whole market
            alone = worth.max() if rivals == 1 else above
            return float(max(alone, 0.0) - own / rivals)

        if self.price_levels:
            gains = np.array([gain(price) for price in tried])
            found = tried[gains < 1e-12]
            if not len(found):
                return [float(tried[gains.argmin()])], float(gains.min())
        else:
            # Nothing traded, all traded (by rivals for what it is worth), or where the winner's gain is
            # largest (one buyer) or none (rivals).
            most = high if rivals == 1 else max(high, 0.5 * premium * (low + high))
            inside = [low if rivals == 1 else premium * low] if premium < 2.0 else []
            ends = np.unique([low, most, *np.clip(np.array(inside) / (2.0 - premium), low, high)])
            found = np.array([price for price in ends if gain(price) < 1e-9 * high])
        total = self.worth(found, low, high, premium)[1]
        order = np.lexsort((found, total))
        return [float(p) for p in found[order]], max(gain(float(p)) for p in found)

    def references(self) -> References:
        """Equilibrium of a round, played in every round (goods are new); the planner trades all goods.

        Raises:
            NotExact: parameters by world, or rivals for one good with different premia.
        """
        low, high, premium = (
            by_agent(self, name, group).reshape(self.num_sellers, -1)
            for name, group in (
                ("lowest_quality", "sellers"), ("highest_quality", "sellers"), ("premium", "buyers"),
            )
        )  # fmt: skip
        if np.ptp(premium, axis=1).any():
            raise NotExact(
                f"premium is {premium.tolist()}; allowed: equal buyers of the same good, else they bid apart"
            )
        goods = [(float(a[0]), float(b[0]), float(k[0])) for a, b, k in zip(low, high, premium, strict=True)]
        known = {good: self._prices(*good) for good in goods}
        epsilon = max(gain for _, gain in known.values())
        exactly: Kind = "enumeration" if self.price_levels else "closed form"
        kind: Kind = exactly if epsilon < 1e-6 else "best known"

        def stick(place: int, selection: str) -> Yardstick:
            price = np.array([known[good][0][place] for good in goods])
            flow = sum(
                float(self.worth(np.array([p]), *good)[1][0]) for p, good in zip(price, goods, strict=True)
            )
            bids = np.repeat(price, self.buyers_per_seller)[None, :]
            rule = Strategies(self, {"quality": self._asking, "received": lambda seen: {"bid": bids}})
            share = np.mean(
                [(np.clip(p, a, b) - a) / (b - a) for p, (a, b, _) in zip(price, goods, strict=True)]
            )
            detail = {"price": float(price.mean()), "share traded": float(share)}
            return Yardstick(
                self.weight * flow, kind, 0.0, self.weight * max(epsilon, 0.0), selection, rule, detail
            )

        several = any(len(prices) > 1 for prices, _ in known.values())
        selfish = stick(0, "worst symmetric equilibrium found" if several else "symmetric equilibrium")
        everything = sum(0.5 * (a + b) * (k - 1.0) for a, b, k in goods)
        nil = np.zeros((1, 1))
        free = Strategies(self, {"quality": lambda seen: {"ask": nil}, "received": lambda seen: {"bid": nil}})
        planner = Yardstick(self.weight * everything, exactly, selection="every good is traded", rule=free)
        others = {"best equilibrium": stick(-1, "best symmetric equilibrium")} if several else {}
        return References(selfish, planner, planner.welfare, others=others)

    def _asking(self, seen: Mapping[str, Array]) -> Mapping[str, Array]:
        """The quality, at the next level above: a bid on the levels meets it if it meets the quality."""
        if not self.price_levels:
            return {"ask": seen["quality"]}
        step = self.ceiling / (self.price_levels - 1)
        return {"ask": np.ceil(seen["quality"] / step - 1e-9) * step}

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """Bids played against sellers who ask their quality."""
        source = "Samuelson and Bazerman (1985)"
        yield Check("lemons: expected gain of bidding 0.6, k = 1.5", source, -0.09, cls().played(0.6))
        gains = [cls().played(bid) for bid in np.linspace(0.0, 1.5, 31)]
        yield Check("lemons: best bid of a buyer, k = 1.5", source, 0.0, 0.05 * int(np.argmax(gains)))
        source = "derived from Akerlof (1970)"
        some = cls(lowest_quality=0.2, price_levels=None)
        yield Check(
            "lemons: best bid, l = 0.2: l / (2 - k)", source, 0.4, some.references().selfish.detail["price"]
        )
        slope = (some.played(0.44) - some.played(0.36)) / 0.08
        yield Check("lemons: slope of the gain at that bid", source, 0.0, slope)
        rivals = replace(some, buyers_per_seller=2)
        found = rivals.references().selfish
        yield Check("lemons: price of rivals, l = 0.2: k l / (2 - k)", source, 0.6, found.detail["price"])
        yield Check("lemons: gain at that price", source, 0.0, some.played(0.6))
        yield Check("lemons: share of goods traded", source, 0.5, found.detail["share traded"])

    def played(self, bid: float, parts: int = 8000) -> float:
        """Expected gain of the only buyer's `bid`, by playing `step` on a fine grid of qualities."""
        low, high = float(np.min(self.lowest_quality)), float(np.max(self.highest_quality))
        one = replace(self, num_sellers=1, buyers_per_seller=1)
        quality = low + (high - low) * (np.arange(parts)[:, None] + 0.5) / parts
        state = LemonsState(np.zeros((parts, 1)), quality, np.zeros((parts, 1)))
        play = {"ask": quality, "bid": np.full((parts, 1), bid)}
        _, outcome = one.step(state, play, Streams(np.zeros(parts, np.uint64), 0))
        return float(outcome.money[:, 1].mean())
