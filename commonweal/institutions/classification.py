"""Classification institutions: a public label, wrongful or not. They never touch rewards.

Enforcement stays a voluntary, costly act of the citizens (a sanction institution of the same stack);
what a classifier adds is common knowledge of what is wrongful.

Source: Hadfield and Weingast (2012), Journal of Legal Analysis 4(2), 471-514.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import IncompatibleInstitution
from commonweal.institutions.base import Charter, Institution, Turn, spread
from commonweal.institutions.sanctions import others
from commonweal.parameters import Parameter, check, common, nonzero
from commonweal.random import Streams
from commonweal.spaces import Conduct, Signal

Array = NDArray[np.float64]


@dataclass
class ClassifierState:
    """The rule in force `(B, 1)` and the labels of the last play, 1 wrongful, `(B, N)`."""

    threshold: Array
    label: Array


@dataclass(frozen=True, eq=False, repr=False)
class Classifier(Institution):
    """Labels conduct above a threshold wrongful, and announces the labels to all.

    Attributes:
        base: conduct that is judged.
        threshold: most that is not wrongful, in units of the base.
        noise: probability that a label is turned around (1 - clarity).
        duty: name of a sanction conduct `(actor, target)`; then it is itself wrongful to give no
            point to anybody who was labelled in the play before. Empty: no such duty.
        name: address in the society.
    """

    id: ClassVar[str] = "classifier"
    governable: ClassVar[Mapping[str, tuple[float, float]]] = {"threshold": (0.0, math.inf)}
    properties: ClassVar[frozenset[str]] = frozenset({"budget_balanced", "costless", "no_payments"})

    companions: ClassVar[tuple[Mapping[str, Any], ...]] = ({"id": "peer-sanctions"},)

    base: str = "extraction"
    threshold: Parameter = 1.0
    noise: Parameter = 0.0
    duty: str = ""
    name: str = "classifier"

    def validate(self) -> None:
        """Check the ranges."""
        check("Classifier.threshold", self.threshold, 0.0, math.inf)
        check("Classifier.noise", self.noise, 0.0, 1.0)

    @property
    def needs(self) -> tuple[str, ...]:
        """The base, and the sanctions where enforcing is a duty."""
        return (self.base, *self.dyads)

    @property
    def dyads(self) -> tuple[str, ...]:
        """The sanctions where enforcing is a duty."""
        return (self.duty,) if self.duty else ()

    def check(self, charter: Charter) -> None:
        """Somebody must be able to sanction what is labelled."""
        if not any(conduct.dyadic for conduct in charter.conducts.values()):
            raise IncompatibleInstitution(
                "Classifier with nobody able to sanction; allowed: a stack with a sanction institution"
            )
        if self.duty and charter.conducts[self.duty].stage != "play":
            raise IncompatibleInstitution(
                f"Classifier.duty {self.duty!r} is judged with the play; "
                "allowed: conduct of the play, not of a later stage"
            )

    def conducts(self, charter: Charter) -> Mapping[str, Conduct]:
        """The labels."""
        return {f"{self.name}_wrongful": Conduct("label")}

    def signals(self, charter: Charter) -> list[Signal]:
        """The rule, the own label, and the labels of the others, next citizen first."""
        unit = charter.conducts[self.base].unit
        return [
            Signal(f"{self.name}_threshold", unit, 0.0, public=common(self.threshold)),
            Signal(f"{self.name}_own_label", "", 0.0, 1.0),
            Signal(f"{self.name}_labels", "", 0.0, 1.0, width=charter.num_citizens - 1),
        ]

    def initial(self, charter: Charter, rng: Streams) -> ClassifierState:
        """Nobody is labelled."""
        labels = np.zeros((rng.num_worlds, charter.num_citizens))
        return ClassifierState(spread(self.threshold, rng.num_worlds), labels)

    def settle(self, state: ClassifierState, turn: Turn) -> ClassifierState:
        """Label what was done, and what was left undone."""
        if turn.stage != "play":
            return state
        wrongful = turn.conduct[self.base] > state.threshold
        if self.duty:
            wrongful |= self._failed_to_enforce(state.label > 0.5, turn.conduct[self.duty])
        if nonzero(self.noise):
            wrongful ^= turn.rng.uniform(wrongful.shape[1]) < self.noise
        label = wrongful.astype(np.float64)
        turn.conduct[f"{self.name}_wrongful"] = label.copy()
        return ClassifierState(state.threshold, label)

    @staticmethod
    def _failed_to_enforce(labelled: NDArray[np.bool_], points: Array) -> NDArray[np.bool_]:
        """`(B, N)`: somebody else was labelled, and the agent gave no point to any of them."""
        given = (points * labelled[:, None, :]).sum(axis=2) > 0
        n = labelled.shape[1]
        somebody_else = (labelled[:, None, :] & ~np.eye(n, dtype=bool)).any(axis=2)
        return np.asarray(somebody_else & ~given)

    def announce(self, state: ClassifierState, charter: Charter) -> Mapping[str, Array]:
        """The rule and the labels."""
        return {
            f"{self.name}_threshold": state.threshold,
            f"{self.name}_own_label": state.label,
            f"{self.name}_labels": state.label[:, others(charter.num_citizens)],
        }
