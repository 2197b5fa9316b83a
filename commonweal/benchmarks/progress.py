"""Progress of a study on the screen: a bar per running cell and one for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich import progress as bars
from rich.console import Console

from commonweal.benchmarks.suite import Cell
from commonweal.benchmarks.yardsticks import restore
from commonweal.references import References


class Progress:
    """Shows welfare and efficiency as the cells learn; without a terminal, one line per cell."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet, markup=False)  # labels may hold brackets
        self.bars = bars.Progress(
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(bar_width=24),
            bars.TaskProgressColumn(),
            bars.TextColumn("{task.fields[news]}", markup=False),
            bars.TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=quiet or not self.console.is_terminal,
        )
        self.tasks: dict[str, bars.TaskID] = {}
        self.references: dict[str, References | None] = {}
        self.news: dict[str, str] = {}

    def __enter__(self) -> Progress:
        self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()

    def say(self, what: str) -> None:
        """A line that stays."""
        self.console.print(what, style="dim", highlight=False)

    def start(self, total: int, skipped: int) -> None:
        """So many cells are to be run."""
        if skipped:
            self.say(f"{skipped} finished cells are skipped")
        self.overall = self.bars.add_task("study", total=total, news=f"{total} cells")

    def begin(self, cell: Cell, record: Mapping[str, Any] | None) -> None:
        """A cell has started."""
        self.references[cell.folder] = None if record is None else restore(record)
        name = f"{cell.dilemma} / {cell.institution}"
        self.tasks[cell.folder] = self.bars.add_task(name, total=1.0, news="")

    def update(self, cell: Cell, phase: str, share: float, welfare: float) -> None:
        """A cell has come so far."""
        news = f"W {welfare:.4g}" if np.isfinite(welfare) else "W -"
        references = self.references[cell.folder]
        if references is not None and np.isfinite(welfare):
            news += f", efficiency {references.efficiency(welfare):.2f}"
        if phase == "training":
            self.news[cell.folder] = news
        shown = news if phase == "training" else phase
        self.bars.update(self.tasks[cell.folder], completed=share, news=shown)

    def end(self, cell: Cell, failure: str) -> None:
        """A cell has ended; `failure` is the reason or empty."""
        self.bars.remove_task(self.tasks.pop(cell.folder))
        self.bars.advance(self.overall)
        name = f"{cell.dilemma} / {cell.institution}"
        if failure:
            self.console.print(f"failed: {name}: {failure}", style="bold red", highlight=False)
        else:
            self.say(f"done: {name} ({self.news.get(cell.folder, 'resumed')})")
