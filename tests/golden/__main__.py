"""Write the golden playthroughs anew: `python -m tests.golden`. Review the difference by eye."""

from pathlib import Path

from tests.battery import pairs, playthrough

FOLDER = Path(__file__).parent

if __name__ == "__main__":
    for old in FOLDER.glob("*.txt"):
        old.unlink()
    for name, dilemma, stack in pairs():
        (FOLDER / f"{name}.txt").write_text(playthrough(dilemma, stack))
