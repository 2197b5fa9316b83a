"""Yardsticks of `exchange-v0`: competitive trade in peace, and the equilibrium of fights and trades."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from commonweal.curves import hill
from commonweal.envs.best_replies import largest_gain, polish, settle, zoomed_gain
from commonweal.envs.repeated import Always
from commonweal.errors import NotExact
from commonweal.references import Kind, References, Yardstick

if TYPE_CHECKING:
    from commonweal.envs.exchange import Exchange

Array = NDArray[np.float64]

EQUILIBRIUM = 1e-4  # of a trader's share of all wealth: acts that gain more by changing are no equilibrium
STEP = 0.05  # between the acts on which the equilibrium of continuous acts is first sought


def price_takers_arms(game: Exchange) -> float:
    """Arms g of each of N price takers alike in phi, m and theta, worth at competitive prices.

    From `max (phi (w_i - g_i) + s_i (1 - phi) (W - G))`, which does not depend on own wealth.

    Raises:
        NotExact: traders differ, or the poorest would fight with all it has.
    """
    unlike = [
        name for name in ("property_rights", "strength", "decisiveness") if np.size(getattr(game, name)) > 1
    ]
    if unlike:
        raise NotExact(f"Exchange.{unlike[0]} has several values; allowed: one for all")
    n, phi, m = game.num_agents, float(game.property_rights), float(game.decisiveness)  # type: ignore[arg-type]
    k = m * (1.0 - phi) * (n - 1) / n
    arms = float(game.wealth.sum()) / n * k / (k + phi + (1.0 - phi) / n)
    if arms > game.wealth.min():
        raise NotExact(f"arms are {arms:.3g}; allowed: at most the poorest's wealth {game.wealth.min():.3g}")
    tried = np.linspace(0.0, float(game.wealth.max()), 2001)
    rest = (n - 1) * arms
    won = hill(tried, arms * (n - 1) ** (1.0 / m), m) if arms > 0 else 0.0 * tried
    value = won * (1.0 - phi) * (game.wealth.sum() - rest - tried) - phi * tried
    if value.max() > (1.0 - phi) / n * (game.wealth.sum() - n * arms) - phi * arms + 1e-9:
        raise NotExact(f"at decisiveness {m:g} price takers would not all arm alike; allowed: less")
    return arms


def solve(game: Exchange) -> References:
    """Both yardsticks, and the equilibrium without trade.

    Raises:
        NotExact: the competitive bids exceed a trader's money.
    """
    names = [action.name for action in game.actions()]
    n, shares = game.num_agents, len(names) - 1
    step = 1.0 / (game.levels - 1) if game.levels else STEP
    axes = [np.arange(0.0, 1.0 + step / 2, step), *[np.arange(-1.0, 1.0 + step / 2, step)] * shares]
    axes = [np.rint(axis / step) * step for axis in axes]  # no trade is exactly zero
    options = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(names))

    bound = game.weight * float(game.wealth.sum())

    def stick(acts: Array, gain: float, selection: str) -> Yardstick:
        exactly: Kind = "enumeration" if game.levels else "numerical"
        kind: Kind = exactly if gain * game.weight <= EQUILIBRIUM * bound / n else "best known"
        value = game.payoff(acts[None])[0]
        detail = {"fight": float(acts[:, 0].mean()), "least payoff": float(value.min())}
        rule = Always(game, {name: acts[None, :, k] for k, name in enumerate(names)})
        return Yardstick(
            game.weight * float(value.sum()), kind, 0.0, game.weight * gain, selection, rule, detail
        )

    def equilibrium(start: Array, allowed: Array) -> tuple[Array, float]:
        acts, gain = settle(game.payoff, np.rint(start / step) * step, allowed)
        if game.levels:
            return acts, max(gain, largest_gain(game.payoff, acts, options))
        acts = polish(game.payoff, acts, (np.abs(acts) > 1e-9) & (np.abs(acts) < 1.0 - 1e-9))
        low = np.array([0.0] + [-1.0] * shares)
        return acts, zoomed_gain(game.payoff, acts, low, np.ones(len(names)), 11)

    peace = np.concatenate([np.zeros((n, 1)), game.competitive_trade()], axis=1)
    if game.levels:
        peace = np.rint(peace / step) * step
    planner = stick(peace, math.nan, "competitive trade in peace")
    short = max(bound - planner.welfare, 0.0)  # by rounding to levels
    planner = replace(planner, kind="closed form", error=short)
    armed = np.array(peace)
    armed[:, 0] = 0.5 * float(np.mean(1.0 - np.asarray(game.property_rights)))
    where = "every level tried" if game.levels else "a fine grid of acts tried"
    acts, gain = equilibrium(armed, options)
    selfish = stick(acts, gain, f"best replies from competitive trades, {where}")
    armed[:, 1:] = 0.0
    closed, loss = equilibrium(armed, options[(options[:, 1:] == 0.0).all(axis=1)])
    nobody = stick(closed, loss, "nobody trades: no post opens for one alone")
    facts = {f"competitive price of good {k + 1}": float(p) for k, p in enumerate(game.prices)}
    facts["worth of all endowments"] = float(game.wealth.sum())
    with suppress(NotExact):
        facts["arms of a price taker"] = price_takers_arms(game)
    return References(selfish, planner, planner.welfare, others={"no trade": nobody}, facts=facts)
