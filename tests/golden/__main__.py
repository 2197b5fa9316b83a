"""`python -m tests.golden [dilemma ...]` writes the golden playthroughs anew; read what has changed."""

import sys
from pathlib import Path

from tests import battery

FOLDER = Path(__file__).parent

if __name__ == "__main__":
    wanted = sys.argv[1:]
    for path in FOLDER.glob("*.txt"):
        if not wanted or path.stem.partition("__")[0] in wanted:
            path.unlink()
    for name, dilemma, stack in battery.pairs():
        if not wanted or name.partition("__")[0] in wanted:
            (FOLDER / f"{name}.txt").write_text(battery.playthrough(dilemma, stack))
