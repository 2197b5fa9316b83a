"""Yardsticks of `exchange-v0`: competitive trade in peace, and the equilibrium of fights and trades."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from commonweal.curves import shares_of_powers
from commonweal.envs.best_replies import largest_gain, polish, settle, zoomed_gain
from commonweal.envs.normal_form import pure_equilibria
from commonweal.envs.repeated import Always
from commonweal.errors import NotExact
from commonweal.references import Kind, References, Yardstick, ranked

if TYPE_CHECKING:
    from commonweal.envs.exchange import Exchange

Array = NDArray[np.float64]

EQUILIBRIUM = 1e-6  # of a trader's share of all wealth: continuous acts that gain more are no equilibrium
ROUNDING = 1e-9  # the same of acts on levels, all of which are tried
MOST_PROFILES = 300_000  # of acts on levels, up to which every one is tried
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
    n, phi, m = game.num_agents, float(game.property_rights), float(game.decisiveness)
    k = m * (1.0 - phi) * (n - 1) / n
    arms = float(game.wealth.sum()) / n * k / (k + phi + (1.0 - phi) / n)
    if arms > game.wealth.min():
        raise NotExact(f"arms are {arms:.3g}; allowed: at most the poorest's wealth {game.wealth.min():.3g}")
    tried = np.linspace(0.0, float(game.wealth.max()), 2001)
    rest = (n - 1) * arms
    others = np.full((tried.size, n - 1), arms)
    won = shares_of_powers(np.column_stack([tried, others]), m)[:, 0] if arms > 0 else 0.0 * tried
    value = won * (1.0 - phi) * (game.wealth.sum() - rest - tried) - phi * tried
    if value.max() > (1.0 - phi) / n * (game.wealth.sum() - n * arms) - phi * arms + 1e-9:
        raise NotExact(f"at decisiveness {m:g} price takers would not all arm alike; allowed: less")
    return arms


@dataclass(frozen=True)
class _Round:
    """A round as a game: the acts on levels, or on a grid where they are continuous."""

    game: Exchange

    @property
    def names(self) -> list[str]:
        """Columns of the acts."""
        return [action.name for action in self.game.actions()]

    @property
    def step(self) -> float:
        """Distance of two shares."""
        share, *_ = self.game.actions()
        return share.space.step or STEP  # type: ignore[union-attr]

    @cached_property
    def options(self) -> Array:
        """Every act of a trader, `(A, L)`."""
        count = round(1.0 / self.step)
        shares = [np.arange(count + 1), *[np.arange(-count, count + 1)] * (len(self.names) - 1)]
        axes = [share * self.step for share in shares]  # no trade is exactly zero
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))

    def yardstick(self, acts: Array, gain: float, selection: str) -> Yardstick:
        """All play `acts (N, L)` in every round; only if nobody gains by other acts it is an equilibrium."""
        game = self.game
        value, scale = game.payoff(acts[None])[0], float(game.wealth.sum()) / game.num_agents
        kind: Kind = "enumeration" if game.levels else "numerical"
        if gain > (ROUNDING if game.levels else EQUILIBRIUM) * scale:
            kind, selection = "best known", f"no equilibrium, somebody gains by leaving it: {selection}"
        detail = {"fight": float(acts[:, 0].mean()), "least payoff": float(value.min())}
        rule = Always(game, {name: acts[None, :, k] for k, name in enumerate(self.names)})
        return Yardstick(
            game.weight * float(value.sum()), kind, 0.0, game.weight * gain, selection, rule, detail
        )

    def settled(self, start: Array, allowed: Array, selection: str) -> Yardstick:
        """Best replies in turn from `start (N, L)` among `allowed (A, L)`, held against every act."""
        payoff = self.game.payoff
        acts, gain = settle(payoff, np.rint(start / self.step) * self.step, allowed)
        if self.game.levels:
            return self.yardstick(acts, max(gain, largest_gain(payoff, acts, self.options)), selection)
        acts = polish(payoff, acts, (np.abs(acts) > 1e-9) & (np.abs(acts) < 1.0 - 1e-9))
        low = np.append(0.0, np.full(len(self.names) - 1, -1.0))
        return self.yardstick(acts, zoomed_gain(payoff, acts, low, np.ones(len(self.names)), 11), selection)

    def every_pure(self) -> list[Yardstick]:
        """The worst and the best of all pure equilibria on levels; none where profiles are too many."""
        n, acts = self.game.num_agents, len(self.options)
        if not self.game.levels or acts**n > MOST_PROFILES:
            return []
        profiles = np.indices((acts,) * n).reshape(n, -1).T
        table = self.game.payoff(self.options[profiles]).reshape(*(acts,) * n, n)
        found = pure_equilibria(table)
        if not found:
            return []
        total = [float(table[profile].sum()) for profile in found]
        which = [("worst", int(np.argmin(total))), ("best", int(np.argmax(total)))]
        return [
            self.yardstick(
                self.options[list(found[k])],
                0.0,
                f"the {name} of {len(found)} pure equilibria, all profiles tried",
            )
            for name, k in which
        ]


def solve(game: Exchange) -> References:
    """The planner's competitive trade in peace, and the worst equilibrium found, with trade or without.

    Raises:
        NotExact: the competitive bids exceed a trader's money.
    """
    round_, n = _Round(game), game.num_agents
    peace = np.concatenate([np.zeros((n, 1)), game.competitive_trade()], axis=1)
    if game.levels:
        peace = np.rint(peace / round_.step) * round_.step
    planner = round_.yardstick(peace, math.nan, "competitive trade in peace")
    short = max(game.weight * float(game.wealth.sum()) - planner.welfare, 0.0)  # by rounding to levels
    planner = replace(planner, kind="closed form", error=short)
    armed = np.array(peace)
    armed[:, 0] = 0.5 * float(np.mean(1.0 - np.asarray(game.property_rights)))
    closed, still = np.array(armed), (round_.options[:, 1:] == 0.0).all(axis=1)
    closed[:, 1:] = 0.0
    found = dict(zip(("worst pure", "best pure"), round_.every_pure(), strict=False))
    found |= {
        "trade": round_.settled(armed, round_.options, "best replies from competitive trades"),
        "no trade": round_.settled(
            closed,
            round_.options[still],
            "nobody trades, as no post opens for one alone; best replies in arms",
        ),
    }
    selfish, *_ = ranked(found.values())
    others = {name: one for name, one in found.items() if one is not selfish}
    if len(found) == 2 and selfish.kind != "best known":
        selfish = replace(selfish, selection=f"the worse of two found: {selfish.selection}")
    facts = {f"competitive price of good {k + 1}": float(p) for k, p in enumerate(game.prices)}
    facts["worth of all endowments"] = float(game.wealth.sum())
    with suppress(NotExact):
        facts["arms of a price taker"] = price_takers_arms(game)
    return References(selfish, planner, planner.welfare, others=others, facts=facts)
