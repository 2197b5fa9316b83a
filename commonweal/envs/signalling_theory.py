"""Equilibria of `signalling-v0`: what candidates send and what firms make of it, and the gain of leaving it.

Workers are independent of each other, so each market has an equilibrium of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from commonweal.curves import geometric_sum
from commonweal.envs.sides import SINGLE, Strategies, by_agent, exactly
from commonweal.envs.signalling import Signalling
from commonweal.references import References, Yardstick

Array = NDArray[np.float64]

SELECTED = {
    "pooling": "nobody believes in signals",
    "least-cost separation": "least-cost separation (intuitive criterion)",
    "costly separation": "most costly separation",
    "costly pooling": "all send the most costly signal",
}


class Profile(NamedTuple):
    """What candidates of low and of high ability send; what firms bid below the latter, and from it on."""

    low: float
    high: float
    below: float
    above: float


@dataclass(frozen=True)
class Market:
    """A worker and its firms.

    Attributes:
        game: the game.
        cost: kappa of the worker.
    """

    game: Signalling
    cost: float

    def _bid(self, expected: float) -> float:
        """What rivals pay for an expected productivity: all of it, or the level below."""
        if not self.game.wage_levels:
            return expected
        step = self.game.high_ability / (self.game.wage_levels - 1)
        return math.floor(expected / step + 1e-9) * step

    def _signal(self, value: float, *, up: bool = False) -> float:
        """The level at or below a signal, or at or above it; the signal itself without levels."""
        if not self.game.signal_levels:
            return value
        step = self.game.max_signal / (self.game.signal_levels - 1)
        return (math.ceil(value / step - 1e-9) if up else math.floor(value / step + 1e-9)) * step

    def equilibria(self) -> dict[str, Profile]:
        """Equilibria by name; the first always is one."""
        game, low, high = self.game, self.game.low_ability, self.game.high_ability
        mean, poor, rich = (self._bid(x) for x in (self._mean, low, high))
        tried = {"pooling": Profile(0.0, 0.0, mean, mean)}
        if self.cost > 0.0 and 0.0 < game.share_high < 1.0:
            rise = game.discount / self.cost
            sent = {
                "least-cost separation": self._signal(low * rise * (rich - poor), up=True),
                "costly separation": self._signal(min(high * rise * (rich - poor), game.max_signal)),
            }
            tried |= {name: Profile(0.0, signal, poor, rich) for name, signal in sent.items()}
            signal = self._signal(min(low * rise * (mean - poor), game.max_signal))
            tried["costly pooling"] = Profile(signal, signal, poor, mean)
        rounding = 1e-9 * high
        return {
            name: one for name, one in tried.items()
            if name == "pooling"
            or (0.0 < one.high <= game.max_signal * (1.0 + 1e-9) and self.gain(one) <= rounding)
        }  # fmt: skip

    @property
    def _mean(self) -> float:
        """Expected ability."""
        game = self.game
        return game.low_ability + game.share_high * (game.high_ability - game.low_ability)

    def waste(self, one: Profile) -> float:
        """Expected cost of a candidate's signal, money."""
        game, share = self.game, self.game.share_high
        return self.cost * (share * one.high / game.high_ability + (1.0 - share) * one.low / game.low_ability)

    def gain(self, one: Profile) -> float:
        """Largest gain per round from a deviation of a candidate (before it knows its type) or a firm."""
        game, share = self.game, self.game.share_high
        types = ((game.low_ability, one.low, 1.0 - share), (game.high_ability, one.high, share))
        candidate, nothing = 0.0, game.discount * one.below
        for ability, sent, chance in types:
            # Either the signal that firms ask for or nothing: more costs and brings no more.
            shown = game.discount * one.above - self.cost * one.high / ability
            candidate += chance * (max(shown, nothing) - (shown if sent >= one.high else nothing))
        known: tuple[tuple[float, float, float], ...] = ((self._mean, one.above, 1.0),)
        if one.low < one.high:
            known = ((game.low_ability, one.below, 1.0 - share), (game.high_ability, one.above, share))
        step = game.high_ability / (game.wage_levels - 1) if game.wage_levels else 0.0
        firm = 0.0
        for worth, wage, chance in known:
            own = (worth - wage) / game.firms_per_worker
            # Alone just above the others, or out of the race.
            firm += chance * max(worth - wage - step - own, -own, 0.0)
        return max(candidate, game.discount * firm)


def _yardstick(markets: list[Market], plan: list[Profile], how: str) -> Yardstick:
    """The market of each worker plays its profile of the plan."""
    game = markets[0].game
    low, high, discount = game.low_ability, game.high_ability, game.discount
    hired = discount * (low + game.share_high * (high - low))
    # The last signal is for nobody, so nobody sends it; the first round hires nobody.
    scale = geometric_sum(discount, game.rounds - 1)
    welfare = scale * sum(hired - market.waste(one) for market, one in zip(markets, plan, strict=True))
    gain = scale * max(market.gain(one) for market, one in zip(markets, plan, strict=True))
    last = 1.0 - 1.5 / game.rounds
    little, much, below, above = (np.array([row]) for row in zip(*plan, strict=True))

    def choose(seen: Mapping[str, Array]) -> Mapping[str, Array]:
        sent = np.where(seen["ability"] > 0.5 * (low + high), much, little)
        return {"signal": sent * (seen["progress"] < last)}

    asked, poor, rich = (np.repeat(x, game.firms_per_worker, axis=1) for x in (much, below, above))

    def bid(seen: Mapping[str, Array]) -> Mapping[str, Array]:
        return {"wage": np.where(seen["shown"] >= asked * (1.0 - SINGLE), rich, poor)}

    rule = Strategies(game, {"ability": choose, "shown": bid})
    one = plan[0]
    detail = {"signal": one.high, "wage after signal": one.above, "wage without": one.below}
    return Yardstick(welfare, exactly("closed form", gain, welfare), 0.0, gain, how, rule, detail)


def references(game: Signalling) -> References:
    """Yardsticks of the game; see `Signalling`.

    Raises:
        NotExact: parameters by world.
    """
    markets = [Market(game, float(cost)) for cost in by_agent(game, "signal_cost", "workers")]
    known = [market.equilibria() for market in markets]
    worst = [max(found.values(), key=market.waste) for market, found in zip(markets, known, strict=True)]
    # Where a market has no such equilibrium it pools.
    plans = {
        name: [found.get(name, found["pooling"]) for found in known]
        for name in dict.fromkeys(name for found in known for name in found)
    }
    sticks = {name: _yardstick(markets, plan, SELECTED[name]) for name, plan in plans.items()}
    planner = replace(sticks["pooling"], epsilon=math.nan, selection="all are hired, nobody signals")
    names = [name for name, plan in plans.items() if plan == worst]
    how = SELECTED[names[0]] if names else "each worker's own"
    selfish = _yardstick(markets, worst, f"worst of {len(plans)} found: {how}" if len(plans) > 1 else how)
    others = {name: one for name, one in sticks.items() if plans[name] != worst}
    facts = {}
    if "least-cost separation" in known[0]:
        least = known[0]["least-cost separation"].high
        waste = markets[0].cost * least / game.high_ability
        facts = {"signal": least, "waste per productive candidate": waste}
    low = min(selfish.welfare, 0.0)
    return References(selfish, planner, planner.welfare - low, others=others, facts=facts)
