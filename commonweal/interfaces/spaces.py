"""Columns of a group as Gymnasium spaces, and a group's actions back as columns.

| the action columns are | space | option |
|---|---|---|
| one choice (or one number with levels) | `Discrete` | |
| several of them | `MultiDiscrete` | |
| several of them, at most 256 joint options | `Discrete` over the joint options | `discrete=True` |
| continuous numbers | `Box` of their ranges | |
| choices beside continuous numbers | `Box`, choices on [0, 1] | `continuous=True` |

In a `Box` a choice of L is `min(floor(L x), L - 1)` for x in [0, 1]. `continuous=True` also
turns choices alone into a `Box`, for learners that know no other.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import gymnasium
import numpy as np
from numpy.typing import NDArray

from commonweal.bounds import margin
from commonweal.columns import Group
from commonweal.errors import InvalidAction, UnsupportedSpace, require
from commonweal.typed import fit

Array = NDArray[np.float64]
Bool = NDArray[np.bool_]
Mask = NDArray[np.int8] | tuple[NDArray[np.int8], ...]
MAX_JOINT_OPTIONS = 256


class Face:
    """One group's columns as a learner of single agents sees them.

    Args:
        group: the columns.
        continuous: a `Box` for every kind of column.
        discrete: one `Discrete` for all columns together.

    Attributes:
        kind: `"index"` (`Discrete`), `"indices"` (`MultiDiscrete`), `"joint"` or `"box"`.
        sizes: options of each column, 0 where it is continuous, `(C,)`.

    Raises:
        UnsupportedSpace: no single space holds these columns; the message names the option.
    """

    kind: Literal["index", "indices", "joint", "box"]

    def __init__(self, group: Group, continuous: bool = False, discrete: bool = False) -> None:
        continuous, discrete = fit("continuous", continuous, bool), fit("discrete", discrete, bool)
        require(not (continuous and discrete), "continuous and discrete", (True, True), "at most one")
        if not group.actions or not group.signals:
            raise UnsupportedSpace(
                f"{group.name} has no action or no observation columns; allowed: some of each"
            )
        self.group = group
        self.sizes = np.array([action.space.size for action in group.spaces], np.int64)
        numbers = [action.name for action in group.spaces if not action.space.size]
        choices = [action.name for action in group.spaces if action.space.size]
        if discrete:
            self._check_joint(numbers)
            self.kind = "joint"
        elif continuous or not choices:
            self.kind = "box"
        elif numbers:
            raise UnsupportedSpace(
                f"{group.name} choose options ({', '.join(choices)}) beside continuous numbers "
                f"({', '.join(numbers)}); allowed: continuous=True, or numbers with levels"
            )
        else:
            self.kind = "index" if len(choices) == 1 else "indices"
        self._low = np.where(self.sizes > 0, 0.0, group.low)
        self._high = np.where(self.sizes > 0, 1.0, group.high)
        self._margin = margin(self._low, self._high)

    def _check_joint(self, numbers: list[str]) -> None:
        name = self.group.name
        if numbers:
            raise UnsupportedSpace(
                f"discrete=True: {name} choose continuous numbers ({', '.join(numbers)}); "
                "allowed: choices and numbers with levels"
            )
        joint = math.prod(self.sizes.tolist())
        if joint > MAX_JOINT_OPTIONS:
            raise UnsupportedSpace(
                f"discrete=True: {name} have {joint} joint options; allowed: at most {MAX_JOINT_OPTIONS}"
            )

    def action_space(self) -> gymnasium.Space[Any]:
        """A new action space of one agent (a space carries its own random state)."""
        if self.kind == "index":
            return gymnasium.spaces.Discrete(int(self.sizes[0]))
        if self.kind == "joint":
            return gymnasium.spaces.Discrete(math.prod(self.sizes.tolist()))
        if self.kind == "indices":
            return gymnasium.spaces.MultiDiscrete(self.sizes)
        low, high = self._low.astype(np.float32), self._high.astype(np.float32)
        return gymnasium.spaces.Box(low, high, dtype=np.float32)

    def observation_space(self) -> gymnasium.spaces.Box:
        """A new observation space of one agent, `(D,)` float32."""
        return gymnasium.spaces.Box(self.group.observation_low, self.group.observation_high, dtype=np.float32)

    def decode(self, actions: Any, num_worlds: int) -> Array:
        """Actions of all agents, worlds first, as action columns `(B, n, C)`.

        Raises:
            InvalidAction: wrong number of entries, no numbers, NaN or out of range. What is left
                to the society's own check (whole numbers within range) raises there.
        """
        group = self.group
        width = 1 if self.kind == "joint" else len(self.sizes)
        shape = (num_worlds, group.size, width)
        try:
            array = np.asarray(actions, np.float64).reshape(shape)
        except (TypeError, ValueError):
            raise InvalidAction(
                f"actions of {group.name} are {actions!r}; allowed: {shape} numbers"
            ) from None
        if self.kind == "joint":
            return self._split(array)
        return self._from_box(array) if self.kind == "box" else array

    def _split(self, array: Array) -> Array:
        joint = math.prod(self.sizes.tolist())
        if not ((array >= 0) & (array < joint) & (array == np.rint(array))).all():
            raise InvalidAction(
                f"actions of {self.group.name} are {array}; allowed: whole numbers 0 to {joint - 1}"
            )
        parts = np.unravel_index(array[..., 0].astype(np.intp), self.sizes.tolist())
        return np.stack(parts, axis=-1).astype(np.float64)

    def _from_box(self, array: Array) -> Array:
        low, high, slack = self._low, self._high, self._margin
        if not ((array >= low - slack) & (array <= high + slack)).all():  # NaN is not inside
            raise InvalidAction(f"actions of {self.group.name} are {array}; allowed: {low} to {high}")
        array = np.clip(array, low, high)
        if not self.sizes.any():
            return array
        return np.where(self.sizes > 0, np.minimum(np.floor(array * self.sizes), self.sizes - 1), array)

    def encode(self, columns: Array) -> NDArray[Any]:
        """Action columns `(..., C)` as actions of this face: the inverse of `decode`."""
        if self.kind == "index":
            return columns[..., 0].astype(np.int64)
        if self.kind == "indices":
            return columns.astype(np.int64)
        if self.kind == "joint":
            parts = tuple(np.moveaxis(columns.astype(np.int64), -1, 0))
            return np.asarray(np.ravel_multi_index(parts, self.sizes.tolist()))
        middle = (columns + 0.5) / np.maximum(self.sizes, 1)
        return np.where(self.sizes > 0, middle, columns).astype(np.float32)

    def masks(self, mask: Bool) -> list[Mask] | None:
        """Masks of the agents, in the form that `action_space.sample(mask)` takes; None for a `Box`.

        Args:
            mask: allowed options of the agents of one world, `(n, M)`.
        """
        if self.kind == "box":
            return None
        allowed = mask.astype(np.int8)
        if self.kind == "index":
            return list(allowed)
        split = [tuple(row[place] for place in self.group.mask_slices) for row in allowed]
        if self.kind == "indices":
            return list(split)
        return [_joint(parts) for parts in split]


def _joint(parts: tuple[NDArray[np.int8], ...]) -> NDArray[np.int8]:
    joint = np.ones(1, np.int8)
    for part in parts:
        joint = np.outer(joint, part).ravel()
    return joint
