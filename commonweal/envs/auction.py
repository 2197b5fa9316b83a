r"""`auction-v0`: sealed bids for one good or several, in four pricing rules that share one theory.

In every round each of N bidders wants one unit, sees its own value $v_i \sim U[0, h]$ and bids
$b_i$. The $k$ highest bids at or above the reserve price $r$ win, ties by lot. The winner pays its
own bid (`first-price`; several units: pay as bid), or the highest rejected bid and at least $r$
(`second-price`; several units: the uniform price, which for single units is the payment of Vickrey,
Clarke and Groves); or every admitted bidder pays its own bid (`all-pay`):

$$u_i = v_i\, \mathbf 1_{i\ \text{wins}} - \text{payment}_i .$$

Let $G(v) = P(Y_k < v)$, where $Y_k$ is the $k$-th highest of N - 1 other values, and $v_0$ the lowest
value that takes part. In the symmetric equilibrium a bidder of value $v$ pays in expectation

$$m(v) = v G(v) - \int_{v_0}^{v} G(t)\,dt$$

under every rule (revenue equivalence), so it bids $m(v) / G(v)$ at first price, $v$ at second
price, $m(v)$ where all pay. For one unit without reserve these are $(N-1)v/N$ and, where all pay,
$(N-1) v^N / N h^{N-1}$; revenue is $h (N-1)/(N+1)$. The best reserve price keeps out all below $h/2$.

The seller is no agent. Its revenue is surplus of an outsider and counts in W one for one, so that
payments cancel and W is the value of the winners. Every rule is efficient without a reserve, hence no
dilemma: what a reserve or unequal bidding wastes is reported as a loss. Rivals lose by price alone,
a pecuniary effect: no `harm` is defined. Values are private, so no regulator sees them.

Sources: Vickrey (1961), J. Finance 16, 8-37; Myerson (1981), Mathematics of Operations Research 6,
58-73; Krishna, Auction Theory, chapters 2 and 3 (recalled, the formulas are tested numerically).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betainc

from commonweal.envs.base import Outcome, Play
from commonweal.envs.interim_bids import VALUES, best_response_gain, interim
from commonweal.envs.repeated import PROGRESS, RepeatedGame, RoundState
from commonweal.errors import NotExact, require
from commonweal.parameters import AgentParameter, Parameter, check
from commonweal.random import Streams, world_seeds
from commonweal.references import LARGEST_EPSILON, SMALLEST_GAP, Check, Kind, References, Rule, Yardstick
from commonweal.spaces import Action, Bounds, Conduct, Levels, Real, Signal

Array = NDArray[np.float64]
PRICING = ("first-price", "second-price", "all-pay")
AUCTIONS = 50_000  # played for a mean in `theory`


@dataclass
class AuctionState(RoundState):
    """Auctions held so far `(B, 1)`, and the values in the coming one `(B, N)`."""

    value: Array


@dataclass(frozen=True, eq=False, repr=False)
class Auction(RepeatedGame):
    """Sealed-bid auction with independent private values.

    Attributes:
        num_agents: N, bidders.
        pricing: `first-price`, `second-price` or `all-pay`.
        units: k, units for sale; each bidder wants one.
        reserve: r, lowest admitted bid, money.
        highest_value: h, money; values are uniform between 0 and h.
        bid_levels: levels of bids from 0 to the largest h; None: continuous.
        rounds: auctions of the game, each with fresh values.
        discount: weight of the next auction.
    """

    id: ClassVar[str] = "auction-v0"
    is_dilemma: ClassVar[bool] = False
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "bid": Conduct("money units", limitable=True),
        "payment": Conduct("money"),
        "income": Conduct("money"),
    }

    num_agents: int = 5
    pricing: Literal["first-price", "second-price", "all-pay"] = "first-price"
    units: int = 1
    reserve: Parameter = 0.0
    highest_value: AgentParameter = 1.0
    bid_levels: Levels = 101

    def validate(self) -> None:
        """Check the ranges."""
        super().validate()
        check("Auction.num_agents", self.num_agents, 2, math.inf)
        require(self.pricing in PRICING, "Auction.pricing", self.pricing, ", ".join(PRICING))
        check("Auction.units", self.units, 1, self.num_agents - 1)
        check("Auction.reserve", self.reserve, 0.0, math.inf)
        check("Auction.highest_value", self.highest_value, 0.0, math.inf, open_low=True)

    @property
    def groups(self) -> Mapping[str, int]:
        """Bidders only."""
        return {"bidders": self.num_agents}

    @property
    def highest_bid(self) -> float:
        """Money."""
        return float(np.max(self.highest_value))

    def actions(self) -> list[Action]:
        """The bid."""
        return [Action("bid", Real(0.0, self.highest_bid, "money", self.bid_levels))]

    def signals(self) -> list[Signal]:
        """The own value in the coming auction, and the share of the auctions held."""
        return [Signal("value", "money", 0.0, self.highest_bid), PROGRESS]

    def initial(self, rng: Streams) -> AuctionState:
        """Values of the first auction."""
        return AuctionState(np.zeros((rng.num_worlds, 1)), self._draw(rng))

    def _draw(self, rng: Streams) -> Array:
        return self.highest_value * rng.uniform(self.num_agents)

    def step(self, state: AuctionState, play: Play, rng: Streams) -> tuple[AuctionState, Outcome]:
        """One auction."""
        bid = play["bid"]
        admitted = bid >= self.reserve
        order = np.lexsort((rng.uniform(self.num_agents), -bid))  # by bid, equal ones by lot
        won = np.zeros_like(bid)
        np.put_along_axis(won, order[:, : self.units], 1.0, axis=1)
        won *= admitted
        if self.pricing == "first-price":
            payment = won * bid
        elif self.pricing == "all-pay":
            payment = admitted * bid
        else:
            rejected = np.take_along_axis(bid, order[:, self.units : self.units + 1], axis=1)
            payment = won * np.maximum(rejected, self.reserve)
        gain = state.value * won - payment
        following = AuctionState(state.round + 1.0, self._draw(rng))
        conduct = {"bid": bid, "payment": payment, "income": gain}
        return following, Outcome(gain, conduct, self.over(following), outside=payment.sum(axis=1))

    def observe(self, state: AuctionState) -> Mapping[str, Array]:
        """Each sees its value only."""
        return {"value": state.value, "progress": state.round / self.rounds}

    def limit(self, state: AuctionState, play: Play, bounds: Bounds) -> Play:
        """Change bids to what the bounds allow."""
        return {**play, "bid": np.clip(np.clip(play["bid"], *bounds["bid"]), 0.0, self.highest_bid)}

    # ------------------------------------------------------------------ theory

    def symmetric(self) -> tuple[float, float]:
        """`(h, r / h)`."""
        h, reserve = np.unique(self.highest_value), np.unique(self.reserve)
        if len(h) > 1 or len(reserve) > 1:
            raise NotExact(
                f"highest_value is {h.tolist()}, reserve {reserve.tolist()}; "
                "the equilibrium is known where all bidders are alike: one value of each"
            )
        return float(h[0]), min(float(reserve[0] / h[0]), 1.0)

    def beaten(self, below: Array) -> Array:
        """G: probability that fewer than k of N - 1 others are above, if one is below with `below`."""
        return np.asarray(betainc(self.num_agents - self.units, self.units, below), dtype=np.float64)

    def _integral(self, low: Array | float, high: Array | float = 1.0, by_value: bool = False) -> Array:
        """Integral of G (or of v G) over `[low, high]`; Gauss and Legendre are exact for polynomials."""
        node, weight = np.polynomial.legendre.leggauss(self.num_agents + 1)
        middle = 0.5 * (np.asarray(high) + np.asarray(low))[..., None]
        half = 0.5 * (np.asarray(high) - np.asarray(low))[..., None]
        at = np.clip(middle + half * node, 0.0, 1.0)
        total: Array = (self.beaten(at) * (at if by_value else 1.0) * weight * half).sum(axis=-1)
        return total

    def entry_value(self) -> float:
        """v_0, the lowest value that takes part, money: pays the reserve price if all others stay out."""
        h, reserve = self.symmetric()
        if self.pricing != "all-pay" or reserve in (0.0, 1.0):
            return h * reserve
        return h * float(brentq(lambda v: v * float(self.beaten(v)) - reserve, 0.0, 1.0, xtol=1e-15))

    def equilibrium_bid(self, value: Array) -> Array:
        """Bid of each value in the symmetric equilibrium of continuous bids; money, any shape."""
        h, _ = self.symmetric()
        entry, share = self.entry_value() / h, np.clip(np.asarray(value, dtype=np.float64) / h, 0.0, 1.0)
        if self.pricing == "second-price":
            return np.where(share >= entry, h * share, 0.0)
        wins = self.beaten(share)
        paid = share * wins - self._integral(entry, share)
        bid = paid / np.maximum(wins, 1e-300) if self.pricing == "first-price" else paid
        return np.where((share >= entry) & (wins > 0), h * bid, 0.0)

    def references(self) -> References:
        """Symmetric equilibrium of every auction (values are drawn anew); planner: highest values win.

        Raises:
            NotExact: bidders differ.
        """
        h, _ = self.symmetric()
        weight = self.weight
        entry = self.entry_value() / h
        planned = float(weight * h * self.num_agents * self._integral(0.0, by_value=True))
        if self.bid_levels:
            fine, coarse = self._at_levels(VALUES * 10), self._at_levels(VALUES * 5)
            value, revenue = fine
            error = weight * abs(value - coarse[0])
            epsilon = weight * max(best_response_gain(self, self._own_bids(VALUES)), 0.0)
        else:
            value = float(h * self.num_agents * self._integral(entry, by_value=True))
            revenue, error, epsilon = self._revenue(entry), 0.0, 0.0
        gap = planned - weight * value
        scale = (gap if gap > SMALLEST_GAP * planned else planned) / self.num_agents
        kind: Kind = "numerical" if epsilon <= LARGEST_EPSILON * scale else "best known"
        where = "continuous bids, at the nearest level" if self.bid_levels else "every auction"
        selfish = Yardstick(
            weight * value, kind if self.bid_levels else "closed form", error, epsilon,
            f"symmetric equilibrium of {where}",
            self._bidding(), {"revenue": revenue, "entry value": self.entry_value()},
        )  # fmt: skip
        planner = Yardstick(planned, "closed form", selection="the highest values win")
        return References(selfish, planner, planned, facts=self.facts())

    def facts(self) -> Mapping[str, float]:
        """Textbook numbers of the symmetric equilibrium of continuous bids."""
        h, _ = self.symmetric()
        best = float(self.beaten(np.asarray(0.5))) if self.pricing == "all-pay" else 1.0
        return {
            "revenue": self._revenue(self.entry_value() / h),
            "best entry value": h / 2,
            "best reserve price": 0.5 * h * best,
            "revenue at the best reserve price": self._revenue(0.5),
            "bid of the highest value": float(self.equilibrium_bid(np.asarray(h))),
        }

    def _revenue(self, entry: float) -> float:
        """Expected revenue of an auction if values above `entry` (share of h) take part."""
        # N times the integral of m over [v_0, 1], the order of integration changed.
        v_g, g = self._integral(entry, by_value=True), self._integral(entry)
        return float(self.symmetric()[0] * self.num_agents * (2 * v_g - g))

    def _own_bids(self, number: int) -> Array:
        """Equilibrium bids at the midpoints of `number` equal parts of [0, h], at the nearest level."""
        bids = self.equilibrium_bid(self.highest_bid * (np.arange(number) + 0.5) / number)
        if not self.bid_levels:
            return bids
        step = self.highest_bid / (self.bid_levels - 1)
        return np.asarray(np.rint(bids / step) * step, dtype=np.float64)

    def _at_levels(self, number: int) -> tuple[float, float]:
        """Winners' value and revenue of an auction where equilibrium bids are rounded to levels."""
        bids = self._own_bids(number)
        value = self.highest_bid * (np.arange(number) + 0.5) / number
        tried, wins, payment = interim(self, bids)
        index = np.rint(bids / tried[1]).astype(np.intp)
        n = self.num_agents
        return float(n * (value * wins[index]).mean()), float(n * payment[index].mean())

    def _bidding(self) -> Rule:
        step = self.highest_bid / (self.bid_levels - 1) if self.bid_levels else 0.0

        def rule(observation: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
            bid = np.minimum(self.equilibrium_bid(observation["value"][..., 0]), self.highest_bid)
            return {"bid": np.rint(bid / step) if step else bid}

        return rule

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """Revenue of every pricing, in closed form and played; Myerson's reserve; best replies."""
        source = "Vickrey (1961)"
        for n, revenue in ((2, 1.0 / 3.0), (5, 2.0 / 3.0)):
            for pricing in PRICING:
                auction = cls(num_agents=n, pricing=pricing, bid_levels=None)  # type: ignore[arg-type]
                found, name = auction.references(), f"{pricing} auction, N = {n}"
                yield Check(f"{name}: revenue", source, revenue, found.selfish.detail["revenue"])
                paid = auction._played_revenue()
                bound = 3.0 * float(paid.std()) / math.sqrt(AUCTIONS)
                yield Check(f"{name}: revenue, played", source, revenue, float(paid.mean()), bound)
            first = cls(num_agents=n, bid_levels=None)
            bid = float(first.equilibrium_bid(np.asarray(0.8)))
            yield Check(f"first-price auction, N = {n}: bid of 0.8", source, 0.8 * (n - 1) / n, bid)
            middle = (np.arange(VALUES) + 0.5) / VALUES
            gain = best_response_gain(first, first.equilibrium_bid(middle))
            yield Check(f"first-price auction, N = {n}: gain of the best reply", source, 0.0, gain, 3e-5)
        reserves = np.linspace(0.0, 1.0, 1001)
        earned = [cls(num_agents=2, reserve=r, bid_levels=None).facts()["revenue"] for r in reserves.tolist()]
        source, best = "Myerson (1981)", float(reserves[int(np.argmax(earned))])
        yield Check("auction, N = 2: best reserve price, of all thousandths", source, 0.5, best)
        yield Check("auction, N = 2: revenue at it", source, 5.0 / 12.0, max(earned))

    def _played_revenue(self) -> Array:
        """Revenue of auctions in which all bid as in equilibrium, `(B,)`."""
        rng = Streams(world_seeds(0, AUCTIONS), 0)
        state = self.initial(rng)
        _, outcome = self.step(state, {"bid": self.equilibrium_bid(state.value)}, rng.begin(1, 0))
        assert outcome.outside is not None
        return outcome.outside
