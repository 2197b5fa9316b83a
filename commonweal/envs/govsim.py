r"""`govsim-v0`: the fishery of GovSim, where societies of language models were found to collapse.

Five fishers share a lake of at most $K = 100$ tons. Each month all say at once how much they want, $d_i$;
what is there, $s$, is handed out, and what is left, $r = s - \sum_i c_i$, doubles up to the capacity:

$$s' = \min(2 r, K), \qquad \text{collapse (the end) if } r < 5, \qquad \text{at most 12 months.}$$

A ton is worth 1. Catching half of the lake every month sustains it: $f(s) = s / 2$, 50 tons in all and 10
each. The planner does so and empties the lake in the last month: 650 tons, 130 each. But a ton left in
the water is two tons next month, of which a fisher may hope for 2/5: by backward induction from the last
month everybody wants everything in the first: 100 tons, 20 each, and collapse.

Where all want more than there is, `rationing="equal"` satisfies small wishes first and levels the others (the
uniform rule $c_i = \min(d_i, \lambda)$); `"proportional"` gives all the same share of their wish. GovSim's
code has both: its default hands out ton by ton to a random fisher whose wish is not yet met, for which the
uniform rule stands here, without chance.

`GovSim.scores` computes the published measures (survival time, gain, efficiency, equality, over-usage) from
catches, so that trained agents can stand beside the language models. Its efficiency is a share of the
sustainable 600 tons and stops at 1; it is not the suite's efficiency between selfish and planner.

Sources: Piatti et al. (2024), Cooperate or Collapse, NeurIPS 37, arXiv 2312.04350. The numbers, the order of
events and the rationing were read in its code (github.com/giorgiopiatti/GovSim), the measures in the code of
a reproduction (github.com/Mathijsvs03/Re-GovSim); the paper itself was not looked up. The code
rounds $f(s) / 5$ down to whole tons, which is the same where whole tons are caught. The conversations
between the months are no part of this model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Dilemma, Outcome, Play
from commonweal.envs.govsim_plan import ROUNDING, Plan, Planned, greed, planner
from commonweal.envs.repeated import PROGRESS, Always
from commonweal.errors import NotExact, require
from commonweal.parameters import check
from commonweal.random import Streams
from commonweal.references import Check, Kind, References, Rule, Yardstick
from commonweal.spaces import Action, Bounds, Conduct, Levels, Real, Signal

Array = NDArray[np.float64]


@dataclass
class GovSimState:
    """Months so far and tons in the lake, `(B, 1)` each; what each caught last, `(B, N)`."""

    month: Array
    stock: Array
    catch: Array


@dataclass(frozen=True, eq=False, repr=False)
class GovSim(Dilemma):
    """GovSim's fishery.

    Attributes:
        num_agents: N, fishers.
        capacity: K, most tons in the lake, and tons at the start.
        growth: factor by which what is left grows within a month.
        collapse: the lake is lost if fewer tons are left after fishing.
        max_catch: most that a fisher can ask for, tons.
        levels: levels of the wish from 0 to `max_catch`; None: continuous.
        rationing: `"equal"` or `"proportional"`, see the module.
        months: of an episode.
        discount: weight of the next month.
    """

    id: ClassVar[str] = "govsim-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "extraction": Conduct("tons", limitable=True),
        "income": Conduct("money"),
        "harm": Conduct("money", oracle=True),
    }

    num_agents: int = 5
    capacity: float = 100.0
    growth: float = 2.0
    collapse: float = 5.0
    max_catch: float = 100.0
    levels: Levels = 101
    rationing: Literal["equal", "proportional"] = "equal"
    months: int = 12
    discount: float = 1.0

    def validate(self) -> None:
        """Check the ranges."""
        check("GovSim.num_agents", self.num_agents, 1, math.inf)
        check("GovSim.capacity", self.capacity, 0.0, math.inf, open_low=True)
        check("GovSim.growth", self.growth, 1.0, math.inf)
        check("GovSim.collapse", self.collapse, 0.0, self.capacity)
        check("GovSim.max_catch", self.max_catch, 0.0, self.capacity, open_low=True)
        rules = ("equal", "proportional")
        require(self.rationing in rules, "GovSim.rationing", self.rationing, ", ".join(rules))
        check("GovSim.months", self.months, 1, math.inf)
        check("GovSim.discount", self.discount, 0.0, 1.0)

    @property
    def horizon(self) -> int:
        """The last month ends the game."""
        return self.months

    def actions(self) -> list[Action]:
        """The wish."""
        return [Action("wish", Real(0.0, self.max_catch, "tons", self.levels))]

    def signals(self) -> list[Signal]:
        """The share of the months that has passed, the lake, and the last catches, one's own first."""
        caught = Signal("catches", "tons", 0.0, self.max_catch, width=self.num_agents)
        return [PROGRESS, Signal("stock", "tons", 0.0, self.capacity, public=True), caught]

    def initial(self, rng: Streams) -> GovSimState:
        """A full lake."""
        worlds = rng.num_worlds
        full = np.full((worlds, 1), float(self.capacity))
        return GovSimState(np.zeros((worlds, 1)), full, np.zeros((worlds, self.num_agents)))

    def step(self, state: GovSimState, play: Play, rng: Streams) -> tuple[GovSimState, Outcome]:
        """One month."""
        catch = self.ration(state.stock, play["wish"])
        left = state.stock - catch.sum(axis=1, keepdims=True)
        grown, collapsed = self.regrow(left)
        following = GovSimState(state.month + 1.0, grown, catch.copy())
        over = collapsed[:, 0] | (following.month[:, 0] >= self.months)
        return following, Outcome(catch, {"extraction": catch, "income": catch}, over)

    def ration(self, stock: Array, wish: Array) -> Array:
        """Catches `(B, N)` from the stock `(B, 1)` and wishes `(B, N)`."""
        if self.rationing == "proportional":
            total = wish.sum(axis=1, keepdims=True)
            return wish * np.minimum(stock / np.maximum(total, self.tie), 1.0)
        # c = min(wish, level) adds up to the stock: at least (stock - the k smallest wishes) / (N - k)
        # for every k, and equal to it for one of them.
        n = wish.shape[1]
        ordered = np.sort(wish, axis=1)
        smaller = np.cumsum(ordered, axis=1) - ordered
        level = ((stock - smaller) / np.arange(n, 0, -1)).max(axis=1, keepdims=True)
        return np.minimum(wish, level)

    def regrow(self, left: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Next month's stock and whether the lake is lost, of the shape of `left`."""
        collapsed = left < self.collapse - self.tie
        return np.where(collapsed, 0.0, np.minimum(self.growth * left, self.capacity)), collapsed

    def observe(self, state: GovSimState) -> Mapping[str, Array]:
        """All see the lake and what each has caught."""
        n = self.num_agents
        catches = state.catch[:, (np.arange(n)[:, None] + np.arange(n)) % n]
        return {"progress": state.month / self.months, "stock": state.stock, "catches": catches}

    def limit(self, state: GovSimState, play: Play, bounds: Bounds) -> Play:
        """Change wishes to what the bounds allow."""
        low, high = bounds["extraction"]
        return {**play, "wish": np.clip(np.clip(play["wish"], low, high), 0.0, self.max_catch)}

    def harm(self, state: GovSimState, play: Play, outcome: Outcome, following: GovSimState) -> Array:
        """What the others lose because a fisher wanted any fish, `(B, N)`.

        Now, where it was rationed; and later, `(N - 1) / N` of what the planner would have made of
        the larger stock.
        """
        wish, catch, n = play["wish"], outcome.conduct["extraction"], self.num_agents
        landed = catch.sum(axis=1, keepdims=True)
        without = np.empty_like(catch)
        for i in range(n):
            others = np.delete(wish, i, axis=1)
            without[:, i] = self.ration(state.stock, others).sum(axis=1) if n > 1 else 0.0
        spared, _ = self.regrow(state.stock - without)
        month = following.month[:, 0].astype(np.intp)
        later = self._planned.at(month, spared) - self._planned.at(month, following.stock)
        return without - (landed - catch) + self.discount * (1.0 - 1.0 / n) * later

    @property
    def tie(self) -> float:
        """Tons that are rounding."""
        return ROUNDING * self.capacity

    # ------------------------------------------------------------------ yardsticks

    @cached_property
    def _planned(self) -> Plan:
        return planner(self)

    def references(self) -> References:
        """Everybody wants everything, the outcome of backward induction; and the planner.

        The gain of deviating is exact: the best reply to others who always want the most, by dynamic
        programming over the stock.

        Raises:
            NotExact: wishes are continuous, or the stock does not stay on their levels.
        """
        if not self.levels:
            raise NotExact("GovSim.levels is None; allowed: levels, on which the stock is a whole number")
        size = self.capacity / (self.max_catch / (self.levels - 1))
        if abs(size - round(size)) > 1e-9 or self.growth != round(self.growth):
            raise NotExact(
                f"GovSim.growth is {self.growth} and the capacity {size:g} levels; allowed: whole numbers, "
                "so that the stock is one"
            )
        n, plan = self.num_agents, self._planned
        best = float(plan.value[0, -1]) / n

        def stick(gain: float, epsilon: float, selection: str, rule: Rule) -> Yardstick:
            kind: Kind = "best known" if epsilon > self.tie else "dynamic programming"
            return Yardstick(n * gain, kind, 0.0, epsilon, selection, rule, {"gain": gain})

        planner = stick(best, math.nan, "maximum of the sum", Planned(self, plan))
        selfish = stick(best, 0.0, "a single fisher is the planner", Planned(self, plan))
        if n > 1:
            greedy, reply = greed(self, plan.grid)
            emptied = (n - 1) * self.max_catch >= self.capacity  # whatever a fisher leaves, others take
            unique = emptied and self.growth < n
            how = "backward induction" if unique else "all always want the most; there may be others"
            if reply - greedy > self.tie:
                how = "no equilibrium: all always want the most, and one alone would gain by less"
            selfish = stick(greedy, reply - greedy, how, Always(self, {"wish": self.max_catch}))
        sustained = float(self.sustainable(np.array(self.capacity))) / n
        facts = {"sustainable_catch": sustained, "sustainable_gain": self.months * sustained}
        return References(selfish, planner, n * best, facts=facts)

    # ------------------------------------------------------------------ published measures

    def sustainable(self, stock: Array) -> Array:
        """f: tons whose catch lets the stock grow back to what it is."""
        return stock - stock / self.growth

    def scores(self, catch: Array) -> dict[str, Array]:
        """GovSim's measures of played episodes.

        Args:
            catch: tons by month, world and fisher, `(T, B, N)`, nan after a world has ended.

        Returns:
            by name, `(B,)`: `survival_time` in months, `survival` (1: to the end), `gain` per fisher,
            `efficiency` (share of the sustainable total, at most 1), `equality` (1 - Gini; nan where nobody
            caught anything), `over_usage` (share of the catches above their part of f).
        """
        played = ~np.isnan(catch[:, :, 0])
        caught = np.nan_to_num(catch)
        n, gain = catch.shape[2], caught.sum(axis=0)
        total = gain.sum(axis=1)
        time = played.sum(axis=0)
        stock, above = np.full(catch.shape[1], float(self.capacity)), np.zeros(catch.shape[1])
        for month, tons in enumerate(caught):
            share = self.sustainable(stock)[:, None] / n
            above += np.where(played[month], (tons > share + self.tie).sum(axis=1), 0)
            stock, _ = self.regrow(stock - tons.sum(axis=1))
        target = self.months * float(self.sustainable(np.array(self.capacity)))
        apart = np.abs(gain[:, :, None] - gain[:, None, :]).sum(axis=(1, 2))
        with np.errstate(invalid="ignore", divide="ignore"):
            equality = 1.0 - apart / (2.0 * n * total)
        return {
            "survival_time": time.astype(np.float64),
            "survival": (time == self.months).astype(np.float64),
            "gain": total / n,
            "efficiency": 1.0 - np.maximum(target - total, 0.0) / target,
            "equality": np.where(total > 0, equality, np.nan),
            "over_usage": above / np.maximum(n * time, 1),
        }

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """The bounds of GovSim's fishery, played month by month."""
        source = "Piatti et al. (2024), parameters from its code"
        game = cls()
        found = game.references()

        def played(each: float, last: float) -> tuple[float, float]:
            """Tons of each fisher and months survived when all want `each`, and `last` in the last month."""
            rng = Streams(np.zeros(1, np.uint64), 0)
            state, gain = game.initial(rng), 0.0
            for month in range(1, game.months + 1):
                wish = np.full((1, game.num_agents), last if month == game.months else each)
                state, outcome = game.step(state, {"wish": wish}, rng)
                gain += float(outcome.money[0, 0])
                assert outcome.terminated is not None
                if outcome.terminated[0]:
                    break
            return gain, float(month)

        yield Check("GovSim: gain of half the lake every month", source, 120.0, played(10.0, 10.0)[0])
        yield Check("GovSim: with a last month of depletion", source, 130.0, played(10.0, 100.0)[0])
        yield Check("GovSim: planner's gain", source, 130.0, found.planner.detail["gain"])
        yield Check("GovSim: gain of the greedy", source, 20.0, played(100.0, 100.0)[0])
        yield Check("GovSim: month of their collapse", source, 1.0, played(100.0, 100.0)[1])
        yield Check("GovSim: gain at the selfish equilibrium", source, 20.0, found.selfish.detail["gain"])
        yield Check("GovSim: gain of deviating from it", source, 0.0, found.selfish.epsilon)
