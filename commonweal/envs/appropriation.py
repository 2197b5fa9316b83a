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
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Dilemma, Outcome, Play
from commonweal.parameters import Parameter, check
from commonweal.random import Streams
from commonweal.references import References, Rule, Yardstick
from commonweal.spaces import Action, Bounds, Conduct, Real, Signal

Array = NDArray[np.float64]


@dataclass
class AppropriationState:
    """Rounds played so far, `(B, 1)`."""

    round: Array


@dataclass(frozen=True, eq=False, repr=False)
class Appropriation(Dilemma):
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
    levels: int | None = 26
    rounds: int = 20
    discount: float = 1.0

    def validate(self) -> None:
        """Check the ranges."""
        check("Appropriation.num_agents", self.num_agents, 1, math.inf)
        for name in ("endowment", "yield_slope", "yield_curvature"):
            check(f"Appropriation.{name}", getattr(self, name), 0.0, math.inf, open_low=True)
        check("Appropriation.outside_wage", self.outside_wage, 0.0, math.inf)
        check("Appropriation.rounds", self.rounds, 1, math.inf)
        check("Appropriation.discount", self.discount, 0.0, 1.0)

    def actions(self) -> list[Action]:
        """Tokens in the pool."""
        return [Action("tokens", Real(0.0, self.endowment, "tokens", self.levels))]

    def signals(self) -> list[Signal]:
        """The share of the rounds that has been played."""
        return [Signal("progress", "share of rounds", 0.0, 1.0)]

    def initial(self, rng: Streams) -> AppropriationState:
        """Before the first round."""
        return AppropriationState(np.zeros((rng.num_worlds, 1)))

    def step(self, state: AppropriationState, play: Play, rng: Streams) -> tuple[AppropriationState, Outcome]:
        """One round."""
        tokens = play["tokens"]
        payoff = self.payoff(tokens)
        following = AppropriationState(state.round + 1.0)
        over = following.round[:, 0] >= self.rounds
        return following, Outcome(payoff, {"extraction": tokens, "income": payoff}, over)

    def payoff(self, tokens: Array) -> Array:
        """Money `(B, N)` from `tokens (B, N)`; `F(X) / X = a - b X` also where X = 0."""
        average = self.yield_slope - self.yield_curvature * tokens.sum(axis=1, keepdims=True)
        return self.outside_wage * (self.endowment - tokens) + tokens * average

    def observe(self, state: AppropriationState) -> Mapping[str, Array]:
        """All know the round."""
        return {"progress": state.round / self.rounds}

    def limit(self, state: AppropriationState, play: Play, bounds: Bounds) -> Play:
        """Change tokens to what the bounds allow."""
        low, high = bounds["extraction"]
        return {**play, "tokens": np.clip(np.clip(play["tokens"], low, high), 0.0, self.endowment)}

    def harm(
        self, state: AppropriationState, play: Play, outcome: Outcome, following: AppropriationState
    ) -> Array:
        """Each token lowers the average return of the others' tokens by b."""
        tokens = outcome.conduct["extraction"]
        return self.yield_curvature * tokens * (tokens.sum(axis=1, keepdims=True) - tokens)

    def references(self) -> References:
        """Finite repetition of a game with one symmetric equilibrium: it is played in every round."""
        a, b, w = (float(np.max(v)) for v in (self.yield_slope, self.yield_curvature, self.outside_wage))
        n = self.num_agents
        rounds = float(self.rounds)
        weight = rounds if self.discount == 1 else (1 - self.discount**rounds) / (1 - self.discount)

        def stick(tokens: Array, selection: str) -> Yardstick:
            gain = max(self._gain(tokens, i) for i in range(n))
            total = float(tokens.sum())
            rent = (a - w) * total - b * total**2
            detail = {"tokens": total, "rent": rent}
            welfare = weight * (n * w * self.endowment + rent)
            return Yardstick(
                welfare, "closed form", 0.0, weight * gain, selection, self._using(tokens), detail
            )

        nash = self._split(n * (a - w) / (b * (n + 1)))
        selfish = stick(nash, "symmetric Nash equilibrium of every round, at the nearest level")
        planner = stick(self._split((a - w) / (2 * b)), "maximum of the sum")
        worst = stick(np.full((1, n), self.endowment), "")
        facts = {"zero-rent tokens": (a - w) / b, "corrective tax per token": (a - w) * (n - 1) / (2 * n)}
        return References(selfish, planner, planner.welfare - worst.welfare, facts=facts)

    @property
    def _step(self) -> float:
        return self.endowment / (self.levels - 1) if self.levels else 0.0

    def _split(self, total: float) -> Array:
        """Tokens `(1, N)` as equal as the levels allow, with a sum nearest to `total`."""
        n = self.num_agents
        if not self.levels:
            return np.full((1, n), min(total / n, self.endowment))
        steps = min(round(total / self._step), n * (self.levels - 1))
        return np.asarray((steps // n + (np.arange(n) < steps % n))[None, :] * self._step, dtype=np.float64)

    def _gain(self, tokens: Array, agent: int) -> float:
        """What `agent` gains in a round by its best deviation."""
        choices = np.linspace(0.0, self.endowment, self.levels or 10_001)
        tried = np.repeat(tokens, len(choices), axis=0)
        tried[:, agent] = choices
        return float(self.payoff(tried)[:, agent].max() - self.payoff(tokens)[0, agent])

    def _using(self, tokens: Array) -> Rule:
        entries = np.rint(tokens / self._step) if self.levels else tokens

        def rule(observation: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
            return {"tokens": np.array(np.broadcast_to(entries, observation["progress"].shape[:2]))}

        return rule
