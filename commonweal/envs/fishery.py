r"""`fishery-v0`: the Gordon-Schaefer fishery, exploited by N boats.

Stock $x$ grows logistically and each boat's catch is proportional to its effort and the stock,

$$x_{t+1} = \bigl(x_t + r x_t (1 - x_t / K)\bigr) e^{\sigma z_t - \sigma^2/2} - \sum_i h_i,
\qquad h_i = q E_i x_t,$$

and a boat earns $p h_i - c E_i$. Catches are rationed in proportion to effort where together they
exceed the stock. A stock below `collapse` times the capacity is lost and the world ends.

Sources: Gordon (1954), J. Political Economy 62; Schaefer (1954); Clark (1990), Mathematical
Bioeconomics, 2nd ed. Difference equation with a step of one year.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Outcome, Play
from commonweal.envs.one_state import one_state
from commonweal.envs.one_stock import OneStock
from commonweal.parameters import Parameter, WorldParameter, check, nonzero
from commonweal.random import Streams
from commonweal.spaces import Action, Bounds, Conduct, Levels, Real, Signal

Array = NDArray[np.float64]


# Pacific halibut (area 2) after Clark (1990) and Mohring: r = 0.71 / year, K = 80.5 million kg,
# q = 3.30e-6 per skate, c / (p q) = 17.5 million kg. Recalled, not looked up. Here biomass is in
# million kg, effort in thousand skates, and the price is 1 per million kg.
HALIBUT: Mapping[str, Any] = {
    "growth": 0.71,
    "capacity": 80.5,
    "catchability": 3.30e-3,
    "price": 1.0,
    "cost": 17.5 * 3.30e-3,
    "max_effort": 40.0,
}
# Antarctic fin whale after Clark (1990): r = 0.08 / year, K = 400,000 whales, c / (p q) = 40,000
# whales. Recalled, not looked up. Here stock is in thousand whales and the price is 1 per thousand;
# the unit of effort is free and takes a thousandth of the stock in a year.
FIN_WHALE: Mapping[str, Any] = {
    "growth": 0.08,
    "capacity": 400.0,
    "catchability": 0.001,
    "price": 1.0,
    "cost": 0.04,
    "max_effort": 40.0,
}


@dataclass
class FisheryState:
    """Stock `(B, 1)`, in units of biomass."""

    stock: Array


@dataclass(frozen=True, eq=False, repr=False)
class Fishery(OneStock):
    """Gordon-Schaefer fishery.

    Attributes:
        num_agents: N, boats.
        growth: r, intrinsic growth per year.
        capacity: K, carrying capacity (biomass).
        catchability: q, share of the stock caught per unit of effort.
        price: p, money per unit of biomass landed.
        cost: c, money per unit of effort.
        max_effort: largest effort of one boat per year.
        effort_levels: evenly spaced levels from 0 to `max_effort`; None for continuous effort.
        noise: sigma, standard deviation of the log of the growth shock.
        collapse: share of the capacity below which the stock is lost.
        initial_stock: share of the capacity at the start.
        discount: discount factor per year.
    """

    id: ClassVar[str] = "fishery-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "extraction": Conduct("biomass", limitable=True),
        "effort": Conduct("effort", limitable=True),
        "income": Conduct("money"),
        "harm": Conduct("money", oracle=True),
    }

    num_agents: int = 5
    growth: WorldParameter = 0.5
    capacity: WorldParameter = 100.0
    catchability: Parameter = 0.01
    price: Parameter = 1.0
    cost: Parameter = 0.2
    max_effort: float = 10.0
    effort_levels: Levels = 11
    noise: WorldParameter = 0.0
    collapse: WorldParameter = 0.0
    initial_stock: WorldParameter = 1.0
    discount: float = 0.95

    def validate(self) -> None:
        """Check the ranges."""
        check("Fishery.num_agents", self.num_agents, 1, math.inf)
        check("Fishery.growth", self.growth, 0.0, 1.0, open_low=True)
        for name in ("capacity", "catchability", "price", "max_effort"):
            check(f"Fishery.{name}", getattr(self, name), 0.0, math.inf, open_low=True)
        for name in ("cost", "noise"):
            check(f"Fishery.{name}", getattr(self, name), 0.0, math.inf)
        check("Fishery.collapse", self.collapse, 0.0, 0.5)
        check("Fishery.initial_stock", self.initial_stock, 0.0, 1.0, open_low=True)
        check("Fishery.discount", self.discount, 0.0, 1.0 - 1e-6)

    def actions(self) -> list[Action]:
        """Effort."""
        return [Action("effort", Real(0.0, self.max_effort, "effort", self.effort_levels))]

    def signals(self) -> list[Signal]:
        """The stock, which is all that a Markov strategy needs."""
        return [Signal("stock", "biomass", 0.0, 2.0 * float(np.max(self.capacity)), public=True)]

    def initial(self, rng: Streams) -> FisheryState:
        """Every episode starts at the same stock."""
        stock = np.asarray(self.initial_stock * self.capacity)
        return FisheryState(np.array(np.broadcast_to(stock, (rng.num_worlds, 1))))

    def step(self, state: FisheryState, play: Play, rng: Streams) -> tuple[FisheryState, Outcome]:
        """One year."""
        stock, effort = state.stock, play["effort"]
        catch = self.catch(stock, effort)
        grown = stock + self.growth * stock * (1.0 - stock / self.capacity)
        if nonzero(self.noise):
            noise = np.asarray(self.noise)
            grown = grown * np.exp(noise * rng.normal(1) - 0.5 * noise**2)
        left = np.maximum(grown - catch.sum(axis=1, keepdims=True), 0.0)
        following = np.minimum(left, 2.0 * self.capacity)
        collapsed = None
        if nonzero(self.collapse):
            lost = following < self.collapse * self.capacity
            following = np.where(lost, 0.0, following)
            collapsed = lost[:, 0]
        income = self.price * catch - self.cost * effort
        conduct = {"extraction": catch, "effort": effort, "income": income}
        return FisheryState(following), Outcome(income, conduct, collapsed)

    def catch(self, stock: Array, effort: Array) -> Array:
        """Catches `(B, N)`: `q E x`, rationed in proportion where they exceed the stock."""
        mortality = self.catchability * effort
        total = mortality.sum(axis=1, keepdims=True)
        return mortality * (stock / np.maximum(total, 1.0))

    def observe(self, state: FisheryState) -> Mapping[str, Array]:
        """All see the stock."""
        return {"stock": state.stock}

    def limit(self, state: FisheryState, play: Play, bounds: Bounds) -> Play:
        """Change effort to what the bounds on catch and effort allow."""
        effort = play["effort"]
        if "effort" in bounds:
            effort = np.clip(effort, *bounds["effort"])
        if "extraction" in bounds:
            per_effort = self.catchability * np.maximum(state.stock, 1e-12)
            low, high = bounds["extraction"]
            effort = np.clip(effort, low / per_effort, high / per_effort)
        return {**play, "effort": np.clip(effort, 0.0, self.max_effort)}

    def harm(self, state: FisheryState, play: Play, outcome: Outcome, following: FisheryState) -> Array:
        """What the others lose because an agent did not stay in port, `(B, N)`.

        Now, where catches are rationed; and later, in the planner's value of the smaller stock:
        `discount (N - 1) / N (V(x' without i) - V(x'))`.
        """
        stock, catch = state.stock, outcome.conduct["extraction"]
        mortality = self.catchability * play["effort"]
        total = mortality.sum(axis=1, keepdims=True)
        landed = catch.sum(axis=1, keepdims=True)
        without = stock * np.minimum(total - mortality, 1.0)
        now = self.price * (without - (landed - catch))
        spared = np.minimum(following.stock + landed - without, 2.0 * np.asarray(self.capacity))
        if nonzero(self.collapse):
            spared = np.where(spared < self.collapse * self.capacity, 0.0, spared)
        later = self._planned.at(spared) - self._planned.at(following.stock)
        return now + self.discount * (1.0 - 1.0 / self.num_agents) * later

    # ------------------------------------------------------------------ yardsticks

    def coordinate(self, state: FisheryState) -> Array:
        """The stock, `(B,)`."""
        return state.stock[:, 0]

    def state_at(self, coordinate: Array) -> FisheryState:
        """The states with stocks `(B,)`."""
        return FisheryState(coordinate[:, None])

    def grid(self, points: int) -> Array:
        """Stocks from nothing to the capacity; with noise, to three standard deviations above it."""
        capacity, noise = float(np.asarray(self.capacity)), float(np.asarray(self.noise))
        high = min(math.exp(3.0 * noise), 2.0)
        return np.linspace(0.0, high * capacity, math.ceil((points - 1) * high) + 1)

    def facts(self) -> Mapping[str, float]:
        """Textbook numbers of the continuous-time steady state, closed forms in scalar parameters."""
        one_state(self)
        r, capacity, q = float(self.growth), float(self.capacity), float(self.catchability)
        z = float(self.cost) / (float(self.price) * q * capacity)
        rate = 1.0 / self.discount - 1.0 if self.discount > 0 else math.inf
        open_access = r * max(1.0 - z, 0.0) / q
        return {
            "bionomic_stock": z * capacity,
            "open_access_effort": open_access,
            "msy": r * capacity / 4.0,
            "msy_stock": capacity / 2.0,
            "golden_rule_stock": golden_rule_stock(r, capacity, z, rate),
            "static_nash_effort": self.num_agents / (self.num_agents + 1.0) * open_access,
        }

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "halibut": HALIBUT,
        "fin_whale": FIN_WHALE,
    }


def golden_rule_stock(growth: float, capacity: float, z: float, rate: float) -> float:
    """Clark's golden rule: the stock the sole owner keeps at a discount rate per year.

    `K / 4 [(z + 1 - d / r) + sqrt((z + 1 - d / r)^2 + 8 z d / r)]` with `z = c / (p q K)`; the
    bionomic stock `z K` where the future counts for nothing. Source: Clark (1990), sect. 2.5.
    """
    if math.isinf(rate):
        return z * capacity
    impatience = rate / growth
    linear = z + 1.0 - impatience
    root = math.hypot(linear, math.sqrt(8.0 * z * impatience))
    # The root that does not subtract what is nearly equal.
    return capacity / 4.0 * (linear + root if linear > 0.0 else 8.0 * z * impatience / (root - linear))
