"""Yardsticks of a symmetric game in one state, each with a bound on its error.

Equilibria are found on a coarse grid and followed to the next. What is reported is *measured* on
the finest, for the very rule that scripted agents play (probabilities interpolated between grid
points): its W, and its epsilon, the exact gain of the best reply. The error bound is the difference
between W of that rule on the finest grid and on one with twice the spacing: the error of the finest
is below it wherever halving the spacing at least halves the error. `detail["epsilon_error"]` is the
same difference for epsilon.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.aggregative import Game, Ints, Levels, OneStep, lottery, tabulate
from commonweal.envs.base import Dilemma
from commonweal.envs.dynamic_programming import Plan, deviation_gain, planned_chain, planner
from commonweal.envs.markov_perfect import Equilibrium, equilibria, mixture, refined, welfare
from commonweal.errors import NotExact
from commonweal.random import Streams
from commonweal.references import Yardstick
from commonweal.spaces import Action, Real

Array = NDArray[np.float64]

GRIDS = (101, 201, 401, 801)  # two to search on, two to measure on
NOISY_GRIDS = (101, 201, 401)  # noise smooths, and costs a factor of the quadrature's nodes
MANY_LEVELS_GRIDS = (51, 101, 201)
CONTINUOUS_LEVELS = 51  # stand for a continuous action
LARGEST_EPSILON = 0.01  # of the gap per agent; above it a strategy is only "best known"


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


@dataclass(frozen=True)
class Problem:
    """A configured game, ready to be put on any grid.

    Attributes:
        build: number of grid points -> game.
        start: coordinate of the initial state.
        plays: length over which W is counted.
        signal: observation column that shows the coordinate.
        action: the only action column.
        num_levels: L; the levels stand for a continuous action where the column has none.
        noisy: whether shocks are drawn within a play.
    """

    build: Callable[[int], Game]
    start: float
    plays: int
    signal: str
    action: Action
    num_levels: int
    noisy: bool

    def games(self) -> list[Game]:
        """The game on each grid, from the coarsest on; fewer points where levels are many."""
        grids = MANY_LEVELS_GRIDS if self.num_levels > 25 else NOISY_GRIDS if self.noisy else GRIDS
        return [self.build(points) for points in grids]

    def entries(self, level: Array) -> Array:
        """Entries of the action array from level indices."""
        space = self.action.space
        assert isinstance(space, Real)
        if space.levels:
            return level
        return space.low + level * (space.high - space.low) / (self.num_levels - 1)


def noisy(dilemma: Dilemma) -> bool:
    """Whether normal shocks are drawn within a play."""
    return bool(np.any(getattr(dilemma, "noise", 0.0)))


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

    def build(points: int) -> Game:
        grid = game.grid(points)
        return tabulate(model, grid, num_levels, game.num_agents, game.discount, noisy=noisy(dilemma))

    start = float(game.coordinate(dilemma.initial(Fixed(1, None, dilemma.id)))[0])
    assert dilemma.time_limit is not None
    limit = dilemma.time_limit
    return Problem(build, start, limit, signal.name, action, num_levels, noisy(dilemma))


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
    """All together play the total `(G,)` planned at the nearest grid point, the first agents more."""

    problem: Problem
    grid: Array
    total: Ints
    num_levels: int

    def _levels(self, observed: Mapping[str, Array]) -> Ints:
        state = np.asarray(observed[self.problem.signal][..., 0], np.float64)
        total = self.total[np.searchsorted(0.5 * (self.grid[1:] + self.grid[:-1]), state)]
        count = state.shape[1]
        return total // count + (np.arange(count) < total % count)

    def probabilities(self, observed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Law of the level, `(B, n, L)`, by action column: a sure thing."""
        return {self.problem.action.name: np.eye(self.num_levels)[self._levels(observed)]}

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """Entries of the action array, `(B, n)`, by action column."""
        return {self.problem.action.name: self.problem.entries(self._levels(observed).astype(np.float64))}


@dataclass(frozen=True)
class ConstantRule:
    """Every agent always plays the same entry of the action column."""

    action: Action
    entry: float

    def probabilities(self, observed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Law of the level, `(B, n, L)`, by action column; empty where the column is continuous."""
        if not self.action.space.size:
            return {}
        worlds, n = next(iter(observed.values())).shape[:2]
        sure = np.eye(self.action.space.size)[round(self.entry)]
        return {self.action.name: np.array(np.broadcast_to(sure, (worlds, n, len(sure))))}

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """Entries of the action array, `(B, n)`, by action column."""
        return {self.action.name: np.full(next(iter(observed.values())).shape[:2], self.entry)}


def plan_yardstick(problem: Problem, games: list[Game]) -> tuple[Yardstick, Plan]:
    """The planner, with its plan on the finest of the games."""
    games = games[-2:]
    plans = [planner(game) for game in games]
    links = [planned_chain(game, plan.total) for game, plan in zip(games, plans, strict=True)]
    values = [
        game.at(link.over(link.welfare, problem.plays), problem.start)
        for game, link in zip(games, links, strict=True)
    ]
    plan, game = plans[-1], games[-1]
    rule = PlannedRule(problem, game.grid, plan.total, game.num_levels)
    error = abs(values[1] - values[0])
    return Yardstick(values[1], "dynamic programming", error, rule=rule), plan


def measure(
    problem: Problem, games: list[Game], grid: Array, equilibrium: Equilibrium, gap: float
) -> Yardstick:  # fmt: skip
    """W, error and epsilon of an equilibrium found on `grid`, on the two games given."""
    fine = games[1]
    strategy = mixture(equilibrium.position, fine.num_levels)

    def on(game: Game) -> Array:
        columns = [np.interp(game.grid, grid, column) for column in strategy.T]
        return np.stack(columns, axis=1)

    values = [welfare(game, on(game), problem.plays, problem.start) for game in games]
    gains = [deviation_gain(game, on(game))[1] for game in games]
    half, epsilon = [game.at(gain, problem.start) for game, gain in zip(games, gains, strict=True)]
    exact = epsilon <= LARGEST_EPSILON * gap / fine.num_agents
    return Yardstick(
        values[1],
        "dynamic programming" if exact else "best known",
        abs(values[1] - values[0]),
        epsilon,
        rule=MixedRule(problem, grid, strategy),
        detail={"epsilon_anywhere": float(gains[1].max()), "epsilon_error": abs(epsilon - half)},
    )


def equilibrium_yardsticks(
    problem: Problem, games: list[Game], first_best: float | None = None, gap: float | None = None
) -> list[Yardstick]:
    """Symmetric Markov-perfect equilibria, the worst for the group first.

    Args:
        problem: the game.
        games: the game on each grid, see `Problem.games`.
        first_best: W of the planner, from which each equilibrium's own gap is counted.
        gap: the gap that is the scale for epsilon, where it is known already.
    """
    coarse, second = games[:2]
    found = equilibria(coarse)
    measured: list[Yardstick] = []
    for equilibrium in found:
        followed = refined(coarse, second, equilibrium)
        versions = []
        for game, version in ((coarse, equilibrium), (second, followed)):
            own = welfare(game, mixture(version.position, game.num_levels), problem.plays, problem.start)
            scale = abs((first_best or 0.0) - own) if gap is None else gap
            versions.append(measure(problem, games[-2:], game.grid, version, scale))
        best = min(versions, key=lambda yardstick: yardstick.epsilon)
        measured.append(best)
    # An equilibrium comes before what is only best known.
    measured.sort(key=lambda yardstick: (yardstick.kind == "best known", yardstick.welfare))
    if found[0].limit:
        return [replace(measured[0], selection="limit of finite-horizon backward induction")]
    how = f"of {len(found)} found by relaxed backward induction; the plain induction cycles"
    return [
        replace(one, selection=f"{'worst for the group' if place == 0 else 'another'} {how}")
        for place, one in enumerate(measured)
    ]


def constant_range(problem: Problem, game: Game) -> tuple[float, float]:
    """Smallest and largest W when all play the same level for ever."""
    strategies = [np.tile(row, (len(game.grid), 1)) for row in np.eye(game.num_levels)]
    values = [welfare(game, strategy, problem.plays, problem.start) for strategy in strategies]
    return min(values), max(values)
