"""Columns of a society: who chooses what, who sees what, and where it stands in the arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from commonweal.bounds import OUTSIDE, ROUNDED, margin, position, settle, table, write
from commonweal.envs.base import Dilemma
from commonweal.errors import IncompatibleInstitution, InvalidAction
from commonweal.institutions.base import Charter, Institution
from commonweal.spaces import Action, Choice, Signal

Array = NDArray[np.float64]
Bool = NDArray[np.bool_]
FLOAT64 = np.dtype(np.float64)


@dataclass(frozen=True)
class Group:
    """Agents with the same columns.

    Attributes:
        name: e.g. `"citizens"`.
        agents: their place on the agent axis.
        citizens: whether they belong to the dilemma (else they are officials).
        actions: owner and action column, in the order of the action array.
        signals: owner and observation column, in the order of the observation array.
    """

    name: str
    agents: slice
    citizens: bool
    actions: tuple[tuple[str, Action], ...]
    signals: tuple[tuple[str, Signal], ...]

    @cached_property
    def size(self) -> int:
        """N."""
        return int(self.agents.stop - self.agents.start)

    @property
    def spaces(self) -> tuple[Action, ...]:
        """The action columns."""
        return tuple(action for _, action in self.actions)

    @cached_property
    def low(self) -> Array:
        """Smallest entry of each action column, `(C,)`."""
        return np.array([0.0 if a.space.size else a.space.low for a in self.spaces])  # type: ignore[union-attr]

    @cached_property
    def high(self) -> Array:
        """Largest entry of each action column, `(C,)`."""
        return np.array([a.space.size - 1.0 if a.space.size else a.space.high for a in self.spaces])  # type: ignore[union-attr]

    @cached_property
    def null(self) -> Array:
        """The null act, `(C,)`."""
        return np.array([0.0 if isinstance(a.space, Choice) else a.space.null for a in self.spaces])

    @cached_property
    def discrete(self) -> Bool:
        """Which action columns are indices, `(C,)`."""
        return np.array([a.space.size > 0 for a in self.spaces], dtype=bool)

    @cached_property
    def margin(self) -> Array:
        """How far outside of its range an entry may lie by rounding, `(C,)`; an index not at all."""
        return np.where(self.discrete, 0.0, margin(self.low, self.high))

    @cached_property
    def ranges(self) -> Array:
        """The ranges of the action columns as `bounds.position` reads them."""
        return table(self.low, self.high, self.margin, self.discrete)

    @cached_property
    def mask_slices(self) -> tuple[slice, ...]:
        """Place of each action column in a mask: one entry per option, one per continuous column."""
        widths = np.cumsum([0] + [a.space.size or 1 for a in self.spaces])
        return tuple(slice(int(i), int(j)) for i, j in pairwise(widths))

    @property
    def mask_size(self) -> int:
        """M, the number of entries of a mask."""
        return self.mask_slices[-1].stop if self.mask_slices else 0

    @property
    def observation_size(self) -> int:
        """D."""
        return sum(signal.width for _, signal in self.signals)

    @cached_property
    def observation_low(self) -> NDArray[np.float32]:
        """Lower bounds of the observation, `(D,)`."""
        return self._each([s.low for _, s in self.signals])

    @cached_property
    def observation_high(self) -> NDArray[np.float32]:
        """Upper bounds of the observation, `(D,)`."""
        return self._each([s.high for _, s in self.signals])

    @cached_property
    def observation_ranges(self) -> NDArray[np.float32]:
        """The ranges of the observation as `bounds.settle` reads them."""
        low, high = self.observation_low.astype(np.float64), self.observation_high.astype(np.float64)
        return table(low, high, margin(low, high)).astype(np.float32)

    def _each(self, bounds: list[float]) -> NDArray[np.float32]:
        return np.repeat(bounds, [signal.width for _, signal in self.signals]).astype(np.float32)

    def signal_slice(self, name: str) -> slice:
        """Place of an observation column by name."""
        start = 0
        for _, signal in self.signals:
            if signal.name == name:
                return slice(start, start + signal.width)
            start += signal.width
        raise KeyError(name)


class Columns:
    """Compiles the declared columns of dilemma and institutions into arrays and back."""

    def __init__(self, dilemma: Dilemma, institutions: Sequence[Institution], charter: Charter) -> None:
        actions = [("dilemma", action) for action in dilemma.actions()]
        signals = [("dilemma", signal) for signal in dilemma.signals()]
        for inst in institutions:
            actions += [(inst.address, action) for action in inst.actions(charter)]
            signals += [(inst.address, signal) for signal in inst.signals(charter)]
        rounds = 1 + max([a.round for _, a in actions if a.stage == "deliberate"], default=-1)
        rounds += 1 + max([a.round for _, a in actions if a.stage == "respond"], default=-1)
        if rounds:
            groups = [*charter.citizens, *charter.officials]
            signals += [("stage", Signal("stage", "", 0, 1, g, rounds + 1)) for g in groups]
        self.num_worlds = charter.num_worlds
        self.groups: dict[str, Group] = {}
        for name in [*charter.citizens, *charter.officials]:
            citizens = name in charter.citizens
            mine = (name, None) if citizens else (name,)
            self.groups[name] = Group(
                name,
                charter.agents_of(name),
                citizens,
                tuple((owner, a) for owner, a in actions if a.group in mine),
                tuple((owner, s) for owner, s in signals if s.group in mine or s.public),
            )
            self._refuse_duplicates(self.groups[name])
        self._sources = self._compile(actions)

    def _refuse_duplicates(self, group: Group) -> None:
        for columns in (group.actions, group.signals):
            names = [column.name for _, column in columns]
            for name in names:
                if names.count(name) > 1:
                    owners = [owner for owner, column in columns if column.name == name]
                    raise IncompatibleInstitution(
                        f"{group.name} would have two columns {name!r}, of {' and '.join(owners)}; "
                        "give one institution another name"
                    )

    def _compile(
        self, actions: list[tuple[str, Action]]
    ) -> list[tuple[str, str, list[tuple[str, int, float, float]]]]:
        """For each owner and column: the groups, indices and scales it is read from."""
        sources: dict[tuple[str, str], list[tuple[str, int, float, float]]] = {}
        for group in self.groups.values():
            for index, (owner, action) in enumerate(group.actions):
                space = action.space
                levels = space.size and not isinstance(space, Choice)
                low, step = (space.low, space.step) if levels else (0.0, 1.0)  # type: ignore[union-attr]
                sources.setdefault((owner, action.name), []).append((group.name, index, low, step))
        return [(owner, column, places) for (owner, column), places in sources.items()]

    def read(self, actions: Mapping[str, Array]) -> dict[str, Array]:
        """The actions as float64 within their ranges; a rounding of float32 outside of a bound is the bound.

        Raises:
            InvalidAction: groups, shapes or values are not allowed.
        """
        if not isinstance(actions, Mapping) or not actions.keys() <= self.groups.keys():
            given = list(actions) if isinstance(actions, Mapping) else type(actions).__name__
            raise InvalidAction(f"actions of {given}; allowed: a mapping with the groups {list(self.groups)}")
        found = {}
        for name, group in self.groups.items():
            if name not in actions:
                raise InvalidAction(f"no actions of group {name!r}; allowed: {list(self.groups)}")
            array = actions[name]
            numeric = isinstance(array, np.ndarray) and array.dtype.kind in "fiub"
            if not numeric or isinstance(array, np.ma.MaskedArray):
                kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
                masked = "masked " if isinstance(array, np.ma.MaskedArray) else ""
                raise InvalidAction(f"actions of {name} are {masked}{kind}; allowed: an array of numbers")
            shape = (self.num_worlds, group.size, len(group.actions))
            if array.shape != shape:
                raise InvalidAction(f"actions of {name} have shape {array.shape}; allowed: {shape}")
            values = np.asarray(array, np.float64)
            where = position(values, group.ranges)
            if where == OUTSIDE:
                self._explain(group, values)
            found[name] = np.clip(values, group.low, group.high) if where == ROUNDED else values
        return found

    def _explain(self, group: Group, array: Array) -> None:
        for index, (_, action) in enumerate(group.actions):
            values, slack = array[..., index], group.margin[index]
            bad = ~((values >= group.low[index] - slack) & (values <= group.high[index] + slack))
            allowed = f"{group.low[index]:g} to {group.high[index]:g}"
            if group.discrete[index]:
                bad |= values != np.rint(values)
                allowed = f"whole numbers {allowed}"
            if bad.any():
                world, agent = np.argwhere(bad)[0]
                raise InvalidAction(
                    f"{group.name}.{action.name} is {values[world, agent]} "
                    f"(world {world}, agent {agent}); allowed: {allowed}"
                )

    def null_actions(self, num_worlds: int) -> dict[str, Array]:
        """The null act of every agent."""
        return {
            name: np.array(np.broadcast_to(group.null, (num_worlds, group.size, len(group.actions))))
            for name, group in self.groups.items()
        }

    def only_allowed(
        self, actions: Mapping[str, Array], mask: Mapping[str, Bool] | None
    ) -> Mapping[str, Array]:
        """`actions` with the null act where the mask forbids the one chosen."""
        if mask is None:
            return actions
        kept = {}
        for name, group in self.groups.items():
            array = np.array(actions[name])
            for index, place in enumerate(group.mask_slices):
                allowed = mask[name][..., place]
                chosen = array[..., index]
                if group.discrete[index]:
                    option = chosen.astype(np.intp)[..., None]
                    ok = np.take_along_axis(allowed, option, axis=-1)[..., 0]
                else:
                    ok = allowed[..., 0]
                array[..., index] = np.where(ok, chosen, group.null[index])
            kept[name] = array
        return kept

    def exclude(self, mask: Mapping[str, Bool], excluded: Bool) -> None:
        """Leave the `excluded (B, N)` only the null act of every column in `mask`."""
        for name, group in self.groups.items():
            if not group.citizens:
                continue
            for action, place, null in zip(group.spaces, group.mask_slices, group.null, strict=True):
                keep = np.arange(action.space.size or 1) == (int(null) if action.space.size else -1)
                mask[name][..., place] &= ~excluded[:, group.agents, None] | keep

    def split(self, actions: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
        """`{owner: {column: (B, n) physical values}}`; groups that share a column are concatenated."""
        owned: dict[str, dict[str, Array]] = {"dilemma": {}}
        for owner, column, places in self._sources:
            parts = []
            for group, index, low, step in places:
                value = actions[group][..., index].astype(np.float64)  # a copy: states may keep it
                parts.append(value if step == 1.0 and low == 0.0 else value * step + low)
            owned.setdefault(owner, {})[column] = (
                parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
            )
        return owned

    def observe(
        self, values: Mapping[str, Mapping[str, Array]], num_worlds: int
    ) -> dict[str, NDArray[np.float32]]:
        """Observation arrays `(B, n, D)` from `{owner: {column: value}}`."""
        observation = {}
        for name, group in self.groups.items():
            each, alike = (num_worlds, group.size), (num_worlds, 1)
            array, ranges = np.empty((*each, group.observation_size), np.float32), group.observation_ranges
            start = 0
            for owner, signal in group.signals:
                value = values[owner][signal.name]
                if signal.group is None and not signal.public and value.shape[1] > group.size:
                    value = value[:, group.agents]
                if signal.width == 1 and value.shape in (each, alike) and value.dtype == FLOAT64:
                    write(array, start, value, ranges)
                else:
                    array[..., start : start + signal.width] = value if value.ndim == 3 else value[..., None]
                    for column in range(start, start + signal.width):
                        settle(array, column, ranges)
                start += signal.width
            observation[name] = array
        return observation
