r"""`ai_race-v0`: a race for a technology: fast and unsafe, or safe and slow.

In every round each of N developers chooses to develop safely, one step at a cost $c$, or unsafely, $s > 1$
steps at none. A round's market $b$ is shared in proportion to speed, and who first has made $W$ steps wins
the prize $B$ (those who arrive together share it):

$$\pi_i = b\, \frac{v_i}{\sum_j v_j} - c\,[\text{safe}], \qquad v_i = s \text{ if unsafe, else } 1 .$$

When the race is over, disaster strikes each developer that was ever unsafe in it, with probability $p_r$: it
loses all that it has earned in the race, and the prize. With `sampled=False` (the default) the expected loss
is taken instead of a draw. `public_damage` falls on those outside at each disaster; it counts in W.

One race is an episode (`rounds=None`), or races follow each other for a fixed number of rounds. With
`rounds` equal to $W$, and $W / s$ a divisor of it, what two developers earn per round when both stay with
what they began is the published table, with $p = 1 - p_r$:

| | safe | unsafe |
|---|---|---|
| safe | $B / 2W + b / 2 - c$ | $b / (s + 1) - c$ |
| unsafe | $p\,(s B / W + s b / (s + 1))$ | $p\,(s B / 2W + b / 2)$ |

There society prefers safety where $p_r > 1 - \frac{B / 2W + b / 2 - c}{s B / 2W + b / 2} \approx 1 - 1/s$,
and safety is risk dominant only where about $p_r > 1 - 1 / 3s$: in between lies the dilemma. In a single race
speed brings society nothing, so the dilemma begins at lower risks.

Harm is not defined: what the fast take from the slow is a prize that somebody wins in any case.

References. `selfish` is the worst Nash equilibrium in which k developers are always unsafe and the others
always safe; its gain of deviating is over *all* plans of one developer. `planner` is the best of all
plans. Both by dynamic programming (`ai_race_plans`), undiscounted.

Sources: Han, Pereira, Santos and Lenaerts (2020), To Regulate or Not, J. Artificial Intelligence Research
69, 881-921 (abstract looked up). Table, parameters (b = 4, c = 1, B = 10,000, W = 100) and thresholds were
read in code that reproduces the model (github.com/PaoloBova/model-ai-methods). That whoever was unsafe in
some round bears the whole risk is our reading where a developer changes its mind.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.ai_race_plans import Race, Schedule, constant_totals, planner, reply
from commonweal.envs.base import Dilemma, Outcome, Play
from commonweal.errors import NotExact
from commonweal.parameters import Parameter, check, nonzero
from commonweal.random import Streams
from commonweal.references import Check, Kind, References, Yardstick
from commonweal.spaces import Action, Bounds, Choice, Conduct, Signal

Array = NDArray[np.float64]


@dataclass
class AIRaceState:
    """Rounds so far `(B, 1)`; steps, earnings and whether ever unsafe in this race, `(B, N)` each."""

    round: Array
    steps: Array
    earned: Array
    reckless: Array


@dataclass(frozen=True, eq=False, repr=False)
class AIRace(Dilemma):
    """A race for a technology.

    Attributes:
        num_agents: N, developers.
        steps: W, steps to the prize; safe development makes one per round.
        speed: s, steps of a round of unsafe development.
        benefit: b, money that the market pays per round to all together.
        safety_cost: c, money per round of safe development.
        prize: B, money.
        risk: p_r, probability that disaster strikes a developer that was unsafe.
        public_damage: money lost by those outside at each disaster.
        sampled: whether disaster is drawn; else its expectation is taken.
        rounds: rounds in which races follow each other; None: the first race ends the episode.
        discount: weight of the next round.
    """

    id: ClassVar[str] = "ai_race-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "unsafe": Conduct("share of the round", limitable=True),
        "income": Conduct("money"),
        "disaster": Conduct("probability"),
    }

    num_agents: int = 3
    steps: int = 12
    speed: Parameter = 2.0
    benefit: Parameter = 6.0
    safety_cost: Parameter = 1.0
    prize: Parameter = 100.0
    risk: Parameter = 0.4
    public_damage: Parameter = 0.0
    sampled: bool = False
    rounds: int | None = None
    discount: float = 1.0

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "published": {
            "num_agents": 2,
            "steps": 100,
            "rounds": 100,
            "benefit": 4.0,
            "prize": 10_000.0,
            "risk": 0.6,
        },
    }

    def validate(self) -> None:
        """Check the ranges."""
        check("AIRace.num_agents", self.num_agents, 1, math.inf)
        check("AIRace.steps", self.steps, 1, math.inf)
        check("AIRace.speed", self.speed, 1.0, math.inf)
        for name in ("benefit", "safety_cost", "prize", "public_damage"):
            check(f"AIRace.{name}", getattr(self, name), 0.0, math.inf)
        check("AIRace.risk", self.risk, 0.0, 1.0)
        if self.rounds is not None:
            check("AIRace.rounds", self.rounds, 1, math.inf)
        check("AIRace.discount", self.discount, 0.0, 1.0)

    @property
    def horizon(self) -> int:
        """Safe development takes W rounds."""
        return self.rounds or self.steps

    def actions(self) -> list[Action]:
        """How to develop."""
        return [Action("unsafe", Choice(("safe", "unsafe")))]

    def signals(self) -> list[Signal]:
        """The round, the own steps and record, and the steps of the others, next developer first."""
        shown = [
            Signal("progress", "share of rounds", 0.0, 1.0, public=True),
            Signal("own_steps", "share of W", 0.0, 1.0),
            Signal("own_reckless", "", 0.0, 1.0),
        ]
        if self.num_agents > 1:
            shown.append(Signal("others_steps", "share of W", 0.0, 1.0, width=self.num_agents - 1))
        return shown

    def initial(self, rng: Streams) -> AIRaceState:
        """At the start of the first race."""
        none = np.zeros((rng.num_worlds, self.num_agents))
        return AIRaceState(np.zeros((rng.num_worlds, 1)), none, none, none)

    def step(self, state: AIRaceState, play: Play, rng: Streams) -> tuple[AIRaceState, Outcome]:
        """One round."""
        unsafe = play["unsafe"]
        speed = 1.0 + (self.speed - 1.0) * unsafe
        share = speed / speed.sum(axis=1, keepdims=True)
        flow = self.benefit * share - self.safety_cost * (1.0 - unsafe)
        steps, earned = state.steps + speed, state.earned + flow
        reckless = np.maximum(state.reckless, unsafe)
        arrived = steps >= self.steps - 1e-9
        first = arrived.sum(axis=1, keepdims=True)
        prize = self.prize * arrived / np.maximum(first, 1.0)
        time = state.round + 1.0
        over = first > 0 if self.rounds is None else time >= self.rounds
        settled = (first > 0) | over
        disaster = self.risk * reckless * settled
        if self.sampled:
            disaster = (rng.uniform(self.num_agents) < disaster).astype(np.float64)
        money = flow + prize - disaster * (earned + prize)
        going = ~settled
        following = AIRaceState(time, steps * going, earned * going, reckless * going)
        conduct = {"unsafe": unsafe, "income": money, "disaster": disaster}
        outside = -(self.public_damage * disaster).sum(axis=1) if nonzero(self.public_damage) else None
        return following, Outcome(money, conduct, over[:, 0], outside=outside)

    def observe(self, state: AIRaceState) -> Mapping[str, Array]:
        """All see the steps of all; the record is one's own."""
        n, steps = self.num_agents, state.steps / self.steps
        seen = {"progress": state.round / self.horizon, "own_steps": steps, "own_reckless": state.reckless}
        if n > 1:
            seen["others_steps"] = steps[:, (np.arange(n)[:, None] + np.arange(1, n)) % n]
        return seen

    def limit(self, state: AIRaceState, play: Play, bounds: Bounds) -> Play:
        """Unsafe development where the bounds allow a whole round of it, else safe."""
        low, high = bounds["unsafe"]
        unsafe = np.clip(play["unsafe"], np.ceil(low), np.floor(high))
        return {**play, "unsafe": np.clip(unsafe, 0.0, 1.0)}

    # ------------------------------------------------------------------ yardsticks

    def race(self) -> Race:
        """The race in scalars, for the planner.

        Raises:
            NotExact: a parameter differs by agent or by world, or rounds are discounted.
        """
        names = ("speed", "benefit", "safety_cost", "prize", "risk", "public_damage")
        for name in names:
            value = getattr(self, name)
            if isinstance(value, np.ndarray):
                raise NotExact(f"AIRace.{name} has {value.size} values; allowed: a scalar, equal developers")
        if self.discount != 1.0:
            raise NotExact(f"AIRace.discount is {self.discount}; allowed: 1, for losses come at the end")
        values = [float(getattr(self, name)) for name in names]
        return Race(self.num_agents, self.steps, self.rounds, *values)

    def references(self) -> References:
        """The worst equilibrium of constant plans, and the best of all plans.

        Raises:
            NotExact: see `race`, or the plans are too many.
        """
        race, n = self.race(), self.num_agents
        welfare, plan = planner(race)
        first_best = Yardstick(
            welfare, "dynamic programming", rule=Schedule(plan), selection="best of all plans",
            detail={"unsafe rounds": float(plan.sum())},
        )  # fmt: skip
        sticks = []
        for k in range(n + 1):
            safe, unsafe, outside = constant_totals(race, k)
            gains = [reply(race, k - 1) - unsafe] if k else []
            gains += [reply(race, k) - safe] if k < n else []
            epsilon = max(0.0, *gains)
            epsilon = 0.0 if epsilon < 1e-9 * (1.0 + race.prize) else epsilon
            kind: Kind = "best known" if epsilon else "dynamic programming"
            acts = np.broadcast_to((np.arange(n) < k).astype(np.float64), (self.horizon, n))
            detail = {"unsafe developers": float(k)}
            total = k * unsafe + (n - k) * safe + outside
            sticks.append(Yardstick(total, kind, 0.0, epsilon, "", Schedule(acts), detail))
        found = [stick for stick in sticks if not stick.epsilon]
        found = sorted(found, key=lambda s: s.welfare) or [min(sticks, key=lambda s: s.epsilon)]
        how = (
            "worst of the equilibria in constant plans" if not found[0].epsilon else "least gain of deviating"
        )
        selfish = replace(found[0], selection=how)
        totals = [stick.welfare for stick in sticks]
        others = {f"{stick.detail['unsafe developers']:.0f} unsafe": stick for stick in found[1:]}
        facts = self.thresholds()
        spread = max(welfare, *totals) - min(totals)
        return References(selfish, first_best, spread, others=others, facts=facts)

    def thresholds(self) -> dict[str, float]:
        """Risks above which always safe is better than always unsafe: below 0 at every risk, above 1 at none.

        `society_prefers_safety`: in W, for all. `safety_among_safe`, `safety_among_unsafe`: for one
        developer whose others are always safe, always unsafe. `safety_is_risk_dominant` (two developers):
        for one that expects either with equal probability.
        """
        race, n = self.race(), self.num_agents
        certain = race.with_risk(0.0)
        all_safe, _, _ = constant_totals(certain, 0)
        last_safe, _, _ = constant_totals(certain, n - 1)
        _, all_unsafe, _ = constant_totals(certain, n)
        _, alone, _ = constant_totals(certain, 1)

        def beyond(safe: float, unsafe: float, lost: float = 0.0) -> float:
            """The risk at which `(1 - risk) unsafe - risk lost = safe`."""
            return (unsafe - safe) / (unsafe + lost) if unsafe + lost > 0 else math.nan

        facts = {
            "society_prefers_safety": beyond(n * all_safe, n * all_unsafe, n * race.public_damage),
            "safety_among_safe": beyond(all_safe, alone),
            "safety_among_unsafe": beyond(last_safe, all_unsafe),
        }
        if n == 2:
            facts["safety_is_risk_dominant"] = beyond(all_safe + last_safe, alone + all_unsafe)
        return facts

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """The published table and thresholds, by playing the race round by round."""
        source = "Han et al. (2020), by code that reproduces it"
        b, c, s, prize, steps, p = 4.0, 1.0, 2.0, 10_000.0, 100, 0.4
        table = {
            (0, 0): prize / (2 * steps) + b / 2 - c,
            (0, 1): b / (s + 1) - c,
            (1, 0): p * (s * prize / steps + s * b / (s + 1)),
            (1, 1): p * (s * prize / (2 * steps) + b / 2),
        }
        game = cls(**cls.presets["published"])
        for (own, other), value in table.items():
            earned = game.played(own, other) / steps
            name = f"AI race: {('safe', 'unsafe')[own]} against {('safe', 'unsafe')[other]}, per round"
            yield Check(name, source, value, earned)
        facts = game.references().facts
        prefers = 1 - (prize / (2 * steps) + b / 2 - c) / (s * prize / (2 * steps) + b / 2)
        ours = facts["society_prefers_safety"]
        yield Check("AI race: risk above which society prefers safety", source, prefers, ours)
        yield Check("AI race: the same, near 1 - 1 / s", source, 1 - 1 / s, ours, 0.01)
        dominant = 1 - (table[0, 0] + table[0, 1]) / (table[1, 0] / p + table[1, 1] / p)
        ours = facts["safety_is_risk_dominant"]
        yield Check("AI race: risk above which safety is risk dominant", source, dominant, ours)
        yield Check("AI race: the same, near 1 - 1 / 3s", source, 1 - 1 / (3 * s), ours, 0.01)

    def played(self, own: int, other: int) -> float:
        """Money of developer 0 when it always plays `own` and all others always `other`, step by step."""
        rng = Streams(np.zeros(1, np.uint64), 0)
        state, total, over = self.initial(rng), 0.0, False
        unsafe = np.full((1, self.num_agents), float(other))
        unsafe[0, 0] = own
        while not over:
            state, outcome = self.step(state, {"unsafe": unsafe}, rng)
            total += float(outcome.money[0, 0])
            assert outcome.terminated is not None
            over = bool(outcome.terminated[0])
        return total
