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
from commonweal.parameters import Parameter, check
from commonweal.random import Streams
from commonweal.spaces import Signal

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
        monitor: how the base is seen.
        name: address of this tax in the society.
    """

    id: ClassVar[str] = "taxation"
    governable: ClassVar[Mapping[str, tuple[float, float]]] = {"rate": (0.0, math.inf)}

    base: str = "income"
    rate: Parameter = 0.1
    revenue: Literal["others", "citizens", "treasury"] = "others"
    administration: Parameter = 0.0
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

    def check(self, charter: Charter) -> None:
        """An ad valorem rate is at most 1; a base between pairs cannot be taxed here."""
        conduct = charter.conducts[self.base]
        if conduct.dyadic:
            raise IncompatibleInstitution(f"Taxation.base {self.base!r} is dyadic; allowed: (B, N)")
        if conduct.unit == "money" and not conduct.oracle:
            check(f"Taxation.rate on {self.base}", self.rate, 0.0, 1.0)
        if self.revenue == "others" and charter.num_citizens < 2:
            raise IncompatibleInstitution("Taxation.revenue 'others' needs at least two citizens")

    def signals(self, charter: Charter) -> list[Signal]:
        """The rate in force."""
        return [Signal(f"{self.name}_rate", f"money per {charter.conducts[self.base].unit}", 0.0)]

    def initial(self, charter: Charter, rng: Streams) -> TaxState:
        """The rate as given."""
        return TaxState(spread(self.rate, rng.num_worlds))

    def settle(self, state: TaxState, turn: Turn) -> TaxState:
        """Collect and pass on."""
        if turn.stage != "play":
            return state
        base, looking = self.monitor.observe(np.maximum(turn.conduct[self.base], 0.0), turn.rng)
        due = state.rate * base
        if np.any(self.administration):
            turn.ledger.collect(due * self.administration, "burnt", "administration")
            due = due * (1.0 - self.administration)
        turn.ledger.collect(due, self.revenue, "tax")
        if np.any(looking):
            turn.ledger.spend(looking, "monitoring")
        return state

    def announce(self, state: TaxState, charter: Charter) -> Mapping[str, Array]:
        """The rate in force."""
        return {f"{self.name}_rate": state.rate}
