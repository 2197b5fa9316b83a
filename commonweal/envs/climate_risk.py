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
from commonweal.envs.provision import ROUNDING, equal_shares
from commonweal.errors import NotExact
from commonweal.parameters import Parameter, check
from commonweal.random import Streams, world_seeds
from commonweal.references import Check, References, Yardstick
from commonweal.spaces import Action, Bounds, Conduct, Real, Signal

Array = NDArray[np.float64]
TOLERANCE = 1e-9  # gain from deviating up to which a path is an equilibrium, money


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
    target: Parameter = 120.0
    risk: Parameter = 0.9
    most: float = 4.0
    levels: int | None = 3
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
        return [Action("contribution", Real(0.0, self.most, "money units", self.levels))]

    def signals(self) -> list[Signal]:
        """The round, the fund and the own account."""
        largest = self.num_agents * self.most * self.rounds
        return [
            Signal("progress", "share of rounds", 0.0, 1.0),
            Signal("fund", "money units", 0.0, largest),
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

    def _numbers(self) -> tuple[Array, Array, float]:
        """Endowments and risks `(N,)` and the target of one world; raises `NotExact`."""
        shape = (1, self.num_agents)
        for name in ("endowment", "risk", "target"):
            value, allowed = np.atleast_2d(getattr(self, name)), (1, 1) if name == "target" else shape
            if np.broadcast_shapes(value.shape, allowed) != allowed:
                raise NotExact(
                    f"ClimateRisk.{name} has shape {value.shape}; "
                    "allowed: one world, and one target for all agents"
                )
        e, p = (np.array(np.broadcast_to(x, shape)[0], np.float64) for x in (self.endowment, self.risk))
        if self.levels and not np.allclose(np.minimum(e, self.rounds * self.most) / self._step % 1.0, 0.0):
            raise NotExact(
                f"endowments {e.tolist()} are no multiples of {self._step:g}, the distance of two "
                "levels; allowed: multiples, or levels=None"
            )
        return e, p, float(np.max(self.target))

    @property
    def _step(self) -> float:
        return self.most / (self.levels - 1) if self.levels else 0.0

    def path(self, totals: Array, late: bool = False) -> Array:
        """Contributions `(rounds, N)` that add up to `totals (N,)`: evenly, or as late as possible."""
        left = np.arange(self.rounds, -1, -1.0)[:, None]
        if late:
            remaining = np.minimum(totals, left * self.most)
        else:
            remaining = totals * left / self.rounds
            if self.levels:
                remaining = np.ceil(remaining / self._step - ROUNDING) * self._step
        return -np.diff(remaining, axis=0) + 0.0

    def references(self) -> References:
        """Nobody gives; paths that meet the target at shares that nobody would rather risk; the planner.

        Raises:
            NotExact: see the message.
        """
        e, p, target = self._numbers()
        able = np.minimum(e, self.rounds * self.most)
        nothing = self.yardstick(
            np.zeros((self.rounds, self.num_agents)), "nobody gives: no equilibrium is worse"
        )
        others = {name: self.yardstick(path, name) for name, path in self._paths(np.minimum(able, p * e))}
        planned, fair = [nothing], equal_shares(target, able, self._step)
        if fair is not None:
            planned.append(self.yardstick(self.path(fair), "the target is met"))
        planner = replace(
            max(planned, key=lambda one: one.welfare), epsilon=math.nan, selection="maximum of the sum"
        )
        everything = self.yardstick(self.path(able), "")
        welfares = [one.welfare for one in (nothing, planner, everything, *others.values())]
        facts = {"risk from which equal shares hold": target / float(e.sum())}
        confirmed = {n: one for n, one in others.items() if one.epsilon <= TOLERANCE}
        return References(nothing, planner, max(welfares) - min(welfares), others=confirmed, facts=facts)

    def _paths(self, bearable: Array) -> Iterable[tuple[str, Array]]:
        """Paths that meet the target with totals up to `bearable (N,)` each, if there are any."""
        target = self._numbers()[2]
        shares = equal_shares(target, bearable, self._step)
        if shares is None:
            return
        yield "equal shares", self.path(shares)
        yield "equal shares, late", self.path(shares, late=True)
        step = self._step
        most = np.floor(bearable / step + ROUNDING) * step if step else bearable
        total = math.ceil(target / step - ROUNDING) * step if step else target
        before = np.cumsum(most) - most
        yield "as few as can bear it", self.path(np.clip(total - before, 0.0, most))

    def yardstick(self, path: Array, selection: str) -> Yardstick:
        """All give as in `path (rounds, N)` while the fund is on it, else nothing.

        `epsilon` tells whether it is an equilibrium, `detail["subgame perfect"]` see `perfect`.

        Raises:
            NotExact: see `references`.
        """
        e, p, target = self._numbers()
        kept = e - path.sum(axis=0)
        met = path.sum() >= target * (1.0 - ROUNDING)
        weight = self.discount ** (self.rounds - 1)
        reply = self._deviation if self.levels else self._best_gain
        gain = max(reply(path, i) for i in range(self.num_agents))
        detail = {"contributions": float(path.sum()), "subgame perfect": float(self.perfect(path))}
        return Yardstick(
            weight * float((kept if met else (1.0 - p) * kept).sum()), "closed form", 0.0,
            weight * gain, selection, OnPath(self, path), detail,
        )  # fmt: skip

    def _best_gain(self, path: Array, agent: int) -> float:
        """Closed form for continuous contributions: to give nothing, or what is missing, or the path."""
        e, p, target = self._numbers()
        own = float(path[:, agent].sum())
        missing = max(target - float(path.sum()) + own, 0.0)
        safe = e[agent] - missing if missing <= min(e[agent], self.rounds * self.most) else -math.inf
        met = path.sum() >= target * (1.0 - ROUNDING)
        value = (e[agent] - own) * (1.0 if met else 1.0 - p[agent])
        return max((1.0 - p[agent]) * e[agent] - value, safe - value, 0.0)

    def _deviation(self, path: Array, agent: int) -> float:
        """What `agent` gains by its best reply to the others on `path (rounds, N)`, who stop when it is left.

        Dynamic programming over (round, fund, own total), in steps between levels.
        """
        e, p, target = self._numbers()
        given = np.rint(path / self._step).astype(np.intp)
        goal, top = math.ceil(target / self._step - ROUNDING), round(self.most / self._step)
        cap = round(min(e[agent] / self._step, self.rounds * top))
        fund, own = np.arange(goal + 1)[:, None], np.arange(cap + 1)[None, :]
        best = follow = (e[agent] - own * self._step) * np.where(fund >= goal, 1.0, 1.0 - p[agent])
        so_far = np.minimum(np.cumsum(given.sum(axis=1)) - given.sum(axis=1), goal)
        for t in range(self.rounds - 1, -1, -1):
            on = fund == so_far[t]
            others = np.where(on, given[t].sum() - given[t, agent], 0)
            mine = np.minimum(np.where(on, given[t, agent], 0), cap - own)
            follow = follow[np.minimum(fund + others + mine, goal), own + mine]
            tried = np.full((top + 1, goal + 1, cap + 1), -np.inf)
            for gift in range(min(top, cap) + 1):
                tried[gift, :, : cap + 1 - gift] = best[np.minimum(fund + others + gift, goal), own[:, gift:]]
            best = tried.max(axis=0)
        return float(best[0, 0] - follow[0, 0])

    def perfect(self, path: Array) -> bool:
        """Whether no departure pays after any history, if all give nothing once the fund has left the path.

        On the path nobody, whatever it has given beyond its share, would rather risk what it has than
        give the rest; and a departure leaves more to be given than one alone can.
        """
        e, p, target = self._numbers()
        each = path.sum(axis=1)
        left = np.arange(self.rounds - 1, -1, -1.0)[:, None]  # rounds after this one
        departed = (np.cumsum(each) - path.T).T + self.most
        hopeless = bool((target - departed > self.most * left)[:-1].all())
        if path.sum() < target * (1.0 - ROUNDING):
            return hopeless and not path.any()
        most = np.minimum(each, self.most)
        account = e - (np.cumsum(most) - most)[:, None]  # of one who gave all that the path foresaw for all
        rest = np.cumsum(path[::-1], axis=0)[::-1]
        return hopeless and bool((rest <= p * account + TOLERANCE).all())

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """What each player expects in the laboratory's three treatments, and which equilibria there are."""
        source = "Milinski et al. (2008), numbers recalled"
        for risk, idle, gain in ((0.9, 4.0, 0.0), (0.5, 20.0, 0.0), (0.1, 36.0, 16.0)):
            game = cls(risk=risk)
            found, name = game.references(), f"collective risk of {risk:g}"
            fair = game.yardstick(game.path(np.full(6, 20.0)), "")
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


@dataclass(frozen=True)
class OnPath:
    """The rule of giving what `path (rounds, N)` says while the fund is on it, else nothing."""

    game: ClimateRisk
    path: Array

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """Entries of the action array, `(B, N)`, by column."""
        played = np.rint(observed["progress"][..., 0] * self.game.rounds).astype(np.intp)
        so_far = np.append(0.0, np.cumsum(self.path.sum(axis=1)))
        close = 1e-5 * max(1.0, float(so_far[-1]))  # observations are single precision
        on = np.abs(observed["fund"][..., 0] - so_far[played]) <= close
        played = np.minimum(played, self.game.rounds - 1)
        given = np.where(on, self.path[played, np.arange(self.game.num_agents)], 0.0)
        return {"contribution": np.rint(given / self.game._step) if self.game.levels else given}

    def probabilities(self, observed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Law `(B, N, L)` of the level: a sure thing; empty where contributions are continuous."""
        if not self.game.levels:
            return {}
        entry = self(observed, Streams(np.zeros(1, np.uint64), 0))["contribution"]
        return {"contribution": np.eye(self.game.levels)[entry.astype(np.intp)]}
