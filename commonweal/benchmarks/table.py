"""The study's table on the screen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from commonweal.benchmarks.statistics import Estimate
from commonweal.benchmarks.summary import CONVERGED, Summary

# Column of the results, heading, format.
COLUMNS = (
    ("efficiency", "efficiency", "{:.2f}"),
    ("equality", "equality", "{:.3f}"),
    ("final_stock", "final stock", "{:.3g}"),
    ("enforcement_cost", "enforcement cost", "{:.3g}"),
    ("gain_share", "best-response gain", "{:.1%}"),
)
NOTE = (
    "Below each institution: what it sees. Interquartile means over {replicates}, below each the ends of its "
    "95% bootstrap interval. Efficiency: 0 selfish equilibrium, 1 planner; W where it is not known. Gain: "
    f"share of that gap; * above {CONVERGED:.0%}: not converged; † trained, a lower bound."
)


def text(value: Estimate, form: str) -> str:
    """`0.42 [0.40, 0.44]`, or a dash where it is not known."""
    if np.isnan(value.value):
        return "–"
    return f"{_short(value.value, form)} [{_short(value.low, form)}, {_short(value.high, form)}]"


def entry(summary: Summary, name: str, form: str) -> str:
    """What stands in a column of a cell's row: W where its efficiency is not known."""
    value = summary.columns.get(name, Estimate(np.nan, np.nan, np.nan))
    if name == "efficiency" and np.isnan(value.value):
        return f"W {text(summary.columns['welfare'], '{:.4g}')}"
    return text(value, form)


def _short(value: float, form: str) -> str:
    shown = form.format(value).replace("inf", "∞")
    zero = not shown.strip("-0.%")
    return shown.removeprefix("-") if zero else shown.replace("-", "−")


def marks(summary: Summary) -> str:
    """What must be said beside a gain."""
    far = " *" if summary.converged is False else ""
    return far + (" †" if summary.gain_method == "trained" else "")


def table(summaries: Sequence[Summary], title: str) -> Table:
    """Two lines per cell, within 80 characters."""
    replicates = max((s.replicates for s in summaries), default=0)
    note = NOTE.format(replicates=f"{replicates} replicate{'s' * (replicates != 1)}")
    shown = Table(title=title, caption=note, box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    shown.title_justify = shown.caption_justify = "left"
    shown.add_column("institution", min_width=13)
    for _, heading, _ in COLUMNS:
        shown.add_column(heading.replace(" ", "\n"), justify="right", no_wrap=True)
    dilemma = None
    for summary in summaries:
        if summary.cell.dilemma != dilemma:
            dilemma = summary.cell.dilemma
            shown.add_section()
            shown.add_row(Text(dilemma, style="bold"))
        cells = []
        for name, _, form in COLUMNS:
            main, _, interval = entry(summary, name, form).partition(" [")
            mark = marks(summary) if name == "gain_share" else ""
            cells.append(f"{main}{mark}\n{interval.removesuffix(']').replace(', ', '…')}")
        head = Text.assemble(summary.cell.institution, "\n", (summary.information, "dim"))
        shown.add_row(head, *cells)
    return shown
