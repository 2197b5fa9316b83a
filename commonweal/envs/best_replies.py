"""Pure equilibria of a game of one round in which an agent's act has several entries, by best replies.

A payoff function takes the acts of all in many games at once, `(M, N, C)`, and returns `(M, N)`.
Every gain reported is found by playing all alternatives of one agent against the rest.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import root

from commonweal.envs.ties import slack

Array = NDArray[np.float64]
Payoff = Callable[[Array], Array]

SWEEPS = 60  # rounds of best replies before the search gives up
ZOOMS = 16  # times by which the alternatives are narrowed around the best one
NUDGE = 1e-5  # of an entry, for marginal payoffs
ROUNDING = 1e-10  # of the range of what an agent's options bring it: a smaller gain is none


def best_reply(payoff: Payoff, acts: Array, agent: int, options: Array) -> tuple[Array, float]:
    """The best of `options (M, C)` for one agent against the acts `(N, C)` of the others, and its gain.

    Where it gains no more than rounding, on the scale of its own payoffs, it stays, and the gain is 0.
    """
    tried = np.repeat(acts[None], len(options) + 1, axis=0)
    tried[1:, agent] = options
    value = payoff(tried)[:, agent]
    best = int(value.argmax())
    gain = float(value[best] - value[0])
    return (tried[best, agent], gain) if gain > slack(value, ROUNDING) else (acts[agent], 0.0)


def largest_gain(payoff: Payoff, acts: Array, options: Array) -> float:
    """The largest gain of one agent that alone leaves the acts `(N, C)` for one of the options."""
    return max(best_reply(payoff, acts, agent, options)[1] for agent in range(len(acts)))


def settle(payoff: Payoff, acts: Array, options: Array) -> tuple[Array, float]:
    """Best replies in turn from `acts (N, C)` until nobody gains.

    Returns:
        the acts and the largest gain of leaving them: 0 in equilibrium; where replies cycle, those acts
        of all passed through at which the largest gain is smallest.
    """
    acts = acts.copy()
    found, least = acts.copy(), np.inf
    for _ in range(SWEEPS):
        moved = False
        for agent in range(len(acts)):
            reply, gain = best_reply(payoff, acts, agent, options)
            if gain > 0.0:
                acts[agent], moved = reply, True
        gain = largest_gain(payoff, acts, options) if moved else 0.0
        if gain < least:
            found, least = acts.copy(), gain
        if least == 0.0:
            break
    return found, least


def polish(payoff: Payoff, acts: Array, free: NDArray[np.bool_]) -> Array:
    """The acts near `acts (N, C)` at which no `free (N, C)` entry has a marginal payoff."""
    agent, entry = np.nonzero(free)

    def marginal(values: Array) -> Array:
        at = acts.copy()
        at[agent, entry] = values
        tried = np.repeat(at[None], 2 * len(values), axis=0)
        k = np.arange(len(values))
        tried[k, agent, entry] += NUDGE
        tried[len(values) + k, agent, entry] -= NUDGE
        value = payoff(tried)
        return np.asarray((value[k, agent] - value[len(values) + k, agent]) / (2.0 * NUDGE))

    polished = acts.copy()
    polished[agent, entry] = root(marginal, acts[agent, entry], tol=1e-12).x
    return polished


def zoomed_gain(payoff: Payoff, acts: Array, low: Array, high: Array, points: int) -> float:
    """The largest gain of leaving `acts (N, C)` where entries are any numbers between `low` and `high (C,)`.

    All alternatives on a grid of `points` an entry are played, then finer ones around the best.
    """
    most = 0.0
    for agent in range(len(acts)):
        start, end = low, high
        for _ in range(ZOOMS):
            axes = [np.linspace(a, b, points) for a, b in zip(start, end, strict=True)]
            options = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(low))
            reply, gain = best_reply(payoff, acts, agent, options)
            most = max(most, gain)
            half = (end - start) / 4.0
            start, end = np.clip(reply - half, low, high), np.clip(reply + half, low, high)
    return most
