r"""`fish_war-v0`: the great fish war of Levhari and Mirman.

N countries fish one stock; what is left grows concavely, and each enjoys the logarithm of its catch:

$$x_{t+1} = \Bigl(x_t - \sum_i c_{i,t}\Bigr)^{\alpha}, \qquad u_i = \ln c_{i,t}.$$

Agents choose the share of the stock they catch; shares are capped below 1/N, so that the stock is
never exhausted and every play is feasible.

Closed forms (discount $\beta$): in the symmetric Markov-perfect equilibrium each catches the share
$(1 - \alpha\beta) / (N (1 - \alpha\beta) + \alpha\beta)$; the planner lets all together catch
$1 - \alpha\beta$.

Payments are in fish, and nobody pays more than it has caught. `harm` is in utility, of which a fish is worth
$1 / c_i$: a tax on harm charges fish for utility, so that its rate is fish per unit of utility. A rate of 1
takes the whole catch, as a rule; the charge that costs a country just what the others lose is
$c_i (1 - e^{-\text{harm}_i})$.

Source: Levhari and Mirman (1980), Bell Journal of Economics 11(1), 322-334, for two countries; the
formula for N follows from the same guess of a value function $A + \ln x / (1 - \alpha\beta)$.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Dilemma, Outcome, Play, plays_that_count
from commonweal.envs.one_state import one_state
from commonweal.envs.pure_equilibria import Aggregative, Ints
from commonweal.envs.state_rules import ConstantRule
from commonweal.errors import require_memory
from commonweal.parameters import WorldParameter, check
from commonweal.random import Streams
from commonweal.references import References, Yardstick
from commonweal.spaces import Action, Bounds, Conduct, Levels, Real, Signal

Array = NDArray[np.float64]
SUBSISTENCE = 1e-12  # fish of a year


@dataclass
class FishWarState:
    """Stock `(B, 1)`, in units of the stock that reproduces itself without catch."""

    stock: Array


@dataclass(frozen=True, eq=False, repr=False)
class FishWar(Dilemma):
    """The great fish war.

    Attributes:
        num_agents: N, countries.
        elasticity: alpha, of next year's stock with respect to what is left.
        share_levels: evenly spaced shares from `min_share` to the cap; None for continuous shares.
        min_share: smallest share, above zero since the logarithm of nothing is not defined.
        cap: largest total share; each country's is `cap / N`.
        initial_stock: at the start.
        discount: beta, per year.
    """

    id: ClassVar[str] = "fish_war-v0"
    quasilinear: ClassVar[bool] = False
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "extraction": Conduct("stock", limitable=True),
        "income": Conduct("fish"),
        "harm": Conduct("utility", oracle=True),
    }

    num_agents: int = 2
    elasticity: WorldParameter = 0.5
    share_levels: Levels = None
    min_share: float = 0.005
    cap: float = 0.99
    initial_stock: WorldParameter = 0.45
    discount: float = 0.9

    def validate(self) -> None:
        """Check the ranges."""
        check("FishWar.num_agents", self.num_agents, 1, math.inf)
        check("FishWar.elasticity", self.elasticity, 0.0, 1.0, open_low=True)
        check("FishWar.cap", self.cap, 0.0, 0.999, open_low=True)
        check("FishWar.min_share", self.min_share, 0.0, 0.9 * self.cap / self.num_agents, open_low=True)
        check("FishWar.initial_stock", self.initial_stock, 0.0, 1.0, open_low=True)
        check("FishWar.discount", self.discount, 0.0, 1.0 - 1e-6)

    @property
    def time_limit(self) -> int:
        """The first year whose weight in W is below one hundredth."""
        return plays_that_count(self.discount)

    def actions(self) -> list[Action]:
        """The share of the stock."""
        high = self.cap / self.num_agents
        return [Action("share", Real(self.min_share, high, "share", self.share_levels))]

    def signals(self) -> list[Signal]:
        """The logarithm of the stock, the scale on which the model is linear."""
        return [Signal("log_stock", "log stock", -15.0, 0.0, public=True)]

    def initial(self, rng: Streams) -> FishWarState:
        """Every episode starts at the same stock."""
        return FishWarState(np.array(np.broadcast_to(np.asarray(self.initial_stock), (rng.num_worlds, 1))))

    def step(self, state: FishWarState, play: Play, rng: Streams) -> tuple[FishWarState, Outcome]:
        """One year."""
        catch = play["share"] * state.stock
        left = state.stock - catch.sum(axis=1, keepdims=True)
        following = FishWarState(left**self.elasticity)
        return following, Outcome(catch, {"extraction": catch, "income": catch})

    def observe(self, state: FishWarState) -> Mapping[str, Array]:
        """All see the stock."""
        return {"log_stock": np.log(np.maximum(state.stock, math.exp(-15.0)))}

    def limit(self, state: FishWarState, play: Play, bounds: Bounds) -> Play:
        """Change shares to what the bounds on catch allow, within the possible shares."""
        low, high = bounds["extraction"]
        share = np.clip(play["share"], low / state.stock, high / state.stock)
        return {**play, "share": np.clip(share, self.min_share, self.cap / self.num_agents)}

    @property
    def subsistence(self) -> float:
        """A trace of fish: the logarithm of nothing is not defined."""
        return SUBSISTENCE

    def utility(self, state: FishWarState, money: Array) -> Array:
        """The logarithm of what is consumed: the catch after all payments."""
        return np.log(np.maximum(money, SUBSISTENCE))

    def harm(self, state: FishWarState, play: Play, outcome: Outcome, following: FishWarState) -> Array:
        """Utility the others lose because a country caught more than the smallest share, `(B, N)`.

        Nothing now; later the planner's value, `N / (1 - alpha beta) ln x'` up to a constant.
        """
        spared = (play["share"] - self.min_share) * state.stock
        left = state.stock - outcome.conduct["extraction"].sum(axis=1, keepdims=True)
        later = self.elasticity * np.log1p(spared / left) / (1.0 - self.elasticity * self.discount)
        return self.discount * (self.num_agents - 1.0) * later

    # ------------------------------------------------------------------ yardsticks

    def coordinate(self, state: FishWarState) -> Array:
        """The logarithm of the stock, `(B,)`."""
        return np.log(np.maximum(state.stock[:, 0], 1e-300))

    def state_at(self, coordinate: Array) -> FishWarState:
        """The states at logarithms of stocks `(B,)`."""
        return FishWarState(np.exp(coordinate)[:, None])

    def grid(self, points: int) -> Array:
        """Logarithms of stocks, from what the cap leaves in the long run (or in an episode) to 1."""
        alpha, start = float(np.asarray(self.elasticity)), math.log(float(np.asarray(self.initial_stock)))
        weight = alpha / (1.0 - alpha) if alpha < 1.0 else math.inf
        fall = min(weight, 2.0 * self.time_limit) * math.log(1.0 - self.cap)
        # Below, the catch of the smallest share would meet the floor of the utility.
        floor = math.log(SUBSISTENCE / self.min_share)
        return np.linspace(max(min(fall, start - 1.0), floor), 0.0, points)

    def value(self, shares: Array, plays: int | None = None) -> Array:
        """Discounted utility `(N,)` when all catch constant `shares (N,)`, in closed form.

        Over so many plays, or without end: with `y = ln x`, `y' = alpha (y + ln(1 - sum shares))`,
        so `y` is a geometric series and so is its discounted sum.
        """
        alpha, beta = float(np.asarray(self.elasticity)), self.discount
        start, left = math.log(float(np.asarray(self.initial_stock))), math.log1p(-float(np.sum(shares)))
        if plays is None:
            fish = (start + alpha * beta * left / (1.0 - beta)) / (1.0 - alpha * beta)
            return np.log(shares) / (1.0 - beta) + fish
        weight = beta ** np.arange(plays)
        power = alpha ** np.arange(plays)
        drift = np.concatenate([[0.0], np.cumsum(alpha * power)[:-1]])  # alpha + ... + alpha^t
        return np.log(shares) * weight.sum() + float((weight * (power * start + drift * left)).sum())

    def deviation_gain(self, shares: Array) -> Array:
        """What each gains without end by its best reply to the others' constant shares, `(N,)`.

        The best reply is itself constant: `(1 - alpha beta) (1 - others' shares)`, or the best of
        the levels.
        """
        one_state(self)
        others = 1.0 - (shares.sum() - shares)[:, None]  # left by them
        effective = 1.0 - float(np.asarray(self.elasticity)) * self.discount
        best = np.clip(effective * others, self.min_share, self.cap / self.num_agents)
        if self.share_levels:
            require_memory(8.0 * shares.size * self.share_levels, "a table of each country's shares")
            best = self._shares()[None, :]
        saved = (1.0 - effective) / effective
        gain = np.log(best / shares[:, None]) + saved * np.log((others - best) / (1.0 - shares.sum()))
        return np.maximum(gain.max(axis=1), 0.0) / (1.0 - self.discount)

    def _equilibria(self) -> list[Array]:
        """Constant shares `(N,)` of equilibria, least W first: the closed form, or on levels one of each sum.

        A share changes its owner's value by `ln s + alpha beta / (1 - alpha beta) ln(1 - sum of shares)`.
        That has a potential, so that pure equilibria exist on levels, too; they need not be equal.
        """
        n, saved = self.num_agents, float(np.asarray(self.elasticity)) * self.discount
        if not self.share_levels:
            return [np.full(n, self._nearest(self.markov_perfect_share()))]
        shares, step = self._shares(), self.actions()[0].space.step  # type: ignore[union-attr]

        def payoff(kind: int, own: Ints, sums: Ints) -> Array:
            left = np.log1p(-(n * self.min_share + step * sums))
            return np.asarray(np.log(shares[own]) + saved / (1.0 - saved) * left)

        most = np.array([self.share_levels - 1])
        game = Aggregative(np.zeros(n, np.intp), most, payoff, lambda kind, own, total: np.log(shares[own]))
        found = [shares[levels] for levels in game.equilibria()]
        return sorted(found, key=lambda one: float(self.value(one, self.time_limit).sum()))

    def _shares(self) -> Array:
        return np.linspace(self.min_share, self.cap / self.num_agents, self.share_levels or 2)

    def markov_perfect_share(self) -> float:
        """`(1 - alpha beta) / (N (1 - alpha beta) + alpha beta)`, each country's."""
        saved = float(np.asarray(self.elasticity)) * self.discount
        return (1.0 - saved) / (self.num_agents * (1.0 - saved) + saved)

    def planner_share(self) -> float:
        """`(1 - alpha beta) / N`, each country's."""
        return (1.0 - float(np.asarray(self.elasticity)) * self.discount) / self.num_agents

    def references(self) -> References:
        """Both yardsticks in closed form; on levels the worst pure equilibrium in constant shares.

        Raises:
            NotExact: a parameter differs by agent or by world, or agents and levels are too many.
        """
        one_state(self)
        planner = self._yardstick(self._planned(), self.planner_share())
        planner = replace(planner, slack=max(self._most() - planner.welfare, 0.0))
        found = self._equilibria()
        how = "limit of finite-horizon backward induction"
        if self.share_levels:
            how = f"worst of {len(found)} sums of shares in pure equilibria on these levels"
        sticks = [
            replace(
                self._yardstick(shares, self.markov_perfect_share()),
                epsilon=float(self.deviation_gain(shares).max()),
                selection=how,
            )
            for shares in found
        ]
        extremes = [
            self.value(np.full(self.num_agents, share), self.time_limit).sum()
            for share in (self.min_share, self.cap / self.num_agents)
        ]
        values = [planner.welfare, sticks[0].welfare, *(float(value) for value in extremes)]
        others = {f"shares of {one.detail['share'] * self.num_agents:g} in all": one for one in sticks[1:]}
        return References(sticks[0], planner, max(values) - min(values), others=others, facts=self.facts())

    def _most(self) -> float:
        """W of the best shares of a year, whoever catches them, if all catch is shared and the end is known.

        The value of k years is `a_k ln x + b_k`, and the best total share `N / (N + alpha beta a_{k-1})`.
        """
        n, saved = self.num_agents, float(np.asarray(self.elasticity)) * self.discount
        slope = constant = 0.0
        for _ in range(self.time_limit):
            later = saved * slope
            share = min(max(n / (n + later), n * self.min_share), self.cap)
            constant = n * math.log(share / n) + later * math.log1p(-share) + self.discount * constant
            slope = n + later
        return slope * math.log(float(np.asarray(self.initial_stock))) + constant

    def _nearest(self, theory: float) -> float:
        """The possible share nearest to `theory`."""
        share = min(max(theory, self.min_share), self.cap / self.num_agents)
        return float(self._shares()[np.abs(self._shares() - share).argmin()]) if self.share_levels else share

    def _planned(self) -> Array:
        """The planner's shares `(N,)`: of levels the best two next to each other.

        Payoffs are linear in the logarithm of the stock, so that the best shares are the same at every stock;
        and concave in shares of a given sum, so that no others are better.
        """
        n = self.num_agents
        if not self.share_levels:
            return np.full(n, self._nearest(self.planner_share()))
        total = np.arange(n * (self.share_levels - 1) + 1)
        low, more = np.divmod(total, n)
        shares, saved = self._shares(), float(np.asarray(self.elasticity)) * self.discount
        logs = np.log(np.append(shares, 1.0))
        left = np.log1p(-(n * self.min_share + (shares[1] - shares[0]) * total))
        worth = (n - more) * logs[low] + more * logs[low + 1] + n * saved / (1.0 - saved) * left
        best = int(worth.argmax())
        return np.asarray(shares[low[best] + (np.arange(n) < more[best])], np.float64)

    def _yardstick(self, shares: Array, theory: float) -> Yardstick:
        """All play the possible shares `(N,)` for ever."""
        entry = np.abs(shares[:, None] - self._shares()).argmin(axis=1) if self.share_levels else shares
        alpha = float(np.asarray(self.elasticity))
        stock = (1.0 - shares.sum()) ** (alpha / (1.0 - alpha)) if alpha < 1.0 else math.nan
        return Yardstick(
            float(self.value(shares, self.time_limit).sum()),
            "enumeration" if self.share_levels else "closed form",
            rule=ConstantRule(self.actions()[0], entry.astype(np.float64)),
            detail={"share": float(shares.mean()), "share in theory": theory, "steady stock": stock},
        )

    def facts(self) -> Mapping[str, float]:
        """The two shares of the closed forms, whatever shares can be played."""
        return {"markov_perfect_share": self.markov_perfect_share(), "planner_share": self.planner_share()}
