r"""`attention-v0`: creators compete for attention by provocation, and wear out the goodwill of their readers.

Readers spend at most $M$ hours; the share $g$ of them that they are willing to spend is their goodwill, and
dull pages lose a part of these. Each of N creators chooses how provocative to be, $e_i$. With the mean
$\bar e$ and the largest possible $\hat e$, the attention of all is

$$A = M g \left(1 - k (1 - \bar e / \hat e)^2\right),$$

a contest hands it out in proportion to what each has put in on top of its fame $\beta$, and a creator earns

$$\pi_i = p A \frac{\beta + e_i}{\sum_j (\beta + e_j)} - c\, e_i .$$

Readers lose $h \bar e$ for every hour; this counts in W as a surplus of those outside. Goodwill recovers by
itself and is worn out by provocation:

$$g' = g + \rho (1 - g) - \delta \bar e g, \qquad \text{at rest } g = \frac{\rho}{\rho + \delta \bar e} .$$

So there are three losses: what all put into taking shares from each other, the goodwill that all lose, and
the harm to readers. The contest alone ($k = \delta = h = 0$) is Tullock's, with
$e = \frac{N - 1}{N^2} \frac{p M g}{c} - \beta$, and without fame it dissipates the share $(N - 1) / N$ of all
that is to be won. With goodwill as a stock, the planner (who allows a little provocation, for nobody reads
dull pages) and the Markov-perfect equilibrium are found by dynamic programming.

Harm is what the other creators and the readers lose because a creator provoked at all: now, and later in
$(N - 1) / N$ of what the planner would have made of the greater goodwill.

Sources: the contest: Tullock (1980), Efficient Rent Seeking (recalled, not looked up). The goodwill of
readers and its parameters are this suite's own, chosen for clarity, and not estimated from data.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.curves import sum_of_others
from commonweal.envs.base import Outcome, Play
from commonweal.envs.one_state import Fixed, one_state
from commonweal.envs.one_stock import OneStock
from commonweal.errors import require
from commonweal.parameters import Parameter, WorldParameter, check
from commonweal.random import Streams
from commonweal.references import Check
from commonweal.spaces import Action, Bounds, Conduct, Levels, Real, Signal

Array = NDArray[np.float64]


@dataclass
class AttentionState:
    """Goodwill `(B, 1)`, from 0 to 1."""

    goodwill: Array


@dataclass(frozen=True, eq=False, repr=False)
class Attention(OneStock):
    """Creators and the goodwill of their readers.

    Attributes:
        num_agents: N, creators.
        attention: M, hours per period that readers spend at most.
        price: p, money per hour of attention.
        fame: beta, what a creator puts into the contest without any provocation.
        cost: c, money per unit of provocation.
        dullness: k, share of the attention that is left unspent if nobody provokes.
        reader_harm: h, money that readers lose per hour and unit of mean provocation.
        recovery: rho, share of the lost goodwill that returns in a period.
        wear: delta, share of the goodwill lost per unit of mean provocation.
        max_provocation: largest provocation; `recovery + wear * max_provocation` is at most 1.
        levels: levels of provocation from 0; None: continuous.
        initial_goodwill: at the start.
        discount: per period.
    """

    id: ClassVar[str] = "attention-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "provocation": Conduct("provocation", limitable=True),
        "attention": Conduct("hours"),
        "income": Conduct("money"),
        "harm": Conduct("money", oracle=True),
    }

    num_agents: int = 4
    attention: WorldParameter = 100.0
    price: Parameter = 1.0
    fame: Parameter = 2.0
    cost: Parameter = 1.0
    dullness: WorldParameter = 0.5
    reader_harm: WorldParameter = 0.01
    recovery: WorldParameter = 0.2
    wear: WorldParameter = 0.015
    max_provocation: float = 10.0
    levels: Levels = 11
    initial_goodwill: WorldParameter = 1.0
    discount: float = 0.95

    def validate(self) -> None:
        """Check the ranges."""
        check("Attention.num_agents", self.num_agents, 1, math.inf)
        for name in ("attention", "price", "fame", "max_provocation"):
            check(f"Attention.{name}", getattr(self, name), 0.0, math.inf, open_low=True)
        for name in ("cost", "reader_harm", "wear"):
            check(f"Attention.{name}", getattr(self, name), 0.0, math.inf)
        for name in ("dullness", "recovery", "initial_goodwill"):
            check(f"Attention.{name}", getattr(self, name), 0.0, 1.0)
        lost = float(np.max(np.asarray(self.recovery) + np.asarray(self.wear) * self.max_provocation))
        require(lost <= 1.0 + 1e-12, "Attention.recovery + wear * max_provocation", lost, "at most 1")
        check("Attention.discount", self.discount, 0.0, 1.0 - 1e-6)

    def actions(self) -> list[Action]:
        """Provocation."""
        return [Action("provocation", Real(0.0, self.max_provocation, "provocation", self.levels))]

    def signals(self) -> list[Signal]:
        """Goodwill, which is all that a Markov strategy needs."""
        return [Signal("goodwill", "share", 0.0, 1.0, public=True)]

    def initial(self, rng: Streams) -> AttentionState:
        """Every episode starts at the same goodwill."""
        goodwill = np.asarray(self.initial_goodwill, np.float64)
        return AttentionState(np.array(np.broadcast_to(goodwill, (rng.num_worlds, 1))))

    def step(self, state: AttentionState, play: Play, rng: Streams) -> tuple[AttentionState, Outcome]:
        """One period."""
        goodwill, provocation = state.goodwill, play["provocation"]
        mean = provocation.mean(axis=1, keepdims=True)
        total = self.spent(goodwill, mean)
        drawn = total * self.shares(provocation)
        income = self.price * drawn - self.cost * provocation
        outside = -(self.reader_harm * mean * total)[:, 0]
        conduct = {"provocation": provocation, "attention": drawn, "income": income}
        return AttentionState(self.following(goodwill, mean)), Outcome(income, conduct, outside=outside)

    def spent(self, goodwill: Array, mean: Array) -> Array:
        """A: hours spent, from goodwill and mean provocation of the same shape."""
        return self.attention * goodwill * (1.0 - self.dullness * (1.0 - mean / self.max_provocation) ** 2)

    def shares(self, provocation: Array) -> Array:
        """Shares of the attention `(B, N)`."""
        weight = self.fame + provocation
        return weight / weight.sum(axis=1, keepdims=True)

    def following(self, goodwill: Array, mean: Array) -> Array:
        """Goodwill of the next period, of the same shape."""
        return np.clip(goodwill + self.recovery * (1.0 - goodwill) - self.wear * mean * goodwill, 0.0, 1.0)

    def observe(self, state: AttentionState) -> Mapping[str, Array]:
        """All see the goodwill."""
        return {"goodwill": state.goodwill}

    def limit(self, state: AttentionState, play: Play, bounds: Bounds) -> Play:
        """Change provocation to what the bounds allow."""
        low, high = bounds["provocation"]
        provocation = np.clip(play["provocation"], low, high)
        return {**play, "provocation": np.clip(provocation, 0.0, self.max_provocation)}

    def harm(
        self, state: AttentionState, play: Play, outcome: Outcome, following: AttentionState
    ) -> Array:  # fmt: skip
        """What others and readers lose because a creator provoked at all, `(B, N)`. Oracle."""
        provocation, n = outcome.conduct["provocation"], self.num_agents
        calm = (provocation.sum(axis=1, keepdims=True) - provocation) / n  # the mean without the creator
        mean = provocation.mean(axis=1, keepdims=True)
        total, spared = self.spent(state.goodwill, mean), self.spent(state.goodwill, calm)
        weight = np.broadcast_to(self.fame + provocation, provocation.shape)
        price = np.broadcast_to(np.asarray(self.price), provocation.shape)
        rivals = sum_of_others(price * weight)
        all_of_it = weight.sum(axis=1, keepdims=True)
        left = sum_of_others(weight) + self.fame  # in the contest, had the creator not provoked
        now = spared * rivals / left - total * rivals / all_of_it
        readers = self.reader_harm * (mean * total - calm * spared)
        more = self.following(state.goodwill, calm)
        later = self._planned.at(more) - self._planned.at(following.goodwill)
        return np.asarray(now + readers + self.discount * (1.0 - 1.0 / n) * later)

    # ------------------------------------------------------------------ yardsticks

    def coordinate(self, state: AttentionState) -> Array:
        """The goodwill, `(B,)`."""
        return state.goodwill[:, 0]

    def state_at(self, coordinate: Array) -> AttentionState:
        """The states with goodwill `(B,)`."""
        return AttentionState(coordinate[:, None])

    def grid(self, points: int) -> Array:
        """Goodwill from 0 to 1."""
        return np.linspace(0.0, 1.0, points)

    def facts(self) -> Mapping[str, float]:
        """Closed forms: provocation in Tullock's contest at full goodwill, and goodwill at rest under it."""
        one_state(self)
        n, cost = self.num_agents, float(np.asarray(self.cost))
        prize = float(np.asarray(self.price)) * float(np.asarray(self.attention))
        fame, wear = float(np.asarray(self.fame)), float(np.asarray(self.wear))
        effort = (n - 1) / n**2 * prize / cost - fame if cost > 0 else math.inf
        contest = min(max(effort, 0.0), self.max_provocation)
        recovery = float(np.asarray(self.recovery))
        worn = recovery + wear * contest
        rest = recovery / worn if worn > 0 else float(np.asarray(self.initial_goodwill))
        return {"contest_provocation": contest, "goodwill_at_rest_of_contest": rest}

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """Tullock's contest, and goodwill at rest, played."""
        source, alone = "Tullock (1980)", {"dullness": 0.0, "wear": 0.0, "reader_harm": 0.0, "levels": None}
        for n, cost, fame in ((2, 4.0, 1.0), (5, 2.0, 1.0), (5, 2.0, 1e-9)):
            game = cls(num_agents=n, cost=cost, fame=fame, max_provocation=50.0, **alone)  # type: ignore[arg-type]
            closed = (n - 1) / n**2 * 100.0 / cost - fame
            tried = np.full((100_001, n), closed)
            tried[1:, 0] = np.linspace(0.0, 50.0, 100_000)
            state = game.state_at(np.ones(len(tried)))
            _, outcome = game.step(state, {"provocation": tried}, Fixed(len(tried), None, "theory"))
            gain = float(outcome.money[:, 0].max() - outcome.money[0, 0])
            name = f"contest for attention of {n}, fame {fame:.0f}"
            yield Check(f"{name}: gain of deviating", source, 0.0, gain)
            yield Check(f"{name}: provocation", source, closed, game.facts()["contest_provocation"])
        dissipated = 1.0 - float(outcome.money[0].sum()) / 100.0
        yield Check("contest for attention of 5: share dissipated", source, 4.0 / 5.0, dissipated)
        game = cls()
        state, rng = game.initial(Fixed(1, None, "theory")), Fixed(1, None, "theory")
        for _ in range(400):
            state, _ = game.step(state, {"provocation": np.full((1, game.num_agents), 6.0)}, rng)
        at_rest = float(state.goodwill[0, 0])
        yield Check("goodwill at rest under provocation 6", "closed form", 0.2 / (0.2 + 0.09), at_rest)
