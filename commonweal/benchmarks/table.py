"""The study's table on the screen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.table import Table

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
    "Interquartile means over {replicates} replicates with 95% bootstrap intervals. Efficiency: 0 selfish "
    f"equilibrium, 1 planner. Gain: share of that gap; * above {CONVERGED:.0%}: not converged; † trained, "
    "a lower bound."
)


def text(value: Estimate, form: str) -> str:
    """`0.42 [0.40, 0.44]`, or a dash where it is not known."""
    if np.isnan(value.value):
        return "–"
    return f"{_short(value.value, form)} [{_short(value.low, form)}, {_short(value.high, form)}]"


def _short(value: float, form: str) -> str:
    shown = form.format(value).replace("inf", "∞")
    zero = not shown.strip("-0.%")
    return shown.removeprefix("-") if zero else shown.replace("-", "−")


def marks(summary: Summary) -> str:
    """What must be said beside a gain."""
    return ("" if summary.converged in (True, None) else " *") + (" †" if summary.gain_method == "trained" else "")


def table(summaries: Sequence[Summary], title: str) -> Table:
    """One row per cell."""
    replicates = max((s.replicates for s in summaries), default=0)
    shown = Table(title=title, caption=NOTE.format(replicates=replicates), title_justify="left", caption_justify="left")
    shown.add_column("institution")
    shown.add_column("information")
    for _, heading, _ in COLUMNS:
        shown.add_column(heading, justify="right")
    dilemma = None
    for summary in summaries:
        if summary.cell.dilemma != dilemma:
            dilemma = summary.cell.dilemma
            shown.add_section()
            shown.add_row(f"[bold]{dilemma}[/bold]")
        cells = []
        for name, _, form in COLUMNS:
            value = summary.columns.get(name, Estimate(np.nan, np.nan, np.nan))
            cells.append(text(value, form) + (marks(summary) if name == "gain_share" else ""))
        shown.add_row(summary.cell.institution, summary.information, *cells)
    return shown
