"""Laissez-faire: no rule at all, the yardstick beside every institution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from commonweal.institutions.base import Institution


@dataclass(frozen=True, eq=False, repr=False)
class LaissezFaire(Institution):
    """Nothing is forbidden, nothing is paid."""

    id: ClassVar[str] = "laissez-faire"
    properties: ClassVar[frozenset[str]] = frozenset(
        {"budget_balanced", "costless", "no_payments", "voluntary"}
    )
