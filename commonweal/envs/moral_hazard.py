r"""`moral_hazard-v0`: a few efforts, a few outcomes, and wages that cannot be negative.

A worker chooses one of L efforts with toil $t_a$; outcome $k$ of K follows with probability $p_{ak}$ and
is worth $x_k$ to its principal, who sees it but not the effort, and pays the wage $w_k$ it posted for it:

$$\pi = x_k - w_k, \qquad
u = o + \frac{1 - e^{-r (w_k - t_a - o)}}{r} \quad (w_k - t_a \text{ at } r = 0) .$$

Wages lie between `min_wage` and `max_wage`: a worker without means cannot pay a fine (limited liability).
To have effort $a$ chosen the principal must pay at least what the cheapest contract costs,

$$C_a = \min_w \sum_k p_{ak} w_k \quad \text{so that $a$ is the worker's best effort, worth at least $o$,}$$

a linear programme for each effort where the worker is risk neutral (Grossman and Hart 1983 in that case);
and it picks the effort with the largest $\sum_k p_{ak} x_k - C_a$. Effort is paid for by a wage for
success that a lazy worker gets at times, too: this rent makes the efficient effort dear, and the principal
asks for less. If wages may be negative enough nothing is lost to a risk-neutral worker: it buys the
venture for a fixed sum.

**Timing.** As in `employment-v0`: wages posted in a round bind in the next, the first round employs nobody
and the last offer is for nobody: T rounds hold T - 1 employments.

The default: success is worth 1 and has probability 0.2, 0.5 or 0.8 at a toil of 0, 0.09 or 0.27. High effort
is efficient (0.53), but needs a wage of 0.6 for success and leaves the principal 0.32; 0.3 buys the middle
one and leaves 0.35. W is 0.41.

Sources: Grossman and Hart (1983), Econometrica 51, 7-45; limited liability after Sappington (1983), J.
Economic Theory 29, 1-21. Recalled, not looked up; contracts are tested by posting every other in play.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from commonweal.curves import cara
from commonweal.envs.base import Outcome, Play
from commonweal.envs.repeated import PROGRESS, RepeatedGame, RoundState
from commonweal.envs.sides import ROUNDING, SINGLE, of
from commonweal.errors import NotExact, require
from commonweal.parameters import Parameter, check
from commonweal.random import Streams
from commonweal.references import Check, References
from commonweal.spaces import Action, Bounds, Choice, Conduct, Levels, Real, Signal

Array = NDArray[np.float64]
MOST = 1_000_000  # contracts tried one by one


@dataclass
class MoralHazardState(RoundState):
    """Rounds so far `(B, 1)`, standing wages by outcome `(B, W, K)`, value and toil of the last `(B, W)`."""

    wages: Array
    output: Array
    toil: Array


@dataclass(frozen=True, eq=False, repr=False)
class MoralHazard(RepeatedGame):
    """Wages by outcome for hidden effort.

    Agents are the principals, then the workers; principal k employs worker k. A parameter with one value
    per agent is read at the workers.

    Attributes:
        num_workers: W; there are as many principals.
        value: x, money of each outcome to the principal.
        probability: p, a row for each effort with the probability of each outcome.
        toil: t, money of each effort; the first is the null act.
        risk_aversion: r, absolute, per money.
        outside_option: o, money of a worker who refuses.
        min_wage, max_wage: range of wages.
        wage_levels: levels of wages; None: continuous.
        rounds: rounds of the game.
        discount: weight of the next round.
    """

    id: ClassVar[str] = "moral_hazard-v0"
    quasilinear: ClassVar[bool] = False
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "wage": Conduct("money units", limitable=True),
        "output": Conduct("money units"),
        "hired": Conduct(""),
        "income": Conduct("money"),
    }

    num_workers: int = 4
    value: tuple[float, ...] = (0.0, 1.0)
    probability: tuple[tuple[float, ...], ...] = ((0.8, 0.2), (0.5, 0.5), (0.2, 0.8))
    toil: tuple[float, ...] = (0.0, 0.09, 0.27)
    risk_aversion: Parameter = 0.0
    outside_option: Parameter = 0.0
    min_wage: float = 0.0
    max_wage: float = 1.0
    wage_levels: Levels = 11
    rounds: int = 11

    def validate(self) -> None:
        """Check the ranges."""
        super().validate()
        check("MoralHazard.num_workers", self.num_workers, 1, math.inf)
        efforts = len(self.probability)
        require(efforts >= 2, "rows of MoralHazard.probability", efforts, "at least 2")
        for row in self.probability:
            whole = len(row) == len(self.value) and abs(sum(row) - 1.0) < 1e-9 and min(row) >= 0.0
            require(whole, "a row of MoralHazard.probability", row, f"{len(self.value)} probabilities, sum 1")
        require(len(self.toil) == efforts, "entries of MoralHazard.toil", len(self.toil), str(efforts))
        check("MoralHazard.risk_aversion", self.risk_aversion, 0.0, 10.0)
        check("MoralHazard.outside_option", self.outside_option, -math.inf, math.inf)
        require(
            self.min_wage < self.max_wage, "MoralHazard.min_wage", self.min_wage, f"below {self.max_wage}"
        )

    @property
    def groups(self) -> Mapping[str, int]:
        """Principals, then workers."""
        return {"principals": self.num_workers, "workers": self.num_workers}

    @property
    def columns(self) -> list[str]:
        """Names of the wages by outcome."""
        return [f"wage_{k + 1}" for k in range(len(self.value))]

    def actions(self) -> list[Action]:
        """Principals: a wage for each outcome, for the next round. Workers: accept those standing? effort."""
        wage = Real(self.min_wage, self.max_wage, "money", self.wage_levels)
        efforts = tuple(f"effort {a + 1}" for a in range(len(self.toil)))
        return [
            *(Action(name, wage, "principals") for name in self.columns),
            Action("accept", Choice(("refuse", "accept")), "workers"),
            Action("effort", Choice(efforts), "workers"),
        ]

    def signals(self) -> list[Signal]:
        """Workers see the standing wages, principals what the last outcome was worth."""
        low, high = min(*self.value, 0.0), max(*self.value, 0.0)
        return [
            PROGRESS,
            Signal("output", "money", low, high, "principals"),
            *(
                Signal(f"open_{name}", "money", min(self.min_wage, 0.0), self.max_wage, "workers")
                for name in self.columns
            ),
        ]

    def initial(self, rng: Streams) -> MoralHazardState:
        """No wages stand yet."""
        worlds, n = rng.num_worlds, self.num_workers
        wages = np.zeros((worlds, n, len(self.value)))
        return MoralHazardState(np.zeros((worlds, 1)), wages, np.zeros((worlds, n)), np.zeros((worlds, n)))

    def step(self, state: MoralHazardState, play: Play, rng: Streams) -> tuple[MoralHazardState, Outcome]:
        """One round: work for the standing wages, and new wages for the next."""
        hired = play["accept"] * (state.round > 0)
        effort = play["effort"].astype(np.intp)
        below = np.cumsum(self.probability, axis=1)[effort][..., :-1]
        outcome = (rng.uniform(self.num_workers)[..., None] >= below).sum(axis=2)
        output = hired * np.array(self.value)[outcome]
        wage = np.take_along_axis(state.wages, outcome[..., None], axis=2)[..., 0]
        earned = np.where(hired > 0, wage, of(self.outside_option, self.agents_of("workers")))
        money = np.concatenate([output - hired * wage, earned], axis=1)
        posted = np.stack([play[name] for name in self.columns], axis=2)
        following = MoralHazardState(state.round + 1.0, posted, output, hired * np.array(self.toil)[effort])
        nothing = np.zeros_like(output)
        conduct = {
            "wage": np.concatenate([posted.mean(axis=2), nothing], axis=1),
            "output": np.concatenate([nothing, output], axis=1),
            "hired": np.concatenate([nothing, hired], axis=1),
            "income": money,
        }
        return following, Outcome(money, conduct, self.over(following))

    def utility(self, state: MoralHazardState, money: Array) -> Array:
        """Principals are risk neutral; workers have CARA utility of money less toil."""
        workers, felt = self.agents_of("workers"), money.copy()
        outside, r = of(self.outside_option, workers), of(self.risk_aversion, workers)
        felt[:, workers] = outside + cara(money[:, workers] - state.toil - outside, r)
        return felt

    def observe(self, state: MoralHazardState) -> Mapping[str, Array]:
        """Wages are open; effort is hidden."""
        shown = {f"open_{name}": state.wages[..., k] for k, name in enumerate(self.columns)}
        return {"progress": state.round / self.rounds, "output": state.output, **shown}

    def limit(self, state: MoralHazardState, play: Play, bounds: Bounds) -> Play:
        """Change posted wages to what the bounds allow."""
        low, high = (of(end, self.agents_of("principals")) for end in bounds["wage"])
        wages = {n: np.clip(np.clip(play[n], low, high), self.min_wage, self.max_wage) for n in self.columns}
        return {**play, **wages}

    # ------------------------------------------------------------------ theory

    def tie(self, wages: Array) -> Array:
        """Money within which efforts are equally good under `wages (..., K)`, seen to single precision."""
        return np.asarray(SINGLE * np.abs(wages).max(axis=-1))

    def answer(self, wages: Array, r: Array | float, o: Array | float) -> tuple[Array, NDArray[np.intp]]:
        """Expected utility and best effort `(...)` under `wages (..., K)`; ties go to the principal."""
        p = np.array(self.probability)
        left = wages[..., None, :] - np.array(self.toil)[:, None] - np.asarray(o)[..., None, None]
        aversion = np.asarray(r, dtype=np.float64)[..., None, None]
        worth = np.asarray(o)[..., None] + (p * cara(left, aversion)).sum(axis=-1)
        best = worth >= worth.max(axis=-1, keepdims=True) - self.tie(wages)[..., None]
        profit = (p * (np.array(self.value) - wages[..., None, :])).sum(axis=-1)
        effort = np.where(best, profit, -np.inf).argmax(axis=-1)
        return worth.max(axis=-1), effort

    def expected(self, wages: Array, r: float, o: float) -> tuple[Array, Array]:
        """Expected profit and W `(G,)` of contracts `(G, K)`; a worker takes what is worth o."""
        worth, effort = self.answer(wages, r, o)
        accepts = worth >= o - self.tie(wages)
        profit = (np.array(self.probability)[effort] * (np.array(self.value) - wages)).sum(axis=-1)
        return accepts * profit, np.where(accepts, profit + worth, o)

    def cheapest(self, effort: int, o: float = 0.0) -> Array | None:
        """Wages `(K,)` of least expected cost that get `effort` from a risk-neutral worker; None: none do."""
        p, toil = np.array(self.probability), np.array(self.toil)
        others = [a for a in range(len(toil)) if a != effort]
        # Not to prefer another effort, nor the outside option.
        rows = np.concatenate([p[others] - p[effort], -p[[effort]]])
        right = np.append(toil[others] - toil[effort], -o - toil[effort])
        found = linprog(p[effort], A_ub=rows, b_ub=right, bounds=(self.min_wage, self.max_wage))
        return np.asarray(found.x, dtype=np.float64) if found.success else None

    def contracts(self) -> Array:
        """All contracts on the levels, `(G, K)`.

        Raises:
            NotExact: there are too many to try.
        """
        assert self.wage_levels
        number = self.wage_levels ** len(self.value)
        if number > MOST:
            raise NotExact(f"there are {number} contracts; allowed: {MOST}, or wage_levels=None")
        levels = np.linspace(self.min_wage, self.max_wage, self.wage_levels)
        return np.array(list(product(levels, repeat=len(self.value))))

    def best_contract(self, r: float, o: float) -> Array:
        """The principal's best wages `(K,)`: of all on the levels, or by linear programming.

        Raises:
            NotExact: continuous wages and a risk-averse worker.
        """
        if self.wage_levels:
            tried = self.contracts()
        elif r > 0.0:
            raise NotExact(f"risk_aversion is {r} and wages are continuous; allowed: 0, or wage_levels")
        else:
            # The lowest wages employ nobody if any do, and a principal need not employ at a loss.
            nothing = np.full(len(self.value), self.min_wage)
            found = [nothing, *(self.cheapest(a, o) for a in range(len(self.toil)))]
            tried = np.stack([w for w in found if w is not None])
        profit, total = self.expected(tried, r, o)
        ties = np.flatnonzero(profit >= profit.max() - ROUNDING * np.abs(self.value).max())
        return np.asarray(tried[ties[total[ties].argmin()]], dtype=np.float64)

    def references(self) -> References:
        """The best contract in every round, and the first best; see `envs.moral_hazard_theory`."""
        from commonweal.envs.moral_hazard_theory import references  # it reads this class

        return references(self)

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """The default, by hand and by linear programming, and a worker with means."""
        source, game = "Grossman and Hart (1983), derived", cls(wage_levels=None)
        for effort, wage, cost in ((0, 0.0, 0.0), (1, 0.3, 0.15), (2, 0.6, 0.48)):
            found = game.cheapest(effort)
            assert found is not None
            name = f"moral hazard: effort {effort + 1}"
            yield Check(f"{name}, wage of success", source, wage, float(found[1]))
            yield Check(f"{name}, cost", source, cost, float(found @ np.array(game.probability[effort])))
        yield Check("moral hazard: W a round", source, 0.41, game.references().selfish.welfare / 40.0)
        yield Check("moral hazard: first best", source, 0.53, game.references().planner.welfare / 40.0)
        means = replace(game, min_wage=-1.0)
        yield Check("moral hazard: W if the worker has means", source, 0.53,
                    means.references().selfish.welfare / 40.0)  # fmt: skip
