"""A dilemma on the screen: parameters, columns, references, and what its references look like."""

from __future__ import annotations

import inspect
import re
import string
from collections.abc import Sequence
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.columns import Columns
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from commonweal import registry
from commonweal.benchmarks.schelling import Schelling, schelling
from commonweal.benchmarks.yardsticks import because, record
from commonweal.envs.base import Dilemma
from commonweal.errors import NotExact
from commonweal.extras import extra
from commonweal.parameters import Parameters
from commonweal.society import Society
from commonweal.spaces import Choice, Real
from commonweal.storage import write_atomically

BLOCKS = "▁▂▃▄▅▆▇█"
LETTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits


def first_line(thing: object) -> str:
    """The first sentence of a docstring, on one line."""
    told = inspect.getdoc(thing) or ""
    return " ".join(told.split("\n\n")[0].split())


def attributes(cls: type) -> dict[str, str]:
    """What the `Attributes` sections of the class and its bases say of each name."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        told = inspect.cleandoc(base.__doc__ or "")
        section = re.search(r"^Attributes:\n((?:[ \t]+.*\n?|\n)+)", told, re.MULTILINE)
        names: list[str] = []
        for line in section[1].splitlines() if section else []:
            start = re.match(r"    (\w+(?:, \w+)*): (.*)", line)
            if start:
                names = start[1].split(", ")
                found |= dict.fromkeys(names, start[2])
            elif names and line.strip():
                found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return found


def sparkline(values: Sequence[float] | NDArray[np.float64], top: float, width: int = 60) -> str:
    """Values from 0 to `top` as one line of blocks, averaged down to `width`."""
    parts = np.array_split(np.asarray(values, np.float64), min(width, len(values)))
    level = np.clip([part.mean() / top for part in parts], 0.0, 1.0)
    return "".join(BLOCKS[round(float(x) * (len(BLOCKS) - 1))] for x in level)


def show(dilemma: Dilemma, console: Console, out: Path | None = None) -> None:
    """Print everything; the picture goes to `out` where a folder is given."""
    if out is not None:
        import_module("commonweal.benchmarks.figures")  # what cannot be drawn is said first
    console.print(Text(f"{dilemma.id}: {first_line(type(dilemma))}", style="bold"))
    console.print(_parameters(dilemma), _columns(dilemma))
    try:
        with console.status("references"):
            found = record(dilemma)
    except Exception as error:  # what is left to be shown does not depend on them
        console.print(f"references: none ({because(error)})")
        return
    console.print(_references(found), _facts(found))
    diagram = None
    try:
        with console.status("Schelling diagram"):
            diagram = schelling(dilemma)
        console.print(_schelling(diagram))
    except NotExact as error:
        console.print(f"Schelling diagram: none ({error})")
    series = {k: found[k]["series"] for k in ("selfish", "planner") if found[k]["series"]}
    if not series:
        return
    paths = list(series.values())
    differing = [name for name in paths[0] if paths[0][name] != paths[-1][name]]
    console.print(_sparklines(series, (differing or list(paths[0]))[0]))
    if out is not None:
        path = out / f"{dilemma.id}.png"
        write_atomically(path, lambda file: file.write(picture(dilemma.id, series, diagram)))
        console.print(f"picture: {path}")


def _parameters(part: Parameters) -> Table:
    told = attributes(type(part))
    table = Table(title="parameters", title_justify="left")
    for heading in ("name", "value", "default", "meaning"):
        table.add_column(heading)
    plain = part.to_dict()
    for field in fields(part):
        value, default = _short(plain[field.name]), _short(field.default)
        table.add_row(field.name, value, "" if value == default else default, told.get(field.name, ""))
    return table


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _columns(dilemma: Dilemma) -> Table:
    table = Table(title="columns and conduct", title_justify="left")
    for heading in ("kind", "group", "name", "unit", "range"):
        table.add_column(heading)
    for name, group in Society(dilemma).groups.items():
        for action in group.spaces:
            table.add_row(
                "action", name, action.name, getattr(action.space, "unit", ""), _range(action.space)
            )
        for _, signal in group.signals:
            table.add_row("observation", name, signal.name, signal.unit, f"{signal.low:g} to {signal.high:g}")
    for name, conduct in dilemma.conducts.items():
        marks = [word for word in ("limitable", "dyadic", "oracle") if getattr(conduct, word)]
        table.add_row("conduct", "", name, conduct.unit, ", ".join(marks))
    return table


def _range(space: Choice | Real) -> str:
    if isinstance(space, Choice):
        return " | ".join(space.labels)
    levels = f", {space.levels} levels" if space.levels else ""
    return f"{space.low:g} to {space.high:g}{levels}"


def _references(found: dict[str, Any]) -> Group:
    """The numbers as a table, and below it what else is known of each."""
    table = Table(title="references", title_justify="left")
    for heading in ("name", "W", "error", "epsilon", "kind"):
        table.add_column(heading)
    named = {k: found[k] for k in ("selfish", "planner")}
    named |= {f"corrective tax on {k}": v for k, v in found["corrective"].items()} | found["others"]
    notes = []
    for name, stick in named.items():
        epsilon = "" if stick["epsilon"] is None else f"{stick['epsilon']:.3g}"
        table.add_row(name, f"{stick['welfare']:.5g}", f"{stick['error']:.2g}", epsilon, stick["kind"])
        numbers = stick["detail"] | ({"slack": stick["slack"]} if stick["slack"] else {})
        told = [f"{k.replace('_', ' ')} {v:.4g}" for k, v in numbers.items()]
        told = [stick["selection"], *told] if stick["selection"] else told
        notes += [Text(f"{name}: {', '.join(told)}")] if told else []
    return Group(table, *notes)


def _facts(found: dict[str, Any]) -> str:
    told = [f"{name.replace('_', ' ')} {value:.5g}" for name, value in found["facts"].items()]
    return f"facts: {', '.join(told)}" if told else ""


def _sparklines(series: dict[str, dict[str, list[float]]], name: str) -> Group:
    lines = {k: v[name] for k, v in series.items()}
    low, high = min(min(v) for v in lines.values()), max(max(v) for v in lines.values())
    low = min(low, 0.0)
    shown = [Text(f"{name} in the course of an episode, from {low:.4g} to {high:.4g}")]
    for who, values in lines.items():
        shown.append(
            Text(f"  {who:8} {sparkline(np.array(values) - low, high - low or 1.0)} {values[-1]:.4g}")
        )
    return Group(*shown)


def _schelling(diagram: Schelling) -> Group:
    """Both curves, at most eleven points of each."""
    n = len(diagram.planner)
    table = Table(title="Schelling diagram: what one agent gets, by its own rule", title_justify="left")
    for heading in ("others who follow the planner's rule", "selfish", "planner"):
        table.add_column(heading, justify="right")
    for k in np.unique(np.linspace(0, n - 1, min(n, 11)).round().astype(int)):
        table.add_row(str(k), f"{diagram.selfish[k]:.5g}", f"{diagram.planner[k]:.5g}")
    return Group(table, Text(diagram.verdict))


def picture(title: str, series: dict[str, dict[str, list[float]]], diagram: Schelling | None = None) -> bytes:
    """A PNG of every series under both references, one panel each, and of Schelling's diagram."""
    import io

    with extra():
        import matplotlib as mpl
        from matplotlib.figure import Figure

    from commonweal.benchmarks.figures import GREEN, RED, STYLE

    first, *others = series.values()
    # A panel in which both are the same (the share of rounds that has passed) shows nothing.
    names = [name for name in first if any(other[name] != first[name] for other in others)] or list(first)
    total = len(names) + (diagram is not None)
    with mpl.rc_context(STYLE):
        rows, columns = -(-total // 2), min(total, 2)
        figure = Figure(figsize=(4.0 * columns, 2.5 * rows), layout="constrained")
        panels = np.ravel(figure.subplots(rows, columns, squeeze=False))
        for axes in panels[total:]:
            axes.set_visible(False)
        for axes, name in zip(panels, names, strict=False):
            for who, dashes, colour in (("selfish", "--", RED), ("planner", "-", GREEN)):
                if who in series:
                    axes.plot(series[who][name], linestyle=dashes, color=colour, label=who)
            axes.set(title=name, xlabel="play")
            axes.margins(x=0)
        if diagram is not None:
            axes = panels[len(names)]
            for curve, dashes, colour in (
                (diagram.selfish, "--", RED),
                (diagram.planner, "-", GREEN),
            ):
                axes.plot(curve, linestyle=dashes, color=colour, marker="o", markersize=3)
            axes.set(title="one agent's utility", xlabel="others who follow the planner's rule")
            axes.xaxis.get_major_locator().set_params(integer=True)
        figure.axes[0].legend(frameon=False)
        figure.suptitle(title)
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=160)
    return file.getvalue()


def listing() -> Group:
    """All dilemmas and institutions, one line each."""
    tables = []
    for title, names, find in (
        ("dilemmas", registry.DILEMMAS, registry.dilemma_class),
        ("institutions", registry.INSTITUTIONS, registry.institution_class),
    ):
        table = Table(title=title, title_justify="left", show_header=False, box=None, title_style="bold")
        for name in names:
            table.add_row(name, first_line(find(name)))
        tables.append(table)
    return Group(*tables)


def fits() -> Group:
    """Which institution (a column, by letter) fits which dilemma; then the legend, and the reasons."""
    from commonweal.compatibility import matrix

    found = matrix()
    letters = dict(zip(registry.INSTITUTIONS, LETTERS, strict=False))
    table = Table(title="who goes with whom", title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("")
    for letter in letters.values():
        table.add_column(letter, justify="center", min_width=1, no_wrap=True)
    reasons: dict[tuple[str, str], list[str]] = {}
    for dilemma, row in found.items():
        table.add_row(dilemma, *["–" if row[name][0] is None else "●" for name in letters])
        for name, (stack, reason) in row.items():
            if stack is None:
                reasons.setdefault((name, reason.replace(dilemma, "it")), []).append(dilemma)
    legend = Columns([f"{letter} {name}" for name, letter in letters.items()], padding=(0, 3, 0, 0))
    told = [
        Text(f"{letters[name]} {name} – {', '.join(dilemmas)}: {reason}")
        for (name, reason), dilemmas in reasons.items()
    ]
    return Group(table, "", legend, "", *told)
