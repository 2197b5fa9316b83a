"""Figures of a report as inline SVG: narrow panels that a page lays out side by side or in a column.

Nothing is told by hue alone: lines differ in dash, marks in shape, bars in hatching, and every one
carries its name.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonweal.benchmarks.statistics import interquartile_mean
from commonweal.benchmarks.summary import CONVERGED, Summary
from commonweal.extras import extra
from commonweal.references import References

with extra():
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
WIDTH = 4.2  # inches: 403 px, the width of a phone
INK, GREY, BLUE, GREEN, RED = "#1a1a1a", "#8c8c8c", "#0072b2", "#00704f", "#b8420f"
STYLE: dict[str, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "commonweal", "font.family": "sans-serif",
    "font.size": 10, "axes.titlesize": 10, "axes.labelsize": 10, "xtick.labelsize": 9, "ytick.labelsize": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.7, "axes.edgecolor": INK,
    "xtick.major.width": 0.7, "ytick.major.width": 0.7, "xtick.major.size": 3, "ytick.major.size": 3,
    "axes.labelcolor": INK, "text.color": INK, "xtick.color": INK, "ytick.color": INK, "hatch.linewidth": 0.6,
    "text.parse_math": False,  # a label's dollars are dollars
    "axes.titlelocation": "left", "axes.titleweight": "bold", "lines.solid_capstyle": "round",
}  # fmt: skip


def draw(paint: Callable[[Axes], object], height: float, label: str) -> str:
    """One panel as an SVG element; `label` says in words what it shows."""
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # Text stays text in the figure: the reader's fonts write it, not those found here.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        paint(figure.subplots())
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*pt"', r"<svg \1", svg)
    svg = re.sub(r'<svg ([^>]*?)height="[^"]*pt"', r"<svg \1", svg)
    quoted = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{quoted}" ', 1)


# ---------------------------------------------------------------------- one row per institution


def _row_axes(axes: Axes, names: Sequence[str], xlabel: str) -> None:
    """Rows from top to bottom, each with its name above the mark."""
    axes.set_ylim(len(names) - 0.4, -0.75)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(xlabel)
    for row, name in enumerate(names):
        axes.axhline(row, color="#e6e6e6", linewidth=0.7, zorder=0)
        axes.text(
            0.0, row - 0.22, name, transform=axes.get_yaxis_transform(), va="bottom", fontsize=9.5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8}, zorder=5,
        )  # fmt: skip


def _height(rows: int) -> float:
    return 0.5 * rows + 0.85


def _reference(axes: Axes, value: float, error: float, name: str, dashes: str, colour: str) -> None:
    """A labelled vertical line with the band of its error."""
    axes.axvspan(value - error, value + error, color=colour, alpha=0.15, linewidth=0)
    axes.axvline(value, color=colour, linestyle=dashes, linewidth=1.2, zorder=1)
    axes.text(
        value, -0.80, name, ha="center", va="bottom", color=colour, fontsize=8.5,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
    )  # fmt: skip


def _interval(axes: Axes, row: int, low: float, high: float, value: float, **marker: Any) -> None:
    ends = np.clip([low, high], *axes.get_xlim())
    axes.plot(ends, [row, row], color=INK, linewidth=1.6, zorder=3)
    style: dict[str, Any] = {"marker": "o", "markersize": 6.5, "color": BLUE, "markeredgecolor": INK} | marker
    axes.plot([value], [row], linestyle="none", zorder=4, **style)


def efficiency(summaries: Sequence[Summary]) -> str:
    """Efficiency of every institution on one dilemma, with intervals, between its two references."""

    def paint(axes: Axes) -> None:
        found = [s.columns["efficiency"] for s in summaries]
        exact = [s.columns["equilibrium"].value for s in summaries]
        finite = [x for x in [*exact, *(x for e in found for x in (e.low, e.high))] if np.isfinite(x)]
        low, high = min([0.0, *finite]), max([1.0, *finite])
        axes.set_xlim(low - 0.06 * (high - low), high + 0.06 * (high - low))
        _row_axes(axes, [s.cell.institution for s in summaries], "efficiency")
        _reference(axes, 0.0, 0.0, "selfish", "--", RED)
        _reference(axes, 1.0, 0.0, "planner", "-", GREEN)
        for e in [e for s, e in zip(summaries, found, strict=True) if s.laissez_faire]:
            axes.axvline(e.value, color=GREY, linestyle=":", linewidth=1.2, zorder=1)
        for row, (summary, e) in enumerate(zip(summaries, found, strict=True)):
            axes.plot([exact[row]], [row], "|", color=INK, markersize=15, markeredgewidth=1.4, zorder=2)
            shape = "D" if "oracle" in summary.information else "o"
            face = "white" if summary.converged is False else BLUE
            _interval(axes, row, e.low, e.high, e.value, marker=shape, markerfacecolor=face)

    return draw(paint, _height(len(summaries)), f"Efficiency on {summaries[0].cell.dilemma}")


def welfare(summaries: Sequence[Summary], replicates: Sequence[Sequence[float]]) -> str:
    """Welfare of every replicate, its interquartile mean, and both reference lines with error bounds."""

    def paint(axes: Axes) -> None:
        references = summaries[0].references
        every = np.concatenate([np.asarray(r) for r in replicates])
        ends = [float(np.nanmin(every)), float(np.nanmax(every))]
        if references is not None:
            ends += [references.selfish.welfare, references.planner.welfare]
        margin = 0.06 * (max(ends) - min(ends) or 1.0)
        axes.set_xlim(min(ends) - margin, max(ends) + margin)
        _row_axes(axes, [s.cell.institution for s in summaries], "discounted welfare W (money)")
        if references is not None:
            for name, dashes, colour in (("selfish", "--", RED), ("planner", "-", GREEN)):
                stick = getattr(references, name)
                _reference(axes, stick.welfare, stick.error, name, dashes, colour)
            for other in references.others.values():
                axes.axvline(other.welfare, color=RED, linestyle=(0, (1, 3)), linewidth=1.0, zorder=1)
        for row, (summary, runs) in enumerate(zip(summaries, replicates, strict=True)):
            spread = row + 0.13 * np.linspace(-1, 1, len(runs))
            axes.plot(runs, spread, "x", color=GREY, markersize=3.5, markeredgewidth=0.7, zorder=2)
            e = summary.columns["welfare"]
            _interval(axes, row, e.low, e.high, e.value)

    return draw(paint, _height(len(summaries)), f"Welfare on {summaries[0].cell.dilemma}")


def gains(summaries: Sequence[Summary]) -> str:
    """What a best response gains, as a share of the gap; open marks are trained lower bounds."""

    def paint(axes: Axes) -> None:
        found = [s.columns["gain_share"] for s in summaries]
        finite = [x for e in found for x in (e.low, e.high) if np.isfinite(x)]
        low, high = min([0.0, *finite]), max([1.2 * CONVERGED, *finite])
        axes.set_xlim(low - 0.05 * (high - low), high + 0.08 * (high - low))
        _row_axes(axes, [s.cell.institution for s in summaries], "gain of a best response, share of the gap")
        _reference(axes, CONVERGED, 0.0, "not converged beyond", "--", RED)
        axes.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0))
        for row, (summary, e) in enumerate(zip(summaries, found, strict=True)):
            face = "white" if summary.gain_method == "trained" else BLUE
            _interval(axes, row, e.low, e.high, e.value, markerfacecolor=face)

    return draw(paint, _height(len(summaries)), f"Best-response gains on {summaries[0].cell.dilemma}")


def money(summaries: Sequence[Summary], flows: Sequence[Mapping[str, float]]) -> str:
    """Discounted payments under each institution: one bar per purpose, hatched by who receives."""
    bars = [
        (summary.cell.institution, name, amount)
        for summary, paid in zip(summaries, flows, strict=True)
        for name, amount in (paid or {"no payments": 0.0}).items()
    ]

    def paint(axes: Axes) -> None:
        amounts = [amount for _, _, amount in bars]
        axes.set_xlim(0.0, 1.18 * max([*amounts, 1e-9]))
        names = [f"{inst}: {name}" for inst, name, _ in bars]
        _row_axes(axes, names, "discounted payments of all agents (money)")
        for row, (_, name, amount) in enumerate(bars):
            hatch, colour = ("xxx", "#d9d9d9") if name.endswith("burnt") else ("///", "#cfe3f1")
            axes.barh(row, amount, height=0.26, color=colour, edgecolor=INK, hatch=hatch, linewidth=0.7)
            if amount:
                axes.annotate(
                    f"{amount:.3g}", (amount, row), xytext=(4, 0), textcoords="offset points",
                    va="center", fontsize=9,
                )  # fmt: skip

    return draw(paint, _height(len(bars)), f"Who pays whom on {summaries[0].cell.dilemma}")


# ---------------------------------------------------------------------- one panel per cell


def _paths(axes: Axes, x: Array, runs: Array) -> None:
    """Replicates `(len(x), R)` thin, their interquartile mean bold."""
    axes.plot(x, runs, color=GREY, linewidth=0.5, alpha=0.6)
    axes.plot(x, np.ravel(interquartile_mean(runs[:, :, None])), color=BLUE, linewidth=1.8, zorder=3)


def _ends(axes: Axes, lines: Sequence[tuple[str, float, str]]) -> None:
    """Names at the right end of lines, pushed apart where they would overlap."""
    low, high = axes.get_ylim()
    space, placed = 0.085 * (high - low), -np.inf
    for name, y, colour in sorted(lines, key=lambda line: line[1]):
        placed = max(y, placed + space, low)
        axes.annotate(
            name, (1.0, placed), xycoords=("axes fraction", "data"), xytext=(3, 0),
            textcoords="offset points", color=colour, va="center", fontsize=8.5, annotation_clip=False,
        )  # fmt: skip


def learning(
    title: str, steps: Array, curves: Array, references: References | None, limits: tuple[float, float]
) -> str:
    """Welfare in the course of training, `curves (T, R)`."""

    def paint(axes: Axes) -> None:
        axes.set_ylim(*limits)
        axes.set_xlim(0, steps[-1])
        _paths(axes, steps, curves)
        axes.set(title=title, xlabel="steps of each replicate", ylabel="welfare W")
        axes.xaxis.set_major_formatter(mpl.ticker.EngFormatter(sep=""))
        if references is not None:
            lines = []
            for name, dashes, colour in (("selfish", "--", RED), ("planner", "-", GREEN)):
                y = getattr(references, name).welfare
                axes.axhline(y, color=colour, linestyle=dashes, linewidth=1.2)
                lines.append((name, y, colour))
            _ends(axes, lines)

    return draw(paint, 2.5, f"Learning curves: {title}")


def trajectory(
    title: str, runs: Array, references: Mapping[str, Sequence[float]], limit: float, label: str
) -> str:
    """A state in the course of an episode, `runs (T, R)`, beside the reference trajectories."""

    def paint(axes: Axes) -> None:
        axes.set_ylim(0.0, limit)
        axes.set_xlim(0, max(len(runs) - 1, 1))
        _paths(axes, np.arange(len(runs), dtype=np.float64), runs)
        axes.set(title=title, xlabel="play", ylabel=label)
        lines = []
        for name, dashes, colour in (("selfish", "--", RED), ("planner", "-", GREEN)):
            if name in references:
                y = np.asarray(references[name])[: len(runs)]
                axes.plot(y, color=colour, linestyle=dashes, linewidth=0.9)
                lines.append((name, float(y[-1]), colour))
        _ends(axes, lines)

    return draw(paint, 2.5, f"Trajectories: {title}")
