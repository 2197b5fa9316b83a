"""Packages that only an extra of the installation brings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from commonweal.errors import MissingExtra

EXTRAS = {
    "torch": "train", "tensorboard": "train", "threadpoolctl": "train",
    "pyarrow": "bench", "matplotlib": "bench", "stable_baselines3": "sb3", "supersuit": "sb3",
}  # fmt: skip


@contextmanager
def extra() -> Iterator[None]:
    """Around an import of what may not be installed.

    Raises:
        MissingExtra: it is not; the message says what to install.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        told = f"{package} is not installed; it comes with pip install 'commonweal[{EXTRAS[package]}]'"
        raise MissingExtra(told, name=error.name) from error
