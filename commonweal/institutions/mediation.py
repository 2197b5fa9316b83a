"""Mediators: citizens may commit and let an official play for them, or play themselves.

Source: Ivanov, Zisman and Chernyshev (2023), "Mediated multi-agent reinforcement learning". With a
mediator that contributes for its members only if all have committed, committing is an equilibrium of
the linear public good whenever N m > 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import require
from commonweal.institutions.base import Charter, Institution, Turn
from commonweal.parameters import check
from commonweal.random import Streams
from commonweal.spaces import Action, Bounds, Choice, Conduct, Levels, Real, Signal, check_range

Array = NDArray[np.float64]


@dataclass
class MediatorState:
    """Who is committed, 1 or 0, `(B, N)`."""

    member: Array


@dataclass(frozen=True, eq=False, repr=False)
class Mediator(Institution):
    """An official who sees who has committed and then sets the conduct of all members.

    Attributes:
        base: conduct that it sets for its members; must be limitable.
        low, high: range of what it may set.
        levels: levels; None: continuous.
        objective: what it strives for. `"naive"`: the sum of its members' utilities;
            `"constrained"`: that sum, less `pressure` times what the worst-off member lacks to the
            best-off outsider, so that joining is not worse than staying out. It sees utilities of
            the step, not what would have happened otherwise.
        pressure: weight of that constraint.
        every: plays between two commitments.
        name: address in the society, and name of the official's group.
    """

    id: ClassVar[str] = "mediator"
    properties: ClassVar[frozenset[str]] = frozenset(
        {"budget_balanced", "costless", "no_payments", "voluntary"}
    )

    base: str = "contribution"
    low: float = 0.0
    high: float = 20.0
    levels: Levels = 21
    objective: Literal["naive", "constrained"] = "naive"
    pressure: float = 1.0
    every: int = 1
    name: str = "mediator"

    def validate(self) -> None:
        """Check the ranges."""
        aims = ("naive", "constrained")
        require(self.objective in aims, "Mediator.objective", self.objective, ", ".join(aims))
        check_range("Mediator range", self.low, self.high)
        check("Mediator.pressure", self.pressure, 0.0, math.inf)
        check("Mediator.every", self.every, 1, math.inf)

    @property
    def bounds(self) -> tuple[str, ...]:
        """The conduct that it sets."""
        return (self.base,)

    @property
    def officials(self) -> Mapping[str, int]:
        """The mediator."""
        return {self.name: 1}

    @property
    def period(self) -> int | None:
        """Plays between two commitments."""
        return self.every

    def conducts(self, charter: Charter) -> Mapping[str, Conduct]:
        """Who let the mediator play."""
        return {f"{self.name}_member": Conduct("")}

    def actions(self, charter: Charter) -> list[Action]:
        """Citizens commit in deliberation; the mediator plays for those who did."""
        amount = Real(self.low, self.high, charter.conducts[self.base].unit, self.levels)
        return [
            Action(f"{self.name}_commit", Choice(("alone", "commit")), stage="deliberate"),
            Action(f"{self.name}_amount", amount, group=self.name),
        ]

    def signals(self, charter: Charter) -> list[Signal]:
        """All see how many are members; the mediator sees who."""
        n = charter.num_citizens
        return [
            Signal(f"{self.name}_own", "", 0.0, 1.0),
            Signal(f"{self.name}_share", "share of citizens", 0.0, 1.0, public=True),
            Signal(f"{self.name}_members", "", 0.0, 1.0, group=self.name, width=n),
        ]

    def initial(self, charter: Charter, rng: Streams) -> MediatorState:
        """Nobody is committed."""
        return MediatorState(np.zeros((rng.num_worlds, charter.num_citizens)))

    def deliberate(self, state: MediatorState, turn: Turn) -> MediatorState:
        """Take in the members."""
        if turn.round > 0:
            return state
        return MediatorState(turn.actions[f"{self.name}_commit"] * turn.present)

    def permit(self, state: MediatorState, turn: Turn) -> Bounds:
        """Play for the members; leave the others free."""
        amount = turn.actions[f"{self.name}_amount"]
        member = state.member > 0.5
        return {self.base: (np.where(member, amount, -np.inf), np.where(member, amount, np.inf))}

    def settle(self, state: MediatorState, turn: Turn) -> MediatorState:
        """Say who let the mediator play."""
        if turn.stage == "play":
            turn.conduct[f"{self.name}_member"] = state.member.copy()
        return state

    def reward(self, state: MediatorState, utility: Array, turn: Turn) -> Mapping[str, Array]:
        """The coalition's welfare."""
        members = state.member > 0.5
        total = (utility * members).sum(axis=1, keepdims=True)
        if self.objective == "constrained":
            worst = np.where(members, utility, np.inf).min(axis=1, keepdims=True)
            best = np.where(members, -np.inf, utility).max(axis=1, keepdims=True)
            mixed = members.any(axis=1, keepdims=True) & ~members.all(axis=1, keepdims=True)
            lack = np.where(mixed, np.maximum(best - worst, 0.0, where=mixed, out=np.zeros_like(best)), 0.0)
            total = total - self.pressure * lack
        return {self.name: total}

    def announce(self, state: MediatorState, charter: Charter) -> Mapping[str, Array]:
        """Who is a member."""
        return {
            f"{self.name}_own": state.member,
            f"{self.name}_share": state.member.mean(axis=1, keepdims=True),
            f"{self.name}_members": state.member[:, None, :],
        }
