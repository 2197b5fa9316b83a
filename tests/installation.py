"""Copies of the package, and processes that may write no more than they are allowed to."""

import ctypes
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import commonweal

PACKAGE = Path(commonweal.__file__).parent
DROP_FROM_BOUNDING_SET, OVERRIDE_PERMISSIONS = 24, 1  # linux/prctl.h, linux/capability.h


def copy_package(folder):
    """The package as a new installation in `folder`, nothing compiled yet."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, folder / "commonweal", ignore=ignored)
    return folder


def make_read_only(folder):
    """Nobody may write in `folder`, root neither, where it is run by `python`."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    return folder


def make_writable(folder):
    """So that pytest can remove it."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode | stat.S_IWUSR)


def _obey_permissions():
    if sys.platform == "linux" and os.getuid() == 0:
        ctypes.CDLL(None).prctl(DROP_FROM_BOUNDING_SET, OVERRIDE_PERMISSIONS, 0, 0, 0)


def python(*arguments, path=PACKAGE.parent, cwd=None, timeout=60, **environment):
    """Run the interpreter, the package lying in `path`, as a user whom permissions bind; None: unset."""
    variables = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    variables = {name: str(value) for name, value in variables.items() if value is not None}
    return subprocess.run(
        [sys.executable, "-P", *map(str, arguments)], env=variables, cwd=cwd, timeout=timeout,
        capture_output=True, encoding="utf-8", errors="backslashreplace", preexec_fn=_obey_permissions,
    )  # fmt: skip
