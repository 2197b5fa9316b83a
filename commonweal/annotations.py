"""The types that a class declares, resolved on every Python and for classes made within a function.

With `from __future__ import annotations` they are text, on Python 3.14 they are evaluated when they are
asked for, else they are objects; and what a class within a function is annotated with may be known in
that function alone. Hence a class is looked at while it is made, where its names are known.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

# Names that are known everywhere, also where they were imported for the type checker alone.
KNOWN: dict[str, Any] = {}
_FOUND: WeakKeyDictionary[type, dict[str, Any]] = WeakKeyDictionary()
_WHOLE: WeakKeyDictionary[type, Mapping[str, Any]] = WeakKeyDictionary()


def _declared(cls: type) -> Mapping[str, Any]:
    """The annotations of the class itself, as text or as types."""
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF)
    return inspect.get_annotations(cls)


def open_names(module: str) -> dict[str, Any]:
    """The names that the running functions of a module know, those of the innermost first of all."""
    found: dict[str, Any] = {}
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "builtins") == module:
            found = {**frame.f_globals, **frame.f_locals, **found}
        frame = frame.f_back  # type: ignore[assignment]
    return found


def learn(cls: type, names: Mapping[str, Any]) -> dict[str, Any]:
    """Resolve those annotations of the class itself that `names`, its own and its module's allow."""
    found = _FOUND.setdefault(cls, {})
    left = {name: what for name, what in _declared(cls).items() if name not in found}
    if left:
        module = vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}
        scope = {**KNOWN, **module, **names, **vars(cls)}
        for name, annotation in left.items():
            bearer = type(cls.__name__, (), {"__annotations__": {name: annotation}})
            try:
                found |= typing.get_type_hints(bearer, scope, scope, include_extras=True)
            except Exception:  # a name unknown as yet, or prose: it is asked for again
                continue
    return found


def hints(cls: type) -> Mapping[str, Any]:
    """The annotations of a class and its bases; what cannot be resolved stands for anything."""
    if cls in _WHOLE:
        return _WHOLE[cls]
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        found |= dict.fromkeys(_declared(base), Any) | learn(base, {})
    if Any not in found.values():
        _WHOLE[cls] = found
    return found
