"""Named errors. Each message states the value given and the values allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST = 60  # letters of a name: as a folder its at most 240 bytes are within the 255 of file systems


class CommonwealError(Exception):
    """Base of every error that Commonweal raises on purpose."""


class InvalidParameter(CommonwealError, ValueError):
    """A parameter of a dilemma, institution, learner or study is out of range."""


class InvalidAction(CommonwealError, ValueError):
    """An action array has a wrong shape, a NaN or a value out of range."""


class IncompatibleInstitution(CommonwealError, ValueError):
    """An institution does not fit the dilemma or the other institutions of its stack."""


class UnsupportedSpace(CommonwealError, ValueError):
    """A face cannot express the action or observation columns of this society."""


class InvalidSuite(CommonwealError, ValueError):
    """A study's TOML file is malformed; the message names the file, line and key."""


class NotExact(CommonwealError, ValueError):
    """No exact solution is to be had here; the message names the reason. Train instead."""


class CorruptCheckpoint(CommonwealError, RuntimeError):
    """A checkpoint is truncated, damaged or belongs to another configuration."""


class Diverged(CommonwealError, ArithmeticError):
    """Numbers of a learner, or what it is given to learn from, are not finite; the message says whose."""


class StorageError(CommonwealError, OSError):
    """Results cannot be written (read-only folder, full disk); what was written stays."""


class ForeignWorldError(CommonwealError, RuntimeError):
    """A foreign environment, its reader or its worker failed, or did not keep what it must."""


class MissingExtra(CommonwealError, ModuleNotFoundError):
    """A package is missing that an extra of the installation brings; the message names the extra."""


class UnknownName(CommonwealError, KeyError):
    """No such dilemma, institution, learner, preset or parameter; names the nearest."""

    def __init__(self, kind: str, given: object, allowed: Iterable[str]) -> None:
        names = sorted(map(str, allowed))
        nearest = difflib.get_close_matches(str(given)[:LONGEST], names, n=1, cutoff=0.4)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        super().__init__(f"unknown {kind} {told(given)}{hint} (allowed: {', '.join(names) or 'none'})")

    def __str__(self) -> str:
        # KeyError would show the repr of the message, quotes and all.
        return str(self.args[0])


LARGEST_TABLE = 1 << 30  # bytes of one table that a solver may lay out: less than any machine has


def told(value: object) -> str:
    """A value for a message: its beginning, where it is long."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def require(condition: bool, what: str, given: object, allowed: str) -> None:
    """Raise `InvalidParameter` naming `what`, the value given and the values allowed."""
    if not condition:
        raise InvalidParameter(f"{what} is {told(given)}; allowed: {allowed}")


def require_name(what: str, given: object, longest: int = LONGEST) -> None:
    """Raise `InvalidParameter` unless files, tables and terminals can show and bring back `given`."""
    fits = isinstance(given, str) and given.isprintable() and given == given.strip()
    fits = fits and 1 <= len(str(given)) <= longest
    require(fits, what, given, f"1 to {longest} printable letters, none at an end blank")


def require_memory(needed: float, what: str) -> None:
    """Raise `NotExact` where a table of `needed` bytes is too large, before it is laid out.

    A table that fits is also filled within seconds, so that the same limit keeps solvers short.

    Args:
        needed: bytes.
        what: the table and its size, for the message.

    Raises:
        NotExact: more than `LARGEST_TABLE`.
    """
    if needed > LARGEST_TABLE:
        gib = float(1 << 30)
        raise NotExact(f"{what} takes {needed / gib:.3g} GiB; allowed: {LARGEST_TABLE / gib:g} GiB")
