r"""`screening-v0`: a monopolist who does not know its buyer posts a menu.

A buyer values quantity (or quality) $q$ at $\theta q$, with $\theta = \theta_H$ with probability
$\lambda$, else $\theta_L$, drawn anew in every round and seen by the buyer alone. The seller produces $q$
at a cost of $\tfrac12 c q^2$ and posts two items $(q, t)$; the buyer takes one of them or neither:

$$\pi_{\text{buyer}} = \theta q - t, \qquad \pi_{\text{seller}} = t - \tfrac12 c q^2 .$$

**Timing.** The menu posted in a round is open in the next. The first round has nothing to sell and the
last menu is for nobody: T rounds hold T - 1 sales.

The best menu sells the high type the efficient quantity, $q_H = \theta_H / c$ (no distortion at the top),
and the low type less than efficient, so that its item does not tempt the high type:

$$q_L = \frac1c \max\Bigl(0,\; \theta_L - \frac{\lambda}{1 - \lambda} (\theta_H - \theta_L)\Bigr), \quad
t_L = \theta_L q_L, \quad t_H = \theta_H q_H - (\theta_H - \theta_L)\, q_L .$$

The planner sells each type $\theta / c$; what is lost a sale is
$(1 - \lambda)\, \tfrac12 c\, (\theta_L / c - q_L)^2$. If the types are equal, or the seller could see
them, nothing is lost.

Sources: Mussa and Rosen (1978), J. Economic Theory 18, 301-317; Maskin and Riley (1984), RAND J.
Economics 15, 171-196. Recalled, not looked up; the menu is tested against a numerical optimiser, against
all menus on the levels, and by playing every choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Outcome, Play
from commonweal.envs.repeated import PROGRESS, RepeatedGame, RoundState
from commonweal.envs.sides import ROUNDING, Strategies, by_agent, equally_good, of
from commonweal.errors import NotExact, require
from commonweal.parameters import Parameter, check
from commonweal.random import Streams
from commonweal.references import Check, Kind, References, Yardstick
from commonweal.spaces import Action, Bounds, Choice, Conduct, Levels, Real, Signal

Array = NDArray[np.float64]

ITEMS = ("nothing", "first", "second")
COLUMNS = ("quantity_1", "price_1", "quantity_2", "price_2")
MOST = 2_000_000  # menus tried one by one


@dataclass
class ScreeningState(RoundState):
    """Rounds so far `(B, 1)`, the open menus `(B, S, 4)` as in `COLUMNS`, the buyers' types `(B, S)`."""

    menu: Array
    taste: Array


@dataclass(frozen=True, eq=False, repr=False)
class Screening(RepeatedGame):
    """Menus for buyers of unknown taste.

    Agents are the sellers, then the buyers; seller k serves buyer k. The cost is read at the sellers,
    the tastes and their frequency at the buyers.

    Attributes:
        num_sellers: S; there are as many buyers.
        low_taste, high_taste: theta, money per unit.
        share_high: lambda, probability of the high taste.
        cost: c, money per squared unit.
        max_quantity, max_price: largest values in a menu.
        quantity_levels, price_levels: levels of these; None: continuous.
        rounds: rounds of the game.
        discount: weight of the next round.
    """

    id: ClassVar[str] = "screening-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "price": Conduct("money units", limitable=True),
        "quantity": Conduct("units"),
        "turnover": Conduct("money"),
        "income": Conduct("money"),
    }

    num_sellers: int = 4
    low_taste: Parameter = 1.0
    high_taste: Parameter = 1.5
    share_high: Parameter = 0.5
    cost: Parameter = 1.0
    max_quantity: float = 2.0
    max_price: float = 3.0
    quantity_levels: Levels = 9
    price_levels: Levels = 13
    rounds: int = 11

    def validate(self) -> None:
        """Check the ranges."""
        super().validate()
        check("Screening.num_sellers", self.num_sellers, 1, math.inf)
        check("Screening.low_taste", self.low_taste, 0.0, math.inf)
        rising = bool((np.asarray(self.low_taste) <= np.asarray(self.high_taste)).all())
        require(rising, "Screening.high_taste", self.high_taste, "at least low_taste")
        check("Screening.share_high", self.share_high, 0.0, 1.0)
        for name in ("cost", "max_quantity", "max_price"):
            check(f"Screening.{name}", getattr(self, name), 0.0, math.inf, open_low=True)

    @property
    def groups(self) -> Mapping[str, int]:
        """Sellers, then buyers."""
        return {"sellers": self.num_sellers, "buyers": self.num_sellers}

    def actions(self) -> list[Action]:
        """Sellers: the menu for the next round. Buyers: an item of the open one."""
        quantity = Real(0.0, self.max_quantity, "units", self.quantity_levels)
        price = Real(0.0, self.max_price, "money", self.price_levels)
        spaces = {name: quantity if name.startswith("quantity") else price for name in COLUMNS}
        return [
            *(Action(name, space, "sellers") for name, space in spaces.items()),
            Action("item", Choice(ITEMS), "buyers"),
        ]

    def signals(self) -> list[Signal]:
        """Buyers see their taste and the open menu, sellers their cost."""
        most = [self.max_quantity, self.max_price] * 2
        best = float(np.max(of(self.high_taste, self.agents_of("buyers"))))
        return [
            PROGRESS,
            Signal("cost", "money per squared unit", 0.0, group="sellers"),
            Signal("taste", "money per unit", 0.0, best, "buyers"),
            *(Signal(f"open_{n}", "", 0.0, high, "buyers") for n, high in zip(COLUMNS, most, strict=True)),
        ]

    def initial(self, rng: Streams) -> ScreeningState:
        """Nothing is open yet."""
        worlds = rng.num_worlds
        menu = np.zeros((worlds, self.num_sellers, len(COLUMNS)))
        return ScreeningState(np.zeros((worlds, 1)), menu, self._draw(rng))

    def _draw(self, rng: Streams) -> Array:
        buyers = self.agents_of("buyers")
        high = rng.uniform(self.num_sellers) < of(self.share_high, buyers)
        return np.where(high, of(self.high_taste, buyers), of(self.low_taste, buyers))

    def step(self, state: ScreeningState, play: Play, rng: Streams) -> tuple[ScreeningState, Outcome]:
        """One round: buyers choose from the open menus, sellers post the next."""
        first, second = play["item"] == 1.0, play["item"] == 2.0
        quantity = first * state.menu[..., 0] + second * state.menu[..., 2]
        price = first * state.menu[..., 1] + second * state.menu[..., 3]
        profit = price - 0.5 * of(self.cost, self.agents_of("sellers")) * quantity**2
        money = np.concatenate([profit, state.taste * quantity - price], axis=1)
        menu = np.stack([play[name] for name in COLUMNS], axis=2)
        following = ScreeningState(state.round + 1.0, menu, self._draw(rng))
        posted = 0.5 * (play["price_1"] + play["price_2"])
        conduct = {
            "price": np.concatenate([posted, 0.0 * posted], axis=1),
            "quantity": np.concatenate([quantity, quantity], axis=1),
            "turnover": np.concatenate([price, price], axis=1),
            "income": money,
        }
        return following, Outcome(money, conduct, self.over(following))

    def observe(self, state: ScreeningState) -> Mapping[str, Array]:
        """Taste is private, menus are open."""
        cost = np.broadcast_to(of(self.cost, self.agents_of("sellers")), state.taste.shape)
        shown = {f"open_{name}": state.menu[..., k] for k, name in enumerate(COLUMNS)}
        return {"progress": state.round / self.rounds, "cost": cost, "taste": state.taste, **shown}

    def limit(self, state: ScreeningState, play: Play, bounds: Bounds) -> Play:
        """Change posted prices to what the bounds allow."""
        low, high = (of(end, self.agents_of("sellers")) for end in bounds["price"])
        prices = {
            n: np.clip(np.clip(play[n], low, high), 0.0, self.max_price) for n in ("price_1", "price_2")
        }
        return {**play, **prices}

    # ------------------------------------------------------------------ theory

    def choice(self, menu: Array, taste: Array, cost: Array | float) -> Array:
        """Best item `(...)` of `menu (..., 4)` to `taste (...)`; ties go to what the seller likes best."""
        quantity = np.stack([0.0 * menu[..., 0], menu[..., 0], menu[..., 2]], axis=-1)
        price = np.stack([0.0 * menu[..., 1], menu[..., 1], menu[..., 3]], axis=-1)
        worth = np.asarray(taste)[..., None] * quantity - price
        best = equally_good(worth, worth + 2.0 * price)
        profit = price - 0.5 * np.asarray(cost)[..., None] * quantity**2
        return np.where(best, profit, -np.inf).argmax(axis=-1)

    def expected(self, menu: Array, row: tuple[float, float, float, float]) -> tuple[Array, Array]:
        """Expected profit and W `(G,)` of menus `(G, 4)`; `row` is low taste, high taste, lambda, c."""
        low, high, share, cost = row
        profit, total = np.zeros(len(menu)), np.zeros(len(menu))
        for taste, chance in ((low, 1.0 - share), (high, share)):
            item = self.choice(menu, np.full(len(menu), taste), np.full(len(menu), cost))
            place = np.maximum(2 * item - 2, 0)[:, None]
            quantity = np.take_along_axis(menu, place, axis=1)[:, 0] * (item > 0)
            price = np.take_along_axis(menu, place + 1, axis=1)[:, 0] * (item > 0)
            profit += chance * (price - 0.5 * cost * quantity**2)
            total += chance * (taste * quantity - 0.5 * cost * quantity**2)
        return profit, total

    def best_menu(self, row: tuple[float, float, float, float]) -> Array:
        """The seller's best menu `(4,)`, low type's item first: closed form, or the best on the levels."""
        low, high, share, cost = row
        if self.quantity_levels and self.price_levels:
            menus = self._menus()
            profit, total = self.expected(menus, row)
            ties = np.flatnonzero(profit >= profit.max() * (1.0 - ROUNDING))
            return np.asarray(menus[ties[total[ties].argmin()]], dtype=np.float64)
        odds = share / (1.0 - share) if share < 1.0 else math.inf
        rent = high - low
        little = max(0.0, low - odds * rent) / cost if rent else low / cost
        much = high / cost
        menu = np.array([little, low * little, much, high * much - rent * little])
        if menu[::2].max() > self.max_quantity or menu[1::2].max() > self.max_price:
            raise NotExact(
                f"the menu would be {menu.tolist()}; allowed: quantities to {self.max_quantity}, "
                f"prices to {self.max_price}"
            )
        return menu

    def _menus(self) -> Array:
        assert self.quantity_levels
        assert self.price_levels
        number = (self.quantity_levels * self.price_levels) ** 2 // 2
        if number > MOST:
            raise NotExact(f"there are {number} menus; allowed: {MOST}, or continuous columns")
        quantities = np.linspace(0.0, self.max_quantity, self.quantity_levels)
        prices = np.linspace(0.0, self.max_price, self.price_levels)
        items = np.array([(q, p) for q in quantities for p in prices])
        one, two = np.triu_indices(len(items))  # the order of the items does not matter
        return np.concatenate([items[one], items[two]], axis=1)

    def _rows(self) -> list[tuple[float, float, float, float]]:
        tastes = (by_agent(self, name, "buyers") for name in ("low_taste", "high_taste", "share_high"))
        columns = (*tastes, by_agent(self, "cost", "sellers"))
        return [(float(a), float(b), float(s), float(c)) for a, b, s, c in zip(*columns, strict=True)]

    def _efficient(self, row: tuple[float, float, float, float]) -> Array:
        """The planner's menu `(4,)`: efficient quantities; prices as far as buyers would pay."""
        low, high, _, cost = row
        best = np.array([low / cost, high / cost])
        if self.quantity_levels:
            tried = np.linspace(0.0, self.max_quantity, self.quantity_levels)
            best = np.array([tried[(t * tried - 0.5 * cost * tried**2).argmax()] for t in (low, high)])
        return np.array([best[0], 0.0, best[1], 0.0])

    def references(self) -> References:
        """The best menu in every round, and the planner; the buyer of each type takes its best item.

        Raises:
            NotExact: parameters by world, a menu out of range, or levels for one column only.
        """
        if bool(self.quantity_levels) != bool(self.price_levels):
            raise NotExact("one of quantity_levels and price_levels is None; allowed: both or neither")
        rows, scale = self._rows(), self.later_weight
        kind: Kind = "enumeration" if self.price_levels else "closed form"
        known = {row: self.best_menu(row) for row in set(rows)}
        menus = np.stack([known[row] for row in rows])
        flow = sum(float(self.expected(known[row][None], row)[1][0]) for row in rows)
        first = rows[0]  # no menu and no choice is better, so that nobody gains by deviating: epsilon is 0
        detail = {"low quantity": float(known[first][0]), "high quantity": float(known[first][2])}
        rule = Strategies(self, {"cost": _posting(menus), "taste": self._choosing})
        selfish = Yardstick(
            scale * flow,
            kind,
            0.0,
            0.0,
            "best menu of every seller, items at most worth the taste",
            rule,
            detail,
        )
        planned = np.stack([self._efficient(row) for row in rows])
        flow = sum(
            (1.0 - s) * (a * q[0] - 0.5 * c * q[0] ** 2) + s * (b * q[2] - 0.5 * c * q[2] ** 2)
            for (a, b, s, c), q in zip(rows, planned, strict=True)
        )
        between = np.array([0.5 * (a + b) for a, b, _, _ in rows])
        told = Strategies(self, {"cost": _posting(planned), "taste": _told(between)})
        detail = {"low quantity": float(planned[0, 0]), "high quantity": float(planned[0, 2])}
        planner = Yardstick(
            scale * float(flow), kind, 0.0, math.nan, "efficient quantities by type", told, detail
        )
        low, high, share, cost = first
        facts = {
            "rent of the high type": (high - low) * float(known[first][0]),
            "loss a sale": (1.0 - share) * 0.5 * cost * (low / cost - float(known[first][0])) ** 2,
        }
        return References(selfish, planner, planner.welfare, facts=facts)

    def _choosing(self, seen: Mapping[str, Array]) -> Mapping[str, Array]:
        menu = np.stack([seen[f"open_{name}"] for name in COLUMNS], axis=-1)
        cost = np.broadcast_to(of(self.cost, self.agents_of("sellers")), seen["taste"].shape)
        return {"item": self.choice(menu, seen["taste"], cost).astype(np.float64)}

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """The best menu for tastes 1 and 1.5, equally frequent: of all on the levels, and in closed form."""
        source = "Maskin and Riley (1984), derived"
        game = cls()
        menu = game.best_menu(game._rows()[0])
        for name, reference, ours in zip(COLUMNS, (0.5, 0.5, 1.5, 2.0), menu, strict=True):
            yield Check(f"screening: best menu on the levels, {name}", source, reference, float(ours))
        closed = cls(quantity_levels=None, price_levels=None)
        menu = closed.best_menu(closed._rows()[0])
        for name, reference, ours in zip(COLUMNS, (0.5, 0.5, 1.5, 2.0), menu, strict=True):
            yield Check(f"screening: best menu, {name}", source, reference, float(ours))
        found = closed.references()
        yield Check("screening: W a sale", source, 0.75, found.selfish.welfare / 40.0)
        yield Check("screening: W a sale, planner", source, 0.8125, found.planner.welfare / 40.0)


def _posting(menus: Array) -> Callable[[Mapping[str, Array]], Mapping[str, Array]]:
    return lambda seen: {name: menus[:, k] for k, name in enumerate(COLUMNS)}


def _told(between: Array) -> Callable[[Mapping[str, Array]], Mapping[str, Array]]:
    """The low type takes the first item, the high type the second."""
    return lambda seen: {"item": np.where(seen["taste"] > between, 2.0, 1.0)}
