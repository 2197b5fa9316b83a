r"""`public_goods-v0`: the voluntary contributions game, in five technologies of provision.

Each of N citizens has an endowment $e_i$ in every round, contributes $g_i$ of it and earns what it
keeps and what comes back:

$$\pi_i = e_i - g_i + R_i(g), \qquad R_i = m_i \sum_j g_j \ \text{ by default (linear).}$$

The *technology* says how contributions become a good (`envs.provision` has the formulas): their sum
(`linear`), a provision point (`threshold`), the largest (`best-shot`), the smallest (`weakest-link`),
or what the members of a congestible `club` give, whose fee keeps the others out. In each, $m$ is what
a citizen gets of a unit of the good; a `threshold` T is worth $m T$ to each, so that $N m$ is the step
return of Croson and Marks and means what it means in the linear game.

All act at once and see the round alone; what each gave is public conduct (what it *offered*, also where
a refund or a closed club sends it home). A fixed and known number of rounds is played; the round is in
the state and the model ends by itself.

What the selfish do. Linear with $m < 1 < N m$: nothing is dominant. Threshold: nobody gives, or costs
are shared so that nobody pays more than $m T$. Weakest link with $m > 1$: any level that all give, each
better for all than the one below. Best shot with $m < 1$: nobody; with $m > 1$: one of N gives all, or
some or all volunteer with the probabilities at which they do not care. Club: nobody, or n members with
$n m (1 - \kappa (n - 1)) \ge 1$ whom one more would not join. The selfish line is the worst of these
(`envs.public_goods_theory`); where a mixed one that was not searched could be worse, it is `best known`.

Sources: the default is Fehr and Gächter (2002), Nature 415, 137-140: N = 4, e = 20, m = 0.4 (read in
Fowler, Johnson and Smirnov, Nature 433, 2005). Unequal endowments: Koster et al. (2022), Nature Human
Behaviour 6, four players with (10, 2, 2, 2) and a fund that grows by 1.6 (looked up), shared equally.
Technologies: Hirshleifer (1983), Public Choice 41, 371-386 (abstract looked up); provision points:
Croson and Marks (1999), Experimental Economics 2, 239-259 (step return looked up; N = 5, e = 55, T =
125 recalled, not looked up); membership fee: Swope (2002), Experimental Economics 5, 209-222 (abstract
looked up), crowding after Buchanan (1965), Economica 32. Minimum effort: Van Huyck, Battalio and Beil
(1990), American Economic Review 80, 234-248, seven efforts, 20 cents for the smallest and -10 for one's
own (recalled, not looked up), here in dimes, from 0, and one dime less for all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Outcome, Play
from commonweal.envs.provision import TECHNOLOGIES, Group, Technology
from commonweal.envs.public_goods_theory import profile_yardstick, solve
from commonweal.envs.repeated import RepeatedGame, RoundState
from commonweal.errors import NotExact, require
from commonweal.parameters import AgentParameter, Parameter, WorldParameter, check
from commonweal.random import Streams
from commonweal.references import Check, References
from commonweal.spaces import Action, Bounds, Conduct, Levels, Real

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class PublicGoods(RepeatedGame):
    """Voluntary contributions to a public good.

    Attributes:
        num_agents: N.
        technology: how contributions become a good: `linear`, `threshold`, `best-shot`,
            `weakest-link` or `club`.
        endowment: e, money per citizen and round.
        marginal_return: m, what each citizen gets of a unit contributed (MPCR), and of a unit of any good.
        threshold: T, contributions that provide the good (`threshold` only), money.
        refund: share of contributions that comes back where T is missed; 1: money back.
        fee: f, contribution from which one is a member (`club` only), money.
        crowding: kappa, share of the good that each further member takes from all (`club` only).
        levels: contribution levels from nothing to the largest endowment; None: continuous.
        rounds: rounds of the game.
        discount: weight of the next round.
    """

    id: ClassVar[str] = "public_goods-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "contribution": Conduct("money units", limitable=True),
        "income": Conduct("money"),
        "harm": Conduct("money", oracle=True),
    }
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "democratic_ai": {"endowment": (10.0, 2.0, 2.0, 2.0), "levels": 11},
        "provision_point": {
            "technology": "threshold", "num_agents": 5, "endowment": 55.0, "threshold": 125.0, "levels": 56,
        },
        "money_back": {
            "technology": "threshold", "num_agents": 5, "endowment": 55.0, "threshold": 125.0, "levels": 56,
            "refund": 1.0,
        },
        "best_shot": {"technology": "best-shot", "marginal_return": 1.5},
        "minimum_effort": {
            "technology": "weakest-link", "num_agents": 14, "endowment": 6.0, "marginal_return": 2.0,
            "levels": 7,
        },
        "club": {
            "technology": "club", "num_agents": 5, "marginal_return": 0.9, "fee": 10.0, "crowding": 0.2,
        },
    }  # fmt: skip

    num_agents: int = 4
    technology: Literal["linear", "threshold", "best-shot", "weakest-link", "club"] = "linear"
    endowment: AgentParameter = 20.0
    marginal_return: Parameter = 0.4
    threshold: WorldParameter = 40.0
    refund: WorldParameter = 0.0
    fee: WorldParameter = 10.0
    crowding: WorldParameter = 0.0
    levels: Levels = 21

    def validate(self) -> None:
        """Check the ranges."""
        super().validate()
        check("PublicGoods.num_agents", self.num_agents, 1, math.inf)
        known = ", ".join(TECHNOLOGIES)
        require(self.technology in TECHNOLOGIES, "PublicGoods.technology", self.technology, known)
        for name in ("endowment", "threshold", "fee"):
            check(f"PublicGoods.{name}", getattr(self, name), 0.0, math.inf, open_low=True)
        check("PublicGoods.marginal_return", self.marginal_return, 0.0, math.inf)
        for name in ("refund", "crowding"):
            check(f"PublicGoods.{name}", getattr(self, name), 0.0, 1.0)

    def actions(self) -> list[Action]:
        """The contribution; who has less than the largest endowment gives at most what it has."""
        return [Action("contribution", self._contribution)]

    @property
    def _contribution(self) -> Real:
        return Real(0.0, float(np.max(self.endowment)), "money units", self.levels)

    @property
    def _technology(self) -> Technology:
        return TECHNOLOGIES[self.technology]

    def step(self, state: RoundState, play: Play, rng: Streams) -> tuple[RoundState, Outcome]:
        """One round."""
        given = np.minimum(play["contribution"], self.endowment)
        payoff = self.payoff(given)
        following = RoundState(state.round + 1.0)
        conduct = {"contribution": given, "income": payoff}
        return following, Outcome(payoff, conduct, self.over(following))

    def payoff(self, given: Array) -> Array:
        """Money `(B, N)` from contributions `(B, N)`."""
        return self.endowment - given + self._technology.returns(self, given)

    def limit(self, state: RoundState, play: Play, bounds: Bounds) -> Play:
        """Change contributions to what the bounds allow."""
        low, high = bounds["contribution"]
        given = np.clip(play["contribution"], low, high)
        return {**play, "contribution": np.clip(given, 0.0, self.endowment)}

    def harm(self, state: RoundState, play: Play, outcome: Outcome, following: RoundState) -> Array:
        """What the others would have had more if one had given nothing: mostly negative, `(B, N)`."""
        given = outcome.conduct["contribution"]
        harm = np.zeros_like(given)
        for i in range(self.num_agents):
            idle = given.copy()
            idle[:, i] = 0.0
            lost = self.payoff(idle) - outcome.money
            harm[:, i] = lost.sum(axis=1) - lost[:, i]
        return harm

    # ------------------------------------------------------------------ references

    def _group(self) -> Group:
        """One world's agents in numbers; raises `NotExact` where worlds or levels do not allow it."""
        numbers = {}
        for name in ("endowment", "marginal_return", "threshold", "refund", "fee", "crowding"):
            value = np.atleast_2d(getattr(self, name))
            shape = (1, self.num_agents) if name in ("endowment", "marginal_return") else (1, 1)
            if np.broadcast_shapes(value.shape, shape) != shape:
                raise NotExact(f"PublicGoods.{name} has shape {value.shape}; allowed: one world")
            numbers[name] = np.broadcast_to(value, shape)[0].astype(np.float64)
        step = self._contribution.step
        levels = numbers["endowment"] / (step or 1.0)
        between = step > 0 and not np.allclose(levels, np.rint(levels), rtol=0.0, atol=1e-6)
        if between and self.technology != "linear":
            raise NotExact(
                f"endowments {self.endowment!r} lie between the {self.levels} levels; "
                "allowed: endowments on levels, or levels=None"
            )
        rest = {name: float(numbers[name][0]) for name in ("threshold", "refund", "fee", "crowding")}
        return Group(numbers["endowment"], numbers["marginal_return"], step, **rest)

    def references(self) -> References:
        """The worst and the best equilibrium of every round, and the largest sum of payoffs.

        Raises:
            NotExact: see the message.
        """
        group = self._group()
        selfish, *better = solve(self, group, self._technology)
        plans = [
            replace(profile_yardstick(self, group, p, "maximum of the sum"), epsilon=math.nan)
            for _, p in self._technology.plans(group)
        ]
        planner = max(plans, key=lambda plan: plan.welfare)
        extremes = [self.payoff(x[None, :]).sum() for x in (0.0 * group.endowment, group.endowment)]
        values = [selfish.welfare, planner.welfare, *(one.welfare for one in better)]
        values += [self.weight * float(welfare) for welfare in extremes]
        others = {one.selection: one for one in better}  # of one kind the best
        facts = {"return to the group of a unit for all": float(group.marginal_return.sum())}
        return References(selfish, planner, max(values) - min(values), others=others, facts=facts)

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """Payoffs of published rounds, and the equilibria of each technology."""
        source, game = "Fehr and Gächter (2002)", cls(rounds=1)
        found = game.references()
        yield Check("public good: all contribute, each", source, 32.0, found.planner.welfare / 4)
        yield Check("public good: nobody contributes, each", source, 20.0, found.selfish.welfare / 4)
        rider = np.array([[0.0, 20.0, 20.0, 20.0]])
        yield Check("public good: lone free rider", source, 44.0, float(game.payoff(rider)[0, 0]))
        source, game = "Koster et al. (2022), equal shares", cls.from_dict(cls.presets["democratic_ai"])
        all_in = game.payoff(np.array([[10.0, 2.0, 2.0, 2.0], [9.0, 2.0, 2.0, 2.0]]))[:, 0]
        yield Check("unequal endowments: all give all, the rich", source, 6.4, float(all_in[0]))
        yield Check("unequal endowments: own return of a unit", source, 0.4, 1.0 + all_in[0] - all_in[1])

        def of(preset: str) -> tuple[PublicGoods, References]:
            game = cls.from_dict({**cls.presets[preset], "rounds": 1})
            return game, game.references()

        source = "Croson and Marks (1999), numbers recalled"
        game, found = of("provision_point")
        shared = found.others["costs shared"]
        yield Check("provision point: W of the efficient equilibria", source, 400.0, shared.welfare)
        yield Check("provision point: W if nobody gives", source, 275.0, found.selfish.welfare)
        yield Check("provision point: step return", source, 2.0, 5 * float(np.max(game.marginal_return)))
        source = "Van Huyck, Battalio and Beil (1990), recalled"
        game, found = of("minimum_effort")
        yield Check("minimum effort: all at 7, each (dimes)", source, 13.0, 1 + found.planner.welfare / 14)
        yield Check("minimum effort: all at 1, each (dimes)", source, 7.0, 1 + found.selfish.welfare / 14)
        odd = np.full((1, 14), 6.0)
        odd[0, 0] = 0.0
        yield Check("minimum effort: 7 beside a 1 (dimes)", source, 1.0, 1 + float(game.payoff(odd)[0, 1]))
        source = "volunteer's dilemma, derived"
        game, found = of("best_shot")
        yield Check("best shot: W of one provider", source, 180.0, found.others["one provides"].welfare)
        yield Check("best shot: W of equal volunteers", source, 120.0, found.selfish.welfare)
        source = "best club size (1 + kappa) / (2 kappa), derived"
        _, found = of("club")
        # Three members each give 20 of 20: 2 * 20 + 3 * 0.9 * 0.6 * 60.
        yield Check("club: W of the best club, three of five", source, 137.2, found.planner.welfare)
