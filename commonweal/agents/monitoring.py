"""Listeners of a training run: TensorBoard and a progress bar."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from commonweal.extras import extra

Info = dict[str, Any]
Listener = Callable[[Info], object]


class TensorBoard:
    """Writes mean and spread over the replicates of each number."""

    def __init__(self, log_dir: str | Path) -> None:
        with extra():
            from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(log_dir))

    def __call__(self, info: Info) -> None:
        """Write one update."""
        for name, value in info.items():
            if isinstance(value, np.ndarray) and not np.isnan(value).all():
                self.writer.add_scalar(name, float(np.nanmean(value)), info["steps"])
                self.writer.add_scalar(f"spread/{name}", float(np.nanstd(value)), info["steps"])
        self.writer.add_scalar("agent_steps_per_second", info["agent_steps_per_second"], info["steps"])

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()


class ProgressBar:
    """A bar with the mean welfare."""

    def __init__(self) -> None:
        text = TextColumn("W = {task.fields[welfare]:.4g}  {task.fields[speed]:,.0f} agent-steps/s")
        self.bar = Progress(BarColumn(), "{task.percentage:>3.0f}%", TimeRemainingColumn(), text)
        self.task = self.bar.add_task("training", welfare=float("nan"), speed=0.0)
        self.bar.start()

    def __call__(self, info: Info) -> None:
        """Show one update."""
        self.bar.update(
            self.task, completed=info["steps"], total=info["total_steps"],
            welfare=float(info["welfare"].mean()), speed=info["agent_steps_per_second"],
        )  # fmt: skip

    def close(self) -> None:
        """Leave the bar as it is."""
        self.bar.stop()


def listeners_of(on_update: Listener | None, log_dir: str | Path | None, progress: bool) -> list[Listener]:
    """The callback given, and what the other two arguments ask for."""
    listeners: list[Listener] = [on_update] if on_update else []
    if log_dir is not None:
        listeners.append(TensorBoard(log_dir))
    if progress:
        listeners.append(ProgressBar())
    return listeners
