r"""`labour-v0`: labour, income and skill; utility is not money, so redistribution can matter.

A citizen of skill $w_i$ works $l_i$, earns $z_i = w_i l_i$ and enjoys what is left after all payments,

$$u_i = \frac{c_i^{1-\eta} - 1}{1 - \eta} - k\, \frac{l_i^{1 + 1/\varepsilon}}{1 + 1/\varepsilon},
\qquad c_i = z_i + \text{net payments}$$

(the logarithm at $\eta = 1$). Periods repeat; nothing is carried over but wealth, which is not consumed:
where $\eta > 0$ nobody pays more than it has earned in the period, and what reaches the treasury counts in W
as if it were given back.

Nobody's work harms anybody, so selfish play wastes nothing (`is_dilemma` is false). What W counts is the sum
of these utilities: as they are concave, a unit of money is worth more to the poor, and W rises with
redistribution until what work it costs outweighs that. Four lines say how far (per period, at the default):
each alone 5.88; the best flat tax 6.08; the best tax schedule of a planner who sees incomes but not skills
(Mirrlees) 6.40; the first best, who sees skills and commands labour, 6.62. At eta = 0 money counts
alike for all, and nothing is gained. `envs.mirrlees` computes schedules for other welfare weights, and Saez's
top rate.

The preset `one-step` is the one-step economy of Zheng et al. (2022), arXiv 2108.02755, as its published code
has it (looked up: utility is coin less labour to the power 2, skills are 2 times Pareto(4), at most 3),
with ten citizens at the midpoints of that law instead of a hundred. Its planner weights utilities by
inverse incomes, which the sum W does not: take `economy(weight)` for that.

Source: isoelastic utility of coin less the cost of labour as in Zheng et al. (2020), arXiv
2004.13332 (eta = 0.23); the elasticity epsilon as in Saez (2001), Review of Economic Studies 68.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from commonweal.curves import geometric_sum, isoelastic
from commonweal.envs.base import Dilemma, Outcome, Play
from commonweal.envs.mirrlees import Economy, best_top_rate, finite_rates, saez_top_rate
from commonweal.envs.repeated import Always
from commonweal.errors import NotExact, require
from commonweal.parameters import Parameter, check
from commonweal.random import Streams
from commonweal.references import Check, Kind, References, Yardstick
from commonweal.spaces import Action, Bounds, Conduct, Levels, Real, Signal

Array = NDArray[np.float64]
SUBSISTENCE = 1e-6  # money of a period
LARGEST_TOIL = 1e100  # utils: beyond, sums and squares of utilities are no numbers


@dataclass
class LabourState:
    """Periods worked so far, `(B, 1)`, skills and the labour of the last period, `(B, N)` each."""

    period: Array
    skill: Array
    labour: Array


@dataclass(frozen=True, eq=False, repr=False)
class Labour(Dilemma):
    """A labour market of citizens with different skills.

    Attributes:
        num_agents: N.
        skill: w, money per unit of labour; one value per citizen.
        risk_aversion: eta, curvature of the utility of money.
        labour_weight: k, weight of the disutility of labour.
        elasticity: epsilon, Frisch elasticity of labour.
        max_labour: most labour in a period.
        levels: levels of labour; None: continuous.
        periods: periods of an episode.
        discount: weight of the next period.
    """

    id: ClassVar[str] = "labour-v0"
    quasilinear: ClassVar[bool] = False
    is_dilemma: ClassVar[bool] = False
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "income": Conduct("money"),
        "labour": Conduct("labour", limitable=True),
    }

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "one-step": {
            "num_agents": 10,
            "skill": tuple(min(3.0, 2.0 * (1.0 - (i + 0.5) / 10.0) ** -0.25) for i in range(10)),
            "risk_aversion": 0.0,
            "labour_weight": 2.0,
            "elasticity": 1.0,
            "periods": 1,
        }
    }

    num_agents: int = 4
    skill: Parameter = (1.0, 2.0, 3.0, 5.0)  # type: ignore[assignment]
    risk_aversion: float = 0.23
    labour_weight: Parameter = 1.0
    elasticity: float = 0.5
    max_labour: float = 3.0
    levels: Levels = 31
    periods: int = 10
    discount: float = 1.0

    def validate(self) -> None:
        """Check the ranges."""
        check("Labour.num_agents", self.num_agents, 1, math.inf)
        check("Labour.elasticity", self.elasticity, 0.01, 100.0)
        for name in ("skill", "labour_weight", "max_labour"):
            check(f"Labour.{name}", getattr(self, name), 0.0, math.inf, open_low=True)
        check("Labour.risk_aversion", self.risk_aversion, 0.0, 10.0)
        with np.errstate(over="ignore"):
            toil = float(np.max(self.labour_cost(np.array([[self.max_labour]]))))
        require(toil < LARGEST_TOIL, "Labour's cost of max_labour", toil, f"below {LARGEST_TOIL:g}")
        check("Labour.periods", self.periods, 1, math.inf)
        check("Labour.discount", self.discount, 0.0, 1.0)

    def actions(self) -> list[Action]:
        """Labour."""
        return [Action("labour", Real(0.0, self.max_labour, "labour", self.levels))]

    def signals(self) -> list[Signal]:
        """The share of the periods that has passed, and the own skill."""
        return [
            Signal("progress", "share of periods", 0.0, 1.0, public=True),
            Signal("skill", "money per labour", 0.0, float(np.max(self.skill))),
        ]

    def initial(self, rng: Streams) -> LabourState:
        """Before the first period."""
        shape = (rng.num_worlds, self.num_agents)
        skill = np.array(np.broadcast_to(np.asarray(self.skill, float), shape))
        return LabourState(np.zeros((rng.num_worlds, 1)), skill, np.zeros(shape))

    def step(self, state: LabourState, play: Play, rng: Streams) -> tuple[LabourState, Outcome]:
        """One period."""
        labour = play["labour"]
        income = state.skill * labour
        following = LabourState(state.period + 1.0, state.skill, labour.copy())
        over = following.period[:, 0] >= self.periods
        conduct = {"income": income, "labour": labour}
        return following, Outcome(income, conduct, over)

    def observe(self, state: LabourState) -> Mapping[str, Array]:
        """All know the period, each its skill."""
        return {"progress": state.period / self.periods, "skill": state.skill}

    def limit(self, state: LabourState, play: Play, bounds: Bounds) -> Play:
        """Change labour to what the bounds allow."""
        low, high = bounds["labour"]
        return {**play, "labour": np.clip(np.clip(play["labour"], low, high), 0.0, self.max_labour)}

    def utility(self, state: LabourState, money: Array) -> Array:
        """Utility of what is left, less the cost of labour."""
        return self.consumption_utility(money) - self.labour_cost(state.labour)

    @property
    def subsistence(self) -> float | None:
        """A trace: where the curve of utility starts, or falls without bound. None where it is a line."""
        return SUBSISTENCE if self.risk_aversion > 0.0 else None

    def consumption_utility(self, money: Array) -> Array:
        """Isoelastic utility; what is below `subsistence` counts as that."""
        if self.subsistence is not None:
            money = np.maximum(money, self.subsistence)
        return np.asarray(isoelastic(money, self.risk_aversion))

    def labour_cost(self, labour: Array) -> Array:
        """Disutility of labour."""
        power = 1.0 + 1.0 / self.elasticity
        return self.labour_weight * labour**power / power

    def references(self) -> References:
        """Each alone; the first best; the best incentive-compatible schedule and the best flat tax.

        `corrective["income"]` is the flat tax whose revenue goes to the other citizens, in equilibrium;
        `others["Mirrlees optimum"]` what a planner who sees incomes alone can reach, with the gap of
        its certificate as `error` (absent where the solver fails). Labour is continuous in both, and in
        the planner's. The planner's transfers are no act of citizens: its rule only works.

        Raises:
            NotExact: parameters by world.
        """
        skill, k = self._row("skill"), self._row("labour_weight")

        def stick(labour: Array, money: Array, selection: str, epsilon: float, kind: Kind) -> Yardstick:
            value = float((self.consumption_utility(money) - self.labour_cost(labour)).sum())
            return Yardstick(
                self.weight * value, kind, 0.0, epsilon, selection, Always(self, {"labour": labour}),
                {"labour": float(labour.mean()), "income": float((skill * labour).mean())},
            )  # fmt: skip

        alone = self._alone(skill, k)
        exactly: Kind = "enumeration" if self.levels else "closed form"
        selfish = stick(alone, skill * alone, "each alone, a dominant strategy", 0.0, exactly)
        best = self._commanded(skill, k)
        shared = np.full_like(best, (skill * best).mean())
        planner = stick(best, shared, "first best with equal consumption", math.nan, "numerical")
        if self.subsistence is not None:  # who has less lives on it all the same
            trace = self.weight * self.num_agents * self.subsistence
            planner = replace(planner, slack=trace * float(shared[0, 0]) ** -self.risk_aversion)
        idle = self.weight * float(self.consumption_utility(np.zeros(1))[0]) * self.num_agents
        corrective, others, facts = self._taxed()
        return References(selfish, planner, planner.welfare - idle, corrective, others, facts)

    @property
    def weight(self) -> float:
        """Discounted number of periods."""
        return geometric_sum(self.discount, self.periods)

    def _row(self, name: str) -> Array:
        """A parameter of every citizen, `(1, N)`."""
        value = np.asarray(getattr(self, name), dtype=np.float64)
        if value.ndim == 2 and len(value) > 1:
            raise NotExact(f"Labour.{name} has one value per world; allowed: a number or one per citizen")
        return np.broadcast_to(value, (1, self.num_agents))

    def _alone(self, skill: Array, k: Array) -> Array:
        """Labour `(1, N)` of each for itself: no other's labour matters to it."""
        if self.levels:
            tried = np.linspace(0.0, self.max_labour, self.levels)[:, None]
            value = self.consumption_utility(tried * skill) - self.labour_cost(tried)
            return np.asarray(tried[value.argmax(axis=0)].T, dtype=np.float64)
        eta, inverse = self.risk_aversion, 1.0 / self.elasticity
        return np.minimum((skill ** (1 - eta) / k) ** (1 / (inverse + eta)), self.max_labour)

    def _commanded(self, skill: Array, k: Array) -> Array:
        """Labour `(1, N)` under a planner who shares all income equally."""
        eta = self.risk_aversion

        def labour_at(price: float) -> Array:
            return np.minimum((price * skill / k) ** self.elasticity, self.max_labour)

        def excess(log_price: float) -> float:
            # `price` is the marginal utility of money, equal for all under the planner.
            mean = float((skill * labour_at(math.exp(log_price))).mean())
            return eta * math.log(max(mean, 1e-300)) + log_price

        return labour_at(math.exp(brentq(excess, -700.0, 700.0, xtol=1e-13)))

    def economy(self, weight: Array | float = 1.0) -> Economy:
        """The citizens in rising order of skill, as `envs.mirrlees` takes them; `weight` in that order."""
        skill, k = self._row("skill")[0], self._row("labour_weight")[0]
        order = np.argsort(-k * skill ** -(1.0 + 1.0 / self.elasticity), kind="stable")
        return Economy.of(
            skill[order], k[order], self.risk_aversion, self.elasticity, self.max_labour, weight
        )  # fmt: skip

    def _taxed(self) -> tuple[dict[str, Yardstick], dict[str, Yardstick], dict[str, float]]:
        """The best flat tax, the best schedule, and numbers about them."""
        n, economy = self.num_agents, self.economy()
        if n == 1:
            return {}, {}, {}
        rate, value = economy.best_linear(own_share=1.0 / n)
        # A rate shared with all N moves as much money, and leaves as much, as `rate (1 - 1/N)`
        # shared with the others.
        flat = Yardstick(
            self.weight * value, "numerical", 0.0, 0.0, "best flat tax, shared among the others",
            detail={"rate": rate * (1.0 - 1.0 / n)},
        )  # fmt: skip
        facts = {
            "best flat rate, shared among all": rate,
            "best flat rate of a large economy": economy.best_linear()[0],
        }
        try:
            best = economy.optimum()
        except NotExact:  # extreme curvature defeats the solver; the other yardsticks stand
            return {"income": flat}, {}, facts
        rates = {f"marginal rate {i + 1}": float(r) for i, r in enumerate(best.marginal_rates)}
        schedule = Yardstick(
            self.weight * best.welfare, "numerical", self.weight * best.gap,
            selection="convex programme over incentive-compatible schedules", detail=rates,
        )  # fmt: skip
        return {"income": flat}, {"Mirrlees optimum": schedule}, facts

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """Saez's top rates by integration, and the formula for finite types against the programme."""
        source = "Saez (2001)"
        for a, e, g, reference in (
            (2.0, 0.25, 0.0, 2 / 3), (1.5, 0.25, 0.0, 8 / 11), (1.5, 0.5, 0.0, 4 / 7), (2.0, 0.25, 0.5, 0.5)
        ):  # fmt: skip
            name = f"labour: top rate, a = {a:g}, e = {e:g}, g = {g:g}"
            yield Check(name, source, reference, saez_top_rate(a, e, g))
            yield Check(f"{name}, by integration", source, reference, best_top_rate(a, e, g))
        source = "Diamond (1998), for finite types"
        market = cls(risk_aversion=0.0, elasticity=0.25, max_labour=10.0)
        economy = market.economy(weight=np.array([1.6, 1.2, 0.8, 0.4]))
        found = economy.optimum()
        for i, (reference, ours) in enumerate(zip(finite_rates(economy), found.marginal_rates, strict=True)):
            yield Check(f"labour: optimal marginal rate of citizen {i + 1}", source, reference, ours, 1e-5)
        # With utility linear in money incomes fall alike, so that the mean weight of income is constant.
        income = economy.alone()
        mean = float((economy.weight * income).sum() / income.sum())
        source = "Piketty and Saez (2013), recalled"
        yield Check("labour: best flat rate (1 - g) / (1 - g + e)", source, (1 - mean) / (1.25 - mean),
                    economy.best_linear()[0], 1e-5)  # fmt: skip
        default = cls(levels=None, periods=1)
        top = default.economy().optimum()
        yield Check("labour: no distortion at the top", "Sadka (1976), Seade (1977), recalled", 0.0,
                    float(top.marginal_rates[-1]))  # fmt: skip
        yield Check("labour: gap of the Mirrlees certificate", "Lagrangian duality", 0.0, top.gap)
