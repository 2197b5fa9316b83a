"""Games in one state among equals: what a dilemma offers for a grid, and the game as numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.aggregative import (
    CERTAIN,
    Draws,
    Game,
    Levels,
    Model,
    OneStep,
    normal,
    require_playable,
    tabulate,
)
from commonweal.envs.base import Dilemma
from commonweal.errors import NotExact
from commonweal.random import Streams
from commonweal.spaces import Action, Real

Array = NDArray[np.float64]

SEARCH = (101, 201)  # grids on which equilibria are sought
SEARCH_OF_MANY_LEVELS = (51, 101)
MEASURE = (401, 801, 1601)  # grids of the refinements
NOISY_MEASURE = (101, 201, 401)  # noise smooths, and costs a factor of its nodes
SHOCK = 0.5  # standard deviations between nodes of a normal shock; halved with each refinement
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
        utility = dilemma.utility(following, outcome.money)
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
