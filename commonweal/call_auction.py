"""A call auction at one price: all orders are collected, then matched by merit.

The highest bids and the lowest asks trade first, as long as a bid is not below an ask: no trade among the
orders, at any prices, has larger gains, and none that has them a larger volume. Only orders at the marginal
limit of the long side are rationed, in proportion.

Source: the call market of Smith, Williams, Bratton and Vannoni (1982), American Economic Review 72, 58-77; a
price in the middle of those that clear is the k-double auction of Rustichini, Satterthwaite and Williams
(1994), Econometrica 62, 1041-1063, with k = 1/2 (both recalled, not looked up; the tests compare volume and
gains with a linear programme).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from commonweal.jit import njit

Array = NDArray[np.float64]
ROUNDING = 1e-12  # of all that is ordered: a smaller rest of an order is none


class Cleared(NamedTuple):
    """What a call auction brings.

    Attributes:
        price: the middle of the prices at which demand is supply, `(B, 1)`; nan where nothing is traded.
        bought, sold: quantities, `(B, N)`.
    """

    price: Array
    bought: Array
    sold: Array


def clear(limit: Array, demand: Array, supply: Array) -> Cleared:
    """Match the orders of every world; takes time in proportion to N log N.

    Args:
        limit: limit prices `(B, N)`.
        demand: quantity each would buy at its limit or below, `(B, N)`.
        supply: quantity each would sell at its limit or above, `(B, N)`.
    """
    bought, sold = np.zeros(limit.shape), np.zeros(limit.shape)
    found = Cleared(np.full((len(limit), 1), math.nan), bought, sold)
    orders = (np.ascontiguousarray(given, np.float64) for given in (limit, demand, supply))
    _clear(*orders, *found)
    return found


@njit
def _clear(limit, demand, supply, price, bought, sold):  # type: ignore[no-untyped-def]
    worlds = len(limit)
    for b in range(worlds):
        order = np.argsort(limit[b])
        rest = ROUNDING * (demand[b].sum() + supply[b].sum())
        volume = _volume(order, limit[b], demand[b], supply[b])
        if volume <= rest:
            continue
        last_ask, waiting_ask = _serve(order, limit[b], supply[b], volume, rest, sold[b])
        last_bid, waiting_bid = _serve(order[::-1], limit[b], demand[b], volume, rest, bought[b])
        # Who trades is asked for no more than its limit, and who waits has no reason to trade.
        low = last_ask if math.isnan(waiting_bid) else max(last_ask, waiting_bid)
        high = last_bid if math.isnan(waiting_ask) else min(last_bid, waiting_ask)
        price[b, 0] = 0.5 * (low + high)


@njit
def _volume(order, limit, demand, supply):  # type: ignore[no-untyped-def]
    """The largest volume: at each limit the less of what is asked up to it and bid from it on."""
    volume, asked, bid, k = 0.0, 0.0, demand.sum(), 0
    while k < len(order):
        first = k
        while k < len(order) and limit[order[k]] == limit[order[first]]:
            asked += supply[order[k]]
            k += 1
        volume = max(volume, min(asked, bid))
        for equal in order[first:k]:
            bid -= demand[equal]
    return volume


@njit
def _serve(order, limit, quantity, volume, rest, served):  # type: ignore[no-untyped-def]
    """Fill `served` from the first of `order` on; returns the last limit served and the first that waits."""
    last, left, k = math.nan, volume, 0
    while k < len(order):
        first, equals = k, 0.0
        while k < len(order) and limit[order[k]] == limit[order[first]]:
            equals += quantity[order[k]]
            k += 1
        if equals <= rest:
            continue
        if left <= rest:
            return last, limit[order[first]]
        last, share = limit[order[first]], 1.0 if equals <= left + rest else left / equals
        for equal in order[first:k]:
            served[equal] = share * quantity[equal]
        if share < 1.0:
            return last, last
        left -= equals
    return last, math.nan
