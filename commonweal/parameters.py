"""Parameters of dilemmas, institutions and monitors: scalars, per agent or per world; to and from JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import InvalidParameter, UnknownName, require
from commonweal.typed import LARGEST, SMALLEST, fit, hints

# A scalar; a tuple or `(1, N)` array, one value per agent; a `(B,)` or `(B, 1)` array, one value
# per world. Inside a dilemma or an institution it is a float or a 2-D array, so that formulas read
# the same in each case.
Parameter = float | NDArray[np.float64]
# The same for what all agents of a world share (a stock, its growth): a scalar, or one value per world.
WorldParameter = Parameter


def _canonical(name: str, value: Any) -> Any:
    """A number, or an array `(1, N)` or `(B, 1)` or `(B, N)` of numbers, read-only."""
    if not isinstance(value, (list, tuple, np.ndarray)) or (isinstance(value, np.ndarray) and not value.ndim):
        return fit(name, value, float)
    try:
        array = np.array(value)
        numeric = array.dtype.kind in "iuf" and not isinstance(value, np.ma.MaskedArray)
    except ValueError:  # rows of different lengths
        numeric = False
    # As float64 first: compared in half precision, the limit itself would be infinite.
    numeric = numeric and bool((np.abs(array.astype(np.float64)) <= LARGEST).all())  # NaN is not
    require(numeric, name, value, f"numbers within +-{LARGEST:g}, not NaN")
    if array.ndim == 1:
        array = array[:, None] if isinstance(value, np.ndarray) else array[None, :]
    allowed = "a scalar, N values per agent or B per world"
    require(array.ndim == 2 and array.size > 0, name, np.shape(value), allowed)
    array = array.astype(np.float64)
    array.setflags(write=False)
    return array


def nonzero(value: Parameter) -> bool:
    """Whether any entry differs from 0; what a parameter of 0 switches off need not be computed."""
    return bool(value.any()) if isinstance(value, np.ndarray) else value != 0


def check(name: str, value: Parameter, low: float, high: float, *, open_low: bool = False) -> None:
    """Raise `InvalidParameter` unless every entry of `value` lies in `[low, high]` (or above `low`).

    Above nothing begins at 1e-12, so that ratios of what must be positive are numbers.
    """
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidParameter(f"{name} is {value!r}; allowed: numbers") from None
    positive = open_low and low == 0.0
    above = array >= SMALLEST if positive else array > low if open_low else array >= low
    inside = above & (array <= high)
    allowed = f"{'above' if open_low else 'from'} {low:g} to {high:g}"
    allowed += f", at least {SMALLEST:g}" if positive else ""
    require(bool(inside.all()), name, value, allowed)


@dataclass(frozen=True, eq=False)
class Parameters:
    """A frozen dataclass of parameters that goes to JSON and back."""

    def __post_init__(self) -> None:
        declared = hints(type(self))
        for field in fields(self):
            name, value = f"{type(self).__name__}.{field.name}", getattr(self, field.name)
            hint: Any = None
            if field.type in ("Parameter", "WorldParameter"):  # annotations are strings; tables stay tuples
                value = _canonical(name, value)
                shared = field.type == "Parameter" or not isinstance(value, np.ndarray) or value.shape[1] == 1
                require(shared, name, value, "one value, or a (B,) array with one per world")
            else:
                hint = declared[field.name]
                value = fit(name, value, hint)
            if isinstance(hint, type) and issubclass(hint, Parameters) and not isinstance(value, hint):
                mapping = isinstance(value, Mapping)
                require(mapping, name, value, f"a {hint.__name__} or a table of its parameters")
                value = hint.from_dict(value)
            object.__setattr__(self, field.name, value)
        self.validate()

    def validate(self) -> None:
        """Raise `InvalidParameter` where a value is out of range."""

    def arrays(self) -> Iterator[tuple[str, NDArray[np.float64]]]:
        """Parameters with several values, `(1 or B, 1 or N)`, by name; those of a monitor too."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                yield field.name, value
            elif isinstance(value, Parameters):
                yield from ((f"{field.name}.{name}", array) for name, array in value.arrays())

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
        known = [field.name for field in fields(cls)]
        for name in plain:
            if name not in known:
                raise UnknownName(f"parameter of {cls.__name__}", name, known)
        return cls(**plain)

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
