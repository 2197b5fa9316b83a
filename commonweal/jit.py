"""Numba for the whole package, and the place of what it has compiled.

Numba knows compiled code by the file of its function alone, although functions and constants of other
files are compiled into it: after a change there it would run the old code. Here a digest of all sources of
the package names the folder of its compiled code. The folder lies in the first of these that can be written:
`NUMBA_CACHE_DIR` where it is set, the package's own `__pycache__`, the user's cache of numba. Where
none can, code that was compiled there before is used, and the rest is compiled anew in each process.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import resources
from importlib.resources.abc import Traversable
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba import types as types  # of arguments, for signatures
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.misc.appdirs import AppDirs

Function = Callable[..., Any]
KEPT = 4  # folders of compiled code: of this version of the sources and of the last ones before it


def _sources(folder: Traversable) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith((".py", ".pyc")):
            yield entry.name, entry.read_bytes()
        elif entry.is_dir() and entry.name != "__pycache__":
            yield from _sources(entry)


def digest() -> str:
    """Of the names and the contents of all sources of the package and the versions of its compiler."""
    total = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    for name, content in _sources(resources.files("commonweal")):
        total.update(f"\0{name}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()[:16]


def _homes() -> Iterator[Path]:
    """Where folders of compiled code may lie, the best first."""
    if numba.config.CACHE_DIR:
        yield Path(numba.config.CACHE_DIR, "commonweal")
    yield Path(cache_from_source(__file__)).parent
    users = Path(AppDirs("numba", appauthor=False).user_cache_dir, "commonweal")
    if users.is_absolute():  # where nobody knows the user's home it would lie in the current folder
        yield users


def _remove_old(home: Path) -> None:
    """Leave the folders that changed last; who still runs an older version compiles it again."""
    with suppress(OSError):
        folders = sorted(home.glob(f"kernels-{'[0-9a-f]' * 16}"), key=lambda folder: -folder.stat().st_mtime)
        for folder in folders[KEPT:]:
            shutil.rmtree(folder, ignore_errors=True)


def find_folder(name: str) -> Path | None:
    """The folder for compiled code of that name, made where it is missing; None: there can be none."""
    folders = [home / f"kernels-{name}" for home in _homes()]
    for folder in folders:
        with suppress(OSError):
            new = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            if new:
                _remove_old(folder.parent)
            return folder
    return next((folder for folder in folders if os.access(folder, os.R_OK | os.X_OK)), None)


DIGEST = digest()
FOLDER = find_folder(DIGEST)


class _Locator(_CacheLocator):  # type: ignore[misc]
    """The one folder of the package, for every function of it."""

    def __init__(self, function: Function) -> None:
        self._py_file, self._line = function.__code__.co_filename, function.__code__.co_firstlineno

    def get_cache_path(self) -> str:
        return str(FOLDER)

    def get_source_stamp(self) -> str:
        return DIGEST

    def get_disambiguator(self) -> str:
        return str(self._line)


class _Storage(CompileResultCacheImpl):  # type: ignore[misc]
    """What is stored, as numba stores it, under the full name of the function and in the one folder."""

    def __init__(self, function: Function) -> None:
        self._lineno = function.__code__.co_firstlineno
        self._locator = _Locator(function)
        name = f"{function.__module__}.{function.__qualname__}"
        self._filename_base = self.get_filename_base(name, getattr(sys, "abiflags", ""))


class _Cache(FunctionCache):  # type: ignore[misc]
    """Numba's cache, which may fail: then the function is compiled, as if there were none."""

    _impl_class = _Storage

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # whatever a damaged file makes pickle and LLVM raise
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        # Sources that have changed since this process began may have been imported since.
        with suppress(Exception):  # a full disk, another process that removes the folder
            if digest() == DIGEST:
                super().save_overload(sig, data)


def njit(function: Function | None = None, /, *, signature: Any = None, **options: Any) -> Any:
    """Decorator: compile a function with numba, and keep what was compiled.

    Args:
        function: what is compiled, where the decorator is used without parentheses.
        signature: its only one, or a list of all, compiled at once; else one for each types of arguments,
            when first called.
        options: of `numba.njit`.
    """
    if function is None:
        return lambda function: njit(function, signature=signature, **options)
    dispatcher = numba.njit(**options)(function)
    if numba.config.DISABLE_JIT:
        return dispatcher
    if FOLDER is not None:
        dispatcher._cache = _Cache(function)
    if signature is not None:
        for one in signature if isinstance(signature, list) else [signature]:
            dispatcher.compile(one)
        dispatcher.disable_compile()
    return dispatcher
