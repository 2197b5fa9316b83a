"""Rights: limits on a parameter that no government passes.

A constitution binds what may be decided: the society clamps every governed parameter to these
limits last, whatever a vote, an official or a rule has written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from commonweal.errors import require
from commonweal.institutions.base import Institution


@dataclass(frozen=True, eq=False, repr=False)
class Rights(Institution):
    """A floor and a ceiling for one parameter of another institution.

    Attributes:
        parameter: its address, e.g. `"tax.rate"`.
        low, high: the range that no government may leave; None: no limit on that side.
        name: address in the society.
    """

    id: ClassVar[str] = "rights"
    properties: ClassVar[frozenset[str]] = frozenset({"budget_balanced", "costless", "no_payments"})
    companions: ClassVar[tuple[Mapping[str, Any], ...]] = ({"id": "taxation"},)

    parameter: str = "tax.rate"
    low: float | None = None
    high: float | None = None
    name: str = "rights"

    def validate(self) -> None:
        """Check the ranges."""
        low, high = self.range
        require(low <= high, "Rights range", (low, high), "low <= high")

    @property
    def range(self) -> tuple[float, float]:
        """The range, infinite where there is no limit."""
        low = -math.inf if self.low is None else self.low
        return low, math.inf if self.high is None else self.high

    @property
    def limits(self) -> Mapping[str, tuple[float, float]]:
        """The limits."""
        return {self.parameter: self.range}
