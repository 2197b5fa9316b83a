"""Yardsticks of the forest, stand by stand.

Money and amenity are sums over stands, and nothing but leaping fire leads from one stand to another; so
the forest is as many equal games, each among the n loggers of one stand and in its age alone. The ages
are those of play, no grid between them, and a stand burns or not: dynamic programming makes no error
here. All others enter as the amenity that they enjoy of this stand, which counts in W and in nobody's
choice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from commonweal.envs import rotation
from commonweal.envs.aggregative import CERTAIN, Game, Levels, OneStep, require_playable
from commonweal.envs.dynamic_programming import deviation_gain, planner
from commonweal.envs.markov_perfect import welfare
from commonweal.envs.one_state import Fixed, Problem
from commonweal.envs.state_rules import MixedRule
from commonweal.envs.yardsticks import constant_range, equilibrium_yardsticks
from commonweal.errors import NotExact
from commonweal.random import Streams
from commonweal.references import References, Yardstick

if TYPE_CHECKING:
    from commonweal.envs.forest import Forest

Array = NDArray[np.float64]


def require_exact(forest: Forest) -> None:
    """Raise `NotExact` where a stand is not a game in its age among equals."""
    for name, value in vars(forest).items():
        if isinstance(value, np.ndarray):
            raise NotExact(
                f"Forest.{name} has {value.size} values; allowed: scalars, for equal agents and stands"
            )
    if forest.ignition and forest.spread and forest.num_stands > 1:
        raise NotExact(
            f"fire leaps between {forest.num_stands} stands; allowed: ignition or spread 0, or one stand"
        )
    for name in ("initial_age", "oldest"):
        place = float(getattr(forest, name)) / forest.interval
        if abs(place - round(place)) > 1e-9:
            raise NotExact(
                f"Forest.{name} is {getattr(forest, name):g}; allowed: multiples of {forest.interval:g}"
            )


class Weather(Fixed):
    """Random numbers that are given: 0 sets every stand on fire, 1 none."""

    def uniform(self, *shape: int) -> Array:
        """The given draw, `(B, *shape)`."""
        return np.full((self.num_worlds, *shape), self.shock)


def game_of(forest: Forest) -> tuple[Problem, Game]:
    """The game on one stand, by the whole stand or nothing, played by `forest.step` itself."""
    n, (action,) = forest.loggers_per_stand, forest.actions()

    def model(age: Array, levels: Levels, draw: float) -> OneStep:
        worlds = len(age)
        rng = Weather(worlds, draw, forest.id)
        state, work = forest.initial(rng), np.zeros((worlds, forest.num_agents))
        state.age[:], state.stocked[:] = 0.0, 0.0  # the other stands are bare and stay so
        state.age[:, 0], state.stocked[:, 0], work[:, :n] = age, age > 0.0, levels
        following, outcome = forest.step(state, {"work": work}, rng)
        utility = forest.utility(following, outcome.money)
        return OneStep(utility[:, 0], utility.sum(axis=1), following.age[:, 0], np.ones(worlds))

    weather = CERTAIN
    if forest.ignition:
        weather = np.array([0.0, 1.0]), np.array([1.0 - _survival(forest), _survival(forest)])
    start = float(np.asarray(forest.initial_age))
    problem = Problem(
        model, forest.grid, n, 2, forest.discount, start, forest.time_limit, "age", action, (weather,)
    )
    # Every play is one of the whole forest.
    require_playable(len(problem.grid(0)) * 2 * n, forest.num_agents, weather)
    return problem, problem.build(0)


def _survival(forest: Forest) -> float:
    """Probability that no fire starts in a stand within a year."""
    return math.exp(-float(forest.ignition) * forest.interval)


@dataclass(frozen=True)
class ByAge:
    """All loggers of a stand work the whole of it at some ages, `(G,)` bool, and nothing at others."""

    forest: Forest
    works: NDArray[np.bool_]

    def _working(self, observed: Mapping[str, Array]) -> NDArray[np.bool_]:
        place = np.rint(observed["age"][..., 0] / self.forest.interval).astype(np.intp)
        return self.works[np.minimum(place, len(self.works) - 1)]

    def probabilities(self, observed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Law of the level, `(B, n, L)`: a sure thing; empty where shares are continuous."""
        levels = self.forest.levels
        if not levels:
            return {}
        return {"work": np.eye(levels)[self._working(observed) * (levels - 1)]}

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """Entries of the action array, `(B, n)`."""
        return {"work": self._working(observed).astype(np.float64) * ((self.forest.levels or 2) - 1)}


@dataclass(frozen=True)
class Plan:
    """What the planner's rotation brings, from a stand of every age `(G,)` on.

    Attributes:
        forest: whose stands they are.
        works: at which ages the stand is planted (the first) or felled.
        timber, amenity: of what now stands, per share of the area that is stocked.
        until: discount factor until the land is bare.
        bare: value of bare land in timber and in amenity.
    """

    forest: Forest
    works: NDArray[np.bool_]
    timber: Array
    amenity: Array
    until: Array
    bare: tuple[float, float]

    def others(self, age: Array, stocked: Array) -> Array:
        """What those but one logger of the stand get of it, `(B, n)`."""
        place = np.rint(age / self.forest.interval).astype(np.intp)
        place = np.minimum(place, len(self.works) - 1)
        until = np.where(stocked > 0.0, self.until[place], 1.0)
        n, everybody = self.forest.loggers_per_stand, self.forest.num_agents
        timber = stocked * self.timber[place] + until * self.bare[0]
        amenity = stocked * self.amenity[place] + until * self.bare[1]
        return (1.0 - 1.0 / n) * timber + (1.0 - 1.0 / everybody) * amenity


@lru_cache(maxsize=64)
def plan(parameters: str) -> Plan:
    """The planner's rotation of the forest with these parameters."""
    forest = _forest(parameters)
    _, game = game_of(forest)
    works = planner(game).total > 0
    delta, interval = forest.discount, forest.interval
    standing = forest.volume(game.grid[:, None])[:, 0]
    price = delta * float(forest.price)
    flow = forest.num_agents * float(forest.amenity) * interval * standing
    safe = _survival(forest)
    # Where nothing is ever felled, the oldest age follows on itself until it burns.
    timber, amenity = np.zeros_like(flow), flow / (1.0 - delta * safe)
    until = np.full_like(flow, delta * (1.0 - safe) / (1.0 - delta * safe))
    for t in reversed(range(1, len(works))):
        after = min(t + 1, len(works) - 1)
        if works[t]:
            timber[t], amenity[t], until[t] = safe * price * standing[after], flow[t], delta
        elif after > t:
            timber[t], until[t] = delta * safe * timber[after], delta * (safe * until[after] + 1.0 - safe)
            amenity[t] = flow[t] + delta * safe * amenity[after]
    again = 1.0 - delta * until[1]
    cost = float(forest.planting_cost)
    bare = ((delta * timber[1] - cost) / again, delta * amenity[1] / again) if works[0] else (0.0, 0.0)
    return Plan(forest, works, timber, amenity, until, bare)


@lru_cache(maxsize=64)
def references(parameters: str) -> References:
    """Planner, selfish equilibrium and textbook rotations.

    Raises:
        NotExact: several loggers may each fell a part of a stand.
    """
    forest = _forest(parameters)
    n, levels = forest.loggers_per_stand, forest.levels
    if n > 1 and levels != 2:
        raise NotExact(
            f"{n} loggers share a stand and levels is {levels}; allowed: 2, the whole stand or nothing"
        )
    problem, game = game_of(forest)
    planned = _by_age(forest, problem, game, game.cells.welfare, "maximum of the sum")
    if n == 1:
        why = "each owner's own best, whatever the others do"
        found = [replace(_by_age(forest, problem, game, game.cells.reward, why), slack=0.0)]
    else:
        found = equilibrium_yardsticks(problem, planned.welfare)
    selfish, *more = [_whole(forest, game, yardstick) for yardstick in found]
    planned = replace(_whole(forest, game, planned), epsilon=math.nan)
    extremes = [forest.num_stands * value for value in constant_range(problem, game)]
    values = [planned.welfare, *extremes, *(one.welfare for one in (selfish, *more))]
    names = {f"another selfish search {i}": other for i, other in enumerate(more, start=1)}
    stand, everybody = rotation.of(forest), rotation.of(forest, forest.num_agents)
    facts = {
        "faustmann_rotation": stand.faustmann(),
        "wicksell_rotation": stand.wicksell(),
        "sustained_yield_rotation": stand.sustained_yield(),
        "reed_rotation": replace(stand, interest=forest.interest + float(forest.ignition)).faustmann(),
        "hartman_rotation": everybody.hartman(forest.oldest),
        "land_value": stand.land_value(stand.faustmann()),
    }
    return References(selfish, planned, max(values) - min(values), others=names, facts=facts)


def _by_age(forest: Forest, problem: Problem, game: Game, objective: Array, selection: str) -> Yardstick:
    """The maximum of a flow `(G, 2, P)`, the game's welfare or one logger's reward, as a rule of age."""
    best = planner(replace(game, cells=replace(game.cells, welfare=objective)))
    works = best.total > 0
    strategy = np.eye(2)[works.astype(np.intp)]
    value = welfare(game, strategy, problem.plays, problem.start)
    epsilon = game.at(deviation_gain(game, strategy)[1], problem.start)
    slack = max(game.at(best.value, problem.start) - value, 0.0)  # of the last stand; no stand is worth less
    return Yardstick(
        value, "dynamic programming", 0.0, epsilon, selection, ByAge(forest, works), slack=slack
    )  # fmt: skip


def _whole(forest: Forest, game: Game, yardstick: Yardstick) -> Yardstick:
    """W of all stands from W of one, and what is done on each."""
    rule, count = yardstick.rule, forest.num_stands
    assert isinstance(rule, (ByAge, MixedRule))
    law = rule.strategy[:, 1] if isinstance(rule, MixedRule) else rule.works.astype(np.float64)
    felled = np.append(np.flatnonzero(law[1:] >= 0.5) + 2, len(game.grid))[0]  # a year older than seen
    age = game.grid[felled] if felled < len(game.grid) else math.inf
    detail = {**yardstick.detail, "felling age": float(age), "chance of planting": float(law[0])}
    scaled = {name: count * getattr(yardstick, name) for name in ("welfare", "error", "slack")}
    return replace(yardstick, detail=detail, **scaled)


def _forest(parameters: str) -> Forest:
    from commonweal.envs.forest import Forest

    return Forest.from_dict(json.loads(parameters))
