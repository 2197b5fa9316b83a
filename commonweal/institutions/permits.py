"""Tradable quotas: the cap is divided into permits, and a market inside the institution moves them.

Source: Dales (1968), Pollution, Property and Prices; for fisheries Christy (1973). The market is a call
auction at one price (`commonweal.call_auction`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.call_auction import clear
from commonweal.institutions.base import Charter, Institution, Turn
from commonweal.parameters import AgentParameter, check
from commonweal.random import Streams
from commonweal.spaces import Action, Bounds, Levels, Real, Signal

Array = NDArray[np.float64]


@dataclass
class PermitState:
    """Permits for the next play `(B, N)`, and the price of the last trade `(B, 1)`."""

    holding: Array
    price: Array


@dataclass(frozen=True, eq=False, repr=False)
class TradableQuotas(Institution):
    """Every citizen is issued permits for each play; conduct above the holding is impossible.

    Orders given with a play trade the permits of the next one. An order is a limit price and a
    quantity: positive to buy, negative to sell; nobody sells more than was issued to it.

    Attributes:
        base: conduct that uses up permits, one per unit.
        allocation: permits issued to each citizen per play.
        max_price: highest limit price, money per permit.
        levels: levels of prices, of quantities to buy and of quantities to sell, nothing among them; None:
            continuous.
        name: address in the society.
    """

    id: ClassVar[str] = "tradable-quotas"
    governable: ClassVar[Mapping[str, tuple[float, float]]] = {}
    properties: ClassVar[frozenset[str]] = frozenset({"budget_balanced", "costless"})

    base: str = "extraction"
    allocation: AgentParameter = 2.0
    max_price: float = 1.0
    levels: Levels = 11
    name: str = "permit"

    def validate(self) -> None:
        """Check the ranges."""
        check("TradableQuotas.allocation", self.allocation, 0.0, math.inf, open_low=True)
        check("TradableQuotas.max_price", self.max_price, 0.0, math.inf, open_low=True)

    @property
    def needs(self) -> tuple[str, ...]:
        """The base."""
        return (self.base,)

    @property
    def bounds(self) -> tuple[str, ...]:
        """The base."""
        return (self.base,)

    @property
    def owns(self) -> tuple[str, ...]:
        """The right to say how much of the base each may have."""
        return (self.base,)

    def actions(self, charter: Charter) -> list[Action]:
        """A limit price and a quantity."""
        most = float(np.max(self.allocation))
        both = self.levels and 2 * self.levels - 1  # an order of nothing is always among them
        return [
            Action(f"{self.name}_price", Real(0.0, self.max_price, "money per unit", self.levels)),
            Action(f"{self.name}_quantity", Real(-most, most, "units", both)),
        ]

    def signals(self, charter: Charter) -> list[Signal]:
        """Permits held, and the last price."""
        most = float(np.max(self.allocation)) * charter.num_citizens
        return [
            Signal(f"{self.name}_holding", charter.conducts[self.base].unit, 0.0, most),
            Signal(f"{self.name}_last_price", "money per unit", 0.0, self.max_price, public=True),
        ]

    def initial(self, charter: Charter, rng: Streams) -> PermitState:
        """Permits as issued."""
        shape = (rng.num_worlds, charter.num_citizens)
        issued = np.array(np.broadcast_to(np.asarray(self.allocation, float), shape))
        return PermitState(issued, np.zeros((rng.num_worlds, 1)))

    def permit(self, state: PermitState, turn: Turn) -> Bounds:
        """Nobody exceeds its holding."""
        return {self.base: (0.0, state.holding)}

    def settle(self, state: PermitState, turn: Turn) -> PermitState:
        """Issue the next permits and let orders trade them."""
        if turn.stage != "play":
            return state
        issued = np.broadcast_to(np.asarray(self.allocation, float), state.holding.shape)
        limit, quantity = turn.actions[f"{self.name}_price"], turn.actions[f"{self.name}_quantity"]
        price, bought, sold = clear(limit, np.maximum(quantity, 0.0), np.clip(-quantity, 0.0, issued))
        price = np.where(np.isnan(price), state.price, price)
        volume = bought.sum(axis=1, keepdims=True)
        # At one price it does not matter who buys from whom: each buyer pays all sellers in proportion.
        share = np.divide(sold, volume, out=np.zeros_like(sold), where=volume > 0.0)
        due = price * bought
        paid = turn.ledger.transfer(due[:, :, None] * share[:, None, :], "permits")
        if turn.ledger.funds is not None:
            # A buyer that could not pay all gets what it paid for, and the sellers keep the rest.
            kept = np.divide(paid.sum(axis=2), due, out=np.ones_like(due), where=due > 0.0)
            bought = bought * kept
            sold = share * bought.sum(axis=1, keepdims=True)
        traded = bought.sum(axis=1, keepdims=True) > 0.0
        return PermitState(issued + bought - sold, np.where(traded, price, state.price))

    def announce(self, state: PermitState, charter: Charter) -> Mapping[str, Array]:
        """Permits held, and the last price."""
        return {f"{self.name}_holding": state.holding, f"{self.name}_last_price": state.price}
