"""Stages of a round: deliberate, play, respond. A stack without extra stages is always in play."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from commonweal.columns import Columns
from commonweal.institutions.base import Institution

Array = NDArray[np.float64]
Bool = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Agenda:
    """Which stage each world is in, and who has a say in it.

    Stage codes run through the rounds of deliberation, then play, then the rounds of response:
    `0 .. D - 1`, `D`, `D + 1 .. D + R`.
    """

    def __init__(self, institutions: Sequence[Institution], columns: Columns) -> None:
        self.columns = columns
        self.institutions = {inst.address: inst for inst in institutions}
        rounds = {"deliberate": 0, "play": 1, "respond": 0}
        self._deliberating: list[Institution] = []
        for group in columns.groups.values():
            for owner, action in group.actions:
                rounds[action.stage] = max(rounds[action.stage], action.round + 1)
                inst = self.institutions.get(owner)
                if action.stage == "deliberate" and inst and inst not in self._deliberating:
                    self._deliberating.append(inst)
        self.play = rounds["deliberate"]
        self.last = self.play + rounds["respond"]
        self.staged = self.last > 0
        self.names = (
            [("deliberate", r) for r in range(rounds["deliberate"])]
            + [("play", 0)]
            + [("respond", r) for r in range(rounds["respond"])]
        )
        self._open = {name: self._table(name) for name in columns.groups}

    def _table(self, name: str) -> Bool:
        """`(stages, M)`: which options are open in which stage; the null act always is."""
        group = self.columns.groups[name]
        table = np.zeros((len(self.names), group.mask_size), bool)
        for (_, action), place, null in zip(group.actions, group.mask_slices, group.null, strict=True):
            table[self.names.index((action.stage, action.round)), place] = True
            if action.space.size:
                table[:, place.start + int(null)] = True
        return table

    def due(self, inst: Institution, plays: Ints) -> Bool:
        """Worlds in which `inst` deliberates before the next play, `(B,)`."""
        return plays % inst.period == 0 if inst.period else plays == 0

    def first(self, plays: Ints) -> Ints:
        """Stage at the start of a round, `(B,)`."""
        deliberates = np.zeros(plays.shape, bool)
        for inst in self._deliberating:
            deliberates |= self.due(inst, plays)
        return np.where(deliberates, 0, self.play)

    def next(self, stage: Ints, plays: Ints) -> tuple[Ints, Bool]:
        """The following stage, and which worlds have finished their round, `(B,)` each."""
        if not self.staged:
            return stage, np.ones(stage.shape, bool)
        over = stage >= self.last
        return np.where(over, self.first(plays), stage + 1), over

    def present(self, stage: Ints) -> Iterator[tuple[str, int, Bool | None]]:
        """Each stage that some world is in: its name, round, and where (None: everywhere)."""
        if not self.staged:
            yield "play", 0, None
            return
        for code in np.unique(stage):
            where = stage == code
            name, round_ = self.names[code]
            yield name, round_, None if where.all() else where

    def announce(self, stage: Ints) -> dict[str, Array]:
        """The stage as a one-hot observation column."""
        one_hot = np.eye(len(self.names))[np.maximum(stage, 0)]
        return {"stage": one_hot[:, None, :]}

    def mask(self, stage: Ints, plays: Ints) -> dict[str, Bool]:
        """Allowed options by group, `(B, n, M)`."""
        masks = {}
        for name, group in self.columns.groups.items():
            allowed = self._open[name][np.maximum(stage, 0)]
            for (owner, action), place, null in zip(
                group.actions, group.mask_slices, group.null, strict=True
            ):
                inst = self.institutions.get(owner)
                if action.stage == "deliberate" and inst is not None and inst.period:
                    closed = ~self.due(inst, plays)
                    keep = np.arange(place.stop - place.start) == int(null) if action.space.size else False
                    allowed[:, place] &= ~closed[:, None] | keep
            masks[name] = np.array(
                np.broadcast_to(allowed[:, None, :], (len(stage), group.size, allowed.shape[1]))
            )
        return masks
