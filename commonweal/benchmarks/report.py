"""A study as one self-contained HTML page: no script, no link, readable on a phone and on paper."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib import resources
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from commonweal.benchmarks import figures
from commonweal.benchmarks.prose import DEFINITIONS, INTRODUCTION, NOT_TO_CONCLUDE, NOTES
from commonweal.benchmarks.store import Row, Store, read_json
from commonweal.benchmarks.summary import Summary, column, summarise
from commonweal.benchmarks.table import COLUMNS, entry
from commonweal.errors import StorageError
from commonweal.storage import write_text

Array = NDArray[np.float64]
MORE = (
    ("loss", "loss to planner", "{:.3g}"),
    ("gain", "gain in money", "{:.3g}"),
    ("equilibrium", "efficiency in theory", "{:.2f}"),
)


def write_report(folder: str | Path) -> Path:
    """Write `report.html` of a study and return its path.

    Raises:
        StorageError: the folder holds no finished cell, or cannot be written.
    """
    store = Store(folder)
    summaries = summarise(store)
    if not summaries:
        raise StorageError(f"{store.folder} holds no finished cell; run the study first")
    path = store.folder / "report.html"
    write_text(path, _page(store, summaries))
    return path


def _page(store: Store, summaries: list[Summary]) -> str:
    dilemmas = [list(cells) for _, cells in groupby(summaries, key=lambda s: s.cell.dilemma)]
    css = (resources.files("commonweal.benchmarks") / "report.css").read_text("utf-8")
    study = store.config["study"]
    missing = len(store.config["cells"]) - len(summaries)
    number = f"{len(dilemmas)} social dilemma{'s' * (len(dilemmas) > 1)}"
    title = f"{escape(study['name'])}: institutions in {number}"
    definitions = "".join(f"<dt>{k}</dt><dd>{v}</dd>" for k, v in DEFINITIONS.items())
    sections = [
        f"<h1>{title}</h1><p class=lead>{INTRODUCTION}</p>",
        f"<p><span class=flag>{missing} cells are missing</span></p>" if missing else "",
        _headline(dilemmas, store),
        _section("All measures", "measures", *[_measures(cells) for cells in dilemmas]),
        _section("Welfare and its references", "welfare", _pair([_welfare(c, store) for c in dilemmas])),
        _section("Learning", "learning", *[_learning(cells, store) for cells in dilemmas]),
        _section("The stock", "stock", *[_stock(cells, store) for cells in dilemmas]),
        _section("Who pays whom", "money", _pair([_money(cells, store) for cells in dilemmas])),
        _section("What a deviation would still gain", "gains", _pair([_gains(cells) for cells in dilemmas])),
        _section("References", "references", *[_references(cells) for cells in dilemmas]),
        _section("Definitions", "", f"<dl>{definitions}</dl>"),
        _section(
            "What not to conclude", "", f"<ul>{''.join(f'<li>{line}</li>' for line in NOT_TO_CONCLUDE)}</ul>"
        ),
        _section("Configuration", "configuration", _configuration(store, summaries)),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{css}</style></head><body>\n"
        + "\n".join(filter(None, sections))
        + "\n</body></html>\n"
    )


def _section(title: str, note: str, *parts: str) -> str:
    shown = [part for part in parts if part]
    if not shown:
        return ""
    told = f"<p class=note>{NOTES[note]}</p>" if note in NOTES else ""
    return f"<section><h2>{title}</h2>{told}" + "\n".join(shown) + "</section>"


def _pair(drawn: Sequence[str]) -> str:
    shown = [f"<figure>{figure}</figure>" for figure in drawn if figure]
    return f'<div class="panels pair">{"".join(shown)}</div>' if shown else ""


def _panels(title: str, drawn: Sequence[str]) -> str:
    inside = "".join(f"<figure>{figure}</figure>" for figure in drawn)
    return f"<h3>{escape(title)}</h3><div class=panels>{inside}</div>" if drawn else ""


# ---------------------------------------------------------------------- the headline


def _headline(dilemmas: list[list[Summary]], store: Store) -> str:
    """The dilemma x institution matrix, and the same as a figure."""
    labels = list(store.config["institutions"])
    by_cell = {(s.cell.dilemma, s.cell.institution): s for cells in dilemmas for s in cells}
    head = "".join(f"<th scope=col>{_column_head(cells[0])}</th>" for cells in dilemmas)
    rows = []
    for label in labels:
        found = [by_cell.get((cells[0].cell.dilemma, label)) for cells in dilemmas]
        told = next((s.information for s in found if s), "")
        information = f"<small>sees {escape(told) if told != 'none' else 'nothing'}</small>"
        cells_ = "".join(f"<td>{_score(s)}</td>" for s in found)
        rows.append(f"<tr><th scope=row>{escape(label)}{information}</th>{cells_}</tr>")
    matrix = (
        f"<div class=scroll><table class=matrix><thead><tr><th scope=col>institution</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
    drawn = [
        _titled(cells, figures.efficiency(cells)) for cells in dilemmas if cells[0].references is not None
    ]
    return _section("Efficiency", "efficiency", matrix, _pair(drawn))


def _column_head(first: Summary) -> str:
    name = escape(first.cell.dilemma)
    found = first.references
    if found is None:
        return f"{name}<small>no references</small>"
    low, high = found.selfish.welfare, found.planner.welfare
    return f"{name}<small>selfish W {low:.4g}</small><small>planner W {high:.4g}</small>"


def _score(summary: Summary | None) -> str:
    if summary is None:
        return "<small>not run</small>"
    shown = entry(summary, "efficiency", "{:.2f}")
    if np.isnan(summary.columns["efficiency"].value):
        return shown
    main, _, interval = shown.partition(" ")
    flag = "<span class=flag>not converged</span>" if summary.converged is False else ""
    return f"<b>{main}</b><small>{interval}</small>{flag}"


def _titled(cells: list[Summary], svg: str) -> str:
    return f"<h3>{escape(cells[0].cell.dilemma)}</h3>{svg}"


# ---------------------------------------------------------------------- the sections


def _measures(cells: list[Summary]) -> str:
    head = "".join(f"<th scope=col>{heading}</th>" for _, heading, _ in (*COLUMNS, *MORE))
    rows = []
    for summary in cells:
        shown = [entry(summary, name, form) for name, _, form in (*COLUMNS, *MORE)]
        inside = "".join(f"<td>{_broken(value)}</td>" for value in shown)
        method = f"<small>response {summary.gain_method}</small>"
        rows.append(f"<tr><th scope=row>{escape(summary.cell.institution)}{method}</th>{inside}</tr>")
    return _table(cells[0].cell.dilemma, f"<th scope=col>institution</th>{head}", rows) + _reasons(cells)


def _reasons(cells: list[Summary]) -> str:
    """Why theory is silent about a cell, a line for each reason and those whom it concerns."""
    names = {"equilibrium": "No efficiency in theory", "gain": "No exact gain"}
    told: dict[str, list[str]] = {}
    for summary in cells:
        for name, heading in names.items():
            if name in summary.reasons:
                line = f"{heading}: {summary.reasons[name]}"
                told.setdefault(line, []).append(summary.cell.institution)
    lines = [f"<li>{escape(line)} ({escape(', '.join(labels))})</li>" for line, labels in told.items()]
    return f"<ul class=note>{''.join(lines)}</ul>" if lines else ""


def _table(title: str, head: str, rows: Sequence[str]) -> str:
    return (
        f"<h3>{escape(title)}</h3><div class=scroll><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _broken(value: str) -> str:
    main, bracket, interval = value.partition(" [")
    return f"{main}<small>{bracket.strip()}{interval}</small>" if interval else main


def _welfare(cells: list[Summary], store: Store) -> str:
    runs = [column(store.rows(s.cell, "results"), "welfare") for s in cells]
    return _titled(cells, figures.welfare(cells, runs))


def _pivot(rows: Sequence[Row], index: str, value: str) -> tuple[Array, Array]:
    """Rows as a matrix `(T, R)` over sorted `index` and replicates, and the index `(T,)`."""
    x = sorted({row[index] for row in rows})
    place = {value: i for i, value in enumerate(x)}
    matrix = np.full((len(x), 1 + max(row["replicate"] for row in rows)), np.nan)
    for row in rows:
        matrix[place[row[index]], row["replicate"]] = row[value]
    return np.array(x, dtype=np.float64), matrix


def _learning(cells: list[Summary], store: Store) -> str:
    curves = [_pivot(store.rows(s.cell, "curves"), "steps", "welfare") for s in cells]
    references = cells[0].references
    settled = [runs[len(runs) // 3 :] for _, runs in curves]
    told = [late[~np.isnan(late)] for late in settled if not np.isnan(late).all()]
    if not told:  # every training was shorter than an episode
        return f"<h3>{escape(cells[0].cell.dilemma)}</h3><p>No episode ended in training.</p>"
    late = [float(np.quantile(values, q)) for values in told for q in (0.01, 0.99)]
    ends = late + ([references.selfish.welfare, references.planner.welfare] if references else [])
    # The first random plays may lose without bound; the axis shows what is learnt.
    margin = 0.12 * (max(ends) - min(ends) or 1.0)
    limits = (min(ends) - margin, max(ends) + margin)
    drawn = [
        figures.learning(s.cell.institution, x, runs, references, limits)
        for s, (x, runs) in zip(cells, curves, strict=True)
    ]
    return _panels(cells[0].cell.dilemma, drawn)


def _stock(cells: list[Summary], store: Store) -> str:
    if "final_stock" not in cells[0].columns:
        return ""
    record = cells[0].record or {}
    played = {k: record[k]["series"] for k in ("selfish", "planner") if k in record}
    known = {k: series["stock"] for k, series in played.items() if series}
    runs = [_pivot(store.rows(s.cell, "series"), "play", "stock")[1] for s in cells]
    limit = 1.05 * max([float(np.nanmax(r)) for r in runs] + [max(line) for line in known.values()])
    drawn = [
        figures.trajectory(s.cell.institution, r, known, limit, "stock")
        for s, r in zip(cells, runs, strict=True)
    ]
    return _panels(cells[0].cell.dilemma, drawn)


def _money(cells: list[Summary], store: Store) -> str:
    flows = []
    for summary in cells:
        paid: dict[str, list[float]] = {}
        for row in store.rows(summary.cell, "flows"):
            name = f"{row['purpose']}, {row['payer']} → {row['payee']}"
            paid.setdefault(name, []).append(row["amount"])
        flows.append({name: float(np.mean(v)) for name, v in paid.items() if np.mean(v) > 0})
    return _titled(cells, figures.money(cells, flows)) if any(flows) else ""


def _gains(cells: list[Summary]) -> str:
    if all(s.converged is None for s in cells):
        return ""
    return _titled(cells, figures.gains(cells))


def _references(cells: list[Summary]) -> str:
    found = cells[0].references
    if found is None:
        reason = escape(cells[0].reasons["references"])
        return f"<h3>{escape(cells[0].cell.dilemma)}</h3><p>None are known: {reason}.</p>"
    named = {"selfish": found.selfish, "planner": found.planner}
    named |= {f"corrective tax on {k}": v for k, v in found.corrective.items()} | dict(found.others)
    rows = []
    for name, stick in named.items():
        epsilon = "–" if np.isnan(stick.epsilon) else f"{stick.epsilon:.3g}"
        numbers = {**stick.detail, "slack": stick.slack} if stick.slack else stick.detail
        detail = ", ".join(f"{k.replace('_', ' ')} {v:.4g}" for k, v in numbers.items())
        values = (f"{stick.welfare:.5g}", f"{stick.error:.2g}", epsilon, stick.kind, stick.selection, detail)
        inside = "".join(f"<td>{escape(value)}</td>" for value in values)
        rows.append(f"<tr><th scope=row>{escape(name)}</th>{inside}</tr>")
    facts = ", ".join(f"{escape(k.replace('_', ' '))} {v:.4g}" for k, v in found.facts.items())
    names = ("", "W", "error", "epsilon", "kind", "selection", "detail")
    head = "".join(f"<th scope=col>{name}</th>" for name in names)
    notes = [facts] if facts else []
    if "corrective" in cells[0].reasons:
        notes.append(f"No corrective rate was sought: {escape(cells[0].reasons['corrective'])}.")
    told = "".join(f"<p class=note>{note}</p>" for note in notes)
    return _table(cells[0].cell.dilemma, head, rows) + told


def _configuration(store: Store, summaries: list[Summary]) -> str:
    provenance = read_json(store.folder / "provenance.json")
    parts = [f"<pre>{escape(json.dumps(provenance, indent=1))}</pre>"]
    for summary in summaries:
        config = escape(json.dumps(summary.cell.config, indent=1))
        parts.append(
            f"<details><summary>{escape(summary.cell.folder)}</summary><pre>{config}</pre></details>"
        )
    return "".join(parts)
