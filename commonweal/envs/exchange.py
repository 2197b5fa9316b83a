r"""`exchange-v0`: exchange at trading posts, where property is only partly secure.

Trader i owns $e_{il}$ of each of L goods and values bundles by a utility $u_i$ with constant elasticity
of substitution (Cobb-Douglas at one; see `envs.walras`). A round has three steps.

**Fight.** The trader turns a share $f_i$ of its goods into arms $g_i = f_i\, p^* e_i$ ($p^*$: the
competitive prices), which are wasted. A share $\varphi$ of what is left to each is protected, the rest
goes to the strong, in proportion to $s_i = (\theta_i g_i)^m / \sum_j (\theta_j g_j)^m$; where nobody
fights, each keeps its own:

$$h_i = \varphi (1 - f_i) e_i + s_i (1 - \varphi) \sum_j (1 - f_j) e_j .$$

**Trade.** Each good but the last has a post where the last good is the means of payment. The trader
offers a share of its holding for sale there ($t_{il} < 0$), or bids a share of its money ($t_{il} > 0$;
bids above all its money are scaled down). The price is the sum of bids over the sum of offers; with
only bids, or only offers, all goes back.

**Consume.** The reward is the bundle's money metric $P_i(p^*)\, u_i(x_i)$: what the trader would have
to spend at competitive prices to be as well off. Payments of institutions add to it.

Competitive trade without a fight is the planner's choice: since $P_i u_i(x_i) \le p^* x_i$ with equality at
the bundle demanded, W is at most $p^* \sum_i e_i$. Traders few enough to move prices trade too little,
a loss that vanishes with their number (one seller and one buyer alone do not trade at all). Where property
is weak they arm: price takers alike in $\varphi$, $m$ and $\theta$ waste the share
$k / (k + \varphi + (1 - \varphi)/N)$ of all wealth, with $k = m (1 - \varphi)(N - 1)/N$, each as much as any
other, so that the poor gain on the rich. Where arms decide more than in proportion ($m$ well above 1), some
fight with all they have and the others not at all.

Nobody trading is an equilibrium as well, since no post opens for one alone. `selfish` is the worst found
for the group: best replies with trade and without and, where acts on levels are few, every pure profile.
With secure property efficiency is the share of the gains from trade.

All know their endowment and weights; what was fought and traded is conduct. `harm` is what the others
lose, in goods at competitive prices, because an agent fights; prices moved are no harm.

Sources: Shapley and Shubik (1977), J. Political Economy 85, 937-968 (goods for one means of payment);
Dubey and Shubik (1978), J. Economic Theory 17, 1-20 (equilibrium with trade: an outsider bids and
offers a little at each post); Hirshleifer (1991), Economics and Politics 3, 177-200 (the poor gain on the
rich); recalled, not looked up. Skaperdas (1992), American Economic Review 82, 720-739 (power falls with
resources: abstract looked up).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.curves import shares_of_powers
from commonweal.envs.base import Outcome, Play
from commonweal.envs.exchange_equilibrium import solve
from commonweal.envs.repeated import RepeatedGame, RoundState
from commonweal.envs.walras import Economy
from commonweal.errors import InvalidParameter, NotExact, require
from commonweal.parameters import AgentParameter, Parameter, check
from commonweal.random import Streams
from commonweal.references import Check, References
from commonweal.spaces import Action, Bounds, Conduct, Levels, Real, Signal

Array = NDArray[np.float64]
Table = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, eq=False, repr=False)
class Exchange(RepeatedGame):
    """Pure exchange with trading posts and contested property.

    Attributes:
        num_agents: N, traders; trader i is of type i modulo the number of types.
        endowments: e, units of each good, one row per type; the last good is the means of payment.
        weights: a, of each good in utility, one row per type, each with sum one.
        substitution: sigma, elasticity of substitution; 1: Cobb-Douglas.
        property_rights: phi, share of the endowment that is protected.
        strength: theta, effect of a unit of arms.
        decisiveness: m, by how much more arms decide.
        levels: levels of a share from 0 to 1; None: continuous.
        rounds: rounds of the game, each with fresh endowments.
        discount: weight of the next round.
    """

    id: ClassVar[str] = "exchange-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "fighting": Conduct("goods at competitive prices", limitable=True),
        "turnover": Conduct("money"),
        "income": Conduct("money"),
        "harm": Conduct("money", oracle=True),
    }
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        # Two traders with the endowments and weights of the textbook's closed form; secure property.
        "cobb-douglas": {
            "num_agents": 2,
            "endowments": ((1.0, 2.0), (3.0, 1.0)),
            "weights": ((0.3, 0.7), (0.6, 0.4)),
            "property_rights": 1.0,
            "levels": None,
        },
    }

    num_agents: int = 4
    endowments: Table = ((3.0, 1.0), (1.0, 3.0))
    weights: Table = ((0.3, 0.7), (0.7, 0.3))
    substitution: AgentParameter = 1.0
    property_rights: Parameter = 0.5
    strength: Parameter = 1.0
    decisiveness: Parameter = 1.0
    levels: Levels = 21

    def validate(self) -> None:
        """Check the ranges."""
        super().validate()
        check("Exchange.num_agents", self.num_agents, 1, math.inf)
        for name in ("endowments", "weights"):
            rows = tuple(tuple(row) for row in getattr(self, name))
            object.__setattr__(self, name, rows)  # lists from JSON become tuples
            goods = {len(row) for row in rows}
            require(len(goods) == 1 and min(goods) >= 2, f"Exchange.{name}", rows, "rows of 2 or more goods")
        shapes = (len(self.weights), len(self.weights[0]))
        require(
            shapes == (len(self.endowments), len(self.endowments[0])),
            "types and goods of Exchange.weights", shapes, "those of the endowments",
        )  # fmt: skip
        check("Exchange.endowments", np.array(self.endowments), 0.0, math.inf)
        owned = np.array(self.endowments)[np.arange(self.num_agents) % shapes[0]].sum(axis=0)
        require(bool((owned > 0).all()), "Exchange.endowments", self.endowments, "some of every good")
        check("Exchange.weights", np.array(self.weights), 0.0, 1.0, open_low=True)
        sums = np.array(self.weights).sum(axis=1)
        require(bool(np.allclose(sums, 1.0)), "Exchange.weights", self.weights, "rows with sum 1")
        check("Exchange.property_rights", self.property_rights, 0.0, 1.0)
        for name in ("substitution", "strength", "decisiveness"):
            check(f"Exchange.{name}", getattr(self, name), 0.0, math.inf, open_low=True)
        require(np.size(self.substitution) in (1, self.num_agents), "entries of Exchange.substitution",
                np.size(self.substitution), f"1 or {self.num_agents}")  # fmt: skip
        try:
            self._competition  # noqa: B018 (whose prices every round needs)
        except NotExact as error:
            raise InvalidParameter(f"Exchange has no competitive prices: {error}") from None

    @cached_property
    def economy(self) -> Economy:
        """Endowments, weights and elasticities of the N traders."""
        kind = np.arange(self.num_agents) % len(self.endowments)
        sigma = np.broadcast_to(np.asarray(self.substitution, float).reshape(-1), (self.num_agents,))
        weight = np.array(self.weights)[kind]
        return Economy(np.array(self.endowments)[kind], weight / weight.sum(axis=1, keepdims=True), sigma)

    @cached_property
    def _competition(self) -> _Competition:
        economy = self.economy
        price = economy.equilibrium()
        demand = economy.demand(price, economy.income(price))
        return _Competition(price, economy.price_index(price), economy.endowment @ price, demand)

    @property
    def prices(self) -> Array:
        """Competitive prices where property is secure, `(L,)`; the last good's is one."""
        return self._competition.price

    @property
    def wealth(self) -> Array:
        """Worth of each trader's endowment at those prices, `(N,)`."""
        return self._competition.wealth

    @property
    def _posts(self) -> list[str]:
        return [f"trade_{good}" for good in range(1, self.economy.endowment.shape[1])]

    def actions(self) -> list[Action]:
        """The share of goods turned into arms; at each post the share sold (below 0) or of money bid."""
        levels = self.levels
        both = 2 * levels - 1 if levels else None
        trades = [Action(name, Real(-1.0, 1.0, "share", both)) for name in self._posts]
        return [Action("fight", Real(0.0, 1.0, "share", levels)), *trades]

    def signals(self) -> list[Signal]:
        """Own endowment and weights, and the share of the rounds played."""
        goods, most = self.economy.endowment.shape[1], float(self.economy.endowment.max())
        return [
            Signal("endowment", "units", 0.0, most, width=goods),
            Signal("weight", "", 0.0, 1.0, width=goods),
            *super().signals(),
        ]

    def step(self, state: RoundState, play: Play, rng: Streams) -> tuple[RoundState, Outcome]:
        """One round."""
        fight = play["fight"]
        trade = np.stack([play[name] for name in self._posts], axis=-1)
        bundle, turnover = self.trade(self.fight(fight), trade)
        following = RoundState(state.round + 1.0)
        conduct = {"fighting": fight * self.wealth, "turnover": turnover, "income": bundle @ self.prices}
        return following, Outcome(self.worth(bundle), conduct, self.over(following))

    def contest(self, fight: Array) -> Array:
        """Share `(B, N)` of the unprotected goods that each wins; nan where nobody fights."""
        return np.asarray(shares_of_powers(self.strength * fight * self.wealth, self.decisiveness))

    def fight(self, fight: Array) -> Array:
        """Holdings `(B, N, L)` after the fight, from shares `(B, N)` spent on it."""
        spared = (1.0 - fight)[..., None] * self.economy.endowment
        exposed = np.broadcast_to(1.0 - np.asarray(self.property_rights), fight.shape)[..., None] * spared
        won = self.contest(fight)[..., None] * exposed.sum(axis=1, keepdims=True)
        return np.where(np.isnan(won), spared, spared - exposed + won)

    def trade(self, holding: Array, trade: Array) -> tuple[Array, Array]:
        """Bundles `(B, N, L)` and turnover `(B, N)` from shares traded `(B, N, L - 1)`."""
        goods, money = holding[..., :-1], holding[..., -1:]
        offer, share = np.maximum(-trade, 0.0) * goods, np.maximum(trade, 0.0)
        bid = share * (money / np.maximum(share.sum(axis=-1, keepdims=True), 1.0))
        offered, paid = offer.sum(axis=1, keepdims=True), bid.sum(axis=1, keepdims=True)
        open_ = (offered > 0) & (paid > 0)
        price = np.where(open_, paid / np.where(open_, offered, 1.0), 1.0)
        offer, bid = offer * open_, bid * open_
        sold, bought = offer * price, bid / price
        left = money + (sold - bid).sum(axis=-1, keepdims=True)
        bundle = np.concatenate([goods - offer + bought, np.maximum(left, 0.0)], axis=-1)
        return bundle, (sold + bid).sum(axis=-1)

    def worth(self, bundle: Array) -> Array:
        """Money metric `(B, N)` of bundles `(B, N, L)`."""
        return self._competition.index * self.economy.utility(bundle)

    def observe(self, state: RoundState) -> Mapping[str, Array]:
        """Each knows its own; all know the round."""
        shape = (len(state.round), *self.economy.endowment.shape)
        own = {"endowment": self.economy.endowment, "weight": self.economy.weight}
        return {**{name: np.broadcast_to(v, shape) for name, v in own.items()}, **super().observe(state)}

    def limit(self, state: RoundState, play: Play, bounds: Bounds) -> Play:
        """Change arms to what the bounds allow."""
        low, high = bounds["fighting"]
        arms = np.clip(play["fight"] * self.wealth, low, high)
        return {**play, "fight": np.clip(arms / np.maximum(self.wealth, 1e-300), 0.0, 1.0)}

    def harm(self, state: RoundState, play: Play, outcome: Outcome, following: RoundState) -> Array:
        """What the others would hold after the fight had i not fought, less what they hold, in money."""
        fight = play["fight"]
        held = self.fight(fight) @ self.prices
        harm = np.empty_like(fight)
        for i in range(self.num_agents):
            peaceful = fight.copy()
            peaceful[:, i] = 0.0
            lost = self.fight(peaceful) @ self.prices - held
            harm[:, i] = lost.sum(axis=1) - lost[:, i]
        return harm

    # ------------------------------------------------------------------ yardsticks

    def references(self) -> References:
        """Competitive trade in peace; and the worst equilibrium found of fights, with trade and without.

        Raises:
            NotExact: a parameter differs by world, or the competitive bids exceed a trader's money.
        """
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray) and value.shape[0] > 1:
                raise NotExact(f"Exchange.{name} has {value.shape[0]} values; allowed: not one per world")
        return _references(json.dumps(self.to_dict(), sort_keys=True))

    def competitive_trade(self) -> Array:
        """The shares `(N, L - 1)` sold (negative) or bid that lead to the competitive bundles in peace.

        Raises:
            NotExact: they exceed a trader's money.
        """
        found, own = self._competition, self.economy.endowment
        net = found.demand - own
        money = np.maximum(own[:, -1:], 1e-300)
        sale = net[:, :-1] / np.maximum(own[:, :-1], 1e-300)
        trade = np.where(net[:, :-1] < 0, sale, found.price[:-1] * net[:, :-1] / money)
        spent = np.maximum(trade, 0.0).sum(axis=1).max()
        if spent > 1.0 + 1e-9:
            raise NotExact(f"competitive bids are {spent:.3g} of a trader's money; allowed: at most 1")
        return np.clip(trade, -1.0, 1.0)

    def payoff(self, acts: Array) -> Array:
        """Rewards `(M, N)` of a round from acts `(M, N, L)`: the fight, then trades."""
        return self.worth(self.trade(self.fight(acts[..., 0]), acts[..., 1:])[0])

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """Walrasian prices, the contest's closed form, what competitive trades bring in play."""
        textbook = cls.from_dict({**cls.presets["cobb-douglas"], "rounds": 1})
        source = "Mas-Colell, Whinston and Green (1995), recalled"
        yield Check("exchange: competitive price p1/p2", source, 12.0 / 19.0, float(textbook.prices[0]))
        worst = float(np.abs(textbook.economy.excess(textbook.prices)).max())
        yield Check("exchange: excess demand", "definition", 0.0, worst, 1e-8)
        acts = np.concatenate([np.zeros((2, 1)), textbook.competitive_trade()], axis=1)[None]
        played = textbook.payoff(acts).sum()
        by_hand = 4.0 * 12.0 / 19.0 + 3.0
        yield Check("exchange: W of competitive trades, played", source, by_hand, float(played))
        # Second welfare theorem: an efficient allocation is an equilibrium without trade of its own owners.
        efficient = textbook.economy.equilibrium(np.array([0.8, 0.2]))
        given = textbook.economy.demand(efficient, textbook.economy.income(efficient, np.array([0.8, 0.2])))
        moved = replace(textbook.economy, endowment=given)
        price = moved.equilibrium()
        trade = float(np.abs(moved.demand(price, moved.income(price)) - given).max())
        yield Check("exchange: trade from an efficient allocation", "second welfare theorem", 0.0, trade)
        for n, phi, share in ((2, 0.0, 1 / 2), (4, 0.0, 3 / 4), (4, 0.5, 3 / 8)):
            alike = {"endowments": ((2.0, 2.0),), "weights": ((0.5, 0.5),), "levels": None, "rounds": 1}
            game = cls.from_dict({**alike, "num_agents": n, "property_rights": phi})
            found = game.references()
            wasted = 1.0 - found.selfish.welfare / found.planner.welfare  # alike, they do not trade
            name = f"exchange: wealth wasted, N = {n}, property {phi:g}"
            yield Check(name, "guns and butter, first-order condition by hand", share, wasted)


@dataclass(frozen=True)
class _Competition:
    """Walrasian prices `(L,)`, price indices and wealth `(N,)`, bundles `(N, L)`."""

    price: Array
    index: Array
    wealth: Array
    demand: Array


@lru_cache(maxsize=64)
def _references(parameters: str) -> References:
    return solve(Exchange.from_dict(json.loads(parameters)))
