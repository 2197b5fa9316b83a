"""One look for all figures of the gallery: legible without colour, labels where the eye is.

Colours are Okabe and Ito's, told apart by colour-blind readers; lines differ in dash as well.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

INK, BLUE, ORANGE, GREEN, PURPLE, GREY = "#222222", "#0072B2", "#D55E00", "#009E73", "#AA4499", "#777777"
DASHES = {BLUE: "-", ORANGE: (0, (5, 2)), GREEN: (0, (1, 1.2)), PURPLE: (0, (7, 2, 1.5, 2)), GREY: "-"}

plt.rcParams.update(
    {
        "figure.figsize": (6.4, 3.8),
        "figure.dpi": 110,
        "figure.constrained_layout.use": True,
        "font.size": 10.5,
        "axes.titlesize": 10.5,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "lines.linewidth": 2.0,
        "axes.formatter.useoffset": False,
    }
)


def line(ax: Axes, x, y, colour: str, **options) -> None:
    """A line in `colour`, with the dash that goes with it."""
    ax.plot(x, y, color=colour, linestyle=DASHES[colour], **options)


def dots(ax: Axes, x, y, colour: str, **options) -> None:
    """Measured values, as open circles on top of a line."""
    ax.plot(x, y, "o", markersize=5, markerfacecolor="white", color=colour, zorder=3, **options)


def label(ax: Axes, x: float, y: float, text: str, colour: str = INK, **options) -> None:
    """A label beside what it names."""
    ax.annotate(text, (x, y), color=colour, textcoords="offset points", **{"xytext": (6, 4), **options})


def mark(ax: Axes, x: float, text: str, colour: str = GREY, at: float = 0.97, ha: str = "left") -> None:
    """A vertical rule with its name."""
    ax.axvline(x, color=colour, linewidth=1.0, linestyle=(0, (2, 2)), zorder=0)
    shift = 4 if ha == "left" else -4
    ax.annotate(
        text, (x, at), xycoords=("data", "axes fraction"), color=colour, fontsize=9.5,
        textcoords="offset points", xytext=(shift, 0), ha=ha, va="top",
    )  # fmt: skip
