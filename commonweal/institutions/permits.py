"""Tradable quotas: the cap is divided into permits, and a market inside the institution moves them.

Source: Dales (1968), Pollution, Property and Prices; for fisheries Christy (1973). Call auction at one
price; what clears is the largest volume, and the long side is rationed in proportion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

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
        levels: levels of prices and of quantities; None: continuous.
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
        return [
            Action(f"{self.name}_price", Real(0.0, self.max_price, "money per unit", self.levels)),
            Action(f"{self.name}_quantity", Real(-most, most, "units", self.levels)),
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
        volume = np.maximum(sold.sum(axis=1, keepdims=True), 1e-300)[:, :, None]
        payments = price[:, :, None] * bought[:, :, None] * (sold[:, None, :] / volume)
        paid = turn.ledger.transfer(payments, "permits")
        # A buyer that could not pay all gets what it paid for, and the seller keeps the rest.
        if turn.ledger.funds is not None:
            share = np.divide(paid, payments, out=np.ones_like(paid), where=payments > 0)
            moved = bought[:, :, None] * (sold[:, None, :] / volume) * share
            bought, sold = moved.sum(axis=2), moved.sum(axis=1)
        traded = bought.sum(axis=1, keepdims=True) > 0
        return PermitState(issued + bought - sold, np.where(traded, price, state.price))

    def announce(self, state: PermitState, charter: Charter) -> Mapping[str, Array]:
        """Permits held, and the last price."""
        return {f"{self.name}_holding": state.holding, f"{self.name}_last_price": state.price}


def clear(limit: Array, demand: Array, supply: Array) -> tuple[Array, Array, Array]:
    """One-price call auction.

    Args:
        limit: limit prices `(B, N)`.
        demand: quantity each would buy at its limit or below, `(B, N)`.
        supply: quantity each would sell at its limit or above, `(B, N)`.

    Returns:
        the price `(B, 1)` (the middle of those with the largest volume), and the quantities bought
        and sold `(B, N)`; the long side is rationed in proportion.
    """
    candidates = np.sort(limit, axis=1)
    buys = ((limit[:, None, :] >= candidates[:, :, None]) * demand[:, None, :]).sum(axis=2)
    sells = ((limit[:, None, :] <= candidates[:, :, None]) * supply[:, None, :]).sum(axis=2)
    volume = np.minimum(buys, sells)
    best = volume >= volume.max(axis=1, keepdims=True) - 1e-12
    lowest = np.where(best, candidates, np.inf).min(axis=1, keepdims=True)
    highest = np.where(best, candidates, -np.inf).max(axis=1, keepdims=True)
    price = 0.5 * (lowest + highest)
    willing_buy = (limit >= price) * demand
    willing_sell = (limit <= price) * supply
    total_buy = willing_buy.sum(axis=1, keepdims=True)
    total_sell = willing_sell.sum(axis=1, keepdims=True)
    traded = np.minimum(total_buy, total_sell)
    bought = willing_buy * np.divide(traded, total_buy, out=np.zeros_like(traded), where=total_buy > 0)
    sold = willing_sell * np.divide(traded, total_sell, out=np.zeros_like(traded), where=total_sell > 0)
    return price, bought, sold
