"""Files are written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import secrets
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib.format import read_array_header_1_0, read_magic, write_array
from numpy.typing import NDArray

from commonweal.errors import CorruptCheckpoint, StorageError

if sys.platform != "win32":
    import fcntl

CONFIG, DIGEST = "config", "digest"  # names of arrays that say what the others belong to, and are


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
        if isinstance(error, OSError):
            raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
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


def write_arrays(path: str | Path, arrays: Mapping[str, NDArray[Any]], config: Mapping[str, Any]) -> None:
    """Write arrays and what they belong to as an `.npz` file, atomically and without pickle.

    `np.load` shows the arrays, the configuration as JSON text, and the SHA-256 of both.

    Args:
        path: the file.
        arrays: by name; numbers, truth values or text.
        config: plain JSON values.
    """
    content = {**arrays, CONFIG: np.array(json.dumps(config))}
    content[DIGEST] = np.array(_digest(content))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in content.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as member:
                write_array(member, np.asarray(array), allow_pickle=False)
    write_atomically(path, lambda file: file.write(buffer.getbuffer()))


def read_arrays(path: str | Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays and configuration that `write_arrays` wrote.

    Nothing is believed before it is checked: sizes against the file's own, then the digest.

    Raises:
        CorruptCheckpoint: the file is truncated, damaged, or nothing that `write_arrays` writes.
        FileNotFoundError: there is no such file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            # What is not compressed expands to no more than is there.
            plain = all(member.compress_type == zipfile.ZIP_STORED for member in members)
            size, largest = sum(member.file_size for member in members), os.stat(path).st_size
            if not plain or size > largest:
                raise ValueError(f"it expands to {size} bytes; allowed: {largest}, its own size")
            content = {member.filename.removesuffix(".npy"): archive.read(member) for member in members}
        arrays = {name: _array(name, found) for name, found in content.items()}
        if str(arrays.pop(DIGEST, "")) != _digest(arrays):
            raise ValueError("its content is not what was written: the digests differ")
        config = json.loads(str(arrays.pop(CONFIG)))
    except FileNotFoundError:
        raise
    except Exception as error:
        raise CorruptCheckpoint(f"{path} is no readable checkpoint: {error}") from error
    return arrays, config


def _array(name: str, found: bytes) -> NDArray[Any]:
    """The array of one member, whose header must promise as many bytes as follow it."""
    file = io.BytesIO(found)
    if read_magic(file) != (1, 0):
        raise ValueError(f"{name}: another version of NumPy's format; allowed: 1.0")
    shape, fortran, dtype = read_array_header_1_0(file)
    data = file.read()
    if dtype.kind not in "biufU" or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"{name}: {len(data)} bytes for {dtype} {shape}; allowed: as many as it needs")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C").copy()


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 over names, types, shapes and entries."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
