"""Yardsticks of a symmetric game in one state, each with a bound on its error.

Equilibria are found on a coarse grid and followed to the next. What is reported is *measured*, for the very
rule that scripted agents play: its W and its epsilon, the exact gain of the best reply.

A bound has two sides. *From below* stands what the rule itself brings: the planner's is played by the model
from the initial state, which makes no grid error; where lots are drawn (mixed strategies, noise) W is
computed on ever finer grids and nodes. *From above* stands the value that dynamic programming promises on
ever finer grids (and acts, where they are continuous). The spread of the last three refinements bounds the
error of the finest wherever each refinement at least halves it; two differences that agree by chance do
not fool it, as one can. The planner's error is what lies between both sides, so a better plan without end
is within it. `detail["epsilon_error"]` is the change of epsilon in its last refinement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.aggregative import (
    CERTAIN,
    Against,
    Draws,
    Game,
    Levels,
    Model,
    OneStep,
    lottery,
    normal,
    play,
    require_playable,
    sums,
    tabulate,
)
from commonweal.envs.base import Dilemma
from commonweal.envs.dynamic_programming import Chain, Plan, best_plan, played_reply, transitions
from commonweal.envs.markov_perfect import equilibria, mixture, refined, welfare
from commonweal.errors import NotExact
from commonweal.random import Streams
from commonweal.references import LARGEST_EPSILON, Yardstick, ranked
from commonweal.spaces import Action, Real

Array = NDArray[np.float64]

SEARCH = (101, 201)  # grids on which equilibria are sought
SEARCH_OF_MANY_LEVELS = (51, 101)
MEASURE = (401, 801, 1601)  # grids of the refinements
NOISY_MEASURE = (101, 201, 401)  # noise smooths, and costs a factor of its nodes
SHOCK = 0.5  # standard deviations between nodes of a normal shock; halved with each refinement
ENDLESS = 5  # times the plays that count, whose end weighs a hundredth: then 1e-10 is left of any value
FINER_ACTS = 4  # continuous acts of a deviation between two levels, and of each zoom of a planner
CONTINUOUS_LEVELS = 51  # stand for a continuous action


class OneState(Protocol):
    """What a dilemma offers so that it can be put on a grid."""

    num_agents: int
    discount: float

    def coordinate(self, state: Any) -> Array:
        """Coordinate of each world's state, `(B,)`."""
        ...

    def state_at(self, coordinate: Array) -> Any:
        """The states at coordinates `(B,)`."""
        ...

    def grid(self, points: int) -> Array:
        """Coordinates `(G,)` that cover every state reached in play; more points refine it."""
        ...


class Fixed(Streams):
    """Random numbers that are given: a normal shock is the node of a quadrature.

    Args:
        num_worlds: B.
        shock: value of every normal draw; None: drawing is not allowed.
        who: whose random numbers they are, for the message.
    """

    def __init__(self, num_worlds: int, shock: float | None, who: str) -> None:
        super().__init__(np.zeros(num_worlds, np.uint64), 0)
        self.shock, self.who = shock, who

    def normal(self, *shape: int) -> Array:
        """The given shock, `(B, *shape)`."""
        if self.shock is None:
            raise NotExact(f"{self.who} draws random numbers; exact solutions allow none")
        return np.full((self.num_worlds, *shape), self.shock)

    def uniform(self, *shape: int) -> Array:
        """Not allowed."""
        raise NotExact(f"{self.who} draws random numbers; exact solutions allow normal shocks only")


def one_state(dilemma: Dilemma) -> OneState:
    """`dilemma` as a game in one state among equals.

    Raises:
        NotExact: its state is not one number, or its parameters differ by agent or by world.
    """
    if not all(hasattr(dilemma, name) for name in ("coordinate", "state_at", "grid")):
        raise NotExact(f"{dilemma.id} is no game in one state; allowed: dilemmas with a grid")
    for name, value in vars(dilemma).items():
        if isinstance(value, np.ndarray):
            raise NotExact(
                f"{type(dilemma).__name__}.{name} has {value.size} values; "
                "allowed: scalars, since references are computed for equal agents and one world"
            )
    state = dilemma.initial(Fixed(1, None, dilemma.id))
    if type(state) is not type(dilemma.state_at(np.zeros(1))):  # type: ignore[attr-defined]
        raise NotExact(f"{dilemma.id} has a state of more than one number; allowed: one coordinate")
    return dilemma  # type: ignore[return-value]


def draws_of(dilemma: Dilemma) -> tuple[Draws, ...]:
    """What is drawn within a play, for the search and each refinement: normal shocks where there is noise."""
    if not np.any(getattr(dilemma, "noise", 0.0)):
        return (CERTAIN,)
    return tuple(normal(SHOCK / 2**k) for k in range(4))


@dataclass(frozen=True)
class Problem:
    """A configured game, ready to be put on any grid.

    Attributes:
        model: one play.
        grid: number of points -> coordinates.
        num_agents: N.
        num_levels: L; the levels stand for a continuous action where the column has none.
        discount: per play.
        start: coordinate of the initial state.
        plays: length over which W is counted.
        signal: observation column that shows the coordinate.
        action: the only action column.
        draws: what is drawn within a play: for the search, then for each refinement; or one for all.
    """

    model: Model
    grid: Callable[[int], Array]
    num_agents: int
    num_levels: int
    discount: float
    start: float
    plays: int
    signal: str
    action: Action
    draws: tuple[Draws, ...]

    @property
    def continuous(self) -> bool:
        """Whether levels stand for a continuous action."""
        return not self.action.space.size

    def build(self, points: int) -> Game:
        """The game on a grid."""
        return tabulate(
            self.model, self.grid(points), self.num_levels, self.num_agents, self.discount,
            draws=self.draws[0],
        )  # fmt: skip

    def require_tables(self) -> None:
        """Raise `NotExact` at once where the largest tables of the search and of the plan are too large."""
        n, levels = self.num_agents, self.num_levels
        sums = (n - 1) * (levels - 1) + 1
        require_playable(len(self.grid(self._search[-1])) * levels * sums, n, self.draws[0])
        plans = levels if self.continuous else sums + levels - 1
        grid, draws = self.refinements()[-1]
        require_playable(len(grid) * plans, n, draws)

    @property
    def _search(self) -> tuple[int, ...]:
        """Points of the grids on which equilibria are sought; fewer where levels are many."""
        return SEARCH_OF_MANY_LEVELS if self.num_levels > 25 else SEARCH

    def games(self) -> list[Game]:
        """The game on the grids on which equilibria are sought."""
        return [self.build(points) for points in self._search]

    def refinements(self) -> list[tuple[Array, Draws]]:
        """Grids and draws, finer and finer."""
        if len(self.draws) > 1:
            grids = [self.grid(points) for points in NOISY_MEASURE]
            return list(zip(grids, self.draws[1:], strict=True))
        return [(self.grid(points), self.draws[0]) for points in MEASURE]

    def at(self, grid: Array, value: Array) -> float:
        """`value (G,)` at the start."""
        return float(np.interp(self.start, grid, value))

    def entries(self, level: Array) -> Array:
        """Entries of the action array from level indices."""
        space = self.action.space
        assert isinstance(space, Real)
        if space.levels:
            return level
        return np.minimum(
            space.low + level * (space.high - space.low) / (self.num_levels - 1), space.high
        )  # rounding must not leave the range


def laissez_faire(dilemma: Dilemma) -> Problem:
    """The problem of a dilemma without institutions, played by `dilemma.step` itself."""
    game = one_state(dilemma)
    action, signal = dilemma.actions()[0], dilemma.signals()[0]
    space = action.space
    assert isinstance(space, Real)
    num_levels = space.levels or CONTINUOUS_LEVELS
    step = (space.high - space.low) / (num_levels - 1)

    def model(coordinate: Array, levels: Levels, shock: float) -> OneStep:
        state = game.state_at(coordinate)
        play = {action.name: np.asarray(space.low + step * levels, np.float64)}
        following, outcome = dilemma.step(state, play, Fixed(len(coordinate), shock, dilemma.id))
        utility = dilemma.utility(following, outcome, outcome.money)
        welfare = utility.sum(axis=1)
        if outcome.outside is not None:
            welfare = welfare + outcome.outside
        ended = outcome.terminated
        continues = np.ones(len(coordinate)) if ended is None else (~ended).astype(np.float64)
        return OneStep(utility[:, 0], welfare, game.coordinate(following), continues)

    start = float(game.coordinate(dilemma.initial(Fixed(1, None, dilemma.id)))[0])
    assert dilemma.time_limit is not None
    return Problem(
        model, game.grid, game.num_agents, num_levels, game.discount, start, dilemma.time_limit,
        signal.name, action, draws_of(dilemma),
    )  # fmt: skip


@dataclass(frozen=True)
class MixedRule:
    """Each agent draws its level from `strategy (G, L)`, interpolated at the state it sees."""

    problem: Problem
    grid: Array
    strategy: Array

    def probabilities(self, observed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Law of the level, `(B, n, L)`, by action column."""
        state = np.asarray(observed[self.problem.signal][..., 0], np.float64)
        (left, right), (_, upper) = lottery(self.grid, state, np.ones(1))
        share = upper[..., None]
        law = (1.0 - share) * self.strategy[left] + share * self.strategy[right]
        return {self.problem.action.name: law}

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """Entries of the action array, `(B, n)`, by action column."""
        law = self.probabilities(observed)[self.problem.action.name]
        drawn = rng.uniform(law.shape[1])[..., None]
        level = (drawn > np.cumsum(law, axis=-1)[..., :-1]).sum(axis=-1)
        return {self.problem.action.name: self.problem.entries(level.astype(np.float64))}


@dataclass(frozen=True)
class PlannedRule:
    """All play what is planned at the nearest grid point, `levels (G, N)`."""

    problem: Problem
    grid: Array
    levels: Array

    def at(self, coordinate: Array) -> Array:
        """Levels `(..., N)` at coordinates of any shape."""
        return self.levels[np.searchsorted(0.5 * (self.grid[1:] + self.grid[:-1]), coordinate)]

    def _levels(self, observed: Mapping[str, Array]) -> Array:
        state = np.asarray(observed[self.problem.signal][..., 0], np.float64)
        each = np.arange(state.shape[1])
        return self.at(state)[:, each, each]

    def probabilities(self, observed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Law of the level, `(B, n, L)`, by action column: a sure thing; empty where acts are continuous."""
        if self.problem.continuous:
            return {}
        levels = self._levels(observed).astype(np.intp)
        return {self.problem.action.name: np.eye(self.problem.num_levels)[levels]}

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """Entries of the action array, `(B, n)`, by action column."""
        return {self.problem.action.name: self.problem.entries(self._levels(observed))}


@dataclass(frozen=True)
class ConstantRule:
    """Agents always play the same entries of the action column, `(N,)`."""

    action: Action
    entry: Array

    def probabilities(self, observed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Law of the level, `(B, n, L)`, by action column; empty where the column is continuous."""
        if not self.action.space.size:
            return {}
        worlds, n = next(iter(observed.values())).shape[:2]
        sure = np.eye(self.action.space.size)[np.rint(self.entry).astype(np.intp)]
        return {self.action.name: np.array(np.broadcast_to(sure, (worlds, n, sure.shape[1])))}

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """Entries of the action array, `(B, n)`, by action column."""
        return {self.action.name: np.full(next(iter(observed.values())).shape[:2], self.entry)}


def spread(values: list[float]) -> float:
    """How far the finest, the last of the values, is from any of the others."""
    return max(abs(values[-1] - value) for value in values)


def planned_levels(problem: Problem) -> Array:
    """Levels of all agents `(K, N)` among which a planner chooses: as even as levels allow."""
    n = problem.num_agents
    if problem.continuous:
        return np.repeat(np.arange(float(problem.num_levels))[:, None], n, axis=1)
    many = n * (problem.num_levels - 1) + 1
    require_playable(many, n)
    total = np.arange(many)[:, None]
    return (total // n + (np.arange(n) < total % n)).astype(np.float64)


@dataclass(frozen=True)
class Planned:
    """The best plan on a grid: levels of all agents `(G, N)`, and W without end `(G,)`."""

    grid: Array
    levels: Array
    value: Array


def plan_on(problem: Problem, grid: Array, draws: Draws, zooms: int) -> Planned:
    """The best plan on a grid.

    Continuous acts are first sought among the levels, then so many times on finer steps around the best of
    each state: a best act that lies between the first two levels shows on no grid of them.
    """
    size = len(grid)

    def best_of(levels: Array | Against, count: int) -> Plan:
        cells = play(problem.model, grid, np.repeat(grid, count), levels, draws)
        return best_plan(cells.shaped((size, count)), problem.discount)

    planned = planned_levels(problem)
    require_playable(size * len(planned), problem.num_agents, draws)
    row = np.tile(np.arange(len(planned), dtype=np.intp), size)
    plan = best_of(Against(planned[row, 0], row, planned[:, 1:]), len(planned))
    best = planned[plan.total]
    for zoom in range(zooms if problem.continuous else 0):
        around = best[:, :1] + np.arange(-FINER_ACTS, FINER_ACTS + 1.0) / FINER_ACTS ** (zoom + 1)
        options = np.clip(around, 0.0, problem.num_levels - 1.0)
        levels = np.repeat(options.reshape(-1, 1), problem.num_agents, axis=1)
        plan = best_of(levels, options.shape[1])
        best = np.repeat(options[np.arange(size), plan.total, None], problem.num_agents, axis=1)
    return Planned(grid, best, plan.value)


def plan_of(problem: Problem) -> Planned:
    """The plan on the finest grid."""
    refinements = problem.refinements()
    return plan_on(problem, *refinements[-1], zooms=len(refinements) - 1)


def plan_yardstick(problem: Problem) -> Yardstick:
    """The planner: W of its rule, and how much more there could be."""
    refinements = problem.refinements()
    plans = [plan_on(problem, *on, zooms) for zooms, on in enumerate(refinements)]
    promised = [problem.at(plan.grid, plan.value) for plan in plans]
    rules = [PlannedRule(problem, plan.grid, plan.levels) for plan in plans]
    if len(problem.draws[0][0]) == 1:
        followed = [_followed(problem, rule) for rule in rules]
        values, brought = [total for total, _ in followed], followed[-1][1]
        error = max(promised[-1] - brought, 0.0) + spread(promised) + spread(values)
    else:
        # The plans differ by what is lost in planning coarsely, all measured alike; the last, by how.
        chains = [_planned_chain(problem, rule, *refinements[-1]) for rule in rules]
        endless = [problem.at(rules[-1].grid, link.forever(link.welfare)) for link in chains]
        values = [_over(problem, rules[-1].grid, link) for link in chains]
        measured = [_over(problem, on[0], _planned_chain(problem, rules[-1], *on)) for on in refinements]
        error = max(spread(endless), spread(values)) + spread(measured)
    # Any play over the plays that count, with the best plan after it, brings no more than that plan.
    left = problem.discount**problem.plays * min(float(plans[-1].value.min()), 0.0)
    slack = max(promised[-1] - left - values[-1], 0.0)
    return Yardstick(values[-1], "dynamic programming", error, rule=rules[-1], slack=slack)


def _over(problem: Problem, grid: Array, link: Chain) -> float:
    """W of a chain over the plays that count."""
    return problem.at(grid, link.over(link.welfare, problem.plays))


def _followed(problem: Problem, rule: PlannedRule) -> tuple[float, float]:
    """W of a rule where nothing is drawn, over the plays that count and without end, played by the model."""
    state, weight, total, counted = np.array([problem.start]), 1.0, 0.0, 0.0
    for played in range(ENDLESS * problem.plays):
        step = problem.model(state, rule.at(state), float(problem.draws[0][0][0]))
        total += weight * float(step.welfare[0])
        counted = total if played < problem.plays else counted
        weight *= problem.discount * float(step.continues[0])
        state = step.following
        if not weight:
            break
    return counted, total


def _planned_chain(problem: Problem, rule: PlannedRule, grid: Array, draws: Draws) -> Chain:
    cells = play(problem.model, grid, grid, rule.at(grid), draws)
    matrix = transitions(cells.shaped((len(grid), 1)), np.ones((len(grid), 1)), len(grid))
    return Chain(cells.reward, cells.welfare, matrix, problem.discount)


@dataclass(frozen=True)
class Measured:
    """W and what an agent gains by deviating, at the start and at most from any state."""

    welfare: float
    epsilon: float
    anywhere: float


def measured_on(problem: Problem, rule: MixedRule, grid: Array, draws: Draws) -> Measured:
    """A strategy that all follow, on a grid of its own."""
    finer = FINER_ACTS if problem.continuous else 1
    acts = np.arange(finer * (problem.num_levels - 1) + 1) / finer
    law = np.stack([np.interp(grid, rule.grid, column) for column in rule.strategy.T], axis=1)
    others = sums(problem.num_agents, problem.num_levels)
    profiles = others.probabilities([law] * (problem.num_agents - 1))
    profiles = np.broadcast_to(profiles, (len(grid), profiles.shape[1]))
    own = np.zeros((len(grid), len(acts)))
    own[:, ::finer] = law
    answer = played_reply(problem.model, grid, acts, profiles, others, problem.discount, draws)
    link, gain = answer.chain(own), answer.gain(own)[1]
    welfare = problem.at(grid, link.over(link.welfare, problem.plays))
    return Measured(welfare, problem.at(grid, gain), float(gain.max()))


def measure(problem: Problem, rule: MixedRule, gap: float) -> Yardstick:
    """W, error and epsilon of a strategy that all follow; the gap is the scale for epsilon."""
    found = [measured_on(problem, rule, *on) for on in problem.refinements()]
    *_, half, finest = found
    exact = finest.epsilon <= LARGEST_EPSILON * gap / problem.num_agents
    return Yardstick(
        finest.welfare,
        "dynamic programming" if exact else "best known",
        spread([one.welfare for one in found]),
        finest.epsilon,
        rule=rule,
        detail={
            "epsilon_anywhere": finest.anywhere,
            "epsilon_error": abs(finest.epsilon - half.epsilon),
        },
    )


def equilibrium_yardsticks(
    problem: Problem, first_best: float | None = None, gap: float | None = None
) -> list[Yardstick]:
    """Symmetric Markov-perfect equilibria, the worst for the group first.

    Args:
        problem: the game.
        first_best: W of the planner, from which each equilibrium's own gap is counted.
        gap: the gap that is the scale for epsilon, where it is known already.
    """
    coarse, second = problem.games()
    found = equilibria(coarse)
    measured: list[Yardstick] = []
    for equilibrium in found:
        versions = [
            MixedRule(problem, game.grid, mixture(version.position, problem.num_levels))
            for game, version in ((coarse, equilibrium), (second, refined(coarse, second, equilibrium)))
        ]
        once = problem.refinements()[1]
        tried = [(measured_on(problem, rule, *once), rule) for rule in versions]
        best, rule = min(tried, key=lambda pair: pair[0].epsilon)
        scale = abs((first_best or 0.0) - best.welfare) if gap is None else gap
        measured.append(measure(problem, rule, scale))
    measured = ranked(measured)
    known = measured[0].kind != "best known"
    if found[0].limit:
        how = "limit of finite-horizon backward induction"
        return [replace(measured[0], selection=how if known else f"no equilibrium, but the {how} on a grid")]
    how = f"of {len(found)} found by relaxed backward induction; the plain induction cycles"
    first = "worst for the group" if known else "no equilibrium, but the least gain of deviating"
    return [
        replace(one, selection=f"{first if place == 0 else 'another'} {how}")
        for place, one in enumerate(measured)
    ]


def constant_range(problem: Problem, game: Game) -> tuple[float, float]:
    """Smallest and largest W when all play the same level for ever."""
    strategies = [np.tile(row, (len(game.grid), 1)) for row in np.eye(game.num_levels)]
    values = [welfare(game, strategy, problem.plays, problem.start) for strategy in strategies]
    return min(values), max(values)
