"""Values as their annotations say, or a named error: each parameter declares its type once."""

from __future__ import annotations

import math
import numbers
import types
import typing
from dataclasses import dataclass, fields
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import numpy as np

from commonweal.annotations import hints
from commonweal.errors import InvalidParameter, require, told

# Beyond it squares and cubes no longer fit the float32 of observations.
LARGEST = 1e12
# What must be positive is at least as far from 0 as its inverse may be: no quotient overflows.
SMALLEST = 1.0 / LARGEST
MOST = 10**9
LONGEST_TEXT = 1000
LAST = 2**63 - 1  # of what is counted


_ALIAS: Any = getattr(typing, "TypeAliasType", ())  # Python 3.12


class Unfit(Exception):
    """The value is not of this type; what is allowed, and what was given, where that says more."""

    def __init__(self, allowed: str = "", given: Any = None) -> None:
        super().__init__()
        self.allowed, self.given = allowed, given


class Marker:
    """What a type promises beyond its form, as in `Annotated[float, Within(0, 1)]`."""

    def fit(self, value: Any, hint: Any) -> Any:
        """`value` in the form of this type, whose form without the marker is `hint`; else `Unfit`."""
        raise NotImplementedError

    def describe(self, hint: Any) -> str:
        """What is allowed, in words."""
        raise NotImplementedError


@dataclass(frozen=True)
class Within(Marker):
    """A number in `[low, high]`, where the type allows other things as well (None) also those."""

    low: float
    high: float

    def fit(self, value: Any, hint: Any) -> Any:
        """Numbers in the range."""
        value = fit_to(value, hint)
        return _only_if(not isinstance(value, (int, float)) or self.low <= value <= self.high, value)

    def describe(self, hint: Any) -> str:
        """The range."""
        form = "None or " if type(None) in get_args(hint) else ""
        return f"{form}{self.low:g} to {self.high:g}"


def fit(name: str, value: Any, hint: Any) -> Any:
    """`value` as a plain value of the type `hint`: whole floats become ints, lists tuples, …

    Types other than numbers, text, truth values, literals, None, tuples and unions of them are left
    alone.

    Raises:
        InvalidParameter: names `name`, the value and what is allowed.
    """
    try:
        return fit_to(value, hint)
    except Unfit as unfit:
        allowed = unfit.allowed or describe(hint)
        if isinstance(value, float) and math.isnan(value) and not unfit.allowed:
            raise InvalidParameter(f"{name} is nan; allowed: {allowed}, not NaN") from None
        given = value if unfit.given is None else unfit.given
        raise InvalidParameter(f"{name} is {told(given)}; allowed: {allowed}") from None


def whole(name: str, value: Any, low: int = 0, high: int = LAST) -> int:
    """`value` as a whole number from `low` to `high`, as far as 64 bits reach.

    Raises:
        InvalidParameter: names `name`, the value and what is allowed.
    """
    if isinstance(value, (np.generic, np.ndarray)) and np.ndim(value) == 0:
        value = value.item()
    number = isinstance(value, numbers.Real) and not isinstance(value, bool) and value % 1 == 0
    allowed = f"{low} or more" if high == LAST else f"{low} to {high}"
    require(number and low <= value <= high, name, value, f"{allowed}, a whole number")
    return int(value)


def fit_fields(settings: Any) -> None:
    """Fit every field of a frozen dataclass, in place; for its `__post_init__`."""
    declared = hints(type(settings))
    for field in fields(settings):
        name, value = f"{type(settings).__name__}.{field.name}", getattr(settings, field.name)
        object.__setattr__(settings, field.name, fit(name, value, declared[field.name]))


def fit_to(value: Any, hint: Any) -> Any:
    """As `fit`, for those that do not know the name: raises `Unfit`."""
    if isinstance(value, (np.generic, np.ndarray)) and np.ndim(value) == 0:
        value = value.item()
    if isinstance(hint, type):
        return _plain(value, hint)
    hint = _bare(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        marker = marker_of(hint)
        return marker.fit(value, arguments[0]) if marker else fit_to(value, arguments[0])
    if origin in (Union, types.UnionType):
        return _one_of(value, arguments)
    if origin is Literal:
        return _only_if(isinstance(value, str | int) and value in arguments, value)
    return _entries(value, arguments) if origin is tuple else value


def _plain(value: Any, hint: type) -> Any:
    if hint in (int, float):
        return _number(value, hint)
    if hint is bool or hint is type(None):
        return _only_if(isinstance(value, hint), value)
    if hint is str:
        return _only_if(isinstance(value, str) and value.isprintable() and len(value) <= LONGEST_TEXT, value)
    return value


def _bare(hint: Any) -> Any:
    """What a type alias of Python 3.12 stands for, and what is `Final`."""
    while isinstance(hint, _ALIAS) or get_origin(hint) is Final:
        hint = hint.__value__ if isinstance(hint, _ALIAS) else get_args(hint)[0]
    return hint


def marker_of(hint: Any) -> Marker | None:
    """The marker in a type, or in one of the types that it is a union of; None: there is none."""
    hint = _bare(hint)
    if get_origin(hint) in (Union, types.UnionType):
        found = [marker_of(option) for option in get_args(hint)]
    else:
        found = [note for note in getattr(hint, "__metadata__", ()) if isinstance(note, Marker)]
    return next((marker for marker in found if marker), None)


def _only_if(condition: bool, value: Any) -> Any:
    if not condition:
        raise Unfit
    return value


def _one_of(value: Any, options: tuple[Any, ...]) -> Any:
    for option in options:
        try:
            return fit_to(value, option)
        except Unfit:
            continue
    raise Unfit


def _entries(value: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    _only_if(isinstance(value, (tuple, list, np.ndarray)), value)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(fit_to(entry, arguments[0]) for entry in value)
    _only_if(len(value) == len(arguments), value)
    return tuple(fit_to(entry, one) for entry, one in zip(value, arguments, strict=True))


def _number(value: Any, hint: type) -> Any:
    _only_if(isinstance(value, numbers.Real) and not isinstance(value, bool), value)
    if hint is float:
        return float(_only_if(abs(value) <= LARGEST, value))  # NaN is not
    return int(_only_if(abs(value) <= MOST and value == int(value), value))


def describe(hint: Any) -> str:
    """What a type allows, in words."""
    hint = _bare(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        marker = marker_of(hint)
        return marker.describe(arguments[0]) if marker else describe(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(describe(option) for option in arguments)
    if origin is Literal:
        return ", ".join(map(str, arguments))
    if origin is tuple:
        return f"a list of entries, each {describe(arguments[0])}" if arguments else "a list"
    words = {
        float: f"a number within +-{LARGEST:g}",
        int: f"a whole number within +-{MOST:g}",
        str: f"printable text of at most {LONGEST_TEXT} letters",
        bool: "true or false",
        type(None): "None",
    }
    return words.get(hint, str(getattr(hint, "__name__", hint)))
