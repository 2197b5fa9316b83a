"""Scripted behaviour: a yardstick's own rule, a constant act, chance. The null act in every other column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonweal.columns import Group
from commonweal.errors import NotExact, UnknownName, require
from commonweal.random import Streams, seeds_of, whole_seed
from commonweal.references import Rule, Yardstick
from commonweal.society import Society
from commonweal.spaces import Choice
from commonweal.typed import fit

Array = NDArray[np.float64]
SCRIPTED = 1 << 21  # owner of the random numbers of scripted policies


class Scripted:
    """All citizens follow one rule (see `agents.base.Policies`); officials do nothing.

    Args:
        society: whose columns are read and written; any number of worlds may be acted for.
        rule: observed columns by name, `(B, n, width)` -> entries of the action array, `(B, n)`.
        seed: of the rule's random numbers.
    """

    def __init__(self, society: Society, rule: Rule, seed: int = 0) -> None:
        self.groups, self.rule, self.seed = society.groups, rule, seed
        self._restart(seed)

    def _restart(self, seed: int) -> None:
        self._drawn_from, self._clock = seed, 0
        self._rng = Streams(seeds_of(seed, 1), SCRIPTED)

    def reseed(self, seed: int) -> None:
        """Start the rule's random numbers anew, from its own seed and this one."""
        mixed = np.random.SeedSequence((self.seed, whole_seed(seed))).generate_state(1, np.uint64)[0]
        self._restart(int(mixed >> np.uint64(1)))

    def act(
        self,
        observation: Mapping[str, NDArray[np.float32]],
        mask: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> dict[str, Array]:
        """Actions `(B, n, C)` by group; the null act is always allowed, so masks are not needed."""
        self._clock += 1
        worlds = len(next(iter(observation.values())))
        if worlds != self._rng.num_worlds:
            self._rng = Streams(seeds_of(self._drawn_from, worlds), SCRIPTED)
        actions = {}
        for phase, (name, group) in enumerate(self.groups.items()):
            array = np.array(np.broadcast_to(group.null, (worlds, group.size, len(group.actions))))
            if group.citizens:
                chosen = self.rule(observed(group, observation[name]), self._rng.begin(self._clock, phase))
                for index, action in enumerate(group.spaces):
                    array[..., index] = chosen.get(action.name, array[..., index])
            actions[name] = array
        return actions

    def probabilities(
        self,
        observation: Mapping[str, NDArray[np.float32]],
        mask: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> dict[str, list[Array | None]]:
        """Law `(B, n, L)` of each discrete column by group; None for a continuous column.

        Raises:
            NotExact: the rule does not tell its probabilities.
        """
        if not hasattr(self.rule, "probabilities"):
            raise NotExact(f"{self.rule!r} tells no probabilities; allowed: rules with `probabilities`")
        laws: dict[str, list[Array | None]] = {}
        for name, group in self.groups.items():
            told = self.rule.probabilities(observed(group, observation[name])) if group.citizens else {}
            laws[name] = [
                told.get(action.name, _sure(group, index, len(observation[name])))
                for index, action in enumerate(group.spaces)
            ]
        return laws


def _sure(group: Group, index: int, worlds: int) -> Array | None:
    """The law of the null act."""
    size = group.spaces[index].space.size
    law = np.eye(size)[round(group.null[index])] if size else None
    return None if law is None else np.array(np.broadcast_to(law, (worlds, group.size, size)))


def observed(group: Group, observation: NDArray[np.float32]) -> dict[str, Array]:
    """Observed columns by name, `(B, n, width)`."""
    return {
        signal.name: observation[..., group.signal_slice(signal.name)].astype(np.float64)
        for _, signal in group.signals
    }


def scripted(society: Society, yardstick: Yardstick, seed: int = 0) -> Scripted:
    """The behaviour of a yardstick: selfish equilibrium, planner.

    Raises:
        NotExact: the yardstick is known by its value alone.
    """
    if yardstick.rule is None:
        raise NotExact("this yardstick has no rule; allowed: yardsticks with a rule of one column")
    return Scripted(society, yardstick.rule, seed)


class Constant(Scripted):
    """Every citizen always plays the same entries of the action array, given by column.

    Raises:
        UnknownName: no group has such a column.
        InvalidParameter: the entry is no number, or out of range.
    """

    def __init__(self, society: Society, **entries: float) -> None:
        spaces = {a.name: a.space for group in society.groups.values() for a in group.spaces}
        for name in entries:
            if name not in spaces:
                raise UnknownName("action column", name, spaces)
        entries = {name: fit(name, entry, float) for name, entry in entries.items()}
        for name, entry in entries.items():
            space: Any = spaces[name]
            low, high = (0, space.size - 1) if space.size else (space.low, space.high)
            whole = not space.size or entry.is_integer()
            require(low <= entry <= high and whole, name, entry, f"{low:g} to {high:g}")

        def rule(observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
            shape = next(iter(observed.values())).shape[:2]
            return {name: np.full(shape, entry) for name, entry in entries.items()}

        super().__init__(society, rule)


class Random(Scripted):
    """Every citizen draws each column uniformly, institutions' columns too."""

    def __init__(self, society: Society, seed: int = 0) -> None:
        citizens = [group for group in society.groups.values() if group.citizens]
        spaces = {a.name: a.space for group in citizens for a in group.spaces}

        def rule(observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
            n = next(iter(observed.values())).shape[1]
            drawn = {}
            for name, space in spaces.items():
                uniform = rng.uniform(n)
                if isinstance(space, Choice) or space.levels:
                    drawn[name] = np.floor(uniform * space.size)
                else:
                    drawn[name] = space.low + uniform * (space.high - space.low)
            return drawn

        super().__init__(society, rule, seed)
