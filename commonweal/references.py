"""Yardsticks of one configured dilemma without institutions: selfish equilibrium = 0, planner = 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import require
from commonweal.random import Streams

Array = NDArray[np.float64]
Kind = Literal["closed form", "dynamic programming", "enumeration", "numerical", "best known"]
# How a yardstick is known, in a sentence each: the only place where kinds are defined.
KINDS: Mapping[Kind, str] = {
    "closed form": "a formula, exact to rounding",
    "dynamic programming": "backward induction or policy iteration, within the stated error",
    "enumeration": "every alternative on the levels, or in the table, was tried",
    "numerical": "a root, an integral or an optimum found numerically, within the stated error",
    "best known": "found and measured, but not shown to be an equilibrium or an optimum",
}
# Observed columns by name, `(B, n, width)` -> entries of the action array by name, `(B, n)`.
Rule = Callable[[Mapping[str, Array], Streams], Mapping[str, Array]]

# Of these kinds an equilibrium has no epsilon but by rounding.
EXACT: tuple[Kind, ...] = ("closed form", "enumeration")
LARGEST_EPSILON = 0.01  # of the gap per agent; above it a strategy is only "best known"
ROUNDING = 1e-9  # of the largest W, see `References.rounding`

# Below this share of the range of payoffs the gap between selfish play and planner is no yardstick.
SMALLEST_GAP = 0.01


@dataclass(frozen=True)
class Yardstick:
    """Welfare under one exactly known way of playing.

    Attributes:
        welfare: W, discounted over the dilemma's time limit from its initial state.
        kind: how it is known, see `KINDS`. `best known` is never called planner or equilibrium.
        error: bound on the error of `welfare` and, for a planner, on what a better plan without end could
            add; 0 in closed form and by enumeration.
        epsilon: exact gain of one agent from deviating alone, in units of its own discounted
            payoff; nan for a planner.
        selection: how it was chosen among several equilibria.
        rule: the behaviour itself, for scripted agents; None where it is not a rule of one column.
        detail: other numbers worth showing (steady stock, effort, tax rate).
        slack: how far W could rise above a planner's `welfare` beyond `error`, for all who play and pay as
            they like: by knowing the time limit of a game that the planner plans without end, by payments
            that even out what levels leave uneven, or by living on a trace of money that nobody earned.
    """

    welfare: float
    kind: Kind
    error: float = 0.0
    epsilon: float = math.nan
    selection: str = ""
    rule: Rule | None = field(default=None, repr=False)
    detail: Mapping[str, float] = field(default_factory=dict)
    slack: float = 0.0

    def __post_init__(self) -> None:
        require(self.kind in KINDS, "kind of a yardstick", self.kind, ", ".join(KINDS))


@dataclass(frozen=True)
class References:
    """The yardsticks of a dilemma.

    Attributes:
        selfish: the selfish equilibrium (efficiency 0).
        planner: the first best (efficiency 1).
        payoff_range: largest minus smallest W over the yardsticks and simple constant play; the
            scale against which a small gap is judged.
        corrective: the best constant tax and the value of its equilibrium, by base.
        others: further equilibria, by name.
        facts: textbook numbers (bionomic stock, maximum sustainable yield), by name.
    """

    selfish: Yardstick
    planner: Yardstick
    payoff_range: float
    corrective: Mapping[str, Yardstick] = field(default_factory=dict)
    others: Mapping[str, Yardstick] = field(default_factory=dict)
    facts: Mapping[str, float] = field(default_factory=dict)

    @property
    def gap(self) -> float:
        """W of the planner minus W of the selfish equilibrium."""
        return self.planner.welfare - self.selfish.welfare

    @property
    def gap_error(self) -> float:
        """Bound on the error of `gap`."""
        return self.planner.error + self.selfish.error

    @property
    def bound(self) -> float:
        """No play under any institution brings more W, in expectation."""
        return self.planner.welfare + self.planner.error + self.planner.slack

    @property
    def scale(self) -> float:
        """`gap`, or nan where it is too small to measure by: then losses are reported, not shares."""
        return self.gap if self.gap > SMALLEST_GAP * self.payoff_range else math.nan

    def efficiency(self, welfare: Any) -> Any:
        """`(W - W_selfish) / (W_planner - W_selfish)`; nan when the gap is too small to measure by."""
        return (welfare - self.selfish.welfare) / self.scale

    def raised_by(self, tax: Yardstick) -> bool:
        """Whether W under a tax lies above selfish W by more than both errors: else it mends nothing."""
        return tax.welfare - self.selfish.welfare > tax.error + self.selfish.error + self.rounding

    @property
    def rounding(self) -> float:
        """Differences of W, or of an agent's payoff, that are none."""
        largest = max(self.payoff_range, abs(self.planner.welfare), abs(self.selfish.welfare))
        return ROUNDING * largest


def contradictions(found: References, num_agents: int = 1) -> list[str]:
    """What references say that cannot be true at once, a sentence each; none where they are in order.

    - Nobody gains by leaving an equilibrium that is known exactly, and at most `LARGEST_EPSILON` of its part
      of the gap by leaving one known within an error. What is left for more is only `best known`.
    - Zero is the worst equilibrium found: none with as small an epsilon has a smaller W.
    - No equilibrium and no tax brings more than the planner, and a corrective tax brings more than none.

    Args:
        found: the references.
        num_agents: among whom the gap is shared.
    """
    selfish, planner = found.selfish, found.planner
    said = ["selfish has no epsilon"] if math.isnan(selfish.epsilon) else []
    sticks = {"selfish": selfish, **found.others, **{f"tax on {k}": v for k, v in found.corrective.items()}}
    measure = found.payoff_range if math.isnan(found.scale) else found.scale
    allowed = LARGEST_EPSILON * measure / num_agents
    for name, one in sticks.items():
        most = 0.0 if one.kind in EXACT else math.inf if one.kind == "best known" else allowed
        if one.epsilon > most + found.rounding:
            said.append(f"{name} is called {one.kind}, and an agent gains {one.epsilon:g} by leaving it")
        if one.kind != "best known":
            beyond = one.welfare - one.error - planner.welfare - planner.error
            if beyond > found.rounding:
                said.append(f"W of {name} is {beyond:g} above the planner's")
    for name, one in found.others.items():
        below = selfish.welfare - selfish.error - one.welfare - one.error
        if one.epsilon <= selfish.epsilon + found.rounding and below > found.rounding:
            said.append(f"{name} is an equilibrium of W {one.welfare:g}, and zero is {selfish.welfare:g}")
    for name, one in found.corrective.items():
        if not found.raised_by(one):
            said.append(f"the tax on {name} is called corrective, and W stays at {one.welfare:g}")
    return said


def ranked(found: Iterable[Yardstick]) -> list[Yardstick]:
    """Equilibria by the rule that chooses zero, the selfish line first.

    It is the worst for the group of those from which nobody gains by deviating; what is only `best known`
    comes after them. Where all are, it is the one left with the least gain.
    """
    sticks = list(found)
    known = any(one.kind != "best known" for one in sticks)
    return sorted(
        sticks,
        key=lambda one: (one.kind == "best known", one.welfare if known else one.epsilon, one.welfare),
    )


@dataclass(frozen=True)
class Check:
    """One number of theory beside our own.

    Attributes:
        name: what is compared.
        source: where the reference comes from.
        reference, ours: the two numbers.
        tolerance: largest absolute error that passes: 1e-6 for closed forms, else a stated bound.
    """

    name: str
    source: str
    reference: float
    ours: float
    tolerance: float = 1e-6

    @property
    def error(self) -> float:
        """Absolute difference."""
        return abs(self.ours - self.reference)

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance (nan never is)."""
        return self.error <= self.tolerance
