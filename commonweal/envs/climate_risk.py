r"""`climate_risk-v0`: the collective-risk dilemma, the laboratory's game of dangerous climate change.

Each of N players starts with a private account of $e_i$ and in each of 10 rounds pays $g_{i,t}$ of it
into a common fund, which nobody gets back. If the fund meets the target T after the last round, everyone
keeps what is left; if not, one throw of dice $u \sim U[0, 1)$ decides, and player $i$ loses all where
$u < p_i$:

$$a_{i,t+1} = a_{i,t} - g_{i,t}, \quad F_{t+1} = F_t + \sum_i g_{i,t}, \qquad
\pi_i = a_{i,10} \cdot \bigl(1 - \mathbf 1[F_{10} < T]\, \mathbf 1[u < p_i]\bigr).$$

Money is paid once, after the last round, as the dice fell; references are expectations. All act at once
and see the round, the fund and their own account; what each gave is public conduct. The model ends by
itself. No `harm` is defined: what withholding costs the others hangs on who makes up for it.

**Equilibria.** All that matters of the past is the round, the fund and one's own account. Who gives
nothing has $(1 - p_i) e_i$ for sure, so no equilibrium is worse than that *nobody gives*. A *path* of
contributions with totals $c_i$ that just meets T is an equilibrium if and only if $c_i \le p_i e_i$ for
all: the strategy "give what the path says as long as the fund is on it, else nothing" makes every
departure a failure. At equal shares this needs $p \ge T / \sum_i e_i$, one half in the laboratory.
`epsilon` is the exact gain of the best reply of one player to the others' strategies, by dynamic
programming over (round, fund, own account), all that the reply can use. `subgame perfect` says whether
no departure pays after any history either, if for the path to be left once is enough: as long as one
alone cannot meet the target nobody gives, which no single departure ends; once one alone could, some
perfect equilibrium of what remains is played.

Source: Milinski, Sommerfeld, Krambeck, Reed and Marotzke (2008), PNAS 105, 2291-2294: in the abstract
(looked up) half of the groups meet the target under high risk, the others marginally fail, and where the
loss is no likelier than the necessary investment is large most fail. N = 6, 40 euros, 0, 2 or 4 a round,
T = 120, p = 0.9, 0.5, 0.1: recalled, not looked up. Strategies of the round and the fund: Abou Chakra and
Traulsen (2012), PLoS Computational Biology 8, e1002652.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Dilemma, Outcome, Play
from commonweal.envs.pledges import OnPath, Pledges
from commonweal.envs.provision import ROUNDING
from commonweal.errors import NotExact
from commonweal.parameters import Parameter, WorldParameter, check
from commonweal.random import Streams, world_seeds
from commonweal.references import Check, References, Yardstick, ranked
from commonweal.spaces import Action, Bounds, Conduct, Levels, Real, Signal

Array = NDArray[np.float64]


@dataclass
class ClimateState:
    """Rounds played `(B, 1)`, the fund `(B, 1)` and the accounts `(B, N)`, money."""

    round: Array
    fund: Array
    account: Array


@dataclass(frozen=True, eq=False, repr=False)
class ClimateRisk(Dilemma):
    """Collective-risk dilemma.

    Attributes:
        num_agents: N.
        endowment: e, money in each account at the start.
        target: T, money in the fund after the last round that averts the risk.
        risk: p, probability that a player loses all if the target is missed.
        most: largest contribution of a player in a round, money.
        levels: levels of contribution from 0 to `most`; None: continuous.
        rounds: rounds of the game.
        discount: weight of the next round; since all is paid at the end, it moves no equilibrium.
    """

    id: ClassVar[str] = "climate_risk-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "contribution": Conduct("money units", limitable=True),
        "income": Conduct("money"),
    }
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "even_risk": {"risk": 0.5},
        "low_risk": {"risk": 0.1},
    }

    num_agents: int = 6
    endowment: Parameter = 40.0
    target: WorldParameter = 120.0
    risk: Parameter = 0.9
    most: float = 4.0
    levels: Levels = 3
    rounds: int = 10
    discount: float = 1.0

    def validate(self) -> None:
        """Check the ranges."""
        check("ClimateRisk.num_agents", self.num_agents, 1, math.inf)
        check("ClimateRisk.rounds", self.rounds, 1, math.inf)
        for name in ("endowment", "target", "most"):
            check(f"ClimateRisk.{name}", getattr(self, name), 0.0, math.inf, open_low=True)
        for name in ("risk", "discount"):
            check(f"ClimateRisk.{name}", getattr(self, name), 0.0, 1.0)

    @property
    def horizon(self) -> int:
        """The last round ends the game."""
        return self.rounds

    def actions(self) -> list[Action]:
        """The contribution; who has less left gives what is left."""
        return [Action("contribution", self._contribution)]

    @property
    def _contribution(self) -> Real:
        return Real(0.0, self.most, "money units", self.levels)

    def signals(self) -> list[Signal]:
        """The round, the fund and the own account."""
        largest = self.num_agents * self.most * self.rounds
        return [
            Signal("progress", "share of rounds", 0.0, 1.0, public=True),
            Signal("fund", "money units", 0.0, largest, public=True),
            Signal("account", "money units", 0.0, float(np.max(self.endowment))),
        ]

    def initial(self, rng: Streams) -> ClimateState:
        """Nothing in the fund, all in the accounts."""
        nothing = np.zeros((rng.num_worlds, 1))
        account = np.broadcast_to(np.asarray(self.endowment), (rng.num_worlds, self.num_agents))
        return ClimateState(nothing, nothing.copy(), np.array(account))

    def step(self, state: ClimateState, play: Play, rng: Streams) -> tuple[ClimateState, Outcome]:
        """One round; the last one settles."""
        given = np.minimum(play["contribution"], state.account)
        account = state.account - given
        fund = state.fund + given.sum(axis=1, keepdims=True)
        following = ClimateState(state.round + 1.0, fund, account)
        over = following.round >= self.rounds
        money = np.zeros_like(account)
        if over.any():
            lost = (fund < self.target * (1.0 - ROUNDING)) & (rng.uniform(1) < self.risk)
            money = account * (over & ~lost)
        conduct = {"contribution": given, "income": money}
        return following, Outcome(money, conduct, over[:, 0])

    def observe(self, state: ClimateState) -> Mapping[str, Array]:
        """All see the round and the fund, each its own account."""
        return {"progress": state.round / self.rounds, "fund": state.fund, "account": state.account}

    def limit(self, state: ClimateState, play: Play, bounds: Bounds) -> Play:
        """Change contributions to what the bounds and the account allow."""
        given = np.clip(play["contribution"], *bounds["contribution"])
        return {**play, "contribution": np.clip(given, 0.0, np.minimum(self.most, state.account))}

    # ------------------------------------------------------------------ references

    def pledges(self) -> Pledges:
        """What contributions over all rounds do in one world.

        Raises:
            NotExact: worlds differ, or endowments are no multiples of the distance of two levels.
        """
        shape = (1, self.num_agents)
        for name in ("endowment", "risk", "target"):
            value, allowed = np.atleast_2d(getattr(self, name)), (1, 1) if name == "target" else shape
            if np.broadcast_shapes(value.shape, allowed) != allowed:
                raise NotExact(
                    f"ClimateRisk.{name} has shape {value.shape}; "
                    "allowed: one world, and one target for all agents"
                )
        e, p = (np.array(np.broadcast_to(x, shape)[0], np.float64) for x in (self.endowment, self.risk))
        step = self._contribution.step
        levels = np.minimum(e, self.rounds * self.most) / (step or 1.0)
        if step and not np.allclose(levels, np.rint(levels), rtol=0.0, atol=1e-6):
            raise NotExact(
                f"endowments {e.tolist()} are no multiples of {step:g}, the distance of two "
                "levels; allowed: multiples, or levels=None"
            )
        return Pledges(e, p, float(np.max(self.target)), self.most, step, self.rounds)

    def references(self) -> References:
        """Nobody gives; paths that meet the target at shares that nobody would rather risk; the planner.

        Where one alone would gladly meet the target, nobody giving is no equilibrium; then such a path is
        one (that player can bear all of it), and as every pure equilibrium just meets the target, all have
        the same W; a mixed one may have less.

        Raises:
            NotExact: see `pledges`.
        """
        pledges = self.pledges()
        idle = np.zeros((self.rounds, self.num_agents))
        nothing = self.yardstick(idle, "nobody gives: no equilibrium is worse")
        tried = [self.yardstick(path, name) for name, path in pledges.bearable()]
        slack = self.discount ** (self.rounds - 1) * pledges.slack
        found = ranked(one for one in (nothing, *tried) if one.epsilon <= slack)
        if found[0] is not nothing and self.num_agents > 1:
            selection = f"{found[0].selection}; mixed equilibria, of who meets the target, were not searched"
            found[0] = replace(found[0], kind="best known", selection=selection)
        planned, fair = [nothing], pledges.shares(pledges.able)
        if fair is not None:
            planned.append(self.yardstick(pledges.path(fair), "the target is met"))
        planner = replace(
            max(planned, key=lambda one: one.welfare), epsilon=math.nan, selection="maximum of the sum"
        )
        everything = self.yardstick(pledges.path(pledges.able), "")
        welfares = [one.welfare for one in (nothing, planner, everything, *found)]
        others = {one.selection: one for one in found[1:]}
        facts = {"risk from which equal shares hold": pledges.target / float(pledges.endowment.sum())}
        return References(found[0], planner, max(welfares) - min(welfares), others=others, facts=facts)

    def yardstick(self, path: Array, selection: str) -> Yardstick:
        """All give as in `path (rounds, N)` while the fund is on it, else nothing.

        `epsilon` tells whether it is an equilibrium; for `detail["subgame perfect"]` see
        `Pledges.perfect`.

        Raises:
            NotExact: see `pledges`.
        """
        pledges, weight = self.pledges(), self.discount ** (self.rounds - 1)
        gain = max(pledges.gain(path, agent) for agent in range(self.num_agents))
        detail = {"contributions": float(path.sum()), "subgame perfect": float(pledges.perfect(path))}
        welfare = weight * float(pledges.payoffs(path).sum())
        return Yardstick(welfare, "closed form", 0.0, weight * gain, selection, OnPath(pledges, path), detail)

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """What each player expects in the laboratory's three treatments, and which equilibria there are."""
        source = "Milinski et al. (2008), numbers recalled"
        for risk, idle, gain in ((0.9, 4.0, 0.0), (0.5, 20.0, 0.0), (0.1, 36.0, 16.0)):
            game = cls(risk=risk)
            found, name = game.references(), f"collective risk of {risk:g}"
            fair = game.yardstick(game.pledges().path(np.full(6, 20.0)), "")
            yield Check(f"{name}: each, if nobody gives", source, idle, found.selfish.welfare / 6)
            yield Check(f"{name}: gain from leaving nobody gives", "best reply", 0.0, found.selfish.epsilon)
            yield Check(f"{name}: each, if all give 2 a round", source, 20.0, game._played(2.0))
            yield Check(f"{name}: gain from leaving fair shares", "best reply", gain, fair.epsilon)
        yield Check("collective risk: risk that carries equal shares", "T / (N e)", 0.5,
                    cls().references().facts["risk from which equal shares hold"])  # fmt: skip

    def _played(self, each: float) -> float:
        """What a player has after all gave `each` in every round, played."""
        rng = Streams(world_seeds(0, 1), 0)
        state = self.initial(rng)
        for clock in range(self.rounds):
            play = {"contribution": np.full((1, self.num_agents), each)}
            state, outcome = self.step(state, play, rng.begin(clock, 0))
        return float(outcome.money[0, 0])
