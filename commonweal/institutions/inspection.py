"""Inspection by an official who can be bribed.

Source: Becker (1968), J. Political Economy 76, for detection and fine; Becker and Stigler (1974), J. Legal
Studies 3, for the malfeasance of enforcers and the wage that keeps them honest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.institutions.base import Charter, Institution, Turn
from commonweal.parameters import Parameter, WorldParameter, check
from commonweal.random import Streams
from commonweal.spaces import Action, Choice, Conduct, Real, Signal

Array = NDArray[np.float64]


@dataclass
class InspectionState:
    """Bribes paid in the last play, by citizen, `(B, N)`."""

    bribe: Array


@dataclass(frozen=True, eq=False, repr=False)
class Inspection(Institution):
    """An inspector finds evaded tax with some probability; citizens may offer it a bribe.

    Whoever is found out and has offered a bribe that the inspector accepts pays the bribe to it;
    everybody else found out pays `penalty` times what was evaded to the treasury.

    The wage is a cost: it makes up for what the inspector's time would bring elsewhere. A bribe is none:
    it moves money from a citizen to the inspector, whose gain counts in W like everybody's.

    Attributes:
        evaded: conduct that says how much tax was evaded (of a concealable tax in the same stack).
        coverage: probability that a citizen is inspected in a play.
        penalty: fine per unit of tax evaded.
        wage: paid to the inspector by the treasury in each play; what its time is worth elsewhere.
        max_bribe: largest bribe that can be offered.
        name: address in the society, and name of the official's group.
    """

    id: ClassVar[str] = "inspection"
    companions: ClassVar[tuple[Mapping[str, Any], ...]] = ({"id": "taxation", "concealable": True},)

    evaded: str = "tax_evaded"
    coverage: Parameter = 0.5
    penalty: Parameter = 2.0
    wage: WorldParameter = 1.0
    max_bribe: float = 10.0
    name: str = "inspector"

    def validate(self) -> None:
        """Check the ranges."""
        check("Inspection.coverage", self.coverage, 0.0, 1.0)
        check("Inspection.penalty", self.penalty, 0.0, math.inf)
        check("Inspection.wage", self.wage, 0.0, math.inf)
        check("Inspection.max_bribe", self.max_bribe, 0.0, math.inf, open_low=True)

    @property
    def needs(self) -> tuple[str, ...]:
        """What was evaded."""
        return (self.evaded,)

    @property
    def officials(self) -> Mapping[str, int]:
        """The inspector."""
        return {self.name: 1}

    def conducts(self, charter: Charter) -> Mapping[str, Conduct]:
        """Bribes paid."""
        return {f"{self.name}_bribe": Conduct("money")}

    def actions(self, charter: Charter) -> list[Action]:
        """Citizens offer a bribe in case they are found out; the inspector says whether it takes any."""
        return [
            Action(f"{self.name}_offer", Real(0.0, self.max_bribe, "money", 6)),
            Action(f"{self.name}_accepts", Choice(("report", "accept")), group=self.name),
        ]

    def signals(self, charter: Charter) -> list[Signal]:
        """The inspector sees the bribes of the last play."""
        n = charter.num_citizens
        return [
            Signal(f"{self.name}_bribes", "money", 0.0, self.max_bribe, group=self.name, width=n),
        ]

    def initial(self, charter: Charter, rng: Streams) -> InspectionState:
        """No bribe yet."""
        return InspectionState(np.zeros((rng.num_worlds, charter.num_citizens)))

    def settle(self, state: InspectionState, turn: Turn) -> InspectionState:
        """Inspect, fine or take the bribe, and pay the wage."""
        if turn.stage != "play":
            return state
        evaded = turn.conduct[self.evaded]
        worlds, n = evaded.shape
        found = (evaded > 0) & (turn.rng.uniform(n) < self.coverage)
        offer = turn.actions[f"{self.name}_offer"]
        accepts = turn.actions[f"{self.name}_accepts"] > 0.5
        bribed = found & (offer > 0) & accepts
        inspector = turn.charter.agents_of(self.name).start
        agents = turn.charter.num_agents
        payments = np.zeros((worlds, agents, agents))
        payments[:, :n, inspector] = np.where(bribed, offer, 0.0)
        paid = turn.ledger.transfer(payments, "bribe")[:, :n, inspector]
        turn.ledger.collect(np.where(found & ~bribed, self.penalty * evaded, 0.0), "treasury", "fine")
        wages = np.zeros((worlds, agents - n))
        wages[:, inspector - n : inspector - n + 1] = self.wage
        turn.ledger.employ(wages)
        turn.conduct[f"{self.name}_bribe"] = paid
        return InspectionState(paid.copy())

    def announce(self, state: InspectionState, charter: Charter) -> Mapping[str, Array]:
        """Bribes of the last play."""
        return {f"{self.name}_bribes": state.bribe[:, None, :]}
