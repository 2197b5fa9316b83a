"""Typed columns: what agents choose, what they see, and what they observably did.

An action array of a group is `(B, n, C)` float: one entry per declared action, in order. A
`Choice` holds the index of its label, a `Real` its value, a `Real` with `levels` the index of the
level. The owner of an action always receives physical values: levels are decoded by the society.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import UnknownName, require, require_name
from commonweal.typed import LARGEST, LONGEST_TEXT, SMALLEST, Within, fit


def place_of(group: str, sizes: Mapping[str, int]) -> slice:
    """The place of a group on an axis on which groups of these sizes stand in order.

    Raises:
        UnknownName: there is no such group.
    """
    start = 0
    for name, size in sizes.items():
        if name == group:
            return slice(start, start + size)
        start += size
    raise UnknownName("group", group, sizes)


# Lowest and highest allowed value of conducts, by name.
Bounds = Mapping[str, tuple[NDArray[np.float64] | float, NDArray[np.float64] | float]]
Stage = Literal["deliberate", "play", "respond"]
# Masks and policies hold an entry per level, agent and world; finer than this is continuous.
MOST_LEVELS = 10_000
# Of an action: None is continuous; a single level would be no choice.
Levels = Annotated[int | None, Within(2, MOST_LEVELS)]
# Narrower, relative to its numbers, a range has no room in single precision, which doors use.
NARROWEST = 1e-6


def check_range(what: str, low: float, high: float) -> None:
    """Raise `InvalidParameter` unless `[low, high]` is a range whose numbers can be told apart."""
    largest = max(abs(low), abs(high))
    wide = largest <= LARGEST and high - low >= max(SMALLEST, NARROWEST * largest)
    require(wide, what, (low, high), f"low below high by {SMALLEST:g} and by {NARROWEST:g} of the larger")


@dataclass(frozen=True)
class Choice:
    """One of a few labelled options; played as the index of the label. Option 0 is the null act."""

    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        require(len(self.labels) >= 2, "Choice.labels", self.labels, "at least two labels")
        for label in self.labels:
            require_name("a label of Choice", label, LONGEST_TEXT)

    @property
    def size(self) -> int:
        """Number of options."""
        return len(self.labels)


@dataclass(frozen=True)
class Real:
    """A number in `[low, high]`; with `levels`, one of that many evenly spaced values.

    Attributes:
        low: smallest value, in `unit`.
        high: largest value, in `unit`.
        unit: unit of the value.
        levels: None for a continuous action, else the number of levels (2 to 10,000).
        null: the value of not acting; 0 if inside the range, else `low`.
    """

    low: float
    high: float
    unit: str = ""
    levels: int | None = None

    def __post_init__(self) -> None:
        for name, hint in (("low", float), ("high", float), ("unit", str), ("levels", Levels)):
            object.__setattr__(self, name, fit(f"Real.{name}", getattr(self, name), hint))
        check_range("Real range", self.low, self.high)

    @property
    def size(self) -> int:
        """Number of options, 0 when continuous."""
        return self.levels or 0

    @property
    def step(self) -> float:
        """Distance between two levels (0 when continuous)."""
        return (self.high - self.low) / (self.levels - 1) if self.levels else 0.0

    @property
    def null(self) -> float:
        """The entry in the action array that stands for not acting."""
        value = 0.0 if self.low <= 0.0 <= self.high else self.low
        return round((value - self.low) / self.step) if self.levels else value


@dataclass(frozen=True)
class Action:
    """An action column.

    Attributes:
        name: unique among the columns of its group.
        space: `Choice` or `Real`.
        group: the group that acts, or None for every agent of the dilemma.
        stage: the stage in which the column is live; elsewhere only its null act is played.
        round: which round of that stage (propose in round 0, sign in round 1).
    """

    name: str
    space: Choice | Real
    group: str | None = None
    stage: Stage = "play"
    round: int = 0

    def __post_init__(self) -> None:
        _require_column(self)


@dataclass(frozen=True)
class Signal:
    """An observation column (or `width` columns of the same kind).

    Attributes:
        name: unique among the columns of its group.
        unit: unit of the value.
        low, high: range of the value; may be infinite.
        group: the group that sees it, or None for every agent of the dilemma.
        width: number of entries, e.g. N - 1 for one entry per other agent.
        public: all see the same, `(B, 1)`; then officials see it, too.
    """

    name: str
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    group: str | None = None
    width: int = 1
    public: bool = False

    def __post_init__(self) -> None:
        _require_column(self)
        fit(f"unit of {self.name}", self.unit, str)


def _require_column(column: Action | Signal) -> None:
    """A column may bear the name of an institution and more."""
    require_name(f"{type(column).__name__}.name", column.name, LONGEST_TEXT)
    if column.group is not None:
        require_name(f"group of {column.name}", column.group)


@dataclass(frozen=True)
class Conduct:
    """What agents observably did, by name.

    Attributes:
        unit: unit; "money" marks an ad valorem base, whose tax rate is bounded by 1.
        limitable: whether `dilemma.limit` can cap it.
        dyadic: `(B, actor, target)` instead of `(B, N)`.
        oracle: computed with knowledge that no regulator has (`harm`).
        stage: the stage in which it is done.
    """

    unit: str
    limitable: bool = False
    dyadic: bool = False
    oracle: bool = False
    stage: Stage = "play"

    def __post_init__(self) -> None:
        fit("unit of a Conduct", self.unit, str)
