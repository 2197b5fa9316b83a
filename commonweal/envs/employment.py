r"""`employment-v0`: incentive pay when effort is hidden (moral hazard).

Worker i exerts effort $a \ge 0$ in one or more tasks at a cost and its principals earn $b$ per unit of
output $x = a + \epsilon$, $\epsilon \sim N(0, \sigma^2)$ independent. Effort is seen by nobody, so pay can
depend on output alone: principal p offers a wage $\alpha_p$ and slopes $\beta_p$, one for each task whose
output is measured. With $\alpha, \beta$ the sums over the worker's principals (one by default),

$$m = \alpha + \beta \cdot x - \tfrac12 (a - \bar a)^\top C (a - \bar a), \qquad
u = o + \frac{1 - e^{-r (m - o)}}{r}, \qquad C = c\,[(1 - \kappa) I + \kappa\, 1 1^\top] .$$

Utility is CARA, scaled so that money is worth one at the outside option $o$; hence W is the surplus in
money wherever the worker is held to $o$, and an insurance institution can raise W. What a
worker certainly is worth is $\alpha + \beta \cdot a - \text{cost} - \tfrac12 r \sum_j \beta_j^2 \sigma_j^2$.

**Timing.** Terms offered in a round bind in the next; all of a worker's terms are taken together or not
at all. In each round workers answer the standing terms (accept? effort) while principals post new ones. So
the first round only offers and the last offer is for nobody: T rounds hold T - 1 employments.

**One task, one principal** (Holmström and Milgrom 1987). The worker answers $a = \beta / c$; principals
offer $\beta = b / (1 + r c \sigma^2)$; the surplus is $b^2 / (2 c (1 + r c \sigma^2))$, at first best
$b^2 / (2 c)$. Without risk aversion or noise nothing is lost.

**Several tasks, some not measured** (Holmström and Milgrom 1991): give `benefit` more entries than
`noise`. With S the measured tasks, $(C^{-1} + r \Sigma)_{SS}\, \beta = (C^{-1} b)_S$; if efforts are rivals
($\kappa > 0$), pay for what is measured pulls effort out of what is not, and the slope falls.

**P principals who share the benefit** (common agency): each takes the others' slopes as given, so that
$(C^{-1} + P r \Sigma)_{SS}\, \beta = (C^{-1} b)_S$: risk counts P times, and incentives are weaker.
That nobody makes an acceptable offer is an equilibrium, too, where none can employ the worker alone at a
profit; as the worst it is then the selfish yardstick, and the contracts are in `others`.

Sources: Holmström and Milgrom (1987), Econometrica 55, 303-328; (1991), J. Law, Economics and
Organization 7, 24-52 (that $\beta = (I + r C \Sigma)^{-1} b$ where all is measured was looked up in
lecture notes); Bernheim and Whinston (1986), Econometrica 54, and Dixit (1996), The Making of Economic
Policy, for common agency (recalled, not looked up; the formula above is derived, and tested by
deviations in play). No numbers are published; the default halves the surplus exactly, and all its
equilibrium terms are levels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.curves import cara
from commonweal.envs.base import Outcome, Play
from commonweal.envs.repeated import PROGRESS, RepeatedGame, RoundState
from commonweal.envs.sides import by_agent, of
from commonweal.errors import require
from commonweal.parameters import Parameter, check
from commonweal.random import Streams
from commonweal.references import Check, References
from commonweal.spaces import Action, Bounds, Choice, Conduct, Levels, Real, Signal

Array = NDArray[np.float64]


@dataclass
class EmploymentState(RoundState):
    """Rounds so far `(B, 1)` and the terms that bind in the coming one.

    Attributes:
        wage: of each principal's offer, `(B, W P)`.
        slope: of each principal's offer, `(B, W P, K)` for K measured tasks.
        output: measured output of the last round, summed over tasks, `(B, W)`.
        toil: what effort cost the workers in the last round, money, `(B, W)`.
    """

    wage: Array
    slope: Array
    output: Array
    toil: Array


@dataclass(frozen=True, eq=False, repr=False)
class Employment(RepeatedGame):
    """Linear contracts for hidden effort.

    Agents are the principals (those of the first worker, of the second, …), then the workers. A
    parameter with one value per agent is read at the workers.

    Attributes:
        num_workers: W.
        principals_per_worker: P; they share the benefit equally.
        benefit: b, money per unit of output of each task to the principals together.
        noise: variance of the measured output of the first K tasks; the others are not measured.
        rivalry: kappa, by which effort in one task makes effort in the others dearer.
        intrinsic: effort in each task that costs least, exerted without pay.
        risk_aversion: r, absolute, per money.
        effort_cost: c, money per squared unit of effort.
        outside_option: o, money of a worker who refuses.
        max_wage, max_slope, max_effort: largest values; wages may be negative (a fee).
        wage_levels, slope_levels, effort_levels: levels of these; None: continuous.
        rounds: rounds of the game.
        discount: weight of the next round.
    """

    id: ClassVar[str] = "employment-v0"
    quasilinear: ClassVar[bool] = False
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "wage": Conduct("money units", limitable=True),
        "slope": Conduct("money per output", limitable=True),
        "output": Conduct("output"),
        "hired": Conduct(""),
        "income": Conduct("money"),
    }

    num_workers: int = 4
    principals_per_worker: int = 1
    benefit: tuple[float, ...] = (1.0,)
    noise: tuple[float, ...] = (1.0,)
    rivalry: float = 0.0
    intrinsic: float = 0.0
    risk_aversion: Parameter = 1.0
    effort_cost: Parameter = 1.0
    outside_option: Parameter = 0.0
    max_wage: float = 1.0
    max_slope: float = 1.0
    max_effort: float = 2.0
    wage_levels: Levels = 21
    slope_levels: Levels = 11
    effort_levels: Levels = 21
    rounds: int = 11

    def validate(self) -> None:
        """Check the ranges."""
        super().validate()
        for name in ("num_workers", "principals_per_worker"):
            check(f"Employment.{name}", getattr(self, name), 1, math.inf)
        tasks = f"from 1 to the {len(self.benefit)} of benefit"
        require(1 <= len(self.noise) <= len(self.benefit), "entries of noise", len(self.noise), tasks)
        for name in ("benefit", "noise", "intrinsic"):
            check(f"Employment.{name}", np.array(getattr(self, name)), 0.0, math.inf)
        check("Employment.rivalry", self.rivalry, 0.0, 0.999)
        check("Employment.risk_aversion", self.risk_aversion, 0.0, 10.0)
        for name in ("effort_cost", "max_wage", "max_slope", "max_effort"):
            check(f"Employment.{name}", getattr(self, name), 0.0, math.inf, open_low=True)
        check("Employment.outside_option", self.outside_option, -math.inf, math.inf)

    @property
    def groups(self) -> Mapping[str, int]:
        """Principals, then workers."""
        return {"principals": self.num_workers * self.principals_per_worker, "workers": self.num_workers}

    @property
    def measured(self) -> int:
        """K, the number of measured tasks."""
        return len(self.noise)

    def actions(self) -> list[Action]:
        """Principals: terms for the next round. Workers: whether to accept the standing ones, and effort."""
        wage = Real(-self.max_wage, self.max_wage, "money", self.wage_levels)
        slope = Real(0.0, self.max_slope, "money per output", self.slope_levels)
        effort = Real(0.0, self.max_effort, "effort", self.effort_levels)
        return [
            Action("wage", wage, "principals"),
            *(Action(f"slope_{j + 1}", slope, "principals") for j in range(self.measured)),
            Action("accept", Choice(("refuse", "accept")), "workers"),
            *(Action(f"effort_{j + 1}", effort, "workers") for j in range(len(self.benefit))),
        ]

    def signals(self) -> list[Signal]:
        """Workers see the sum of the standing terms, principals the last measured output of their worker."""
        most = self.principals_per_worker
        return [
            PROGRESS,
            Signal("output", "output", group="principals"),
            Signal("wage", "money", -most * self.max_wage, most * self.max_wage, "workers"),
            *(
                Signal(f"slope_{j + 1}", "money per output", 0.0, most * self.max_slope, "workers")
                for j in range(self.measured)
            ),
            Signal("risk_aversion", "per money", 0.0, 10.0),
            Signal("effort_cost", "money per squared effort", 0.0),
        ]

    def initial(self, rng: Streams) -> EmploymentState:
        """No terms stand yet."""
        worlds, firms = rng.num_worlds, self.groups["principals"]
        nothing = np.zeros((worlds, firms))
        slope, output = np.zeros((worlds, firms, self.measured)), np.zeros((worlds, self.num_workers))
        return EmploymentState(np.zeros((worlds, 1)), nothing, slope, output, np.zeros_like(output))

    def cost(self, effort: Array) -> Array:
        """Money worth `(B, W)` of the toil of `effort (B, W, tasks)`."""
        above = effort - self.intrinsic
        mixed = (1.0 - self.rivalry) * (above**2).sum(axis=2) + self.rivalry * above.sum(axis=2) ** 2
        return 0.5 * of(self.effort_cost, self.agents_of("workers")) * mixed

    def step(self, state: EmploymentState, play: Play, rng: Streams) -> tuple[EmploymentState, Outcome]:
        """One round: work under the standing terms, and new terms for the next."""
        workers, measured, share = self.num_workers, self.measured, self.principals_per_worker
        hired = play["accept"] * (state.round > 0)
        effort = np.stack([play[f"effort_{j + 1}"] for j in range(len(self.benefit))], axis=2)
        shock = np.sqrt(self.noise) * rng.normal(workers, measured)
        output = effort.copy()
        output[..., :measured] += shock
        output *= hired[:, :, None]
        for_firm = np.repeat(output, share, axis=1)
        pay = np.repeat(hired, share, axis=1) * state.wage
        pay += (state.slope * for_firm[..., :measured]).sum(axis=2)
        profit = for_firm @ (np.array(self.benefit) / share) - pay
        earned = pay.reshape(len(pay), workers, share).sum(axis=2)
        earned = np.where(hired > 0, earned, of(self.outside_option, self.agents_of("workers")))
        money = np.concatenate([profit, earned], axis=1)
        slope = np.stack([play[f"slope_{j + 1}"] for j in range(measured)], axis=2)
        seen = output[..., :measured].sum(axis=2)
        toil = hired * self.cost(effort)
        following = EmploymentState(state.round + 1.0, play["wage"], slope, seen, toil)
        conduct = {
            "wage": self._pad(play["wage"], None),
            "slope": self._pad(slope.mean(axis=2), None),
            "output": self._pad(None, seen),
            "hired": self._pad(None, hired),
            "income": money,
        }
        return following, Outcome(money, conduct, self.over(following))

    def _pad(self, firms: Array | None, workers: Array | None) -> Array:
        """`(B, N)` from what one side did; the other did nothing."""
        if firms is None:
            assert workers is not None
            firms = np.zeros((len(workers), self.groups["principals"]))
        if workers is None:
            workers = np.zeros((len(firms), self.num_workers))
        return np.concatenate([firms, workers], axis=1)

    def utility(self, state: EmploymentState, money: Array) -> Array:
        """Principals are risk neutral; workers have CARA utility of money less toil."""
        workers, felt = self.agents_of("workers"), money.copy()
        outside, r = of(self.outside_option, workers), of(self.risk_aversion, workers)
        felt[:, workers] = outside + cara(money[:, workers] - state.toil - outside, r)
        return felt

    def observe(self, state: EmploymentState) -> Mapping[str, Array]:
        """The sum of the standing terms, last output, and the worker's type."""
        split = (len(state.wage), self.num_workers, self.principals_per_worker)
        shown = {
            "progress": state.round / self.rounds,
            "output": np.repeat(state.output, self.principals_per_worker, axis=1),
            "wage": state.wage.reshape(split).sum(axis=2),
        }
        for j in range(self.measured):
            shown[f"slope_{j + 1}"] = state.slope[..., j].reshape(split).sum(axis=2)
        for name in ("risk_aversion", "effort_cost"):
            own = np.broadcast_to(of(getattr(self, name), self.agents_of("workers")), state.output.shape)
            shown[name] = self._pad(np.repeat(own, self.principals_per_worker, axis=1), own)
        return shown

    def limit(self, state: EmploymentState, play: Play, bounds: Bounds) -> Play:
        """Change offers to what the bounds allow: a wage floor, a cap on incentive pay."""
        limited, firms = dict(play), self.agents_of("principals")
        columns = {"wage": ["wage"], "slope": [f"slope_{j + 1}" for j in range(self.measured)]}
        ends = {"wage": (-self.max_wage, self.max_wage), "slope": (0.0, self.max_slope)}
        for name, (low, high) in bounds.items():
            for column in columns[name]:
                within = np.clip(play[column], of(low, firms), of(high, firms))
                limited[column] = np.clip(within, *ends[name])
        return limited

    def references(self) -> References:
        """Subgame-perfect contracts and the first best; see `envs.contract_yardsticks`."""
        from commonweal.envs.contract_yardsticks import references  # it reads this class

        found = references(self)
        slack = max(self._most() - found.planner.welfare, 0.0)
        return replace(found, planner=replace(found.planner, slack=slack))

    def _most(self) -> float:
        """W where effort is efficient and payments hold every worker to its outside option."""
        from commonweal.envs.contracting import answer

        benefit, seen = np.array(self.benefit), replace(self, noise=(0.0,) * len(self.benefit))
        c, o = (by_agent(self, name, "workers") for name in ("effort_cost", "outside_option"))
        effort = answer(seen, np.tile(benefit, (self.num_workers, 1)), c)
        best = np.maximum(effort @ benefit - self.cost(effort[None])[0], o)
        return float(o.sum() + self.later_weight * best.sum())

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """Textbook contracts, by playing them; see `envs.contract_yardsticks`."""
        from commonweal.envs.contract_yardsticks import theory

        return theory()
