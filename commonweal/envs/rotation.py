r"""Textbook rotations of an even-aged stand, and what the forest makes of them when it is played.

With $V(t) = e^{a - b/t}$, so $V' = V b / t^2$: the *largest sustained yield* $\max V / T$ is at
$T = b$; *Wicksell*'s single rotation, $V' = r V$, at $T = \sqrt{b / r}$; *Faustmann*'s, the one of
largest land value $J(T) = (p V e^{-rT} - D) / (1 - e^{-rT})$, where
$V' = r (V - D / p) / (1 - e^{-rT})$; *Hartman*'s, with a flow $F = \alpha V$ of amenity, where
$p V' + F = r p V + r J$ with the amenity of a rotation in J. Where fires destroy a stand at the rate
$\lambda$, *Reed*'s rotation is Faustmann's at the interest $r + \lambda$: bare land is worth
$(r + \lambda) / r$ times Faustmann's land value at that rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.optimize import brentq

from commonweal.envs.one_state import Fixed
from commonweal.references import Check

if TYPE_CHECKING:
    from commonweal.envs.forest import Forest

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Stand:
    """One stand in continuous time.

    Attributes:
        log_yield, slowness: a and b, in years.
        price, planting_cost: p and D.
        interest: r, per year.
        amenity: alpha, of all who count, per unit of volume and year.
    """

    log_yield: float = 10.0
    slowness: float = 50.0
    price: float = 1.0
    planting_cost: float = 100.0
    interest: float = 0.03
    amenity: float = 0.0

    def volume(self, age: float) -> float:
        """`exp(a - b / t)`."""
        return math.exp(self.log_yield - self.slowness / age)

    def growth(self, age: float) -> float:
        """`V' = V b / t^2`."""
        return self.volume(age) * self.slowness / age**2

    def land_value(self, age: float) -> float:
        """What bare land is worth when it is planted and felled at `age`, again and again."""
        left = math.exp(-self.interest * age)
        timber = self.price * self.volume(age) * left - self.planting_cost
        return -(timber + self._enjoyed(age)) / math.expm1(-self.interest * age)

    def _enjoyed(self, age: float) -> float:
        """Amenity of one rotation, discounted to its beginning."""
        if self.amenity == 0.0:
            return 0.0
        flow = lambda s: self.amenity * self.volume(s) * math.exp(-self.interest * s)  # noqa: E731
        return float(quad(flow, self.slowness / 100.0, age, epsabs=1e-11, epsrel=1e-11, limit=200)[0])

    def sustained_yield(self) -> float:
        """Age of the largest mean annual yield: b."""
        return self.slowness

    def wicksell(self) -> float:
        """Age at which a stand that is felled once grows as fast as money: `sqrt(b / r)`."""
        return math.sqrt(self.slowness / self.interest)

    def faustmann(self) -> float:
        """Age of the largest land value of timber; nan where planting does not pay."""
        r, cost = self.interest, self.planting_cost / self.price

        def condition(age: float) -> float:
            return -self.growth(age) * math.expm1(-r * age) - r * (self.volume(age) - cost)

        high = self.wicksell()
        if self.volume(high) * math.exp(-r * high) <= cost:
            return math.nan
        return float(brentq(condition, self.slowness / 100.0, high, xtol=1e-12))

    def hartman(self, oldest: float) -> float:
        """Age of the largest land value of timber and amenity; inf where nothing is felled by `oldest`."""

        def condition(age: float) -> float:
            flow = self.price * self.growth(age) + self.amenity * self.volume(age)
            return flow - self.interest * (self.price * self.volume(age) + self.land_value(age))

        low = self.faustmann()
        if not low < oldest or condition(oldest) > 0.0:
            return math.inf
        return float(brentq(condition, low * (1.0 - 1e-9), oldest, xtol=1e-12))


def of(forest: Forest, enjoying: int = 0) -> Stand:
    """A stand of the forest whose amenity `enjoying` agents count."""
    values = {name: float(getattr(forest, name)) for name in ("log_yield", "slowness", "price")}
    cost, amenity = float(forest.planting_cost), enjoying * float(forest.amenity)
    return Stand(**values, planting_cost=cost, interest=forest.interest, amenity=amenity)


def played(forest: Forest, ages: Array, plays: int) -> tuple[Array, Array]:
    """Value from bare land, and timber, when the whole of every stand is felled at `ages (B,)`.

    Returns:
        the discounted money of so many plays, and the volume felled in them, `(B,)` each.
    """
    worlds = len(ages)
    rng = Fixed(worlds, None, forest.id)
    state, weight, value, timber = forest.initial(rng), 1.0, np.zeros(worlds), np.zeros(worlds)
    state.age[:], state.stocked[:] = 0.0, 0.0
    for _ in range(plays):
        due = (state.age == 0.0) | (state.age + forest.interval > ages[:, None] - 1e-9)
        work = np.repeat(due, forest.loggers_per_stand, axis=1).astype(np.float64)
        state, outcome = forest.step(state, {"work": work}, rng)
        value += weight * outcome.money.sum(axis=1)
        timber += outcome.conduct["extraction"].sum(axis=1)
        weight *= forest.discount
    return value, timber


def _one(cls: type[Forest], age: float, rotations: int = 1, **parameters: Any) -> tuple[float, float]:
    """`played` with one logger who decides twenty times in a rotation of any, also broken, age."""
    forest = cls(num_agents=1, interval=age / 20.0, **parameters)
    value, timber = played(forest, np.array([age]), 20 * rotations)
    return float(value[0]), float(timber[0])


def _best(function: Callable[[float], float], low: float, high: float) -> float:
    """Where the slope of a smooth function, by differences of fourth order, is zero."""
    h = 1e-2

    def slope(x: float) -> float:
        return 8.0 * (function(x + h) - function(x - h)) - function(x + 2 * h) + function(x - 2 * h)

    return float(brentq(slope, low, high, xtol=1e-11))


def checks(cls: type[Forest]) -> Iterable[Check]:
    """The rotations of the default stand, by playing it, beside the textbook's conditions."""
    source, stand = "Faustmann (1849), recalled", Stand()
    r = stand.interest

    def land(age: float) -> float:
        return -_one(cls, age)[0] / math.expm1(-r * age)

    def once(age: float) -> float:
        return _one(cls, age, planting_cost=0.0)[0]

    def annual(age: float) -> float:
        return _one(cls, age)[1] / age

    best = _best(land, 20.0, 40.0)
    yield Check("forest: Faustmann's rotation, years", source, 32.6, best, 0.05)
    yield Check("forest: Faustmann's rotation, first-order condition", source, stand.faustmann(), best)
    yield Check(
        "forest: Wicksell's rotation, sqrt(b / r)", "Wicksell", math.sqrt(50 / 0.03), _best(once, 30.0, 50.0)
    )
    yield Check(
        "forest: rotation of the largest sustained yield, b", "textbook", 50.0, _best(annual, 40.0, 60.0)
    )
    forever = _one(cls, best, rotations=60)[0]
    yield Check("forest: land value", source, 2703.7, forever, 0.05)
    yield Check("forest: land value, closed form", source, stand.land_value(stand.faustmann()), forever)
    # In years, the best rotation is a whole number next to Faustmann's.
    ages = np.arange(2.0, 81.0)  # planted in one year, felled in the next at the earliest
    yearly = played(cls(), ages, 2000)[0]
    exact = np.array([stand.land_value(age) for age in ages])
    yield Check(
        "forest: best rotation in whole years",
        source,
        float(ages[exact.argmax()]),
        float(ages[yearly.argmax()]),
        0.0,
    )
    yield Check(
        "forest: value of all rotations from 2 to 80 years", source, 0.0, float(np.abs(yearly - exact).max())
    )
    # Private concessions with an amenity: owners count a fifth of it, the planner all.
    enjoyed = cls(num_stands=5, amenity=0.005)
    found = enjoyed.references()
    for name, yardstick, enjoying in (("owner", found.selfish, 1), ("planner", found.planner, 5)):
        whole = [_hartman_in_years(of(enjoyed, enjoying), int(age)) for age in range(1, 120)]
        yield Check(
            f"forest: Hartman's rotation in years, {name}", "Hartman (1976)", 1.0 + float(np.argmax(whole)),
            yardstick.detail["felling age"], 0.0,
        )  # fmt: skip

    burning = cls(num_stands=5, ignition=0.02, spread=0.0)
    found = burning.references()
    whole = [_reed_in_years(stand, int(age), math.exp(-0.02)) for age in range(2, 120)]
    felled = found.selfish.detail["felling age"]
    yield Check("forest: Reed's rotation in years", "derived", 2.0 + float(np.argmax(whole)), felled, 0.0)
    reed = replace(stand, interest=0.05).faustmann()
    yield Check("forest: Reed's rotation, continuous", "Reed (1984), recalled", reed, felled, 1.0)


def _reed_in_years(stand: Stand, age: int, safe: float) -> float:
    """Land value when a stand, from its second year on, survives each year with probability `safe`."""
    delta = math.exp(-stand.interest)
    felled = delta**age * safe ** (age - 1)
    burnt = sum(delta**year * safe ** (year - 2) * (1.0 - safe) for year in range(2, age + 1))
    return (felled * stand.price * stand.volume(age) - stand.planting_cost) / (1.0 - felled - burnt)


def _hartman_in_years(stand: Stand, age: int) -> float:
    """Land value of timber and amenity when both accrue once a year."""
    years = range(1, age)
    enjoyed = sum(stand.amenity * stand.volume(t) * math.exp(-stand.interest * t) for t in years)
    left = math.exp(-stand.interest * age)
    return (stand.price * stand.volume(age) * left - stand.planting_cost + enjoyed) / (1.0 - left)
