"""Values as their annotations say, or a named error: each parameter declares its type once."""

from __future__ import annotations

import math
import numbers
import sys
import types
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np

from commonweal.errors import InvalidParameter, require, told

# Beyond it squares and cubes no longer fit the float32 of observations.
LARGEST = 1e12
MOST = 10**9
LAST = 2**63 - 1  # of what is counted


class _Unfit(Exception):
    """The value is not of this type."""


_HINTS: dict[type, Mapping[str, Any]] = {}


def hints(cls: type) -> Mapping[str, Any]:
    """The resolved annotations of a class; a name that cannot be resolved stands for anything."""
    if cls not in _HINTS:
        found: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            scope = vars(sys.modules[base.__module__])
            for name, text in vars(base).get("__annotations__", {}).items():
                try:
                    found[name] = eval(text, scope) if isinstance(text, str) else text
                except (NameError, TypeError):
                    found[name] = Any
        _HINTS[cls] = found
    return _HINTS[cls]


def fit(name: str, value: Any, hint: Any) -> Any:
    """`value` as a plain value of the type `hint`: whole floats become ints, lists tuples, …

    Types other than numbers, text, truth values, literals, None, tuples and unions of them are left
    alone.

    Raises:
        InvalidParameter: names `name`, the value and what is allowed.
    """
    try:
        return _fit(value, hint)
    except _Unfit:
        if isinstance(value, float) and math.isnan(value):
            raise InvalidParameter(f"{name} is nan; allowed: {describe(hint)}, not NaN") from None
        raise InvalidParameter(f"{name} is {told(value)}; allowed: {describe(hint)}") from None


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


def _fit(value: Any, hint: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)) and np.ndim(value) == 0:
        value = value.item()
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _one_of(value, arguments)
    if origin is Literal:
        return _only_if(isinstance(value, str | int) and value in arguments, value)
    if origin is tuple:
        return _entries(value, arguments)
    if hint is type(None):
        return _only_if(value is None, value)
    if hint in (bool, str):
        return _only_if(isinstance(value, hint), value)
    if hint in (int, float):
        return _number(value, hint)
    return value


def _only_if(condition: bool, value: Any) -> Any:
    if not condition:
        raise _Unfit
    return value


def _one_of(value: Any, options: tuple[Any, ...]) -> Any:
    for option in options:
        try:
            return _fit(value, option)
        except _Unfit:
            continue
    raise _Unfit


def _entries(value: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    _only_if(isinstance(value, (tuple, list, np.ndarray)), value)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_fit(entry, arguments[0]) for entry in value)
    _only_if(len(value) == len(arguments), value)
    return tuple(_fit(entry, one) for entry, one in zip(value, arguments, strict=True))


def _number(value: Any, hint: type) -> Any:
    _only_if(isinstance(value, numbers.Real) and not isinstance(value, bool), value)
    if hint is float:
        return float(_only_if(abs(value) <= LARGEST, value))  # NaN is not
    return int(_only_if(abs(value) <= MOST and value == int(value), value))


def describe(hint: Any) -> str:
    """What a type allows, in words."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(option) for option in arguments)
    if origin is Literal:
        return ", ".join(map(str, arguments))
    if origin is tuple:
        return f"a list of entries, each {describe(arguments[0])}" if arguments else "a list"
    words = {
        float: f"a number within +-{LARGEST:g}",
        int: f"a whole number within +-{MOST:g}",
        str: "text",
        bool: "true or false",
        type(None): "None",
    }
    return words.get(hint, str(getattr(hint, "__name__", hint)))
