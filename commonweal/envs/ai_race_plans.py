"""Exact plans of a race: the planner's, and one developer's best reply to constant plans.

Who will ever be unsafe in a race is fixed first; then everybody's money is weighed by the known probability
of keeping it (1, or 1 - risk), and adds up over rounds. The best sum is found forwards over the rounds of a
race and how many of them each of the reckless has been unsafe, apart for each length of the race. Races
are then chained.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import NotExact
from commonweal.random import Streams

Array = NDArray[np.float64]
Counts = tuple[int, ...]  # unsafe rounds of each of the reckless
Moves = tuple[int, ...]  # who of them is unsafe in a round

MOST_CELLS = 3_000_000  # states times moves that are tried one by one


@dataclass(frozen=True)
class Race:
    """Scalar parameters, see `ai_race.AIRace`."""

    num_agents: int
    steps: int
    rounds: int | None
    speed: float
    benefit: float
    safety_cost: float
    prize: float
    risk: float
    public_damage: float

    def with_risk(self, risk: float) -> Race:
        """The same race at another risk."""
        return replace(self, risk=risk)

    @property
    def fast(self) -> int:
        """Rounds of a race in which somebody is always unsafe."""
        return max(math.ceil(self.steps / self.speed - 1e-9), 1)

    def arrived(self, time: int, unsafe: int) -> bool:
        """Whether W steps are made in `time` rounds, of which so many were unsafe."""
        return time + (self.speed - 1.0) * unsafe >= self.steps - 1e-9


@dataclass
class Best:
    """The best sums of a race by its length, and the moves that bring them.

    Attributes:
        finished: length -> sum, of races that somebody wins then.
        broken: length -> sum, of races that the end of the episode cuts off then.
        moves: `(finished?, length)` -> moves of the reckless, round by round.
    """

    finished: dict[int, float]
    broken: dict[int, float]
    moves: dict[tuple[bool, int], list[Moves]]


def _best(race: Race, reckless: int, own_only: bool, unsafe_others: int = 0) -> Best:
    """Best sums over the plans of the `reckless`.

    `own_only`: only the money of the first of them counts, or of a safe developer where there is none, and
    `unsafe_others` others are always unsafe. Else the money of all, and of those outside.
    """
    keep = 1.0 - race.risk
    safe = race.num_agents - reckless - unsafe_others
    counted_safe = (0 if reckless else 1) if own_only else safe
    weight = 1 if own_only else reckless
    damage = 0.0 if own_only else race.risk * race.public_damage * reckless
    states: dict[Counts, float] = {(0,) * reckless: 0.0}
    back: list[dict[Counts, tuple[Counts, Moves]]] = []
    found = Best({}, {}, {})
    for time in range(1, race.steps + 1):
        following: dict[Counts, float] = {}
        trace: dict[Counts, tuple[Counts, Moves]] = {}
        ends: tuple[float, Counts, Moves] | None = None
        for counts, value in states.items():
            for moves in itertools.product((0, 1), repeat=reckless):
                fast = sum(moves) + unsafe_others
                per_speed = race.benefit / (race.num_agents + fast * (race.speed - 1.0))
                flow = counted_safe * (per_speed - race.safety_cost)
                flow += keep * sum(
                    per_speed * race.speed if move else per_speed - race.safety_cost
                    for move in moves[:weight]
                )
                new = tuple(count + move for count, move in zip(counts, moves, strict=True))
                there = [race.arrived(time, count) for count in new]
                others = safe * race.arrived(time, 0) + unsafe_others * race.arrived(time, time)
                first = sum(there) + others
                if first:
                    winners = keep * sum(there[:weight]) + counted_safe * race.arrived(time, 0)
                    total = value + flow + race.prize * winners / first - damage
                    if ends is None or total > ends[0]:
                        ends = (total, counts, moves)
                    continue
                if not own_only:  # the reckless are alike: only how many are where matters
                    new = tuple(sorted(new))
                if new not in following or value + flow > following[new]:
                    following[new], trace[new] = value + flow, (counts, moves)
        if ends is not None:
            found.finished[time] = ends[0]
            found.moves[True, time] = [*_path(back, ends[1]), ends[2]]
        if not following:
            break
        back.append(trace)
        states = following
        last = max(states, key=lambda counts: states[counts])
        found.broken[time] = states[last] - damage
        found.moves[False, time] = _path(back, last)
    return found


def _path(back: Sequence[Mapping[Counts, tuple[Counts, Moves]]], counts: Counts) -> list[Moves]:
    """The moves that lead to `counts`, round by round."""
    path = []
    for trace in reversed(back):
        counts, moves = trace[counts]
        path.append(moves)
    return path[::-1]


def _chain(race: Race, races: Sequence[Best]) -> tuple[float, list[tuple[int, bool, int]]]:
    """The best sum of races one after the other, and which `(of races, finished?, length)` they are."""
    if race.rounds is None:
        value, choice = max((v, (k, True, t)) for k, one in enumerate(races) for t, v in one.finished.items())
        return value, [choice]
    worth = [-math.inf] * race.rounds + [0.0]
    chosen: list[tuple[int, bool, int]] = [(0, False, 0)] * race.rounds
    for start in reversed(range(race.rounds)):
        left = race.rounds - start
        for k, one in enumerate(races):
            options = [(v + worth[start + t], (k, True, t)) for t, v in one.finished.items() if t <= left]
            if left in one.broken:
                options.append((one.broken[left], (k, False, left)))
            for value, choice in options:
                if value > worth[start]:
                    worth[start], chosen[start] = value, choice
    chain, start = [], 0
    while start < race.rounds:
        chain.append(chosen[start])
        start += chosen[start][2]
    return worth[0], chain


def planner(race: Race) -> tuple[float, Array]:
    """The best W of all plans, and who is unsafe when, `(T, N)`.

    Raises:
        NotExact: there are too many plans.
    """
    n = race.num_agents
    cells = race.steps * math.comb(race.fast + n, n) * 2**n
    if cells > MOST_CELLS:
        raise NotExact(f"{n} developers have about {cells} cells of plans; allowed: {MOST_CELLS}")
    races = [_best(race, k, own_only=False) for k in range(n + 1)]
    value, chain = _chain(race, races)
    plan = np.zeros((race.rounds or race.steps, n))
    start = 0
    for k, finished, length in chain:
        # The moves belong to places in the order of unsafe rounds; follow who stands where.
        order, counts = list(range(k)), [0] * k
        for time, moves in enumerate(races[k].moves[finished, length]):
            for place, move in enumerate(moves):
                plan[start + time, order[place]] = move
                counts[place] += move
            ranked = sorted(range(k), key=lambda place: counts[place])
            order, counts = [order[place] for place in ranked], [counts[place] for place in ranked]
        start += length
    return value, plan


def reply(race: Race, unsafe_others: int) -> float:
    """What one developer earns at most while so many others are always unsafe and the rest always safe."""
    races = [_best(race, k, own_only=True, unsafe_others=unsafe_others) for k in (0, 1)]
    return _chain(race, races)[0]


def constant_totals(race: Race, unsafe: int) -> tuple[float, float, float]:
    """Money of a safe and of an unsafe developer, and of those outside, when so many are always unsafe."""
    n, keep = race.num_agents, 1.0 - race.risk
    length = race.fast if unsafe else race.steps
    rounds = length if race.rounds is None else race.rounds
    won = rounds // length
    races = math.ceil(rounds / length)
    per_speed = race.benefit / (n + unsafe * (race.speed - 1.0))
    # Of the always safe, some arrive with the unsafe only where speed does not help.
    together = race.arrived(length, 0)
    winners = unsafe + (n - unsafe if together else 0)
    share = race.prize * won / winners
    safe = rounds * (per_speed - race.safety_cost) + (share if together else 0.0)
    fast = keep * (rounds * per_speed * race.speed + share)
    return safe, fast, -races * unsafe * race.risk * race.public_damage


@dataclass(frozen=True)
class Schedule:
    """Who is unsafe in which round, `acts (T, N)`."""

    acts: Array

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """The act, `(B, n)`."""
        rounds = len(self.acts)
        time = np.rint(observed["progress"][:, 0, 0] * rounds).astype(np.intp)
        return {"unsafe": self.acts[np.minimum(time, rounds - 1)]}

    def probabilities(self, observed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Law `(B, n, 2)` of the act: a sure thing."""
        rounds = len(self.acts)
        time = np.rint(observed["progress"][:, 0, 0] * rounds).astype(np.intp)
        return {"unsafe": np.eye(2)[self.acts[np.minimum(time, rounds - 1)].astype(np.intp)]}
