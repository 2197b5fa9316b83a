"""Output that every terminal, pipe and file can take, whatever characters its encoding has."""

from __future__ import annotations

import codecs
import io
import sys

# One column each, so that tables keep their lines; of bars the heights.
PLAIN = str.maketrans(
    {
        "–": "-", "−": "-", "—": "-", "…": "~", "→": ">", "†": "+", "●": "x", "•": "*", "“": '"', "”": '"',
        "▁": "1", "▂": "2", "▃": "3", "▄": "4", "▅": "5", "▆": "6", "▇": "7", "█": "8",
        "─": "-", "━": "-", "│": "|", "┃": "|", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "∞": "inf",
    }
)  # fmt: skip


def plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Handler of what an encoding lacks: a plain sign for it, or its number, as in names of files.

    Bytes of a file's name that are no text come out as they are.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    char = error.object[error.start]
    if "\udc80" <= char <= "\udcff":
        return bytes([ord(char) - 0xDC00]), error.start + 1
    sign = char.translate(PLAIN)
    return sign if sign != char else char.encode("ascii", "backslashreplace"), error.start + 1


codecs.register_error("commonweal.plain", plain)


def prepare() -> None:
    """Let standard output and errors write what they can and a plain sign for what they cannot."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="commonweal.plain")
