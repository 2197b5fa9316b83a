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
        active: NDArray[np.bool_] | None = None,
    ) -> None:
        self.num_citizens = num_citizens
        self.net = np.zeros((num_worlds, num_agents))
        self.treasury = np.zeros(num_worlds)
        self.burnt = np.zeros(num_worlds)
        self.time = np.zeros(num_worlds)
        self.shortfall = np.zeros((num_worlds, num_agents))
        self.entries: list[Entry] = []
        self.institution = ""
        # What each agent can pay with, this step's postings aside; None: without bound.
        self.funds = funds
        # Worlds in which the running hook is in effect; None: all.
        self.active = active

    def collect(self, amount: Array, to: Payee = "treasury", purpose: str = "") -> Array:
        """Citizens pay `amount (B, N)` (not negative); returns what was paid.

        `to="others"` shares each payment equally among the other N - 1 citizens, `"citizens"`
        among all N, the payer included.
        """
        paid = self._payable(amount)
        n = self.num_citizens
        citizens = self.net[:, :n]
        citizens -= paid
        if to == "treasury":
            self.treasury += paid.sum(axis=1)
        elif to == "burnt":
            self.burnt += paid.sum(axis=1)
        elif to == "citizens":
            citizens += paid.mean(axis=1, keepdims=True)
        elif to == "others" and n > 1:
            citizens += (paid.sum(axis=1, keepdims=True) - paid) * (1.0 / (n - 1))
        else:
            require(False, "payee", to, "others (at least two citizens), citizens, treasury, burnt")
        self._enter(purpose, "citizens", to, paid)
        return paid

    def transfer(self, amount: Array, purpose: str = "") -> Array:
        """Agents pay each other `amount (B, payer, payee)`; returns what was paid."""
        due = amount if self.active is None else amount * self.active[:, None, None]
        paid = due
        if self.funds is not None:
            total = due.sum(axis=2)
            payable = self._capped(total, self.net.shape[1])
            paid = due * np.divide(payable, total, out=np.ones_like(total), where=total > 0)[:, :, None]
        self.net[:, : paid.shape[1]] += paid.sum(axis=1) - paid.sum(axis=2)
        self._enter(purpose, "agents", "agents", paid)
        return paid

    def grant(self, amount: Array, purpose: str = "") -> Array:
        """The treasury pays agents `amount (B, n)` for the first n agents; it may run a deficit."""
        paid = amount if self.active is None else amount * self.active[:, None]
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

    def imbalance(self) -> float:
        """Largest absolute sum over all accounts; zero up to rounding."""
        return float(np.abs(self.net.sum(axis=1) + self.treasury + self.burnt).max())

    def _payable(self, amount: Array) -> Array:
        due = amount if self.active is None else amount * self.active[:, None]
        return due if self.funds is None else self._capped(due, due.shape[1])

    def _capped(self, due: Array, n: int) -> Array:
        assert self.funds is not None
        available = np.maximum(self.funds[:, :n] + self.net[:, :n], 0.0)
        paid = np.minimum(due, available[:, : due.shape[1]])
        self.shortfall[:, : due.shape[1]] += due - paid
        return paid

    def _enter(self, purpose: str, payer: str, payee: str, amount: Array) -> None:
        self.entries.append(Entry(self.institution, purpose, payer, payee, amount))


def shares(public: Array, spare: Array) -> Array:
    """What each citizen has of `public (B,)` money, `(B, N)`: an equal part of it, or of a deficit as much
    in proportion as it can spare, `spare (B, N)`.
    """
    able = spare.sum(axis=1)
    levy = np.minimum(np.divide(-public, able, out=np.zeros_like(able), where=able > 0.0), 1.0)
    return np.where((public > 0.0)[:, None], public[:, None] / spare.shape[1], -levy[:, None] * spare)
