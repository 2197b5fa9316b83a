"""`python docs/baselines.py FOLDER` prints the table of `baselines.md`, from a run of that suite."""

from __future__ import annotations

import sys

import numpy as np

from commonweal.benchmarks.statistics import Estimate
from commonweal.benchmarks.store import Store
from commonweal.benchmarks.summary import Summary, summarise

UNKNOWN = Estimate(np.nan, np.nan, np.nan)


def number(value: float, form: str = ".4g") -> str:
    """A number, or a dash where it is not known."""
    return "–" if not np.isfinite(value) else format(value + 0.0, form).replace("-", "−")


def row(summary: Summary) -> str:
    """One dilemma."""
    found, columns = summary.references, summary.columns
    welfare, gain = columns["welfare"], columns["gain"]
    cells = [summary.cell.dilemma, f"{number(welfare.value)} [{number(welfare.low)}, {number(welfare.high)}]"]
    if found is None:
        return _line([*cells, "–", "–", "–", f"{number(gain.value, '.3g')} ({summary.gain_method})", "–"])
    share = gain.value / found.payoff_range if found.payoff_range else np.nan
    efficiency = columns.get("efficiency", UNKNOWN).value
    cells += [
        f"{number(found.selfish.welfare)} ({found.selfish.kind})",
        number(found.planner.welfare),
        number(efficiency, ".2f"),
        f"{number(gain.value, '.3g')} ({summary.gain_method})",
        number(100 * share, ".2g") + "%",
    ]
    return _line(cells)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def table(folder: str) -> str:
    """The whole table."""
    heads = ["dilemma", "trained W", "selfish equilibrium", "planner", "efficiency",
             "gain of a best response", "gain / range of W"]  # fmt: skip
    rows = [row(summary) for summary in summarise(Store(folder))]
    return "\n".join([_line(heads), _line(["---"] * len(heads)), *rows])


if __name__ == "__main__":
    print(table(sys.argv[1]))
