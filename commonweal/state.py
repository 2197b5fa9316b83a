"""States are dataclasses of arrays whose first axis is the worlds; these functions act on any of them."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import CorruptCheckpoint, told

S = TypeVar("S")


@dataclass
class Stateless:
    """The state of what has none."""


def put(state: S, index: NDArray[np.intp], part: S) -> S:
    """`state` with the worlds `index` replaced by those of `part`."""
    changed: dict[str, Any] = {}
    for field in fields(state):  # type: ignore[arg-type]
        array = np.array(getattr(state, field.name))
        array[index] = getattr(part, field.name)
        changed[field.name] = array
    return replace(state, **changed)  # type: ignore[type-var]


def take(state: S, index: NDArray[np.intp]) -> S:
    """The worlds `index` of `state`."""
    return replace(state, **{f.name: getattr(state, f.name)[index] for f in fields(state)})  # type: ignore


def select(mask: NDArray[np.bool_], new: S, old: S) -> S:
    """World by world: `new` where `mask (B,)`, else `old`."""
    changed: dict[str, Any] = {}
    for field in fields(new):  # type: ignore[arg-type]
        fresh, kept = getattr(new, field.name), getattr(old, field.name)
        if fresh is not kept:
            changed[field.name] = np.where(mask.reshape((-1,) + (1,) * (fresh.ndim - 1)), fresh, kept)
    return replace(new, **changed)  # type: ignore[type-var]


def to_arrays(state: Any, prefix: str) -> dict[str, NDArray[Any]]:
    """`{prefix.field: array}` for saving; copies, so that writing into them changes no state."""
    return {f"{prefix}.{f.name}": np.array(getattr(state, f.name)) for f in fields(state)}


def from_arrays(state: S, prefix: str, arrays: dict[str, NDArray[Any]]) -> S:
    """The state that `to_arrays` wrote; `state` gives the types and the numbers' kinds."""
    kinds = {f.name: getattr(state, f.name).dtype for f in fields(state)}  # type: ignore[arg-type]
    restored = {name: np.array(arrays[f"{prefix}.{name}"], kind) for name, kind in kinds.items()}
    return replace(state, **restored)  # type: ignore[type-var]


def not_finite(arrays: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Name and kind (`"nan"`, `"infinite"`) of what is no finite number in some entry of an array."""
    found = set()
    for name, array in arrays.items():
        if np.asarray(array).dtype.kind == "f" and not np.isfinite(array).all():
            found |= {(name, "nan")} if np.isnan(array).any() else set()
            found |= {(name, "infinite")} if np.isinf(array).any() else set()
    return frozenset(found)


def check_arrays(
    given: object,
    expected: Mapping[str, NDArray[Any]],
    ranges: Mapping[str, tuple[float, float]],
    gaps: Set[tuple[str, str]] = frozenset(),
) -> None:
    """Raise `CorruptCheckpoint` unless `given` has the names, shapes and kinds of `expected`.

    Args:
        given: what is checked.
        expected: arrays by name.
        ranges: lowest and highest entry, by name.
        gaps: what need not be finite (`not_finite`): no price yet, say.
    """
    if not isinstance(given, Mapping):
        raise CorruptCheckpoint(f"a state is {type(given).__name__}; allowed: arrays by name")
    for name in given:
        if name not in expected:
            raise CorruptCheckpoint(f"unknown array {told(name)}; allowed: {', '.join(expected)}")
    for name, array in expected.items():
        if name not in given:
            raise CorruptCheckpoint(f"{name}: found nothing; allowed: shape {array.shape}")
        found = np.asarray(given[name])
        if found.shape != array.shape:
            raise CorruptCheckpoint(f"{name}: found {found.shape}; allowed: shape {array.shape}")
        if not np.can_cast(found.dtype, array.dtype, "same_kind"):
            raise CorruptCheckpoint(f"{name}: found {found.dtype}; allowed: {array.dtype}")
        low, high = ranges.get(name, (-np.inf, np.inf))
        if (found < low).any() or (found > high).any():
            raise CorruptCheckpoint(f"{name}: found {told(found)}; allowed: {low} to {high}")
    for name, kind in sorted(not_finite({name: given[name] for name in expected}) - gaps):
        raise CorruptCheckpoint(f"{name}: found {kind} entries; allowed: finite numbers")
