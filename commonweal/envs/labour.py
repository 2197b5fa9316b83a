r"""`labour-v0`: labour, income and skill; utility is not money, so redistribution can matter.

A citizen of skill $w_i$ works $l_i$, earns $z_i = w_i l_i$ and enjoys what is left after all payments,

$$u_i = \frac{c_i^{1-\eta} - 1}{1 - \eta} - k\, \frac{l_i^{1 + 1/\varepsilon}}{1 + 1/\varepsilon},
\qquad c_i = z_i + \text{net payments}$$

(the logarithm at $\eta = 1$). Periods repeat; nothing is carried over but wealth.

Source: isoelastic utility of coin less the cost of labour as in Zheng et al. (2020), arXiv
2004.13332 (eta = 0.23); the elasticity epsilon as in Saez (2001), Review of Economic Studies 68.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from commonweal.envs.base import Dilemma, Outcome, Play
from commonweal.parameters import Parameter, check
from commonweal.random import Streams
from commonweal.references import References, Rule, Yardstick
from commonweal.spaces import Action, Bounds, Conduct, Real, Signal

Array = NDArray[np.float64]


@dataclass
class LabourState:
    """Periods worked so far, `(B, 1)`, and skills, `(B, N)`."""

    period: Array
    skill: Array


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
    is_dilemma: ClassVar[bool] = False
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "income": Conduct("money"),
        "labour": Conduct("labour", limitable=True),
    }

    num_agents: int = 4
    skill: Parameter = (1.0, 2.0, 3.0, 5.0)  # type: ignore[assignment]
    risk_aversion: float = 0.23
    labour_weight: Parameter = 1.0
    elasticity: float = 0.5
    max_labour: float = 3.0
    levels: int | None = 31
    periods: int = 10
    discount: float = 1.0

    def validate(self) -> None:
        """Check the ranges."""
        check("Labour.num_agents", self.num_agents, 1, math.inf)
        check("Labour.elasticity", self.elasticity, 0.01, 100.0)
        for name in ("skill", "labour_weight", "max_labour"):
            check(f"Labour.{name}", getattr(self, name), 0.0, math.inf, open_low=True)
        check("Labour.risk_aversion", self.risk_aversion, 0.0, 10.0)
        check("Labour.periods", self.periods, 1, math.inf)
        check("Labour.discount", self.discount, 0.0, 1.0)

    def actions(self) -> list[Action]:
        """Labour."""
        return [Action("labour", Real(0.0, self.max_labour, "labour", self.levels))]

    def signals(self) -> list[Signal]:
        """The share of the periods that has passed, and the own skill."""
        return [
            Signal("progress", "share of periods", 0.0, 1.0),
            Signal("skill", "money per labour", 0.0, float(np.max(self.skill))),
        ]

    def initial(self, rng: Streams) -> LabourState:
        """Before the first period."""
        shape = (rng.num_worlds, self.num_agents)
        skill = np.array(np.broadcast_to(np.asarray(self.skill, float), shape))
        return LabourState(np.zeros((rng.num_worlds, 1)), skill)

    def step(self, state: LabourState, play: Play, rng: Streams) -> tuple[LabourState, Outcome]:
        """One period."""
        labour = play["labour"]
        income = state.skill * labour
        following = LabourState(state.period + 1.0, state.skill)
        over = following.period[:, 0] >= self.periods
        conduct = {"income": income, "labour": labour}
        return following, Outcome(income, conduct, over, {"labour": labour})

    def observe(self, state: LabourState) -> Mapping[str, Array]:
        """All know the period, each its skill."""
        return {"progress": state.period / self.periods, "skill": state.skill}

    def limit(self, state: LabourState, play: Play, bounds: Bounds) -> Play:
        """Change labour to what the bounds allow."""
        low, high = bounds["labour"]
        return {**play, "labour": np.clip(np.clip(play["labour"], low, high), 0.0, self.max_labour)}

    def utility(self, state: LabourState, outcome: Outcome, money: Array) -> Array:
        """Utility of what is left, less the cost of labour; zero in stages without work."""
        if "labour" not in outcome.caused:
            return np.zeros_like(money)
        return self.consumption_utility(money) - self.labour_cost(outcome.caused["labour"])

    def consumption_utility(self, money: Array) -> Array:
        """Isoelastic utility; money below 1e-6 counts as 1e-6."""
        money = np.maximum(money, 1e-6)
        if self.risk_aversion == 1.0:
            return np.log(money)
        power = 1.0 - self.risk_aversion
        return (money**power - 1.0) / power

    def labour_cost(self, labour: Array) -> Array:
        """Disutility of labour."""
        power = 1.0 + 1.0 / self.elasticity
        return self.labour_weight * labour**power / power

    def references(self) -> References:
        """No tax: each works for itself. Planner: equal consumption, labour by skill."""
        skill = np.broadcast_to(np.asarray(self.skill, float).reshape(1, -1), (1, self.num_agents))
        k, inverse = float(np.max(self.labour_weight)), 1.0 / self.elasticity
        eta, most = self.risk_aversion, self.max_labour
        weight = (
            float(self.periods)
            if self.discount == 1
            else (1 - self.discount**self.periods) / (1 - self.discount)
        )
        alone = np.minimum((skill ** (1 - eta) / k) ** (1 / (inverse + eta)), most)

        def labour_at(price: float) -> Array:
            return np.minimum((price * skill / k) ** self.elasticity, most)

        def excess(log_price: float) -> float:
            # `price` is the marginal utility of money, equal for all under the planner.
            price = math.exp(log_price)
            mean = float((skill * labour_at(price)).mean())
            return math.log(mean) + log_price / eta if eta > 0 else mean

        price = 1.0 if eta == 0 else math.exp(brentq(excess, -50.0, 50.0, xtol=1e-13))
        best = labour_at(price)

        def stick(labour: Array, money: Array, selection: str, epsilon: float) -> Yardstick:
            value = float((self.consumption_utility(money) - self.labour_cost(labour)).sum())
            return Yardstick(
                weight * value, "closed form", 0.0, epsilon, selection, self._working(labour),
                {"labour": float(labour.mean()), "income": float((skill * labour).mean())},
            )  # fmt: skip

        shared = np.full_like(best, (skill * best).mean())
        selfish = stick(alone, skill * alone, "each alone", 0.0)
        planner = stick(best, shared, "first best with equal consumption", math.nan)
        idle = weight * float(self.consumption_utility(np.zeros(1))[0]) * self.num_agents
        return References(selfish, planner, planner.welfare - idle)

    def _working(self, labour: Array) -> Rule:
        space = self.actions()[0].space
        assert isinstance(space, Real)
        entries = np.rint(labour / space.step) if space.levels else labour

        def rule(observation: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
            return {"labour": np.array(np.broadcast_to(entries, observation["progress"].shape[:2]))}

        return rule
