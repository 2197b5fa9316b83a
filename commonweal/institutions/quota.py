"""Quotas: a bound on what each agent may do.

Source: individual non-transferable quotas as in Clark (1990), Mathematical Bioeconomics, ch. 8.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import require
from commonweal.institutions.base import Charter, Institution, Turn, spread
from commonweal.monitor import Monitor
from commonweal.parameters import Parameter, check, common
from commonweal.random import Streams
from commonweal.spaces import Bounds, Signal

Array = NDArray[np.float64]


@dataclass
class QuotaState:
    """Quota in force, `(B, 1)` or `(B, N)`."""

    limit: Array


@dataclass(frozen=True, eq=False, repr=False)
class Quota(Institution):
    """Conduct above the quota is impossible, or possible and fined.

    Attributes:
        base: name of the conduct that is bounded.
        limit: quota per citizen and play, in units of the base.
        enforcement: `"impossible"`: the gear does not allow more; `"fined"`: `fine` is paid to
            the treasury for each unit that the monitor reads above the quota.
        fine: money per unit above the quota.
        monitor: how the base is seen when it is fined.
        name: address of this quota in the society.
    """

    id: ClassVar[str] = "quota"
    governable: ClassVar[Mapping[str, tuple[float, float]]] = {"limit": (0.0, math.inf)}

    base: str = "extraction"
    limit: Parameter = 1.0
    enforcement: Literal["impossible", "fined"] = "impossible"
    fine: Parameter = 1.0
    monitor: Monitor = field(default_factory=Monitor)
    name: str = "quota"

    def validate(self) -> None:
        """Check the ranges."""
        check("Quota.limit", self.limit, 0.0, math.inf)
        check("Quota.fine", self.fine, 0.0, math.inf)
        modes = ("impossible", "fined")
        require(self.enforcement in modes, "Quota.enforcement", self.enforcement, ", ".join(modes))

    @property
    def needs(self) -> tuple[str, ...]:
        """The base."""
        return (self.base,)

    @property
    def bounds(self) -> tuple[str, ...]:
        """The base, where exceeding the quota is impossible."""
        return (self.base,) if self.enforcement == "impossible" else ()

    @property
    def owns(self) -> tuple[str, ...]:
        """The right to say how much of the base each may have."""
        return (self.base,)

    def signals(self, charter: Charter) -> list[Signal]:
        """The quota in force."""
        unit = charter.conducts[self.base].unit
        return [Signal(f"{self.name}_limit", unit, 0.0, public=common(self.limit))]

    def initial(self, charter: Charter, rng: Streams) -> QuotaState:
        """The quota as given."""
        return QuotaState(spread(self.limit, rng.num_worlds))

    def permit(self, state: QuotaState, turn: Turn) -> Bounds:
        """Cap the base."""
        return {self.base: (0.0, state.limit)} if self.enforcement == "impossible" else {}

    def settle(self, state: QuotaState, turn: Turn) -> QuotaState:
        """Fine what is above the quota."""
        if turn.stage != "play" or self.enforcement == "impossible":
            return state
        reading, looking = self.monitor.observe(turn.conduct[self.base], turn.rng)
        turn.ledger.collect(self.fine * np.maximum(reading - state.limit, 0.0), "treasury", "fine")
        if np.any(looking):
            turn.ledger.spend(looking, "monitoring")
        return state

    def announce(self, state: QuotaState, charter: Charter) -> Mapping[str, Array]:
        """The quota in force."""
        return {f"{self.name}_limit": state.limit}
