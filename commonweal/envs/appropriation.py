r"""`appropriation-v0`: appropriation from a common pool, the laboratory game.

Each of N appropriators divides an endowment $e$ of tokens between an outside market that pays $w$ a
token and the pool, which pays the group $F(X) = a X - b X^2$ for the sum $X$ of tokens in it, shared
in proportion to them:

$$\pi_i = w (e - x_i) + \frac{x_i}{X} F(X) .$$

Symmetric Nash equilibrium $x = (a - w) / (b (N + 1))$, optimum $X = (a - w) / (2 b)$.

Source: Ostrom, Walker and Gardner (1992), American Political Science Review 86, 404-417. The numbers
N = 8, a = 23, b = 0.25, w = 5, e = 25 are recalled, not looked up; the equilibrium (8 each) and the
optimum (36 in all) follow from them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Outcome, Play
from commonweal.envs.one_state import one_state
from commonweal.envs.pure_equilibria import Aggregative, Ints
from commonweal.envs.repeated import Always, RepeatedGame, RoundState
from commonweal.parameters import Parameter, check
from commonweal.random import Streams
from commonweal.references import Check, Kind, References, Yardstick
from commonweal.spaces import Action, Bounds, Conduct, Levels, Real

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Appropriation(RepeatedGame):
    """Common-pool appropriation.

    Attributes:
        num_agents: N.
        endowment: e, tokens per round.
        outside_wage: w, money per token in the outside market.
        yield_slope: a, money per token of the first token in the pool.
        yield_curvature: b, by which the average return falls with each token.
        levels: levels of tokens from 0 to the endowment; None: continuous.
        rounds: rounds of the game.
        discount: weight of the next round.
    """

    id: ClassVar[str] = "appropriation-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "extraction": Conduct("tokens", limitable=True),
        "income": Conduct("money"),
        "harm": Conduct("money", oracle=True),
    }

    num_agents: int = 8
    endowment: float = 25.0
    outside_wage: Parameter = 5.0
    yield_slope: Parameter = 23.0
    yield_curvature: Parameter = 0.25
    levels: Levels = 26
    rounds: int = 20

    def validate(self) -> None:
        """Check the ranges."""
        super().validate()
        check("Appropriation.num_agents", self.num_agents, 1, math.inf)
        for name in ("endowment", "yield_slope", "yield_curvature"):
            check(f"Appropriation.{name}", getattr(self, name), 0.0, math.inf, open_low=True)
        check("Appropriation.outside_wage", self.outside_wage, 0.0, math.inf)

    def actions(self) -> list[Action]:
        """Tokens in the pool."""
        return [Action("tokens", Real(0.0, self.endowment, "tokens", self.levels))]

    def step(self, state: RoundState, play: Play, rng: Streams) -> tuple[RoundState, Outcome]:
        """One round."""
        tokens = play["tokens"]
        payoff = self.payoff(tokens)
        following = RoundState(state.round + 1.0)
        conduct = {"extraction": tokens, "income": payoff}
        return following, Outcome(payoff, conduct, self.over(following))

    def payoff(self, tokens: Array) -> Array:
        """Money `(B, N)` from `tokens (B, N)`; `F(X) / X = a - b X` also where X = 0."""
        average = self.yield_slope - self.yield_curvature * tokens.sum(axis=1, keepdims=True)
        return self.outside_wage * (self.endowment - tokens) + tokens * average

    def limit(self, state: RoundState, play: Play, bounds: Bounds) -> Play:
        """Change tokens to what the bounds allow."""
        low, high = bounds["extraction"]
        return {**play, "tokens": np.clip(np.clip(play["tokens"], low, high), 0.0, self.endowment)}

    def harm(self, state: RoundState, play: Play, outcome: Outcome, following: RoundState) -> Array:
        """Each token lowers the average return of the others' tokens by b."""
        tokens = outcome.conduct["extraction"]
        lost = self.yield_curvature * tokens  # by each, of a token of another
        return tokens * (lost.sum(axis=1, keepdims=True) - lost)

    def references(self) -> References:
        """Finite repetition of a round: its worst equilibrium is played in every round.

        Of continuous tokens there is one; on levels equilibria need not be equal, and all sums are tried.

        Raises:
            NotExact: a parameter differs by agent or by world, or agents and levels are too many.
        """
        one_state(self)
        a, b, w = (float(np.asarray(v)) for v in (self.yield_slope, self.yield_curvature, self.outside_wage))
        n = self.num_agents

        def stick(tokens: Array, selection: str) -> Yardstick:
            gain, total = self.deviation_gain(tokens), float(tokens.sum())
            rent = (a - w) * total - b * total**2
            welfare = self.weight * (n * w * self.endowment + rent)
            kind: Kind = "enumeration" if self.levels else "closed form"
            rule, detail = Always(self, {"tokens": tokens}), {"tokens": total, "rent": rent}
            return Yardstick(welfare, kind, 0.0, self.weight * gain, selection, rule, detail)

        found = [self._split(n * (a - w) / (b * (n + 1)))]
        how = "Nash equilibrium of every round, the only one"
        if self.levels:
            found = [self._step * one[None, :].astype(np.float64) for one in self._on_levels().equilibria()]
            how = f"worst of {len(found)} sums of tokens in pure equilibria of every round on these levels"
        selfish, *more = sorted((stick(tokens, how) for tokens in found), key=lambda one: one.welfare)
        planner = replace(stick(self._split((a - w) / (2 * b)), "maximum of the sum"), epsilon=math.nan)
        worst = stick(np.full((1, n), self.endowment), "")
        worth = max(a - w, 0.0)
        too_many = n > 1 and 0.0 < worth < 2.0 * b * n * self.endowment  # else selfish play is the planner's
        tax = worth * (n - 1) / (2 * n) if too_many else 0.0
        facts = {"zero-rent tokens": worth / b, "corrective tax per token": tax}
        others = {f"tokens {one.detail['tokens']:g}": one for one in more}
        scale = planner.welfare - min(worst.welfare, selfish.welfare)
        return References(selfish, planner, scale, others=others, facts=facts)

    def _on_levels(self) -> Aggregative:
        """A round by levels of tokens."""

        def payoff(kind: int, own: Ints, sums: Ints) -> Array:
            tokens, total = self._step * own, self._step * sums
            average = self.yield_slope - self.yield_curvature * total
            return np.asarray(tokens * (average - self.outside_wage))

        nothing = np.zeros(self.num_agents, np.intp)
        most = np.array([(self.levels or 2) - 1])
        return Aggregative(nothing, most, payoff, lambda kind, own, total: np.zeros(len(own)))

    def deviation_gain(self, tokens: Array) -> float:
        """The largest gain in a round of one that alone leaves `tokens (1, N)`, every alternative tried."""
        tried, most = np.linspace(0.0, self.endowment, self.levels or 10_001), 0.0
        for now in np.unique(tokens):
            own = np.append(now, tried)
            average = self.yield_slope - self.yield_curvature * (tokens.sum() - now + own)
            value = own * (average - self.outside_wage)
            most = max(most, float(value.max() - value[0]))
        return most

    @property
    def _step(self) -> float:
        return self.endowment / (self.levels - 1) if self.levels else 0.0

    def _split(self, total: float) -> Array:
        """Tokens `(1, N)` as equal as the levels allow, with a sum nearest to `total`."""
        n = self.num_agents
        total = max(total, 0.0)  # where the outside market pays more, nobody wants the pool
        if not self.levels:
            return np.full((1, n), min(total / n, self.endowment))
        steps = min(round(total / self._step), n * (self.levels - 1))
        return np.asarray((steps // n + (np.arange(n) < steps % n))[None, :] * self._step, dtype=np.float64)

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """Numbers of the laboratory's design (Ostrom, Walker and Gardner 1992)."""
        source = "Ostrom, Walker and Gardner (1992), parameters recalled"
        found = cls().references()
        selfish, planner = found.selfish.detail, found.planner.detail
        yield Check("common pool: tokens at Nash", source, 64.0, selfish["tokens"])
        yield Check("common pool: tokens at the optimum", source, 36.0, planner["tokens"])
        yield Check("common pool: rent at Nash", source, 128.0 / 324.0, selfish["rent"] / planner["rent"])
        yield Check("common pool: gain of deviating from Nash", source, 0.0, found.selfish.epsilon)
        yield Check("common pool: tokens without rent", source, 72.0, found.facts["zero-rent tokens"])
        # Under that tax per token, putting in the optimal share is the best reply to it.
        tax, pool = found.facts["corrective tax per token"], cls(levels=None)
        yield Check("common pool: corrective tax per token", source, 7.875, tax)
        tokens = np.full((1001, 8), 4.5)
        tokens[:, 0] = np.linspace(0.0, 25.0, 1001)
        best = tokens[(pool.payoff(tokens)[:, 0] - tax * tokens[:, 0]).argmax(), 0]
        yield Check("common pool: best reply under the tax", source, 4.5, float(best))
