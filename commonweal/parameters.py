"""Parameters of dilemmas, institutions and monitors: scalars, per agent or per world; to and from JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray

from commonweal.annotations import KNOWN, hints, learn, open_names
from commonweal.errors import InvalidParameter, UnknownName, require
from commonweal.typed import LARGEST, SMALLEST, Marker, Unfit, fit, fit_to, marker_of


@dataclass(frozen=True)
class Values(Marker):
    """A number, or several: a tuple or `(1, N)` array, one per agent; a `(B,)` or `(B, 1)`, one per world.

    Inside a dilemma or an institution it is a float or a read-only 2-D array, so that formulas read the
    same in each case.

    Attributes:
        agents, worlds: whether values may differ by agent, and by world.
    """

    agents: bool
    worlds: bool

    def fit(self, value: Any, hint: Any) -> Any:
        """A number, or an array `(1, N)`, `(B, 1)` or `(B, N)` of numbers, read-only."""
        several = isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0)
        if not several:
            return fit_to(value, float)
        array = _numbers(value)
        if array.ndim == 1:
            array = array[:, None] if isinstance(value, np.ndarray) else array[None, :]
        if array.ndim != 2 or not array.size:
            raise Unfit(self.describe(hint), np.shape(value))
        if (array.shape[0] > 1 and not self.worlds) or (array.shape[1] > 1 and not self.agents):
            raise Unfit(self.describe(hint), value)
        array.setflags(write=False)
        return array

    def describe(self, hint: Any) -> str:
        """Which values there may be."""
        agents = "one per agent" if self.worlds else "one per agent, alike in all worlds"
        several = {agents: self.agents, "a (B,) array with one per world": self.worlds}
        return f"a number within +-{LARGEST:g}, or {' or '.join(w for w, may in several.items() if may)}"


# What may differ by agent and by world.
Parameter = Annotated[float | NDArray[np.float64], Values(agents=True, worlds=True)]
# What all agents of a world share: a stock, its growth, a market's demand.
WorldParameter = Annotated[float | NDArray[np.float64], Values(agents=False, worlds=True)]
# What sets the range of an action: the same in all worlds, as they have their actions in common.
AgentParameter = Annotated[float | NDArray[np.float64], Values(agents=True, worlds=False)]
KNOWN.update(Parameter=Parameter, WorldParameter=WorldParameter, AgentParameter=AgentParameter)


def _numbers(value: Any) -> NDArray[np.float64]:
    """A new array of `value`; `Unfit` unless it holds numbers."""
    try:
        array = np.array(value)
        numeric = array.dtype.kind in "iuf" and not isinstance(value, np.ma.MaskedArray)
    except ValueError:  # rows of different lengths
        numeric = False
    # As float64 first: compared in half precision, the limit itself would be infinite.
    if not numeric or not (np.abs(array.astype(np.float64)) <= LARGEST).all():  # NaN is not
        raise Unfit(f"numbers within +-{LARGEST:g}, not NaN")
    return array.astype(np.float64)


def nonzero(value: Parameter) -> bool:
    """Whether any entry differs from 0; what a parameter of 0 switches off need not be computed."""
    return bool(value.any()) if isinstance(value, np.ndarray) else value != 0


def common(value: Parameter) -> bool:
    """Whether all agents of a world have the same value."""
    return not isinstance(value, np.ndarray) or value.shape[1] == 1


def check(name: str, value: Parameter, low: float, high: float, *, open_low: bool = False) -> None:
    """Raise `InvalidParameter` unless every entry of `value` lies in `[low, high]` (or well above `low`)."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidParameter(f"{name} is {value!r}; allowed: numbers") from None
    inside = (array >= (low + SMALLEST if open_low else low)) & (array <= high)
    allowed = f"above {low:g} (by {SMALLEST:g}) to {high:g}" if open_low else f"from {low:g} to {high:g}"
    require(bool(inside.all()), name, value, allowed)


@dataclass(frozen=True, eq=False)
class Parameters:
    """A frozen dataclass of parameters that goes to JSON and back."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Resolve the annotations where their names are known."""
        super().__init_subclass__(**keywords)
        learn(cls, open_names(cls.__module__))

    def __post_init__(self) -> None:
        declared = hints(type(self))
        for field in fields(self):
            name, hint = f"{type(self).__name__}.{field.name}", declared[field.name]
            value = fit(name, getattr(self, field.name), hint)
            if isinstance(hint, type) and issubclass(hint, Parameters) and not isinstance(value, hint):
                mapping = isinstance(value, Mapping)
                require(mapping, name, value, f"a {hint.__name__} or a table of its parameters")
                value = hint.from_dict(value)
            object.__setattr__(self, field.name, value)
        self.validate()

    @classmethod
    def several(cls) -> Mapping[str, Values]:
        """The parameters that may hold several values, by name."""
        found = {name: marker_of(hint) for name, hint in hints(cls).items()}
        names = [field.name for field in fields(cls)]
        return {name: found[name] for name in names if isinstance(found[name], Values)}  # type: ignore[misc]

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
