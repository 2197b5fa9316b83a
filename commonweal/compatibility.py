"""Who goes with whom: generated from what dilemmas and institutions declare."""

from __future__ import annotations

from dataclasses import fields, replace

from commonweal import registry
from commonweal.envs.base import Dilemma
from commonweal.errors import CommonwealError
from commonweal.institutions.base import Institution
from commonweal.society import Society


def fitting(dilemma: Dilemma, name: str) -> tuple[list[Institution] | None, str]:
    """The smallest stack in which the institution `name` fits `dilemma`, and why there is none.

    An institution with a `base` is tried on its default base first, then on each conduct of the
    dilemma; companions that it declares come before it in the stack.

    Returns:
        the stack and an empty string, or None and the reason.
    """
    cls = registry.institution_class(name)
    parts = [registry.institution_from(plain) for plain in cls.companions] + [cls()]
    bases = [None, *[n for n, c in dilemma.conducts.items() if not c.oracle and not c.dyadic]]
    reason = ""
    for base in bases:
        stack = [_on(part, base) for part in parts]
        try:
            Society(dilemma, stack)
        except CommonwealError as error:
            reason = str(error)
        else:
            return stack, ""
    return None, reason


def _on(part: Institution, base: str | None) -> Institution:
    has_base = any(field.name == "base" for field in fields(part))
    return replace(part, base=base) if base is not None and has_base else part  # type: ignore[call-arg]


def matrix() -> dict[str, dict[str, tuple[list[Institution] | None, str]]]:
    """`fitting` for every registered dilemma and institution: `[dilemma][institution]`."""
    return {
        dilemma: {name: fitting(registry.make(dilemma), name) for name in registry.INSTITUTIONS}
        for dilemma in registry.DILEMMAS
    }
