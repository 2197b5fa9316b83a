"""Files are written whole or not at all."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import StorageError

if sys.platform != "win32":
    import fcntl


def write_atomically(path: str | Path, write: Callable[[IO[bytes]], object]) -> None:
    """Call `write(file)` on a temporary neighbour of `path`, then move it into place.

    Raises:
        StorageError: the folder is read-only or the disk is full; `path` is as it was.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}"
        with open(temporary, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        # torch.save hides the system's error behind one of its own.
        cause = error if isinstance(error, OSError) else error.__context__
        if isinstance(cause, OSError):
            raise StorageError(f"cannot write {path}: {cause.strerror or cause}") from error
        raise


@contextmanager
def alone(folder: Path, *, wait: bool) -> Iterator[None]:
    """Hold `folder`, made where it is missing, against other processes that ask for the same.

    The system lets go of it when the process ends, however it ends. Where a system or a network disk
    knows no locks, nothing is held.

    Args:
        folder: what is held.
        wait: until another process has let go of it, instead of raising.

    Raises:
        StorageError: another process holds it, or it cannot be made.
    """
    descriptor = -1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if sys.platform != "win32":
            descriptor = os.open(folder, os.O_RDONLY)
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as error:
        os.close(descriptor)
        raise StorageError(f"another process is at work in {folder}; allowed: one at a time") from error
    except OSError as error:
        if descriptor < 0:
            raise StorageError(f"cannot write {folder}: {error.strerror or error}") from error
    try:
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove what a killed process left half-written in `folder`."""
    for leftover in folder.glob(f".*.{'[0-9a-f]' * 16}"):
        leftover.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_arrays(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an `.npz` file atomically."""
    write_atomically(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
