"""Voting: citizens decide a parameter of another institution.

Source: Black (1948), J. Political Economy 56: with single-peaked preferences the median ballot
beats every other in a majority vote.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import IncompatibleInstitution, require
from commonweal.institutions.base import Charter, Institution, Turn
from commonweal.parameters import check
from commonweal.random import Streams
from commonweal.spaces import Action, Levels, Real, Signal, check_range

Array = NDArray[np.float64]


@dataclass
class VoteState:
    """Outcome of the last vote, nan before the first, `(B, 1)`."""

    decided: Array


@dataclass(frozen=True, eq=False, repr=False)
class Vote(Institution):
    """A ballot on one number, at the start of an episode and every `every` plays.

    Attributes:
        on: address of the parameter, e.g. `"tax.rate"`.
        low, high: range of the ballot.
        levels: levels of the ballot; None: continuous.
        rule: `"median"` (of an even number the lower of the two), `"mean"`, or
            `"random-dictator"`.
        every: plays between two votes; None: one vote at the start.
        name: address in the society.
    """

    id: ClassVar[str] = "vote"
    properties: ClassVar[frozenset[str]] = frozenset({"budget_balanced", "costless", "no_payments"})
    companions: ClassVar[tuple[Mapping[str, Any], ...]] = ({"id": "taxation"},)

    on: str = "tax.rate"
    low: float = 0.0
    high: float = 1.0
    levels: Levels = 11
    rule: Literal["median", "mean", "random-dictator"] = "median"
    every: int | None = None
    name: str = "vote"

    def validate(self) -> None:
        """Check the ranges."""
        rules = ("median", "mean", "random-dictator")
        require(self.rule in rules, "Vote.rule", self.rule, ", ".join(rules))
        check_range("Vote range", self.low, self.high)
        if self.every is not None:
            check("Vote.every", self.every, 1, math.inf)

    @property
    def governs(self) -> tuple[str, ...]:
        """The parameter that is voted on."""
        return (self.on,)

    @property
    def period(self) -> int | None:
        """Plays between two votes."""
        return self.every

    def check(self, charter: Charter) -> None:
        """The ballot must be lawful for the parameter."""
        owner, _, parameter = self.on.partition(".")
        low, high = charter.institutions[owner].lawful(charter)[parameter]
        if self.low < low or self.high > high:
            raise IncompatibleInstitution(
                f"Vote on {self.on} ranges over {(self.low, self.high)}; allowed: within {(low, high)}"
            )

    def actions(self, charter: Charter) -> list[Action]:
        """The ballot."""
        return [Action(f"{self.name}_ballot", Real(self.low, self.high, "", self.levels), stage="deliberate")]

    def signals(self, charter: Charter) -> list[Signal]:
        """The outcome of the last vote; the low end before the first."""
        return [Signal(f"{self.name}_decided", "", self.low, self.high, public=True)]

    def initial(self, charter: Charter, rng: Streams) -> VoteState:
        """Nothing was decided yet."""
        return VoteState(np.full((rng.num_worlds, 1), np.nan))

    def deliberate(self, state: VoteState, turn: Turn) -> VoteState:
        """Count the ballots of those who are there; nan where nobody is."""
        if turn.round > 0:
            return state
        ballots, present = turn.actions[f"{self.name}_ballot"], turn.present
        voters = present.sum(axis=1, keepdims=True)
        if self.rule == "mean":
            decided = (ballots * present).sum(axis=1, keepdims=True) / np.maximum(voters, 1)
        else:
            if self.rule == "median":
                ballots, place = np.sort(np.where(present, ballots, np.inf), axis=1), (voters - 1) // 2
            else:  # the ballots of those who are there come first
                ballots = np.take_along_axis(ballots, np.argsort(~present, axis=1, kind="stable"), axis=1)
                place = (turn.rng.uniform(1) * voters).astype(np.intp)
            decided = np.take_along_axis(ballots, np.maximum(place, 0), axis=1)
        return VoteState(np.where(voters > 0, decided, np.nan))

    def govern(self, state: VoteState, turn: Turn) -> Mapping[str, Array]:
        """Write what was decided."""
        return {self.on: state.decided}

    def announce(self, state: VoteState, charter: Charter) -> Mapping[str, Array]:
        """The outcome of the last vote."""
        return {f"{self.name}_decided": np.where(np.isnan(state.decided), self.low, state.decided)}
