"""The ledger of one step: every payment, who pays and who receives.

Accounts: the agents (citizens first, then officials), the treasury, and what is burnt (destroyed:
administration, the cost of punishing). The sum over all accounts is zero at every step.

Real costs are what is burnt and the time of officials: what they would have earned elsewhere, which a wage
makes up for. Everything else moves money from one to another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import require

Array = NDArray[np.float64]
Payee = Literal["others", "citizens", "treasury", "burnt"]


@dataclass(frozen=True)
class Entry:
    """One posting. `amount` is `(B, A)` by payer, or by payee where `payer` is the treasury."""

    institution: str
    purpose: str
    payer: str
    payee: str
    amount: Array


class Ledger:
    """Payments of one step in `B` worlds among `A` agents, the first `num_citizens` of them citizens.

    Who is not there (an ostracised citizen) neither pays nor receives, unless a rule says so with
    `absent=True`.

    Attributes:
        net: received minus paid, `(B, A)`.
        treasury: net flow into the treasury, `(B,)`.
        burnt: destroyed, `(B,)`.
        time: worth of the officials' time, `(B,)`.
        shortfall: what was due but could not be paid, `(B, A)`.
        entries: all postings in order.
    """

    def __init__(
        self,
        num_worlds: int,
        num_agents: int,
        num_citizens: int,
        funds: Array | None = None,
        present: NDArray[np.bool_] | None = None,
    ) -> None:
        self.num_citizens = num_citizens
        self.net = np.zeros((num_worlds, num_agents))
        self.treasury = np.zeros(num_worlds)
        self.burnt = np.zeros(num_worlds)
        self.time = np.zeros(num_worlds)
        self.shortfall = np.zeros((num_worlds, num_agents))
        self.entries: list[Entry] = []
        self.institution = ""
        self.closed = False
        # What each agent can pay with, this step's postings aside; None: without bound.
        self.funds = funds
        # Worlds in which the running hook is in effect, `(B,)`; None: all.
        self.active: NDArray[np.bool_] | None = None
        # Citizens who are there, `(B, N)`; None: all. Officials always are.
        self.present = present

    def collect(
        self, amount: Array, to: Payee = "treasury", purpose: str = "", *, absent: bool = False
    ) -> Array:
        """Citizens pay `amount (B, N)` (not negative); returns what was paid.

        `to="others"` shares each payment equally among the other citizens who are there, `"citizens"`
        among all who are there, the payer included. Where nobody is there to receive it, nothing is paid.
        """
        n, present = self.num_citizens, None if absent else self.present
        known = to in ("treasury", "burnt", "citizens") or (to == "others" and n > 1)
        require(known, "payee", to, "others (at least two citizens), citizens, treasury, burnt")
        due = self._in_effect(amount, present)
        share: Array | float = 1.0 / max(n - (to == "others"), 1)  # of a receiver
        if present is not None and to in ("others", "citizens"):
            count = present.sum(axis=1, keepdims=True) - (to == "others")
            due = due * (count > 0)
            share = 1.0 / np.maximum(count, 1)
        paid = due if self.funds is None else self._capped(due, due.shape[1])
        citizens = self.net[:, :n]
        citizens -= paid
        if to == "treasury":
            self.treasury += paid.sum(axis=1)
        elif to == "burnt":
            self.burnt += paid.sum(axis=1)
        else:
            total = paid.sum(axis=1, keepdims=True)
            received = (total if to == "citizens" else total - paid) * share
            citizens += received if present is None else received * present
        self._enter(purpose, "citizens", to, paid)
        return paid

    def transfer(self, amount: Array, purpose: str = "", *, absent: bool = False) -> Array:
        """Agents pay each other `amount (B, payer, payee)`; returns what was paid."""
        due = amount if self.active is None else amount * self.active[:, None, None]
        if self.present is not None and not absent:
            there = self._everybody(self.present)
            due = due * there[:, : due.shape[1], None] * there[:, None, : due.shape[2]]
        paid = due
        if self.funds is not None:
            total = due.sum(axis=2)
            payable = self._capped(total, self.net.shape[1])
            paid = due * np.divide(payable, total, out=np.ones_like(total), where=total > 0)[:, :, None]
        self.net[:, : paid.shape[1]] += paid.sum(axis=1) - paid.sum(axis=2)
        self._enter(purpose, "agents", "agents", paid)
        return paid

    def grant(self, amount: Array, purpose: str = "", *, absent: bool = False) -> Array:
        """The treasury pays agents `amount (B, n)` for the first n agents; it may run a deficit."""
        there = None if self.present is None or absent else self._everybody(self.present)
        paid = self._in_effect(amount, None if there is None else there[:, : amount.shape[1]])
        self.net[:, : paid.shape[1]] += paid
        self.treasury -= paid.sum(axis=1)
        self._enter(purpose, "treasury", "agents", paid)
        return paid

    def employ(self, wage: Array, purpose: str = "wage") -> None:
        """The treasury pays officials `wage (B, A - N)`, which is what their time is worth elsewhere."""
        n = self.num_citizens
        paid = self.grant(np.concatenate([np.zeros((len(wage), n)), wage], axis=1), purpose)
        self.time += paid.sum(axis=1)

    def spend(self, amount: Array, purpose: str = "") -> None:
        """The treasury burns `amount (B,)`: the cost of monitoring and administration."""
        paid = amount if self.active is None else amount * self.active
        self.treasury -= paid
        self.burnt += paid
        self._enter(purpose, "treasury", "burnt", paid[:, None])

    @property
    def cost(self) -> Array:
        """What institutions use up, `(B,)`: burnt money and the officials' time."""
        return self.burnt + self.time

    def afford(self, amount: Array) -> NDArray[np.bool_]:
        """Whether each citizen can pay all of `amount (B, N)` now, `(B, N)`."""
        if self.funds is None:
            return np.ones(amount.shape, bool)
        return np.asarray(amount <= self._available(self.num_citizens))

    def imbalance(self) -> float:
        """Largest absolute sum over all accounts; zero up to rounding."""
        return float(np.abs(self.net.sum(axis=1) + self.treasury + self.burnt).max())

    def _in_effect(self, amount: Array, present: NDArray[np.bool_] | None) -> Array:
        """`amount (B, n)` in the worlds where the running hook is in effect, of those who are there."""
        due = amount if self.active is None else amount * self.active[:, None]
        return due if present is None else due * present

    def _everybody(self, present: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """`(B, A)`: the citizens who are there, and all officials."""
        everybody = np.ones(self.net.shape, bool)
        everybody[:, : self.num_citizens] = present
        return everybody

    def _capped(self, due: Array, n: int) -> Array:
        paid = np.minimum(due, self._available(n)[:, : due.shape[1]])
        self.shortfall[:, : due.shape[1]] += due - paid
        return paid

    def _available(self, n: int) -> Array:
        """What the first n agents can still pay, `(B, n)`, where funds are bounded."""
        assert self.funds is not None
        return np.maximum(self.funds[:, :n] + self.net[:, :n], 0.0)

    def _enter(self, purpose: str, payer: str, payee: str, amount: Array) -> None:
        require(not self.closed, "a payment after the hooks", purpose, "one in deliberate to settle")
        self.entries.append(Entry(self.institution, purpose, payer, payee, amount))


def shares(public: Array, spare: Array) -> Array:
    """What each citizen has of `public (B,)` money, `(B, N)`.

    An equal part of it; a deficit is borne in proportion to what each can spare, `spare (B, N)`.
    """
    spare = np.maximum(spare, 0.0)
    able = spare.sum(axis=1)
    levy = np.minimum(np.divide(-public, able, out=np.zeros_like(able), where=able > 0.0), 1.0)
    return np.where((public > 0.0)[:, None], public[:, None] / spare.shape[1], -levy[:, None] * spare)
