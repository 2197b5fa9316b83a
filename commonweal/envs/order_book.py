"""The order book of the double auction: price first, then time."""

from __future__ import annotations

import math

from commonweal.jit import njit


@njit
def match(order, posts, price, buyers, resampling, left, quote, since, arrivals, last, paid):  # type: ignore[no-untyped-def]
    """Let agents arrive in `order (B, N)`, each at most once, and trade or stand in the book.

    Args:
        order: agents by arrival.
        posts: whether an agent quotes, `(B, N)`.
        price: its limit price, `(B, N)`.
        buyers: number of buyers, who come first on the agent axis.
        resampling: whether a trade cancels all quotes.
        left: units that each can still trade, `(B, N)`; changed in place, as are the next four.
        quote: standing prices, `(B, N)`; nan: none.
        since: arrival number of the standing quote, `(B, N)`.
        arrivals: so far, `(B, 1)`.
        last: price of the last trade, `(B, 1)`.
        paid: filled with the price at which each traded, `(B, N)`; nan: it did not.
    """
    worlds, n = order.shape
    for b in range(worlds):
        for k in range(n):
            i = order[b, k]
            if not posts[b, i] or left[b, i] == 0.0 or not math.isnan(paid[b, i]):
                continue
            arrivals[b, 0] += 1.0
            buys = i < buyers
            low, high = (buyers, n) if buys else (0, buyers)
            best = -1
            for j in range(low, high):
                if math.isnan(quote[b, j]):
                    continue
                crosses = quote[b, j] <= price[b, i] if buys else quote[b, j] >= price[b, i]
                if not crosses:
                    continue
                if best < 0:
                    best = j
                    continue
                better = quote[b, j] < quote[b, best] if buys else quote[b, j] > quote[b, best]
                if better or (quote[b, j] == quote[b, best] and since[b, j] < since[b, best]):
                    best = j
            if best < 0:
                quote[b, i] = price[b, i]
                since[b, i] = arrivals[b, 0]
            else:
                paid[b, i] = paid[b, best] = last[b, 0] = quote[b, best]
                left[b, i] -= 1.0
                left[b, best] -= 1.0
                quote[b, i] = quote[b, best] = math.nan
                if resampling:
                    quote[b, :] = math.nan
