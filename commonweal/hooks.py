"""The hooks of a stack, and the only way into those that may draw, pay or append conduct."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonweal.institutions.base import Institution, Turn
from commonweal.random import Streams
from commonweal.state import select

Array = NDArray[np.float64]
Bool = NDArray[np.bool_]

# Phases of the random numbers within a step: one for each use of them, in each round of each stage.
PHASES = {name: i for i, name in enumerate(("reset", "step", "deliberate", "govern", "permit", "settle"))}
NAMES = ("deliberate", "govern", "permit", "settle", "announce", "excluded", "reward")


class Hooks:
    """The institutions of a society by the hooks that they define, with their random numbers.

    Attributes:
        having: by hook, the institutions that define it, innermost first.
        rngs: the random numbers of each institution, by its address.
    """

    def __init__(self, institutions: Sequence[Institution]) -> None:
        self.having = {
            hook: [i for i in institutions if getattr(type(i), hook) is not getattr(Institution, hook)]
            for hook in NAMES
        }
        self._names = [inst.address for inst in institutions]
        self.rngs: dict[str, Streams] = {}

    def reseed(self, seeds: NDArray[np.uint64]) -> None:
        """Start the random numbers anew; those of the dilemma have the owner 0."""
        self.rngs = {name: Streams(seeds, 1 + i) for i, name in enumerate(self._names)}

    def call(
        self, hook: str, inst: Institution, state: Any, turn: Turn, actions: Mapping[str, Array],
        age: NDArray[np.int64], where: Bool | None,
    ) -> Any:  # fmt: skip
        """What the hook of `inst` returns.

        It has the institution's own actions and random numbers, pays under its name, and what it pays
        and appends is in effect only in the worlds `where (B,)` (None: all). `age (B,)` is their clock.
        """
        name = inst.address
        # What other stages draw shifts nothing: rounds of deliberation are odd, of response even.
        slot = {"deliberate": 1 + 2 * turn.round, "play": 0, "respond": 2 + 2 * turn.round}[turn.stage]
        turn.actions = actions
        turn.rng = self.rngs[name].begin(age, PHASES[hook] + len(PHASES) * slot)
        turn.ledger.institution, turn.ledger.active = name, where
        shown = dict(turn.conduct) if where is not None else {}
        result = getattr(inst, hook)(state, turn)
        if where is not None:
            _confine(turn.conduct, shown, where)
            if hook in ("deliberate", "settle"):
                result = select(where, result, state)
        return result


def _confine(conduct: dict[str, Array], shown: Mapping[str, Array], where: Bool) -> None:
    """Keep what a hook has appended to the `conduct` that was `shown` to the worlds `where`."""
    for name, value in conduct.items():
        before = shown.get(name)
        if value is not before:
            here = where.reshape((-1,) + (1,) * (value.ndim - 1))
            conduct[name] = np.where(here, value, 0.0 if before is None else before)
