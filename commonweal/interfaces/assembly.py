"""What every face does first: sort its options and build the society."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from commonweal import registry
from commonweal.envs.base import Dilemma
from commonweal.errors import UnknownName, require
from commonweal.institutions.base import Institution
from commonweal.society import Society

# An institution, its id, or its id with parameters: `{"id": "taxation", "rate": 0.3}`.
Layer = Institution | str | Mapping[str, Any]

SOCIETY_OPTIONS = ("time_limit", "step_limit", "credit", "endowment", "treasury_weight")


def assemble(
    dilemma: str | Dilemma,
    institutions: Iterable[Layer] = (),
    options: Mapping[str, Any] | None = None,
    *,
    num_worlds: int = 1,
    autoreset: bool = True,
    face_options: Iterable[str] = (),
) -> Society:
    """A society from names and options.

    Args:
        dilemma: an id, or a dilemma.
        institutions: the stack, innermost first.
        options: parameters of the dilemma (and `preset`) where it is given by its id; `time_limit`
            (or PettingZoo's `max_cycles`: no more plays, and no more steps of any stage), `step_limit`,
            `credit`, `endowment`, `treasury_weight` of the society.
            A name that both know belongs to the dilemma.
        num_worlds: B.
        autoreset: start the next episode within the step that ends one.
        face_options: what the face itself takes, so that a slip in it is answered as well.

    Raises:
        UnknownName: an option that nobody knows; names the nearest.
        InvalidParameter: institutions are not in a list, or a value is out of range.
    """
    given = dict(options or {})
    if "max_cycles" in given:
        cycles = given.pop("max_cycles")
        for other in ("time_limit", "step_limit"):
            require(other not in given, f"max_cycles beside {other}", given.get(other), "one of them")
            given[other] = cycles
    named = isinstance(dilemma, str)
    known: set[str] = set()
    if isinstance(dilemma, str):
        known = {"preset", *(field.name for field in fields(registry.dilemma_class(dilemma)))}
    for name in given:
        if name not in known and name not in SOCIETY_OPTIONS:
            of = f"option of {dilemma}" if named else "option (a dilemma already has its parameters)"
            raise UnknownName(of, name, {*known, *SOCIETY_OPTIONS, *face_options, "max_cycles"})
    parameters = {name: value for name, value in given.items() if name in known}
    several = isinstance(institutions, Iterable) and not isinstance(institutions, str | Mapping)
    require(several, "institutions", institutions, "a list of them, also of a single one")
    built = registry.make(dilemma, **parameters) if isinstance(dilemma, str) else dilemma
    rest = {name: value for name, value in given.items() if name not in known}
    stack = [layer(part) for part in institutions]
    return Society(built, stack, num_worlds=num_worlds, autoreset=autoreset, **rest)


def layer(part: Layer) -> Institution:
    """An institution from whatever form it is given in."""
    if isinstance(part, str):
        return registry.institution(part)
    if isinstance(part, Mapping):
        require("id" in part, "institution", dict(part), "a mapping with an 'id'")
        return registry.institution_from(part)
    require(isinstance(part, Institution), "institution", part, "an Institution, an id, or {'id': ...}")
    return part


def fresh_seed() -> int:
    """A seed from the operating system, for a first reset without one."""
    return int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> np.uint64(1))
