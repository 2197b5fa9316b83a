"""Sanctions among peers: whoever will may pay to reduce another's payoff.

Source: Fehr and Gächter (2002), Nature 415, 137-140: one unit spent takes three from its target.
What is paid and what is taken is destroyed; nobody profits from punishing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import IncompatibleInstitution, require
from commonweal.institutions.base import Charter, Institution, Turn
from commonweal.parameters import Parameter, check
from commonweal.random import Streams
from commonweal.spaces import Action, Choice, Conduct, Real, Signal

Array = NDArray[np.float64]
MOST_TARGETS = 8


@dataclass
class SanctionState:
    """What was last seen.

    Attributes:
        seen: conduct of the others in the last play, `(B, N, N - 1)`, next agent first.
        received: points received in the last round, `(B, N)`.
        income: earned in the last play, `(B, N)`.
    """

    seen: Array
    received: Array
    income: Array


@dataclass(frozen=True, eq=False, repr=False)
class PeerSanctions(Institution):
    """Costly punishment of one citizen by another.

    Attributes:
        base: conduct that everybody sees of everybody.
        cost: money that a point costs who assigns it.
        fine: money that a point takes from its target, or the share of the target's income of the
            last play where `fine_unit` is `"income"` (at most all of it).
        fine_unit: `"money"` or `"income"`.
        quorum: punishers that must join on a target for its fine to bite; the cost is borne anyway.
        max_points: most points that one agent may assign to one target in a round.
        cost_table: cost of 0, 1, 2, … points to one target instead of `cost` per point (convex
            tables as in Fehr and Gächter 2000).
        stage: `"play"`: punish together with the next play, on conduct announced last (cheap);
            `"respond"`: in a stage of its own after conduct is seen (the laboratory's order).
        targets: `"one"`: a target and an amount; `"each"`: one amount per other citizen (N <= 8).
        name: address in the society.
    """

    id: ClassVar[str] = "peer-sanctions"
    properties: ClassVar[frozenset[str]] = frozenset({"budget_balanced", "voluntary"})

    base: str = "extraction"
    cost: Parameter = 1.0
    fine: Parameter = 3.0
    fine_unit: Literal["money", "income"] = "money"
    quorum: int = 1
    max_points: int = 3
    cost_table: tuple[float, ...] | None = None
    stage: Literal["play", "respond"] = "play"
    targets: Literal["one", "each"] = "one"
    name: str = "sanction"

    def validate(self) -> None:
        """Check the ranges."""
        check("PeerSanctions.cost", self.cost, 0.0, math.inf)
        check("PeerSanctions.fine", self.fine, 0.0, math.inf)
        check("PeerSanctions.quorum", self.quorum, 1, math.inf)
        units = ("money", "income")
        require(self.fine_unit in units, "PeerSanctions.fine_unit", self.fine_unit, ", ".join(units))
        check("PeerSanctions.max_points", self.max_points, 1, 1000)
        require(self.stage in ("play", "respond"), "PeerSanctions.stage", self.stage, "play, respond")
        require(self.targets in ("one", "each"), "PeerSanctions.targets", self.targets, "one, each")
        if self.cost_table is not None:
            check("PeerSanctions.cost_table", np.array(self.cost_table), 0.0, math.inf)
            length = len(self.cost_table)
            require(length == self.max_points + 1, "entries of cost_table", length, f"{self.max_points + 1}")

    @property
    def needs(self) -> tuple[str, ...]:
        """The base, and income where fines are a share of it."""
        return (self.base, "income") if self.fine_unit == "income" else (self.base,)

    def check(self, charter: Charter) -> None:
        """Somebody must be there to punish."""
        n = charter.num_citizens
        if n < 2:
            raise IncompatibleInstitution(f"PeerSanctions with {n} citizens; allowed: at least 2")
        if self.quorum > n - 1:
            raise IncompatibleInstitution(
                f"PeerSanctions.quorum {self.quorum} with {n} citizens; allowed: at most {n - 1}"
            )
        if self.targets == "each" and n > MOST_TARGETS:
            raise IncompatibleInstitution(
                f"PeerSanctions.targets 'each' with {n} citizens; allowed: at most {MOST_TARGETS}"
            )

    def conducts(self, charter: Charter) -> Mapping[str, Conduct]:
        """Points by actor and target."""
        return {self.name: Conduct("points", dyadic=True, stage=self.stage)}

    def actions(self, charter: Charter) -> list[Action]:
        """Whom to punish, and how much. Targets are counted from the punisher onwards."""
        others = range(1, charter.num_citizens)
        points = Real(0.0, float(self.max_points), "points", self.max_points + 1)
        if self.targets == "each":
            return [Action(f"{self.name}_{k}", points, stage=self.stage) for k in others]
        amount = Action(f"{self.name}_points", points, stage=self.stage)
        if len(others) == 1:
            return [amount]
        target = Choice(tuple(f"+{k}" for k in others))
        return [Action(f"{self.name}_target", target, stage=self.stage), amount]

    def signals(self, charter: Charter) -> list[Signal]:
        """What each other did last, and the points received."""
        n, unit = charter.num_citizens, charter.conducts[self.base].unit
        return [
            Signal(f"others_{self.base}", unit, width=n - 1),
            Signal(f"{self.name}_received", "points", 0.0, float(self.max_points * (n - 1))),
        ]

    def initial(self, charter: Charter, rng: Streams) -> SanctionState:
        """Nothing was done yet."""
        n = charter.num_citizens
        nothing = np.zeros((rng.num_worlds, n))
        return SanctionState(np.zeros((rng.num_worlds, n, n - 1)), nothing, nothing)

    def settle(self, state: SanctionState, turn: Turn) -> SanctionState:
        """Charge punisher and target; remember what was seen. Who cannot pay for its points gives none."""
        seen, received, income = state.seen, state.received, state.income
        n = turn.charter.num_citizens
        if turn.stage == self.stage:
            points = self._points(turn.actions, n)
            cost = self._cost(points)
            able = turn.ledger.afford(cost)
            if not able.all():
                points, cost = points * able[:, :, None], cost * able
            turn.conduct[self.name] = points
            turn.ledger.collect(cost, "burnt", "cost of punishing")
            joined = (points > 0).sum(axis=1) >= self.quorum
            received = points.sum(axis=1) * joined
            turn.ledger.collect(self._fine(received, income), "burnt", "fine")
        if turn.stage == "play":
            seen = turn.conduct[self.base][:, others(n)]
            income = turn.money.copy()
        return SanctionState(seen, received, income)

    def _fine(self, received: Array, income: Array) -> Array:
        if self.fine_unit == "money":
            return self.fine * received
        return np.minimum(self.fine * received, 1.0) * np.maximum(income, 0.0)

    def _points(self, actions: Mapping[str, Array], n: int) -> Array:
        """Points `(B, actor, target)`."""
        if self.targets == "each" or n == 2:
            each = self.targets == "each"
            names = [f"{self.name}_{k}" for k in range(1, n)] if each else [f"{self.name}_points"]
            offered = np.stack([actions[name] for name in names], axis=2)
            amount, target = offered, others(n)[None]
        else:
            amount = actions[f"{self.name}_points"][:, :, None]
            chosen = actions[f"{self.name}_target"].astype(np.intp)
            target = ((np.arange(n) + 1 + chosen) % n)[:, :, None]
        points = np.zeros((len(amount), n, n))
        np.put_along_axis(points, np.broadcast_to(target, amount.shape), amount, axis=2)
        return points

    def _cost(self, points: Array) -> Array:
        """What the points given cost each actor, `(B, N)`."""
        if self.cost_table is None:
            return self.cost * points.sum(axis=2)
        return np.asarray(self.cost_table)[points.astype(np.intp)].sum(axis=2)

    def announce(self, state: SanctionState, charter: Charter) -> Mapping[str, Array]:
        """What each other did last, and the points received."""
        return {f"others_{self.base}": state.seen, f"{self.name}_received": state.received}


def others(n: int) -> NDArray[np.intp]:
    """Indices of the others, next agent first, `(N, N - 1)`."""
    return (np.arange(n)[:, None] + np.arange(1, n)) % n
