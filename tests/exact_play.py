"""Expected returns of any way of playing a game of rounds, through `step` itself and without sampling.

Chance is laid out evenly over worlds: uniform draws on midpoints, normal ones on the nodes of a quadrature.
The mean over worlds is then the expectation, up to rounding, if probabilities are multiples of 1 / `POINTS`.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from commonweal.envs.base import Dilemma
from commonweal.random import Streams
from commonweal.spaces import Real

POINTS = 60
NODES, MASS = np.polynomial.hermite_e.hermegauss(24)
MASS = MASS / MASS.sum()


class Even(Streams):
    """Draws in `rivals` times `points` worlds for each of `trials`.

    Successive uniform draws take turns between types or outcomes and, if there are rivals, the lot among
    them. Agents are shifted against each other, so that the lot falls on each rival in turn.
    """

    def __init__(self, trials: int, rivals: int = 1, points: int = POINTS) -> None:
        super().__init__(np.zeros(trials * points * rivals, np.uint64), 0)
        types, lots = np.meshgrid(np.arange(points), np.arange(rivals), indexing="ij")
        self.turns = [(np.tile((types.ravel() + 0.5) / points, trials), None)]
        if rivals > 1:
            self.turns.append((np.tile((lots.ravel() + 0.5) / rivals, trials), rivals))
        self.count = 0

    def uniform(self, *shape):
        drawn, parts = self.turns[self.count % len(self.turns)]
        self.count += 1
        lanes = int(np.prod(shape))
        return ((drawn[:, None] + np.arange(lanes) / (parts or lanes)) % 1.0).reshape(len(drawn), *shape)


class Nodes(Streams):
    """Normal draws on the nodes of a quadrature, one axis for each of `tasks`, in every one of `trials`."""

    def __init__(self, trials: int, tasks: int) -> None:
        super().__init__(np.zeros(trials * len(NODES) ** tasks, np.uint64), 0)
        grids = np.meshgrid(*[NODES] * tasks, indexing="ij")
        self.shocks = np.tile(np.stack([g.ravel() for g in grids], axis=1), (trials, 1))
        self.mass = np.ones(1)
        for _ in range(tasks):
            self.mass = np.multiply.outer(self.mass, MASS).ravel()

    def normal(self, *shape):
        return np.broadcast_to(self.shocks[:, None, :], (len(self.shocks), *shape))


def seen_by(game: Dilemma, state) -> Iterator[tuple[str, Mapping[str, np.ndarray]]]:
    """Observed columns of each group, in single precision as agents see them."""
    values = game.observe(state)
    for group, size in game.groups.items():
        worlds = len(next(iter(vars(state).values())))
        columns = {}
        for signal in game.signals():
            if signal.group in (None, group):
                value = values[signal.name]
                if signal.group is None and value.shape[1] > size:
                    value = value[:, game.agents_of(group)]
                shown = np.broadcast_to(value, (worlds, size, *value.shape[2:]))
                columns[signal.name] = shown.astype(np.float32).reshape(worlds, size, -1)
        yield group, columns


def by_rule(game: Dilemma, rule, state) -> dict[str, np.ndarray]:
    """Physical values of all columns, as a yardstick's rule plays them."""
    spaces = {action.name: action.space for action in game.actions()}
    play = {}
    for _, columns in seen_by(game, state):
        for name, entry in rule(columns, None).items():
            space = spaces[name]
            levels = isinstance(space, Real) and space.levels
            play[name] = space.low + space.step * entry if levels else np.array(entry, float)
    return play


def returns(game: Dilemma, rule, rng: Streams, change: Callable | None = None) -> np.ndarray:
    """Discounted utilities `(B, N)` of an episode; `change(play, state)` puts deviations into a play."""
    state, total, weight = game.initial(rng), 0.0, 1.0
    for _ in range(game.rounds):
        play = by_rule(game, rule, state)
        if change is not None:
            change(play, state)
        state, outcome = game.step(state, play, rng)
        total = total + weight * game.utility(state, outcome.money)
        weight *= game.discount
    assert (outcome.terminated).all()
    return total


def options(game: Dilemma, *names: str) -> list[np.ndarray]:
    """All levels of the columns named, in physical values; a few where they are continuous."""
    spaces = {action.name: action.space for action in game.actions()}
    few = {1: 13, 2: 7, 4: 5}.get(len(names), 3)
    return [
        np.linspace(s.low, s.high, s.levels or few) if isinstance(s, Real) else np.arange(float(s.size))
        for s in (spaces[name] for name in names)
    ]


def crossed(*axes: np.ndarray) -> np.ndarray:
    """All combinations, `(D, C)`."""
    return np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], axis=1)
