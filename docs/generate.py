"""Pages of dilemmas, institutions and learners, written from their docstrings and declarations.

Whatever is registered gets a page; nothing here knows a dilemma or an institution by name. What takes
seconds to compute (references, numbers of theory) is kept in `cache/`, under a hash of the package.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import itertools
import json
import pkgutil
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import commonweal
from commonweal import registry
from commonweal.benchmarks.schelling import Schelling, schelling
from commonweal.benchmarks.show import attributes, picture
from commonweal.benchmarks.verify import checks
from commonweal.benchmarks.yardsticks import record
from commonweal.compatibility import matrix
from commonweal.errors import NotExact
from commonweal.institutions.base import Institution
from commonweal.parameters import Parameters
from commonweal.society import Society
from commonweal.spaces import Choice

HERE = Path(__file__).parent
PACKAGE = Path(commonweal.__file__).parent
HOOKS = ("deliberate", "govern", "permit", "settle", "announce", "excluded", "reward")
ORACLE = "oracle: computed with knowledge that no regulator has"


def write_all(folder: Path) -> None:
    """Write every generated page; files that did not change keep their date."""
    pages: dict[str, str] = {"table.md": overview(), "theory.md": theory_table(), "matrix.md": fits()}
    for name in registry.DILEMMAS:
        pages[f"dilemmas/{name}.md"] = dilemma_page(name, folder)
    for name in registry.INSTITUTIONS:
        pages[f"institutions/{name}.md"] = institution_page(name)
    for name, module in learners().items():
        pages[f"learners/{name}.md"] = learner_page(name, module)
    for kind, names in (
        ("dilemmas", registry.DILEMMAS),
        ("institutions", registry.INSTITUTIONS),
        ("learners", learners()),
    ):
        pages[f"{kind}/index.md"] = index_page(kind, names)
    for old in [*folder.glob("*/*.md"), *folder.glob("*.md")]:
        if str(old.relative_to(folder)) not in pages:
            old.unlink()
    for path, text in pages.items():
        _write(folder / path, text.encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != content:
        path.write_bytes(content)


def forget_style(gallery_conf: Any, script: str) -> None:
    """Let the next script of the gallery set the look of its figures anew."""
    sys.modules.pop("style", None)


# ---------------------------------------------------------------------- dilemmas


def dilemma_page(name: str, folder: Path) -> str:
    """Model, columns, parameters, references and checks of one dilemma."""
    cls = registry.dilemma_class(name)
    dilemma = registry.make(name)
    parts = [f"# {name}", _body(inspect.getmodule(cls).__doc__, name), _gallery(cls, name)]
    if not cls.is_dilemma:
        parts.append("Selfish play wastes nothing here at the defaults: it is no dilemma by itself.")
    parts += ["## Parameters", _parameters(dilemma)]
    parts += ["## What agents do and see", _columns(Society(dilemma).groups.values())]
    parts += ["## Conduct", "What institutions see.", _conducts(dilemma.conducts)]
    parts += _presets(cls)
    parts += ["## References at the defaults", *_references(name, folder)]
    told = [c for c in theory() if c["dilemma"] == name]
    if told:
        parts += ["## Numbers of theory", _checks(told)]
    row = matrix_()[name]
    fitting = ", ".join(_link(i, "institutions") for i, (stack, _) in row.items() if stack is not None)
    parts += ["## Institutions that fit", fitting]
    misfits = [[_link(i, "institutions"), reason] for i, (stack, reason) in row.items() if stack is None]
    if misfits:
        parts += ["Those that do not, and why:", _table(("institution", "reason"), misfits)]
    return _join(parts)


def _parameters(part: Any) -> str:
    told, plain = attributes(type(part)), part.to_dict()
    # A part of a part (a monitor) as it would be written, everything else as in a file.
    values = {f.name: getattr(part, f.name) for f in fields(part)}
    shown = {k: repr(v) if isinstance(v, Parameters) else _short(plain[k]) for k, v in values.items()}
    rows = [[f"`{name}`", f"`{value}`", told.get(name, "")] for name, value in shown.items()]
    return _table(("parameter", "default", "meaning"), rows) if rows else "None."


def _columns(groups: Iterable[Any], owner: str = "dilemma") -> str:
    rows = []
    for group in groups:
        for who, action in group.actions:
            if who == owner:
                space = action.space
                what = (
                    " / ".join(space.labels) if isinstance(space, Choice) else _range(space.low, space.high)
                )
                levels = f", {space.levels} levels" if getattr(space, "levels", None) else ""
                stage = "" if action.stage == "play" else f", in the stage `{action.stage}`"
                rows.append(
                    [
                        "does" + stage,
                        group.name,
                        f"`{action.name}`",
                        what + levels,
                        getattr(space, "unit", ""),
                    ]
                )
        for who, signal in group.signals:
            if who == owner:
                width = f", {signal.width} entries" if signal.width > 1 else ""
                rows.append(
                    [
                        "sees",
                        group.name,
                        f"`{signal.name}`",
                        _range(signal.low, signal.high) + width,
                        signal.unit,
                    ]
                )
    return _table(("", "group", "column", "range", "unit"), rows) if rows else ""


def _range(low: float, high: float) -> str:
    return f"{low:g} to {high:g}".replace("-inf", "−∞").replace("inf", "∞")


def _conducts(conducts: Any) -> str:
    rows = []
    for name, conduct in conducts.items():
        marks = ["can be limited"] if conduct.limitable else []
        marks += ["from each to each"] if conduct.dyadic else []
        marks += [ORACLE] if conduct.oracle else []
        rows.append([f"`{name}`", conduct.unit, "; ".join(marks)])
    return _table(("conduct", "unit", ""), rows)


def _presets(cls: Any) -> list[str]:
    if not cls.presets:
        return []
    rows = [
        [f"`{name}`", ", ".join(f"`{k}={_short(v)}`" for k, v in values.items())]
        for name, values in cls.presets.items()
    ]
    return ["## Presets", _table(("preset", "parameters"), rows)]


def _references(name: str, folder: Path) -> list[str]:
    found = _kept(f"references-{name}", lambda: _record(name))
    if "none" in found:
        return [f"None: {found['none']}"]
    rows, notes = [], []
    named = {k: found[k] for k in ("selfish", "planner")}
    named |= {f"corrective tax on {k}": v for k, v in found["corrective"].items()} | found["others"]
    for who, stick in named.items():
        epsilon = "" if stick["epsilon"] is None else f"{stick['epsilon']:.3g}"
        rows.append([who, f"{stick['welfare']:.5g}", f"{stick['error']:.2g}", epsilon, stick["kind"]])
        detail = [
            f"{k.replace('_', ' ')} {v:.4g}" for k, v in stick["detail"].items() if k != "steady_progress"
        ]
        told = ", ".join([*([stick["selection"]] if stick["selection"] else []), *detail])
        notes += [f"- {who}: {told}"] if told else []
    parts = [_table(("yardstick", "W", "error", "epsilon", "known by"), rows)]
    parts += ["\n".join(notes)] if notes else []
    if found["facts"]:
        facts = ", ".join(f"{k.replace('_', ' ')} {v:.5g}" for k, v in found["facts"].items())
        parts.append(f"Facts: {facts}.")
    series = {k: found[k]["series"] for k in ("selfish", "planner") if found[k].get("series")}
    diagram = Schelling(*map(np.array, found["schelling"])) if "schelling" in found else None
    if diagram:
        parts.append(f"By [Schelling's diagram](../../concepts.md#the-words): {diagram.verdict}.")
    if series:
        _write(folder / "dilemmas" / f"{name}.png", _picture(name, series, diagram))
        text = f"{name} under the selfish equilibrium (dashed) and the planner (solid)"
        caption = "All agents follow one yardstick's rule." + (
            " Last panel: one agent does, among others who follow either." if diagram else ""
        )
        parts.append(f"```{{figure}} {name}.png\n:alt: {text}\n\n{caption}\n```")
    return parts


def _record(name: str) -> Any:
    dilemma = registry.make(name)
    try:
        found = json.loads(json.dumps(record(dilemma), default=float))
    except (NotExact, NotImplementedError) as error:
        return {"none": str(error) or "not computed"}
    with suppress(NotExact):
        diagram = schelling(dilemma)
        found["schelling"] = [diagram.selfish.tolist(), diagram.planner.tolist()]
    return found


def _picture(name: str, series: Any, diagram: Schelling | None) -> bytes:
    import matplotlib as mpl

    mpl.use("Agg")
    return picture(name, series, diagram)


# ---------------------------------------------------------------------- institutions


def institution_page(name: str) -> str:
    """Rule, hooks, parameters and declarations of one institution."""
    cls = registry.institution_class(name)
    part = cls()
    doc = _prose(cls)
    family = inspect.getmodule(cls).__doc__
    first = next(n for n, place in registry.INSTITUTIONS.items() if place.startswith(cls.__module__ + ":"))
    parts = [f"# {name}", doc]
    if first == name:
        parts.append(_body(family, name))
    parts += [_gallery(cls, name), "## Parameters", _parameters(part)]
    hooks = [h for h in HOOKS if getattr(cls, h) is not getattr(Institution, h)]
    rows = [[f"`{h}`", _sentence(getattr(cls, h))] for h in hooks]
    parts += ["## Hooks", _table(("hook", "what it does"), rows) if rows else "None: it does nothing."]
    dilemma, stack = next((d, r[name][0]) for d, r in matrix_().items() if r[name][0] is not None)
    address = stack[-1].address
    columns = _columns(Society(registry.make(dilemma), stack).groups.values(), address)
    if columns:
        parts += [
            "## What agents do and see",
            f"Beside the columns of the dilemma (here {dilemma}).",
            columns,
        ]
    declared = [
        ["address", f"`{part.address}`"],
        ["information used", part.information],
        ["governable", ", ".join(f"`{part.address}.{k}`" for k in cls.governable)],
        ["governs", ", ".join(f"`{g}`" for g in part.governs)],
        ["bounds", ", ".join(f"`{b}`" for b in part.bounds)],
        ["owns the right to", ", ".join(f"`{o}`" for o in part.owns)],
        ["officials", ", ".join(f"{n} {k}" for k, n in part.officials.items())],
        ["properties", ", ".join(sorted(cls.properties)).replace("_", " ")],
        ["stands on", ", ".join(_link(c["id"], "institutions") for c in cls.companions)],
    ]
    kept = [row for row in declared if row[1]]
    parts += [
        "## Declared",
        "At the defaults; the test battery holds it to its properties.",
        _table(("", ""), kept),
    ]
    fitting = [_link(d, "dilemmas") for d, row in matrix_().items() if row[name][0] is not None]
    parts += ["## Dilemmas that it fits", ", ".join(fitting)]
    misfits = [[_link(d, "dilemmas"), row[name][1]] for d, row in matrix_().items() if row[name][0] is None]
    if misfits:
        parts += ["Those that it does not fit, and why:", _table(("dilemma", "reason"), misfits)]
    return _join(parts)


# ---------------------------------------------------------------------- learners


@cache
def learners() -> dict[str, Any]:
    """Modules of `commonweal.agents` that define a class with a `train` method, by name."""
    import commonweal.agents as package

    found = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = import_module(f"commonweal.agents.{info.name}")
        if any(hasattr(cls, "train") for cls in _classes(module)):
            found[info.name] = module
    return found


def _classes(module: Any) -> list[type]:
    return [
        cls
        for name, cls in vars(module).items()
        if inspect.isclass(cls) and cls.__module__ == module.__name__ and not name.startswith("_")
    ]


def learner_page(name: str, module: Any) -> str:
    """Docstring, methods and configuration of one learner."""
    parts = [f"# {name}", _body(module.__doc__, name)]
    for cls in _classes(module):
        parts += [f"## `{cls.__name__}`", _prose(cls)]
        if is_dataclass(cls):
            told = {**attributes(cls), **_sentences_below(cls)}
            rows = [[f"`{f.name}`", f"`{_default(f)}`", told.get(f.name, "")] for f in fields(cls)]
            parts.append(_table(("parameter", "default", "meaning"), rows))
            continue
        arguments = _arguments(cls)
        if arguments:
            parts.append(_table(("argument", "meaning"), [[f"`{k}`", v] for k, v in arguments.items()]))
        rows = [
            [f"`{key}`", _names(method), _sentence(method)]
            for key, method in vars(cls).items()
            if not key.startswith("_") and (inspect.isfunction(method) or isinstance(method, classmethod))
        ]
        parts.append(_table(("method", "arguments", "what it does"), rows))
    return _join(parts)


def _names(method: Any) -> str:
    function = method.__func__ if isinstance(method, classmethod) else method
    names = [n for n in inspect.signature(function).parameters if n not in ("self", "cls")]
    return ", ".join(f"`{name}`" for name in names)


def _default(field: Any) -> str:
    return "" if field.default is MISSING else _short(field.default)


def _sentences_below(cls: type) -> dict[str, str]:
    """Strings that stand below the fields of a dataclass."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0].body
    return {
        one.target.id: " ".join(two.value.value.split())
        for one, two in itertools.pairwise(body)
        if isinstance(one, ast.AnnAssign)
        and isinstance(two, ast.Expr)
        and isinstance(two.value, ast.Constant)
    }


def _arguments(cls: type) -> dict[str, str]:
    doc = f"{inspect.getdoc(cls) or ''}"
    return attributes(type("Told", (), {"__doc__": doc.replace("Args:", "Attributes:", 1)}))


# ---------------------------------------------------------------------- overview, theory


def overview() -> str:
    """The tables of the first page: one line for each dilemma and each institution."""
    rows = [[_link(n, "dilemmas", "generated/"), _lead(n)] for n in registry.DILEMMAS]
    parts = [_table(("dilemma", ""), rows)]
    rows = [
        [_link(n, "institutions", "generated/"), _sentence(registry.institution_class(n))]
        for n in registry.INSTITUTIONS
    ]
    return _join([*parts, _table(("institution", ""), rows)])


def _lead(name: str) -> str:
    body = _body(inspect.getmodule(registry.dilemma_class(name)).__doc__, name)
    return " ".join(body.split("\n\n")[0].split())


def index_page(kind: str, names: Iterable[str]) -> str:
    """The page that lists all of a kind."""
    told = {
        "dilemmas": "The dynamics alone: no rule, tax or punishment in them.",
        "institutions": "Layers over a dilemma. They see conduct, never the dilemma's internals.",
        "learners": "Those of this package; other libraries come in through [its faces](../../training.md).",
    }[kind]
    entries = "\n".join(names)
    return _join([f"# {kind.capitalize()}", told, f"```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```"])


def fits() -> str:
    """Who goes with whom."""
    head = ("dilemma", *[_link(i, "institutions", "generated/") for i in registry.INSTITUTIONS])
    rows = [
        [_link(d, "dilemmas", "generated/"), *["–" if stack is None else "✓" for stack, _ in row.values()]]
        for d, row in matrix_().items()
    ]
    return f"```{{table}}\n:class: matrix\n\n{_table(head, rows)}\n```\n"


@cache
def matrix_() -> Any:
    """`compatibility.matrix()`, computed once."""
    return matrix()


@cache
def theory() -> list[dict[str, Any]]:
    """All checks as plain values, each with the dilemma whose file tells it (or an empty string)."""

    def compute() -> list[dict[str, Any]]:
        own = [(n, c) for n in registry.DILEMMAS for c in registry.dilemma_class(n).theory()]
        rest = checks()[len(own) :]
        pairs = [*own, *[("", c) for c in rest]]
        return [{"dilemma": n, **asdict(c), "passed": bool(c.passed)} for n, c in pairs]

    return _kept("theory", compute)


def theory_table() -> str:
    """Every number of theory."""
    missed = [c["name"] for c in theory() if not c["passed"]]
    told = f"{len(theory()) - len(missed)} of {len(theory())} pass."
    return _join([told, _checks(theory())])


def _checks(told: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            c["name"],
            c["source"],
            f"{c['reference']:.6g}",
            f"{c['ours']:.6g}",
            f"{c['tolerance']:.2g}" + ("" if c["passed"] else " **missed**"),
        ]
        for c in told
    ]
    return _table(("what", "source", "reference", "computed", "allowed error"), rows)


# ---------------------------------------------------------------------- pieces


def _kept(name: str, compute: Any) -> Any:
    """What `compute` returns, kept as long as no file of the package changes."""
    path = HERE / "generated" / "cache" / f"{name}-{_version()}.json"
    if not path.exists():
        value = compute()
        for old in path.parent.glob(f"{name}-*.json"):
            old.unlink()
        _write(path, json.dumps(value).encode())
    return json.loads(path.read_text("utf-8"))


@cache
def _version() -> str:
    found = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def _body(doc: str | None, name: str) -> str:
    """A module's docstring without the name that it may begin with."""
    told = inspect.cleandoc(doc or "")
    told = re.sub(rf"^`{re.escape(name)}`: ?", "", told)
    return told[:1].upper() + told[1:]


def _prose(cls: type) -> str:
    """A class's docstring without its sections of names."""
    told = inspect.cleandoc(cls.__doc__ or "")
    return re.sub(r"^(Attributes|Args|Raises|Returns):\n((?:[ \t]+.*\n?|\n)+)", "", told, flags=re.M).strip()


def _sentence(thing: Any) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def _gallery(cls: type, name: str) -> str:
    """A link to the gallery's script that bears the name of the dilemma, its module or its family."""
    stems = (re.sub(r"-v\d+$", "", name), name.replace("-", "_"), cls.__module__.rpartition(".")[2])
    for stem in stems:
        if (HERE.parent / "demos" / f"{stem}.py").exists():
            return f"In the gallery: [{stem.replace('_', ' ')}](../../gallery/{stem}.rst)."
    return ""


def _link(name: str, kind: str, prefix: str = "../") -> str:
    return f"[{name}]({prefix}{kind}/{name}.md)"


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _join(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
