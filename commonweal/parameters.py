"""Parameters of dilemmas, institutions and monitors: scalars, per agent or per world; to and from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import InvalidParameter, UnknownName, require

# A scalar; a tuple or `(1, N)` array, one value per agent; a `(B,)` or `(B, 1)` array, one value
# per world. Inside a dilemma or an institution it is a float or a 2-D array, so that formulas read
# the same in each case.
Parameter = float | NDArray[np.float64]


def _canonical(name: str, value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        array = np.array(value, dtype=np.float64)
        value = array[None, :] if array.ndim == 1 else array
    elif isinstance(value, np.ndarray):
        value = value.astype(np.float64)[:, None] if value.ndim == 1 else value.astype(np.float64)
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        require(value.ndim == 2, name, value.shape, "a scalar, N values per agent or B per world")
        value.setflags(write=False)
    finite = not isinstance(value, (float, np.ndarray)) or not np.isnan(value).any()
    require(finite, name, value, "a number, not NaN")
    return value


def check(name: str, value: Parameter, low: float, high: float, *, open_low: bool = False) -> None:
    """Raise `InvalidParameter` unless every entry of `value` lies in `[low, high]` (or above `low`)."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidParameter(f"{name} is {value!r}; allowed: numbers") from None
    inside = (array > low if open_low else array >= low) & (array <= high)
    allowed = f"{'above' if open_low else 'from'} {low:g} to {high:g}"
    require(bool(inside.all()), name, value, allowed)


@dataclass(frozen=True, eq=False)
class Parameters:
    """A frozen dataclass of parameters that goes to JSON and back."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "Parameter":  # annotations are strings; tables stay tuples
                value = _canonical(f"{type(self).__name__}.{field.name}", value)
            object.__setattr__(self, field.name, value)
        self.validate()

    def validate(self) -> None:
        """Raise `InvalidParameter` where a value is out of range."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Parameters):
                value = value.to_dict()
            elif isinstance(value, np.ndarray):
                value = value.tolist()
            plain[field.name] = value
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """What `to_dict` wrote; unknown names raise `UnknownName` with the nearest."""
        known = {field.name: field for field in fields(cls)}
        values = dict(plain)
        for name, value in plain.items():
            if name not in known:
                raise UnknownName(f"parameter of {cls.__name__}", name, known)
            default = known[name].default
            if default is MISSING and known[name].default_factory is not MISSING:
                default = known[name].default_factory()  # type: ignore[operator]
            if isinstance(default, Parameters) and isinstance(value, Mapping):
                values[name] = type(default).from_dict(value)
            elif isinstance(value, list) and known[name].type != "Parameter":
                values[name] = tuple(value)
        return cls(**values)

    def __repr__(self) -> str:
        shown = []
        for field in fields(self):
            value = getattr(self, field.name)
            default = field.default
            if field.default_factory is not MISSING:
                default = field.default_factory()
            if isinstance(value, Parameters):
                same = repr(value) == repr(default)
            elif isinstance(value, np.ndarray):
                same = np.array_equal(value, np.atleast_2d(np.asarray(default, dtype=np.float64)))
            else:
                same = value == default
            if same:
                continue
            if isinstance(value, np.ndarray) and value.size > 8:
                value = f"array{value.shape}"
            elif isinstance(value, np.ndarray):
                value = value.tolist()
            shown.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"
