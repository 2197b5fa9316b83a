"""Societies as plain values and as files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from commonweal import registry
from commonweal.errors import CommonwealError, CorruptCheckpoint, UnknownName, require, told
from commonweal.storage import read_arrays

if TYPE_CHECKING:
    from commonweal.society import Society


def describe(society: Society) -> dict[str, Any]:
    """The configuration as plain JSON values."""
    return {
        "dilemma": registry.describe(society.dilemma),
        "institutions": [registry.describe(inst) for inst in society.institutions],
        "num_worlds": society.num_worlds,
        "time_limit": society.time_limit,
        "step_limit": society.step_limit,
        "credit": None if np.isinf(society.credit) else society.credit,
        "endowment": society.endowment,
        "treasury_weight": society.treasury_weight,
        "autoreset": society.autoreset,
    }


def build(config: Mapping[str, Any], seed: int | NDArray[np.uint64] = 0) -> Society:
    """The society that `describe` described, at its start with `seed`."""
    from commonweal.society import Society  # which offers all this as methods

    known = [name for name in signature(Society).parameters if name != "seed"]
    require(isinstance(config, Mapping), "a society", config, f"a table of {', '.join(known)}")
    for name in config:
        if name not in known:
            raise UnknownName("option of a society", name, known)
    options = dict(config)
    dilemma = registry.dilemma_from(options.pop("dilemma", None))
    stack = options.pop("institutions", None)
    require(isinstance(stack, list | tuple), "institutions", stack, "a list of tables")
    institutions = [registry.institution_from(plain) for plain in stack]
    if options.get("credit") is None:
        options["credit"] = np.inf
    return Society(dilemma, institutions, seed=seed, **options)


def load(path: str | Path, society: Society | None = None) -> Society:
    """The society that `Society.save` wrote, in mid-episode.

    Args:
        path: the file.
        society: where to restore it; by default the one described in the file is built.

    Raises:
        CorruptCheckpoint: the file is truncated or damaged, is of another society, or of one that only
            its own program can build; `society` is then as it was.
    """
    arrays, config = read_arrays(path)
    try:
        society = restored(config, arrays, society)
        society.set_state(arrays)
    except CommonwealError as error:
        raise CorruptCheckpoint(f"{path} is not a readable society: {error}") from error
    return society


def restored(
    config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], society: Society | None = None
) -> Society:
    """The society of which `arrays` are the state: `society`, or the one that `config` describes.

    Raises:
        CorruptCheckpoint: it is another one, more worlds or agents are described than there are
            numbers of, or a part has no registered name.
    """
    if society is not None:
        if json.loads(json.dumps(describe(society))) != config:
            raise CorruptCheckpoint(f"it is of the society {told(config)}; allowed: {society!r}")
        return society
    try:
        require(isinstance(config, Mapping), "a society", config, "a table")
        shape = np.shape(arrays.get("society.wealth", ()))
        citizens = sum(registry.dilemma_from(config.get("dilemma")).groups.values())  # type: ignore[arg-type]
        described = config.get("num_worlds"), citizens
        fitting = len(shape) == 2 and described[0] == shape[0] and citizens <= shape[1]
        require(fitting, "worlds and agents of a checkpoint", described, f"the {shape} that it holds")
        return build(config)
    except UnknownName as error:
        hint = "what has no registered name is built by its program: give load or resume the society"
        raise CorruptCheckpoint(f"{error}; {hint}") from error
    except Exception as error:
        raise CorruptCheckpoint(f"it describes no society: {error}") from error
