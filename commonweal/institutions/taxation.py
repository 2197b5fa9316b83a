"""Taxation of conduct at a constant rate per unit.

Source: Pigou (1920), The Economics of Welfare. A tax on harm at rate 1 makes each agent bear the
loss it imposes; as no regulator sees harm, such a tax is marked oracle, and the one on a physical
base (extraction, emission) is what can be had.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import IncompatibleInstitution, require
from commonweal.institutions.base import Charter, Institution, Turn, spread
from commonweal.monitor import Monitor
from commonweal.parameters import Parameter, check, common, nonzero
from commonweal.random import Streams
from commonweal.spaces import Action, Conduct, Real, Signal

Array = NDArray[np.float64]


@dataclass
class TaxState:
    """Rate in force, `(B, 1)`."""

    rate: Array


@dataclass(frozen=True, eq=False, repr=False)
class Taxation(Institution):
    """Each citizen pays `rate * max(base, 0)` on the conduct that the monitor reads.

    Attributes:
        base: name of the conduct that is taxed.
        rate: money per unit of the base; at most 1 where the base is itself money.
        revenue: who receives it. `"others"`: the other N - 1 citizens in equal shares (a rebate
            that included the payer would dilute the tax by 1 / N); `"citizens"`: all N;
            `"treasury"`: nobody, it counts in W at the treasury's weight.
        administration: share of the revenue burnt by collecting it.
        concealable: whether citizens choose a share of the base to hide from the monitor; the tax
            so evaded is appended as the conduct `<name>_evaded`, which only an inspection reveals.
        monitor: how the base is seen.
        name: address of this tax in the society.
    """

    id: ClassVar[str] = "taxation"
    governable: ClassVar[Mapping[str, tuple[float, float]]] = {"rate": (0.0, math.inf)}

    base: str = "income"
    rate: Parameter = 0.1
    revenue: Literal["others", "citizens", "treasury"] = "others"
    administration: Parameter = 0.0
    concealable: bool = False
    monitor: Monitor = field(default_factory=Monitor)
    name: str = "tax"

    def validate(self) -> None:
        """Check the ranges."""
        check("Taxation.rate", self.rate, 0.0, math.inf)
        check("Taxation.administration", self.administration, 0.0, 1.0)
        payees = ("others", "citizens", "treasury")
        require(self.revenue in payees, "Taxation.revenue", self.revenue, ", ".join(payees))

    @property
    def needs(self) -> tuple[str, ...]:
        """The base."""
        return (self.base,)

    def lawful(self, charter: Charter) -> Mapping[str, tuple[float, float]]:
        """An ad valorem rate is at most 1."""
        conduct = charter.conducts[self.base]
        return {"rate": (0.0, 1.0 if conduct.unit == "money" and not conduct.oracle else math.inf)}

    def check(self, charter: Charter) -> None:
        """An ad valorem rate is at most 1."""
        check(f"Taxation.rate on {self.base}", self.rate, *self.lawful(charter)["rate"])
        if self.revenue == "others" and charter.num_citizens < 2:
            raise IncompatibleInstitution("Taxation.revenue 'others' needs at least two citizens")

    def conducts(self, charter: Charter) -> Mapping[str, Conduct]:
        """Tax evaded, where hiding is possible."""
        return {f"{self.name}_evaded": Conduct("money")} if self.concealable else {}

    def actions(self, charter: Charter) -> list[Action]:
        """The share of the base that is hidden, where hiding is possible."""
        share = Real(0.0, 1.0, "share", 5)
        return [Action(f"{self.name}_concealed", share)] if self.concealable else []

    def signals(self, charter: Charter) -> list[Signal]:
        """The rate in force."""
        unit = f"money per {charter.conducts[self.base].unit}"
        return [Signal(f"{self.name}_rate", unit, 0.0, public=common(self.rate))]

    def initial(self, charter: Charter, rng: Streams) -> TaxState:
        """The rate as given."""
        return TaxState(spread(self.rate, rng.num_worlds))

    def settle(self, state: TaxState, turn: Turn) -> TaxState:
        """Collect and pass on."""
        if turn.stage != "play":
            return state
        base = np.maximum(turn.conduct[self.base], 0.0)
        concealed: Array | float = 0.0
        if self.concealable:
            concealed = turn.actions[f"{self.name}_concealed"]
            turn.conduct[f"{self.name}_evaded"] = state.rate * base * concealed
        reading, looking = self.monitor.observe(base, turn.rng, concealed)
        due = state.rate * reading
        if nonzero(self.administration):
            turn.ledger.collect(due * self.administration, "burnt", "administration")
            due = due * (1.0 - self.administration)
        turn.ledger.collect(due, self.revenue, "tax")
        if np.any(looking):
            turn.ledger.spend(looking, "monitoring")
        return state

    def announce(self, state: TaxState, charter: Charter) -> Mapping[str, Array]:
        """The rate in force."""
        return {f"{self.name}_rate": state.rate}


@dataclass
class IncomeTaxState:
    """Marginal rates in force `(B, K)` and income since the last tax day `(B, N)`."""

    rates: Array
    income: Array


@dataclass(frozen=True, eq=False, repr=False)
class IncomeTax(Institution):
    """Income tax with brackets, assessed at the end of every period and shared equally by all.

    `T(z) = sum_k rate_k * min(size_k, max(0, z - cutoff_k))` on the income of the period.

    Source: the bracketed schedule of Zheng et al. (2020), arXiv 2004.13332.

    Attributes:
        cutoffs: lower ends of the brackets, money per period, rising from 0.
        rates: marginal rate of each bracket.
        days: plays between two tax days.
        name: address of this tax in the society.
    """

    id: ClassVar[str] = "income-tax"
    governable: ClassVar[Mapping[str, tuple[float, float]]] = {"rates": (0.0, 1.0)}
    properties: ClassVar[frozenset[str]] = frozenset({"budget_balanced"})

    cutoffs: tuple[float, ...] = (0.0,)
    rates: tuple[float, ...] = (0.2,)
    days: int = 1
    name: str = "income_tax"

    def validate(self) -> None:
        """Check the ranges."""
        check("IncomeTax.rates", np.array(self.rates), 0.0, 1.0)
        check("IncomeTax.days", self.days, 1, math.inf)
        cuts = np.array(self.cutoffs)
        rising = cuts.size > 0 and cuts[0] == 0.0 and bool((np.diff(cuts) > 0).all())
        require(rising, "IncomeTax.cutoffs", self.cutoffs, "rising from 0")
        require(len(self.rates) == cuts.size, "IncomeTax.rates", self.rates, f"{cuts.size} rates")

    @property
    def needs(self) -> tuple[str, ...]:
        """Income."""
        return ("income",)

    def signals(self, charter: Charter) -> list[Signal]:
        """The rates in force, and the income of the period so far."""
        rates = Signal(f"{self.name}_rates", "share", 0.0, 1.0, width=len(self.rates), public=True)
        return [rates, Signal(f"{self.name}_base", "money")]

    def initial(self, charter: Charter, rng: Streams) -> IncomeTaxState:
        """The rates as given, nothing earned yet."""
        rates = spread(np.array(self.rates)[None, :], rng.num_worlds)
        return IncomeTaxState(rates, np.zeros((rng.num_worlds, charter.num_citizens)))

    def settle(self, state: IncomeTaxState, turn: Turn) -> IncomeTaxState:
        """Add up income; on a tax day collect and share."""
        if turn.stage != "play":
            return state
        income = state.income + turn.conduct["income"]
        tax_day = ((turn.plays + 1) % self.days == 0)[:, None]
        turn.ledger.collect(np.where(tax_day, self.due(income, state.rates), 0.0), "citizens", "tax")
        return IncomeTaxState(state.rates, np.where(tax_day, 0.0, income))

    def due(self, income: Array, rates: Array) -> Array:
        """Tax `(B, N)` on `income (B, N)` under marginal `rates (B, K)`."""
        cuts = np.array(self.cutoffs)
        sizes = np.append(np.diff(cuts), math.inf)
        inside = np.clip(income[..., None] - cuts, 0.0, sizes)
        return np.asarray((rates[:, None, :] * inside).sum(axis=2))

    def announce(self, state: IncomeTaxState, charter: Charter) -> Mapping[str, Array]:
        """The rates in force, and the income of the period so far."""
        return {f"{self.name}_rates": state.rates[:, None, :], f"{self.name}_base": state.income}
