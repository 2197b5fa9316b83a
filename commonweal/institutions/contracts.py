"""Formal contracts: proposed, signed by all or void, then enforced as transfers.

Source: Christoffersen, Haupt, Damani and Hadfield-Menell (2023), arXiv 2208.10469. As in the theory,
and unlike code that asks two random agents, a contract needs the signature of every citizen.
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
from commonweal.parameters import check
from commonweal.random import Streams
from commonweal.spaces import Action, Choice, Levels, Real, Signal

Array = NDArray[np.float64]


@dataclass
class ContractState:
    """Who proposes `(B, 1)`, what is proposed `(B, 1)`, and what is in force `(B, 1)` (0: nothing)."""

    proposer: Array
    offer: Array
    force: Array


@dataclass(frozen=True, eq=False, repr=False)
class FormalContract(Institution):
    """A transfer per unit of conduct, proposed by one citizen and signed by all.

    Attributes:
        base: contractible conduct.
        direction: `"reward"`: who does it receives `theta` per unit, paid equally by the others;
            `"charge"`: who does it pays `theta` per unit, shared equally by the others.
        max_transfer: largest `theta`, money per unit.
        levels: levels of `theta`; None: continuous.
        every: plays that a contract lasts; None: the whole episode.
        name: address in the society.
    """

    id: ClassVar[str] = "contract"
    properties: ClassVar[frozenset[str]] = frozenset({"budget_balanced", "costless", "voluntary"})

    base: str = "contribution"
    direction: Literal["reward", "charge"] = "reward"
    max_transfer: float = 1.0
    levels: Levels = 11
    every: int | None = None
    name: str = "contract"

    def validate(self) -> None:
        """Check the ranges."""
        check("FormalContract.max_transfer", self.max_transfer, 0.0, math.inf, open_low=True)
        ways = ("reward", "charge")
        require(self.direction in ways, "FormalContract.direction", self.direction, ", ".join(ways))
        if self.every is not None:
            check("FormalContract.every", self.every, 1, math.inf)

    @property
    def needs(self) -> tuple[str, ...]:
        """The contractible conduct."""
        return (self.base,)

    @property
    def period(self) -> int | None:
        """Plays that a contract lasts."""
        return self.every

    def check(self, charter: Charter) -> None:
        """A contract needs two parties and an observable conduct."""
        if charter.num_citizens < 2 or charter.conducts[self.base].oracle:
            raise IncompatibleInstitution(
                f"FormalContract on {self.base!r} among {charter.num_citizens} citizens; "
                "allowed: an observable conduct, at least two citizens"
            )

    def actions(self, charter: Charter) -> list[Action]:
        """An offer in the first round (only the proposer's counts), a signature in the second."""
        offer = Real(0.0, self.max_transfer, "money per unit", self.levels)
        return [
            Action(f"{self.name}_offer", offer, stage="deliberate", round=0),
            Action(f"{self.name}_sign", Choice(("refuse", "sign")), stage="deliberate", round=1),
        ]

    def signals(self, charter: Charter) -> list[Signal]:
        """Whether one proposes, the offer on the table, the contract in force."""
        money = ("money per unit", 0.0, self.max_transfer)
        return [
            Signal(f"{self.name}_proposes", "", 0.0, 1.0),
            Signal(f"{self.name}_offered", *money, public=True),
            Signal(f"{self.name}_force", *money, public=True),
        ]

    def initial(self, charter: Charter, rng: Streams) -> ContractState:
        """A proposer drawn by lot; nothing offered, nothing in force."""
        nothing = np.zeros((rng.num_worlds, 1))
        proposer = rng.integers(charter.num_citizens, 1).astype(np.float64)
        return ContractState(proposer, nothing, nothing)

    def deliberate(self, state: ContractState, turn: Turn) -> ContractState:
        """Put the offer on the table, then count signatures; one refusal by who is there voids it."""
        if turn.round == 0:
            offers = turn.actions[f"{self.name}_offer"]
            offer = np.take_along_axis(offers, state.proposer.astype(np.intp), axis=1)
            return ContractState(state.proposer, offer, np.zeros_like(offer))
        if turn.round > 1:
            return state
        signs = turn.actions[f"{self.name}_sign"] > 0.5
        signed = (signs | ~turn.present).all(axis=1, keepdims=True)
        return ContractState(state.proposer, state.offer, np.where(signed, state.offer, 0.0))

    def settle(self, state: ContractState, turn: Turn) -> ContractState:
        """Transfer what the contract says."""
        if turn.stage != "play":
            return state
        done = np.maximum(turn.conduct[self.base], 0.0)
        n = done.shape[1]
        amount = state.force[:, :, None] * done[:, :, None] / (n - 1) * (1.0 - np.eye(n))
        # amount[b, i, j]: i did it, j is another; the rewarded receive, the charged pay.
        turn.ledger.transfer(amount.transpose(0, 2, 1) if self.direction == "reward" else amount, "contract")
        return state

    def announce(self, state: ContractState, charter: Charter) -> Mapping[str, Array]:
        """Whether one proposes, the offer on the table, the contract in force."""
        return {
            f"{self.name}_proposes": (np.arange(charter.num_citizens) == state.proposer).astype(np.float64),
            f"{self.name}_offered": state.offer,
            f"{self.name}_force": state.force,
        }
