"""What a sealed bid brings before the others' values are known, when they all bid alike by value.

Exact where bids have levels; continuous bids are put on a fine grid.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid

if TYPE_CHECKING:
    from commonweal.envs.auction import Auction

Array = NDArray[np.float64]
VALUES = 2000  # midpoints of the values' distribution in a numerical best response


def interim(auction: Auction, bids: Array) -> tuple[Array, Array, Array]:
    """What a bid brings when each other bidder bids `bids[j]` at the j-th of M equally likely values.

    Returns:
        tried bids, and the probability of winning and the expected payment of each. With levels all
        of them, ties by lot; else a fine grid, on which the others' bids are taken as spread evenly
        between their sorted values.
    """
    top, (_, reserve) = auction.highest_bid, auction.symmetric()
    reserve *= top
    if auction.bid_levels:
        tried = np.linspace(0.0, top, auction.bid_levels)
        index = np.rint(bids / tried[1]).astype(np.intp)
        tied = np.bincount(index, minlength=auction.bid_levels) / len(bids)
        below = np.cumsum(tied) - tied
    else:
        tried = np.linspace(0.0, top, 2 * VALUES + 1)
        share = (np.arange(len(bids)) + 0.5) / len(bids)
        tied, below = np.zeros_like(tried), np.interp(tried, np.sort(bids), share, 0.0, 1.0)
    admitted = tried >= reserve - 1e-12
    wins = admitted * winning(auction, below, tied)
    if auction.pricing == "all-pay":
        return tried, wins, admitted * tried
    if auction.pricing == "first-price":
        return tried, wins, wins * tried
    price = np.maximum(tried, reserve)
    if not auction.bid_levels:  # E[max(r, Y); Y < b] by parts
        beaten = auction.beaten(below)
        return tried, wins, admitted * (price * beaten - cumulative_trapezoid(beaten, price, initial=0))
    beaten, at_most = auction.beaten(below), auction.beaten(np.minimum(below + tied, 1.0))
    cheaper = np.concatenate([[0.0], np.cumsum(price * (at_most - beaten))[:-1]])
    return tried, wins, admitted * cheaper + tried * (wins - admitted * beaten)


def winning(auction: Auction, below: Array, tied: Array) -> Array:
    """Probability of winning when each other is below, tied with or above this bid; ties by lot."""
    others, above = auction.num_agents - 1, np.clip(1.0 - below - tied, 0.0, 1.0)
    wins = np.zeros_like(below)
    for a in range(auction.units):
        for t in range(others - a + 1):
            ways = math.comb(others, a) * math.comb(others - a, t)
            chance = ways * above**a * tied**t * below ** (others - a - t)
            wins += chance * min((auction.units - a) / (t + 1), 1.0)
    return wins


def best_response_gain(auction: Auction, bids: Array) -> float:
    """Gain per auction of one bidder from the best deviation, if all bid `bids[j]` at the j-th of
    M equally likely values (the midpoints of M equal parts of [0, h]); money, by integration.
    """
    value = auction.highest_bid * (np.arange(len(bids)) + 0.5) / len(bids)
    tried, wins, payment = interim(auction, bids)
    best = (value[:, None] * wins - payment).max(axis=1)
    own = value * np.interp(bids, tried, wins) - np.interp(bids, tried, payment)
    return float((best - own).mean())
