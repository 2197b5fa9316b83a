r"""`multi_unit_auction-v0`: sealed bids for several units where bidders want more than one.

In every round each of N bidders draws M values $U[0, h]$; sorted, they are what its first, second, ...
unit is worth to it, $v_{i1} \ge v_{i2} \ge \dots$. It sees them and bids for each; its bids count in falling
order. The $k$ highest of all bids win, ties by lot. A bidder that wins $m_i$ units pays

- `uniform`: the highest rejected bid for each of them, its own bids included,
- `vcg`: what the others lose by its presence, the sum of the $m_i$ highest rejected bids of others,
- `discriminatory`: its own winning bids,

and gains $\sum_{l \le m_i} v_{il}$ less the payment. The seller is no agent: revenue counts in W one for one,
so W is the value of the units to their winners.

Under `vcg` (Vickrey, Clarke and Groves) true bids are dominant and all is efficient; payments are never
negative, so it never runs a deficit. A uniform price invites demand reduction: a bid for a further unit
may set the price of the first. With two units a bidder and as many units as bidders, bidding truly for the
first and nothing for the second is an equilibrium where N is 2 or 3: each gets one unit at a price of
zero, the worst for the seller, and a unit is lost on its second-best owner wherever one bidder has two of
the highest values. Raising the second bid to x gains
$\int_0^x (v_{i2} - y)\,dF(y) - \int_0^x (1 - F(y))\,dy$, where F is the law of the lowest first value
among the others; for N = 2 the integrand is at most $-(1 - y)^2$.

Values are private, so no regulator sees them; rivals lose by price alone, a pecuniary effect: no `harm` is
defined.

Sources: Vickrey (1961), J. Finance 16, 8-37; Clarke (1971), Public Choice 11, 17-33; Groves (1973),
Econometrica 41, 617-631; on uniform prices Noussair (1995), Economic Theory 5, 337-351, and
Engelbrecht-Wiggans and Kahn (1998), Economic Theory 12, 227-258, both corrected by Khezr and Menezes (2017):
low values bid nothing for a second unit, which can bring revenue of zero (their results as told by later
papers). The equilibrium here is derived above and tested by deviations in play.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from commonweal.envs.base import Outcome, Play
from commonweal.envs.repeated import PROGRESS, RepeatedGame, RoundState
from commonweal.errors import NotExact, require
from commonweal.jit import njit
from commonweal.parameters import AgentParameter, check
from commonweal.random import Streams, world_seeds
from commonweal.references import Check, References, Yardstick
from commonweal.spaces import Action, Conduct, Levels, Real, Signal

Array = NDArray[np.float64]
PRICING = ("uniform", "vcg", "discriminatory")
AUCTIONS = 50_000  # played for a mean in `theory`


@dataclass
class MultiUnitState(RoundState):
    """Auctions held so far `(B, 1)`, and the values of units in the coming one, falling, `(B, N, M)`."""

    value: Array


@njit
def _sell(bid, order, units, pricing, won, payment):  # type: ignore[no-untyped-def]
    """Give the units to the first of `order (B, N M)` and fill `won`, `payment (B, N)`."""
    worlds, n, demand = bid.shape
    total = n * demand
    for b in range(worlds):
        for rank in range(units):
            i = order[b, rank] // demand
            if pricing == 2:
                payment[b, i] += bid[b, i, int(won[b, i])]
            won[b, i] += 1.0
        if pricing == 0 and units < total:
            last = order[b, units]
            for i in range(n):
                payment[b, i] = won[b, i] * bid[b, last // demand, last % demand]
        elif pricing == 1:
            for i in range(n):
                left = won[b, i]
                for rank in range(units, total):
                    if left == 0.0:
                        break
                    j = order[b, rank] // demand
                    if j != i:
                        payment[b, i] += bid[b, j, order[b, rank] % demand]
                        left -= 1.0


@dataclass(frozen=True, eq=False, repr=False)
class MultiUnitAuction(RepeatedGame):
    """Sealed-bid auction of several units to bidders with falling marginal values.

    Attributes:
        num_agents: N, bidders.
        demand: M, units that each bidder wants.
        units: k, units for sale.
        pricing: `uniform`, `vcg` or `discriminatory`.
        highest_value: h, money; values are uniform between 0 and h.
        bid_levels: levels of bids from 0 to h; None: continuous.
        rounds: auctions of the game, each with fresh values.
        discount: weight of the next auction.
    """

    id: ClassVar[str] = "multi_unit_auction-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "won": Conduct("units"),
        "payment": Conduct("money"),
        "income": Conduct("money"),
    }

    num_agents: int = 2
    demand: int = 2
    units: int = 2
    pricing: Literal["uniform", "vcg", "discriminatory"] = "uniform"
    highest_value: AgentParameter = 1.0
    bid_levels: Levels = None

    def validate(self) -> None:
        """Check the ranges."""
        super().validate()
        check("MultiUnitAuction.num_agents", self.num_agents, 2, math.inf)
        check("MultiUnitAuction.demand", self.demand, 1, math.inf)
        check("MultiUnitAuction.units", self.units, 1, self.num_agents * self.demand)
        require(self.pricing in PRICING, "MultiUnitAuction.pricing", self.pricing, ", ".join(PRICING))
        check("MultiUnitAuction.highest_value", self.highest_value, 0.0, math.inf, open_low=True)

    @property
    def groups(self) -> Mapping[str, int]:
        """Bidders only."""
        return {"bidders": self.num_agents}

    @property
    def _highest_bid(self) -> float:
        return float(np.max(self.highest_value))

    def actions(self) -> list[Action]:
        """A bid for each unit."""
        bid = Real(0.0, self._highest_bid, "money", self.bid_levels)
        return [Action(f"bid_{unit + 1}", bid) for unit in range(self.demand)]

    def signals(self) -> list[Signal]:
        """What each unit is worth to oneself in the coming auction, and the share of the auctions held."""
        return [Signal("values", "money", 0.0, self._highest_bid, width=self.demand), PROGRESS]

    def initial(self, rng: Streams) -> MultiUnitState:
        """Values of the first auction."""
        return MultiUnitState(np.zeros((rng.num_worlds, 1)), self._draw(rng))

    def _draw(self, rng: Streams) -> Array:
        drawn = rng.uniform(self.num_agents, self.demand)
        return np.asarray(-np.sort(-np.asarray(self.highest_value)[..., None] * drawn, axis=2))

    def step(self, state: MultiUnitState, play: Play, rng: Streams) -> tuple[MultiUnitState, Outcome]:
        """One auction."""
        bid = -np.sort(-np.stack([play[action.name] for action in self.actions()], axis=2), axis=2)
        won, payment = self.sell(bid, rng)
        # Values are falling: with w units a bidder has its first w.
        gain = (state.value * (np.arange(self.demand) < won[..., None])).sum(axis=2) - payment
        following = MultiUnitState(state.round + 1.0, self._draw(rng))
        conduct = {"won": won, "payment": payment, "income": gain}
        return following, Outcome(gain, conduct, self.over(following), outside=payment.sum(axis=1))

    def sell(self, bid: Array, rng: Streams) -> tuple[Array, Array]:
        """Units won and payments, `(B, N)` each, from falling bids `(B, N, M)`; ties by lot."""
        worlds, n, demand = bid.shape
        order = np.lexsort((rng.uniform(n * demand), -bid.reshape(worlds, -1)))
        won, payment = np.zeros((worlds, n)), np.zeros((worlds, n))
        _sell(bid, order, self.units, PRICING.index(self.pricing), won, payment)
        return won, payment

    def observe(self, state: MultiUnitState) -> Mapping[str, Array]:
        """Each sees its values only."""
        return {"values": state.value, **super().observe(state)}

    # ------------------------------------------------------------------ theory

    def references(self) -> References:
        """True bids are the planner's, and dominant under `vcg`; demand reduction under `uniform`.

        Raises:
            NotExact: no equilibrium is known for this pricing, bids have levels, or bidders differ.
        """
        if self.bid_levels:
            raise NotExact(f"bid_levels is {self.bid_levels}; allowed: None, continuous bids")
        if np.size(self.highest_value) > 1:
            raise NotExact(f"highest_value is {self.highest_value}; allowed: one value, bidders alike")
        if self.pricing == "discriminatory":
            raise NotExact("no equilibrium of pricing 'discriminatory' is known; allowed: uniform, vcg")
        n, h, demand = self.num_agents, self._highest_bid, self.demand
        best = self._expected_highest(n * demand, self.units)
        alone = self._expected_highest((n - 1) * demand, min(self.units, (n - 1) * demand))
        clarke = (
            n * alone - (n - 1) * best
        )  # each pays what the others would have without it, less what they have
        truth = Truthful(self, demand)
        planner = Yardstick(
            self.weight * best, "closed form", selection="the highest values win", rule=truth,
            detail={"revenue": clarke},
        )  # fmt: skip
        if self.pricing == "vcg":
            selfish = Yardstick(
                self.weight * best, "closed form", 0.0, 0.0, "true bids are dominant", truth,
                {"revenue": clarke},
            )  # fmt: skip
        else:
            self._require_demand_reduction()
            each = n * h * demand / (demand + 1.0)
            selfish = Yardstick(
                self.weight * each, "closed form", 0.0, 0.0,
                "one true bid each, nothing for further units: the worst for the seller",
                Truthful(self, 1), {"revenue": 0.0},
            )  # fmt: skip
        by_lot = Yardstick(self.weight * self._by_lot(), "closed form")
        facts = {"revenue of true bids under vcg": clarke}
        return References(selfish, planner, planner.welfare - by_lot.welfare, facts=facts)

    def _expected_highest(self, number: int, take: int) -> float:
        """Expected sum of the `take` highest of `number` values, money."""
        rank = np.arange(1, take + 1)
        return float(self._highest_bid * ((number + 1 - rank) / (number + 1)).sum())

    def _by_lot(self) -> float:
        """Expected value of the units if all bids are equal."""
        won = np.arange(self.demand + 1)
        chance = hypergeom(self.num_agents * self.demand, self.demand, self.units).pmf(won)
        worth = np.array([self._expected_highest(self.demand, int(w)) for w in won])
        return float(self.num_agents * (chance * worth).sum())

    def _require_demand_reduction(self) -> None:
        """Raise `NotExact` unless bids for the first unit alone are an equilibrium under a uniform price."""
        n = self.num_agents
        if self.demand != 2 or self.units != n:
            raise NotExact(
                f"demand is {self.demand}, units {self.units} for {n} bidders; "
                "an equilibrium under a uniform price is known for demand 2 and as many units as bidders"
            )
        gain = self.reduction_gain(np.ones(1))[0]
        if gain > 0.0:
            raise NotExact(f"with {n} bidders a second true bid can gain {gain:.3g}; allowed: 2 or 3 bidders")

    def reduction_gain(self, second: Array) -> Array:
        """Largest gain from a positive bid for the second unit, of values `second (M,)`; money.

        All others bid truly for their first unit only; 0 where no positive bid gains.
        """
        x = np.linspace(0.0, 1.0, 4001)
        above = (1.0 - x**2) ** (self.num_agents - 1)  # 1 - F: the lowest of the others' first values
        lottery = -np.diff(above) * (second[:, None] / self._highest_bid - 0.5 * (x[1:] + x[:-1]))
        price = 0.5 * np.diff(x) * (above[1:] + above[:-1])
        return np.asarray(self._highest_bid * np.maximum((lottery - price).cumsum(axis=1).max(axis=1), 0.0))

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """Efficiency, revenue and incentives under `vcg`, demand reduction under a uniform price."""
        source, rng = "Vickrey (1961), Clarke (1971), Groves (1973)", Streams(world_seeds(0, AUCTIONS), 0)
        auction = cls(pricing="vcg")
        state = auction.initial(rng)
        play = {f"bid_{unit + 1}": state.value[..., unit] for unit in range(2)}
        _, outcome = auction.step(state, play, rng.begin(1, 0))
        paid, won = outcome.conduct["payment"], outcome.conduct["income"] + outcome.conduct["payment"]
        names = ("W", "revenue")
        for name, reference, ours in zip(names, (1.4, 0.6), (won.sum(axis=1), paid.sum(axis=1)), strict=True):
            bound = 3.0 * float(ours.std()) / math.sqrt(AUCTIONS)
            yield Check(f"vcg: {name} of true bids, played", source, reference, float(ours.mean()), bound)
        yield Check("vcg: largest deficit", source, 0.0, max(float(-paid.min()), 0.0))
        others = state.value.sum(axis=2)[:, ::-1]  # two bidders: alone, the other would have both units
        externality = others - (won.sum(axis=1, keepdims=True) - won)
        yield Check("vcg: payment less externality", source, 0.0, float(np.abs(paid - externality).max()))
        gain = misreporting_gain(auction, np.linspace(0.0, 1.0, 11))
        yield Check("vcg: gain from misreports, enumerated", source, 0.0, gain)
        uniform, source = cls(), "derived by hand"
        reduced = {"bid_1": state.value[..., 0], "bid_2": np.zeros((AUCTIONS, 2))}
        _, outcome = uniform.step(state, reduced, rng)
        revenue = float(np.abs(outcome.conduct["payment"]).max())
        yield Check("uniform price: revenue after demand reduction", source, 0.0, revenue)
        lost = won.sum(axis=1) - outcome.conduct["income"].sum(axis=1)
        bound = 3.0 * float(lost.std()) / math.sqrt(AUCTIONS)
        yield Check("uniform price: W so lost, played", source, 1.0 / 15.0, float(lost.mean()), bound)


def misreporting_gain(auction: MultiUnitAuction, grid: Array) -> float:
    """Largest gain of a bidder from untrue bids against one rival, both wanting two units; money.

    All values and bids on `grid` are tried, against all bids of the rival a little above it.
    """
    pairs = np.array([(a, b) for a in grid for b in grid if a >= b])
    rival = np.minimum(pairs + 0.37 * (grid[1] - grid[0]), grid[-1])
    own, other = (a.ravel() for a in np.meshgrid(np.arange(len(pairs)), np.arange(len(rival)), indexing="ij"))
    bid = np.stack([pairs[own], rival[other]], axis=1)
    won, payment = auction.sell(bid, Streams(np.zeros(len(bid), np.uint64), 0))
    shape = (len(pairs), len(rival))
    units, paid = won[:, 0].reshape(shape), payment[:, 0].reshape(shape)
    most = 0.0
    for index, value in enumerate(pairs):
        profit = np.append(0.0, np.cumsum(value))[units.astype(np.intp)] - paid
        most = max(most, float((profit - profit[index]).max()))
    return most


@dataclass(frozen=True)
class Truthful:
    """Bid the value of the first `units` units and nothing for the others."""

    auction: MultiUnitAuction
    units: int

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """Entries of the action array, `(B, n)`, by column."""
        values = observed["values"]
        named = enumerate(action.name for action in self.auction.actions())
        return {name: values[..., k] * (k < self.units) for k, name in named}
