"""Theory numbers: the published reference, ours, the error, pass or miss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from commonweal import registry
from commonweal.references import References

CLOSED_FORM = 1e-6


@dataclass(frozen=True)
class Check:
    """One number.

    Attributes:
        name: what is compared.
        source: where the reference comes from.
        reference: the published or derived number.
        ours: what Commonweal computes.
        tolerance: largest error that passes, absolute.
    """

    name: str
    source: str
    reference: float
    ours: float
    tolerance: float

    @property
    def error(self) -> float:
        """Absolute difference."""
        return abs(self.ours - self.reference)

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance (nan never is)."""
        return bool(self.error <= self.tolerance)


def checks() -> Iterator[Check]:
    """All comparisons that the registered dilemmas carry."""
    yield from _public_goods()
    yield from _appropriation()
    yield from _fishery("fishery-v0", None)
    yield from _fishery("fishery-v0", "halibut")


def _public_goods() -> Iterator[Check]:
    game, source = registry.make("public_goods-v0", rounds=1), "Fehr and Gächter 2002"
    found = game.references()
    yield Check("public good: all contribute, each", source, 32.0, found.planner.welfare / 4, CLOSED_FORM)
    yield Check("public good: nobody contributes, each", source, 20.0, found.selfish.welfare / 4, CLOSED_FORM)


def _appropriation() -> Iterator[Check]:
    found, source = registry.make("appropriation-v0").references(), "Ostrom, Walker and Gardner 1992"
    selfish, planner = found.selfish.detail, found.planner.detail
    yield Check("common pool: tokens at Nash", source, 64.0, selfish["tokens"], CLOSED_FORM)
    yield Check("common pool: tokens at the optimum", source, 36.0, planner["tokens"], CLOSED_FORM)
    share = selfish["rent"] / planner["rent"]
    yield Check("common pool: share of the rent at Nash", source, 32 / 81, share, CLOSED_FORM)
    tax = found.facts["corrective tax per token"]
    yield Check("common pool: corrective tax per token", source, 7.875, tax, CLOSED_FORM)


def _fishery(name: str, preset: str | None) -> Iterator[Check]:
    fishery = registry.make(name, preset)
    found: References = fishery.references()
    label = preset or "textbook"
    bound = found.planner.error + found.selfish.error
    yield Check(
        f"{label} fishery: planner not below equilibrium", "definition", 0.0,
        float(np.minimum(found.gap, 0.0)), bound,
    )  # fmt: skip
    share = found.selfish.epsilon / found.gap
    yield Check(f"{label} fishery: deviation gain / gap", "definition", 0.0, share, 0.01)
