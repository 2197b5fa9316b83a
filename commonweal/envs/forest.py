r"""`forest-v0`: when to fell, and who replants: one shared forest, or a concession for each.

A stand of age $t$ holds the volume $V(t) = e^{a - b/t}$ on its stocked area. Each of N loggers works a
share $w_i$ of the stand it has access to; $n$ loggers share a stand, and together they work
$f = \min(1, \sum_j w_j)$ of it, divided in proportion. A bare stand is planted, at the beginning of the
year, for $D$; a stocked one is felled, at its end, when it has grown to $V(t + 1)$:

$$\text{bare: } \pi_i = -D f \frac{w_i}{\sum_j w_j}, \qquad
\text{stocked: } \pi_i = \delta\, p\, V(t + 1) f \frac{w_i}{\sum_j w_j}, \qquad \delta = e^{-r} .$$

Money counts at the beginning of the year, so that a stand planted on bare land and felled at age $T$
again and again is worth the land value of Faustmann,
$J(T) = (p V(T) e^{-rT} - D) / (1 - e^{-rT})$. A stand felled in part keeps its age on what is left,
and is planted anew once it is cleared.

**Two regimes, one number.** `num_stands = 1` is a shared forest: whoever waits loses the timber to
whoever does not, whoever plants does so for all. `num_stands = num_agents` are private concessions:
nobody's felling harms another, and every owner keeps Faustmann's rotation. Between them, clubs.

**Amenity.** All N enjoy `amenity` for each unit of standing volume, wherever it stands and whoever owns
it; it is utility, not money. An owner counts its own part of it, a planner all N (Hartman's rotation).

**Fire** starts in a stand at the rate `ignition` and leaps to a neighbour with probability `spread` times
the neighbour's fuel, its volume relative to the largest. What burns is lost before it can be felled; so
owners fell at Faustmann's age for the interest $r$ plus the rate of fire (Reed).

Observed: age and stocked area of the own stand, mean volume of all. Sources: Faustmann (1849), the
numbers of the default recalled, the rotations recomputed; Hartman (1976), Economic Inquiry 14, 52-58
(abstract looked up); Reed (1984) on fire, recalled, not looked up. The race is a preemption game.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.envs import rotation, stands
from commonweal.envs.base import Dilemma, Outcome, Play
from commonweal.errors import NotExact, require
from commonweal.parameters import Parameter, WorldParameter, check, nonzero
from commonweal.random import Streams
from commonweal.references import Check, References
from commonweal.spaces import Action, Bounds, Conduct, Levels, Real, Signal

Array = NDArray[np.float64]
CLEARED = 1e-9  # share of the area below which a stand counts as bare, so that tenths sum to a whole


def _left(bare: NDArray[np.bool_], stocked: Array, worked: Array) -> Array:
    """Share of the area that is stocked after the share `worked` was planted or felled."""
    left = np.where(bare, worked, stocked * (1.0 - worked))
    return np.where(left > CLEARED, left, 0.0)


@dataclass
class ForestState:
    """Stands `(B, M)`: age in years, and the share of the area that is stocked (0: bare).

    `enjoyed (B, 1)` is the volume that stood in the last year.
    """

    age: Array
    stocked: Array
    enjoyed: Array


@dataclass(frozen=True, eq=False, repr=False)
class Forest(Dilemma):
    """Even-aged stands and those who fell and plant them.

    Attributes:
        num_agents: N, loggers.
        num_stands: M, stands; the N / M loggers next to each other share one.
        log_yield: a, log of the volume that a stand approaches.
        slowness: b, years; volume grows by b / t^2 a year.
        price: p, money per unit of volume.
        planting_cost: D, money per stand.
        interest: r, per year.
        interval: years between two decisions; "a year" above.
        oldest: age in years at which growth ends.
        initial_age: age of all stands at the start; 0: bare land.
        amenity: utility of each agent per unit of standing volume and year.
        ignition: fires per stand and year.
        spread: probability that fire leaps to a neighbour full of old timber.
        levels: levels of the share worked, from nothing to the whole stand; None: continuous.
    """

    id: ClassVar[str] = "forest-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "extraction": Conduct("volume", limitable=True),
        "planting": Conduct("share of a stand", limitable=True),
        "income": Conduct("money"),
        "harm": Conduct("utility", oracle=True),
    }

    num_agents: int = 5
    num_stands: int = 1
    log_yield: WorldParameter = 10.0
    slowness: WorldParameter = 50.0
    price: Parameter = 1.0
    planting_cost: Parameter = 100.0
    interest: float = 0.03
    interval: float = 1.0
    oldest: float = 120.0
    initial_age: WorldParameter = 20.0
    amenity: Parameter = 0.0
    ignition: WorldParameter = 0.0
    spread: WorldParameter = 0.5
    levels: Levels = 2

    def validate(self) -> None:
        """Check the ranges."""
        check("Forest.num_agents", self.num_agents, 1, math.inf)
        divides = self.num_stands >= 1 and self.num_agents % self.num_stands == 0
        require(divides, "Forest.num_stands", self.num_stands, f"a divisor of N = {self.num_agents}")
        check("Forest.log_yield", self.log_yield, -50.0, 50.0)
        for name in ("slowness", "price", "interval"):
            check(f"Forest.{name}", getattr(self, name), 0.0, math.inf, open_low=True)
        for name in ("planting_cost", "amenity", "ignition"):
            check(f"Forest.{name}", getattr(self, name), 0.0, math.inf)
        check("Forest.interest", self.interest, 1e-6, math.inf)
        check("Forest.oldest", self.oldest, self.interval, 2000.0 * self.interval)
        check("Forest.initial_age", self.initial_age, 0.0, self.oldest)
        check("Forest.spread", self.spread, 0.0, 1.0)

    @property
    def discount(self) -> float:
        """Weight of the next play, `exp(-r)` to the interval."""
        return math.exp(-self.interest * self.interval)

    @property
    def time_limit(self) -> int:
        """The first play whose weight in W is below one hundredth."""
        return math.ceil(math.log(100.0) / (self.interest * self.interval))

    @property
    def loggers_per_stand(self) -> int:
        """Loggers who share a stand."""
        return self.num_agents // self.num_stands

    def actions(self) -> list[Action]:
        """The share of the stand that is worked: planted where it is bare, else felled."""
        return [Action("work", Real(0.0, 1.0, "share of the stand", self.levels))]

    def signals(self) -> list[Signal]:
        """The own stand, all that a Markov strategy needs where nothing burns, and the whole forest."""
        most = float(np.max(self.volume(np.array([[self.oldest]]))))
        return [
            Signal("age", "years", 0.0, self.oldest),
            Signal("stocked", "share of the area", 0.0, 1.0),
            Signal("volume", "volume, mean of all stands", 0.0, most, public=True),
        ]

    def initial(self, rng: Streams) -> ForestState:
        """All stands stocked, at the same age."""
        age = np.array(np.broadcast_to(np.asarray(self.initial_age), (rng.num_worlds, self.num_stands)))
        return ForestState(age, (age > 0.0).astype(np.float64), np.zeros((rng.num_worlds, 1)))

    def volume(self, age: Array) -> Array:
        """`exp(a - b / t)` of a fully stocked stand."""
        return np.exp(self.log_yield - self.slowness / np.maximum(age, 1e-3))

    def step(self, state: ForestState, play: Play, rng: Streams) -> tuple[ForestState, Outcome]:
        """One year."""
        work, total, bare = play["work"], self._by_stand(play["work"]), state.stocked == 0.0
        share = np.minimum(total, 1.0)
        standing = state.stocked * self.volume(state.age)
        older = np.minimum(state.age + self.interval, self.oldest)
        alive = self._unburnt(state, rng) if nonzero(self.ignition) else 1.0
        each = work / np.maximum(self._mine(total), 1.0)
        planting = each * self._mine(bare)
        timber = each * self._mine(alive * state.stocked * self.volume(older))
        income = self.discount * self.price * timber - self.planting_cost * planting
        stocked = _left(bare, alive * state.stocked, share)
        enjoyed = standing.sum(axis=1, keepdims=True)
        following = ForestState(np.where(stocked > 0.0, older, 0.0), stocked, enjoyed)
        conduct = {"extraction": timber, "planting": planting, "income": income}
        return following, Outcome(income, conduct)

    def _by_stand(self, of_agents: Array) -> Array:
        """Sums over the loggers of each stand, `(B, N)` -> `(B, M)`."""
        if self.num_stands == 1:
            return of_agents.sum(axis=1, keepdims=True)
        return of_agents.reshape(len(of_agents), self.num_stands, -1).sum(axis=2)

    def _mine(self, of_stands: Array) -> Array:
        """What holds of the own stand, `(B, M)` -> `(B, N)`, or `(B, 1)` where there is one stand."""
        return of_stands if self.num_stands == 1 else np.repeat(of_stands, self.loggers_per_stand, axis=1)

    def _unburnt(self, state: ForestState, rng: Streams) -> Array:
        """1 where a stand survives the year's fires, else 0, `(B, M)`."""
        # Its volume relative to that of the oldest: no ratio of what may both be next to nothing.
        youth = 1.0 / np.maximum(state.age, 1e-3) - 1.0 / self.oldest
        fuel = state.stocked * np.exp(-self.slowness * youth)
        starts = -np.expm1(-self.ignition * self.interval)
        burnt = (rng.uniform(self.num_stands) < starts) & (fuel > 0.0)
        leaps = rng.uniform(2, self.num_stands) < (self.spread * fuel)[:, None, :]
        # Along a row of stands, one pass in each direction reaches all that can catch fire.
        for m in range(1, self.num_stands):
            burnt[:, m] |= burnt[:, m - 1] & leaps[:, 0, m]
        for m in reversed(range(self.num_stands - 1)):
            burnt[:, m] |= burnt[:, m + 1] & leaps[:, 1, m]
        return np.where(burnt, 0.0, 1.0)

    def observe(self, state: ForestState) -> Mapping[str, Array]:
        """Each sees its stand, all the mean volume."""
        volume = (state.stocked * self.volume(state.age)).mean(axis=1, keepdims=True)
        return {"age": self._mine(state.age), "stocked": self._mine(state.stocked), "volume": volume}

    def limit(self, state: ForestState, play: Play, bounds: Bounds) -> Play:
        """Change the share worked: of stocked stands to the bounds on timber, of bare ones on planting."""
        work, stocked = play["work"], self._mine(state.stocked) > 0.0
        if "extraction" in bounds:
            older = np.minimum(state.age + self.interval, self.oldest)
            whole = np.maximum(self._mine(state.stocked * self.volume(older)), 1e-12)
            low, high = bounds["extraction"]
            work = np.where(stocked, np.clip(work, low / whole, high / whole), work)
        if "planting" in bounds:
            work = np.where(stocked, work, np.clip(work, *bounds["planting"]))
        return {**play, "work": np.clip(work, 0.0, 1.0)}

    def utility(self, state: ForestState, money: Array) -> Array:
        """Money and the enjoyment of what stands."""
        return money + self.amenity * self.interval * state.enjoyed

    def harm(self, state: ForestState, play: Play, outcome: Outcome, following: ForestState) -> Array:
        """What the others lose because an agent did not leave its stand alone, `(B, N)`.

        Now, in timber taken from them (planting spares them a cost); and later, in what the planner's
        rotation (that of a full stand, whatever is left of it) would have brought the others.
        """
        plan = self._plan
        work = play["work"]
        bare = self._mine(state.stocked) == 0.0
        total, stocked = self._mine(self._by_stand(work)), self._mine(state.stocked)
        share, spared = np.minimum(total, 1.0), np.minimum(total - work, 1.0)
        older = np.minimum(self._mine(state.age) + self.interval, self.oldest)
        taken = spared - (total - work) / np.maximum(total, 1.0)
        # What burnt in this year is lost with and without the agent: nothing felled, nothing left.
        remains = self._by_stand(outcome.conduct["extraction"]) + following.stocked
        stocked = np.where(self._mine(remains) > 0.0, stocked, 0.0)
        whole = self.discount * self.price * stocked * self.volume(older)
        now = taken * np.where(bare, -np.asarray(self.planting_cost), whole)
        without, with_it = (_left(bare, stocked, worked) for worked in (spared, share))
        later = plan.others(older, without) - plan.others(older, with_it)
        return now + self.discount * later

    # ------------------------------------------------------------------ yardsticks

    def coordinate(self, state: ForestState) -> Array:
        """Age of the only stand, 0 where it is bare, `(B,)`."""
        self._one_stand()
        if ((state.stocked > 0.0) & (state.stocked < 1.0)).any():
            raise NotExact("a stand felled in part has a second state; allowed: all of it or nothing")
        return state.age[:, 0]

    def state_at(self, coordinate: Array) -> ForestState:
        """The states at ages `(B,)`."""
        self._one_stand()
        age = np.asarray(coordinate, np.float64)[:, None]
        return ForestState(age, (age > 0.0).astype(np.float64), np.zeros_like(age))

    def _one_stand(self) -> None:
        if self.num_stands > 1:
            raise NotExact(f"{self.num_stands} stands are as many states; allowed: num_stands = 1")

    def grid(self, points: int) -> Array:
        """Every age; no grid is finer."""
        plays = math.ceil(self.oldest / self.interval - 1e-9)
        return np.minimum(self.interval * np.arange(plays + 1.0), self.oldest)

    @cached_property
    def _plan(self) -> stands.Plan:
        return stands.plan(self._key())

    def _key(self) -> str:
        stands.require_exact(self)
        return json.dumps(self.to_dict(), sort_keys=True)

    def references(self) -> References:
        """Stand by stand: planner, and the equilibrium of its loggers, both without any grid error.

        Raises:
            NotExact: fire that leaps, unequal agents, stands felled in part by several loggers.
        """
        return stands.references(self._key())

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """Faustmann, Wicksell, sustained yield and Hartman, played by `step`."""
        return rotation.checks(cls)
