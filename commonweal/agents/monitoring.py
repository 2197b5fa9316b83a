"""What is told of a training run: the welfare of its episodes, and to whom (TensorBoard, a progress bar)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from commonweal.extras import extra
from commonweal.state import check_arrays

Info = dict[str, Any]
Listener = Callable[[Info], object]
Array = NDArray[np.float64]


class EpisodeWelfare:
    """Mean discounted W of the episodes of each replicate that ended last.

    Args:
        replicates: R; the first `B / R` worlds are replicate 0, and so on.
        worlds: B.

    Attributes:
        mean: `(R,)`; nan before an episode has ended.
        running: discounted W of the running episodes, `(B,)`.
        weight: what multiplies the next W, `(B,)`.
    """

    def __init__(self, replicates: int, worlds: int) -> None:
        self.mean = np.full(replicates, np.nan)
        self.running, self.weight = np.zeros(worlds), np.ones(worlds)

    def add(self, welfare: Array, discount: Array, done: NDArray[np.bool_]) -> None:
        """Take in one step, `(B,)` each."""
        self.running += self.weight * welfare
        self.weight *= discount
        if not done.any():
            return
        ended = done.reshape(len(self.mean), -1)
        total = np.where(ended, self.running.reshape(ended.shape), 0.0).sum(axis=1)
        number = ended.sum(axis=1)
        self.mean = np.where(number > 0, total / np.maximum(number, 1), self.mean)
        self.running[done], self.weight[done] = 0.0, 1.0

    def get_state(self) -> dict[str, Array]:
        """Everything that changes, by name."""
        return {name: array.copy() for name, array in vars(self).items()}

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `get_state` returned.

        Raises:
            CorruptCheckpoint: names, shapes or numbers are not those of such a state.
        """
        check_arrays(state, vars(self), {"weight": (0.0, 1.0)}, {("mean", "nan")})
        for name, array in state.items():
            setattr(self, name, np.array(array, np.float64))


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
