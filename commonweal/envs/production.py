r"""`production-v0`: firms compete in quantities, and what they make pollutes.

Each of N firms makes $q_i$ at cost $c_i q_i + \tfrac12 k_i q_i^2$ and emits $e_i q_i$. All sell at the price
$p = \max(a - b Q, 0)$ of the sum Q. A unit emitted does the damage $d$, of which the share $s$ falls on the
firms in equal parts and the rest on citizens outside:

$$\pi_i = p\, q_i - c_i q_i - \tfrac12 k_i q_i^2, \qquad
W = \sum_i \pi_i + \underbrace{\int_0^Q (P(x) - p)\,dx}_{\text{consumers' surplus}} - d \sum_i e_i q_i .$$

W counts the firms' profits, and of those who are no agents the consumers' surplus and, with minus, the
damage; a unit of money counts the same whoever has it. A firm is paid $\pi_i$ less its part of the damage.
By default it bears none (s = 0), and what firms could agree on among themselves, a cartel, mends the wrong
only in part, by selling less.

Two wrongs stand against each other: emission is free, which makes output too large, and a firm that moves
the price sells too little. For firms alike

$$q^{\text{planner}} = \frac{a - c - d e}{b N + k}, \qquad
q^{\text{Cournot}} = \frac{a - c - \tau e}{b (N + 1) + k}, \qquad
q^{\text{price takers}} = \frac{a - c - \tau e}{b N + k}$$

at a tax $\tau$ per unit emitted, to which the own part of the damage, $s d / N$, is added. The tax that
restores the planner's output is the marginal damage to others $d (1 - s/N)$ among price takers (Pigou). In
Cournot's case it is less by $b q^{\text{planner}} / e$, the markup that restrains output already, and
negative (a subsidy) where market power is the greater wrong (Buchanan).

`harm` is the damage to all others, $d e_i q_i (1 - s/N)$; a rival's lower price and a consumer's are
pecuniary and no harm.

Sources: Cournot (1838), Recherches sur les principes mathématiques de la théorie des richesses, chapter 7;
Pigou (1920), The Economics of Welfare; Buchanan (1969), American Economic Review 59, 174-177, and Barnett
(1980), American Economic Review 70, 1037-1041, on taxes where firms have market power (bibliography looked
up, the formula here is our own and tested). The parameters are our own, chosen for whole numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.envs import production_theory
from commonweal.envs.base import Outcome, Play
from commonweal.envs.repeated import RepeatedGame, RoundState
from commonweal.parameters import Parameter, WorldParameter, check
from commonweal.random import Streams
from commonweal.references import Check, References
from commonweal.spaces import Action, Bounds, Conduct, Levels, Real

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Production(RepeatedGame):
    """Cournot competition of firms that pollute.

    Attributes:
        num_agents: N, firms.
        choke_price: a, money: the price at which nobody buys.
        demand_slope: b, by which the price falls with each unit sold.
        unit_cost: c, money per unit made.
        cost_slope: k, by which the cost of a further unit rises with each unit made.
        emission_intensity: e, emission per unit made.
        marginal_damage: d, money lost per unit emitted.
        damage_share: s, share of the damage that falls on the firms, in equal parts.
        max_output: most that a firm can make in a round.
        levels: levels of output from 0 to the most; None: continuous.
        rounds: rounds of the game.
        discount: weight of the next round.
    """

    id: ClassVar[str] = "production-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "output": Conduct("units", limitable=True),
        "emission": Conduct("emission", limitable=True),
        "income": Conduct("money"),
        "harm": Conduct("money", oracle=True),
    }

    num_agents: int = 4
    choke_price: WorldParameter = 20.0
    demand_slope: WorldParameter = 1.0
    unit_cost: Parameter = 2.0
    cost_slope: Parameter = 1.0
    emission_intensity: Parameter = 1.0
    marginal_damage: Parameter = 13.0
    damage_share: WorldParameter = 0.0
    max_output: float = 6.0
    levels: Levels = 31

    def validate(self) -> None:
        """Check the ranges."""
        super().validate()
        check("Production.num_agents", self.num_agents, 1, math.inf)
        for name in ("choke_price", "demand_slope", "max_output"):
            check(f"Production.{name}", getattr(self, name), 0.0, math.inf, open_low=True)
        for name in ("unit_cost", "cost_slope", "emission_intensity", "marginal_damage"):
            check(f"Production.{name}", getattr(self, name), 0.0, math.inf)
        check("Production.damage_share", self.damage_share, 0.0, 1.0)

    def actions(self) -> list[Action]:
        """Output."""
        return [Action("output", Real(0.0, self.max_output, "units", self.levels))]

    def step(self, state: RoundState, play: Play, rng: Streams) -> tuple[RoundState, Outcome]:
        """One round."""
        output = play["output"]
        emission = self.emission_intensity * output
        following = RoundState(state.round + 1.0)
        conduct = {"output": output, "emission": emission, "income": self.profit(output)}
        outside = self.outside(output)
        return following, Outcome(self.payoff(output), conduct, self.over(following), outside=outside)

    def profit(self, output: Array) -> Array:
        """Money `(B, N)` from output `(B, N)`."""
        price = np.maximum(self.choke_price - self.demand_slope * output.sum(axis=1, keepdims=True), 0.0)
        return output * (price - self.unit_cost - 0.5 * self.cost_slope * output)

    def damage(self, output: Array) -> Array:
        """Of all emissions, money, `(B, 1)`."""
        each = self.marginal_damage * self.emission_intensity * output
        return np.asarray(each.sum(axis=1, keepdims=True))

    def payoff(self, output: Array) -> Array:
        """Profit less the part of the damage that a firm bears, `(B, N)`."""
        return self.profit(output) - self.damage_share * self.damage(output) / self.num_agents

    def outside(self, output: Array) -> Array:
        """Consumers' surplus less the damage to citizens outside, `(B,)`."""
        bought = np.minimum(output.sum(axis=1, keepdims=True), self.choke_price / self.demand_slope)
        borne = (1.0 - self.damage_share) * self.damage(output)
        return np.asarray((0.5 * self.demand_slope * bought**2 - borne)[:, 0])

    def welfare(self, output: Array) -> Array:
        """W of a round, `(B,)`, from output `(B, N)`."""
        return np.asarray(self.payoff(output).sum(axis=1) + self.outside(output))

    def limit(self, state: RoundState, play: Play, bounds: Bounds) -> Play:
        """Change output to what the bounds on output and emission allow."""
        output = play["output"]
        if "output" in bounds:
            output = np.clip(output, *bounds["output"])
        if "emission" in bounds:
            intensity = np.maximum(self.emission_intensity, 1e-12)
            low, high = bounds["emission"]
            output = np.clip(output, low / intensity, high / intensity)
        return {**play, "output": np.clip(output, 0.0, self.max_output)}

    def harm(self, state: RoundState, play: Play, outcome: Outcome, following: RoundState) -> Array:
        """Damage of the own emissions to all others, firms and citizens."""
        others = 1.0 - self.damage_share / self.num_agents
        return self.marginal_damage * outcome.conduct["emission"] * others

    # ------------------------------------------------------------------ yardsticks

    def output(self, conduct: production_theory.Conduct, tax: float = 0.0) -> Array:
        """Outputs `(N,)` of continuous acts: the planner's, or in equilibrium at a tax per unit emitted.

        Raises:
            NotExact: a parameter differs by world.
        """
        return production_theory.output(self, conduct, tax)

    def corrective_tax(self) -> float:
        """The tax per unit emitted that maximises W in Cournot's equilibrium, continuous acts; money.

        Where firms are alike it restores the planner's output; else one rate cannot mend all markups; nan
        where no rate helps.
        """
        return production_theory.best_rate(self)

    def references(self) -> References:
        """The worst pure equilibrium, the planner, the best tax on emission; what price takers would do.

        Raises:
            NotExact: a parameter differs by world, or no pure equilibrium exists on the levels.
        """
        return production_theory.references(json.dumps(self.to_dict(), sort_keys=True))

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """Cournot's equilibrium, price takers, the planner and both corrective taxes of the default."""
        source, game = "Cournot (1838), by hand", cls(levels=None)
        yield Check("production: output of a firm, Cournot", source, 3.0, float(game.output("Cournot")[0]))
        taker = float(game.output("price takers")[0])
        yield Check("production: output of a price taker", "by hand", 3.6, taker)
        yield Check("production: output of a firm, planner", "by hand", 1.0, float(game.output("planner")[0]))
        found = game.references()
        yield Check("production: gain of leaving Cournot's output", source, 0.0, found.selfish.epsilon)
        rate = found.corrective["emission"].detail["rate"]
        yield Check("production: corrective tax, Cournot", "Buchanan (1969), by hand", 12.0, rate, 1e-5)
        source = "Pigou (1920)"
        restored = float(game.output("price takers", 13.0)[0])
        yield Check("production: price taker's output under a tax of d", source, 1.0, restored)
        # The best of all outputs at the price of 16 that the planner's output brings, under that tax.
        tried = np.linspace(0.0, 6.0, 6001)
        profit = tried * (16.0 - 2.0 - 13.0) - 0.5 * tried**2
        yield Check("production: its best reply", source, 1.0, float(tried[profit.argmax()]))
        for n in (1, 2, 5):
            clean = cls(num_agents=n, cost_slope=0.0, marginal_damage=0.0, max_output=20.0, levels=None)
            share = clean.welfare(clean.output("Cournot")[None]) / clean.references().planner.welfare
            share = share * clean.weight
            reference = 1.0 - 1.0 / (n + 1) ** 2
            name = f"production: W of Cournot over W of competition, N = {n}, no emission"
            yield Check(name, "textbook", reference, float(share[0]))
