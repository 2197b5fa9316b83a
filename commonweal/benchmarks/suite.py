"""A study as a TOML file: a grid of dilemmas x institutions under one learner.

```toml
[study]                       # name, replicates, seed, evaluation_worlds, references
[learner]                     # steps, worlds, response_steps, and the fields of PPOConfig
[[dilemma]]                   # label, id, preset, parameters
[[institution]]               # label, and id with its parameters, or a stack of such tables
```

Where an institution's parameter is to follow from the dilemma's theory, it is a table that names a
number of the computed references, e.g. `rate = { reference = "corrective.extraction.rate" }` or
`limit = { reference = "planner.steady_extraction", times = 0.9 }`.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from commonweal import registry
from commonweal.envs.base import Dilemma
from commonweal.errors import (
    CommonwealError,
    InvalidParameter,
    InvalidSuite,
    MissingExtra,
    UnknownName,
    require,
    require_name,
)
from commonweal.references import References
from commonweal.society import Society
from commonweal.typed import LONGEST_TEXT, fit, fit_fields

VERSION = metadata.version("commonweal")
LONGEST = 100  # letters of a folder's name before the hash; file systems allow 255 bytes


@dataclass(frozen=True)
class Study:
    """What holds for every cell."""

    name: str = "study"
    """Of the study."""
    replicates: int = 20
    """R, independent populations in each cell."""
    seed: int = 0
    """Of everything that is drawn; common to all cells, so that replicates are paired."""
    evaluation_worlds: int = 16
    """Held-out worlds in which each replicate is measured."""
    references: bool = True
    """Whether the exact lines are computed; without them results are in W, not in efficiency."""

    def __post_init__(self) -> None:
        fit_fields(self)
        require_name("name", self.name)
        plain = self.name not in ("", ".", "..") and not re.search(r"[/\\\0]", self.name)
        require(plain, "name", self.name, "a name of a folder, not empty, without slashes")
        for name in ("replicates", "evaluation_worlds"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        require(self.seed >= 0, "seed", self.seed, "0 or more")


@dataclass(frozen=True)
class Learner:
    """How each population learns."""

    steps: int = 40_000
    """Steps of each replicate, all its worlds together."""
    worlds: int = 8
    """Worlds of each replicate."""
    response_steps: int = 20_000
    """Steps of a trained best response, where it cannot be computed."""
    ppo: Mapping[str, Any] = field(default_factory=dict)
    """Hyperparameters that differ from the defaults of `PPOConfig`."""

    def __post_init__(self) -> None:
        from commonweal.agents.ppo import PPOConfig

        fit_fields(self)
        for name in ("steps", "worlds", "response_steps"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        require(isinstance(self.ppo, Mapping), "ppo", self.ppo, "a table of hyperparameters")
        unknown = set(self.ppo) - {f.name for f in fields(PPOConfig)}
        for name in unknown:
            allowed = [f.name for f in fields(PPOConfig)] + ["steps", "worlds", "response_steps"]
            raise UnknownName("learner parameter", name, allowed)
        config = PPOConfig(**self.ppo)
        samples = config.rollout * self.worlds
        require(config.minibatches <= samples, "minibatches", config.minibatches, f"up to {samples} samples")


@dataclass(frozen=True)
class Cell:
    """One dilemma under one stack of institutions, with everything that decides its result."""

    dilemma: str
    """Label."""
    institution: str
    """Label."""
    config: Mapping[str, Any]
    """Plain JSON: dilemma, institutions, learner, replicates, seeds, package version."""

    @property
    def folder(self) -> str:
        """Name of its folder: what can be read, and the hash of the whole configuration."""
        slug = re.sub(r"[^a-z0-9]+", "-", f"{self.dilemma}--{self.institution}".lower()).strip("-")[:LONGEST]
        return f"{slug}-{digest(self.config)[:12]}"

    def society(self, num_worlds: int) -> Society:
        """The society with so many worlds."""
        institutions = [registry.institution_from(plain) for plain in self.config["institutions"]]
        return Society(registry.dilemma_from(self.config["dilemma"]), institutions, num_worlds=num_worlds)


@dataclass(frozen=True)
class Suite:
    """A study that can be run."""

    study: Study
    learner: Learner
    dilemmas: Mapping[str, Dilemma]
    institutions: Mapping[str, tuple[Mapping[str, Any], ...]]

    def cells(self, references: Callable[[Dilemma], References]) -> list[Cell]:
        """The grid, dilemma by dilemma; `references` is asked only where a parameter needs it.

        Raises:
            InvalidSuite: a stack does not fit its dilemma, or names a reference that is not there; all
                that can be refused without references is refused before any is asked for.
        """
        grid = [(name, label) for name in self.dilemmas for label in self.institutions]
        built: dict[tuple[str, str], Cell] = {}
        for place in sorted(grid, key=lambda place: _asks(self.institutions[place[1]])):
            try:
                built[place] = self.cell(*place, references)
            except CommonwealError as error:
                raise InvalidSuite(f"{' / '.join(place)}: {error}") from error
        folders: dict[str, str] = {}
        for place, cell in built.items():
            other = folders.setdefault(cell.folder, " / ".join(place))
            if other != " / ".join(place):
                raise InvalidSuite(f"{other} and {' / '.join(place)} are one cell; allowed: one of them")
        return [built[place] for place in grid]

    def cell(self, name: str, label: str, references: Callable[[Dilemma], References]) -> Cell:
        """The cell of a dilemma and an institution, by label."""
        dilemma = self.dilemmas[name]
        stack = [
            registry.institution_from(resolve(plain, lambda: references(dilemma)))
            for plain in self.institutions[label]
        ]
        study = {k: v for k, v in asdict(self.study).items() if k != "name"}
        config = {
            "dilemma": registry.describe(dilemma),
            "institutions": [registry.describe(institution) for institution in stack],
            "learner": asdict(self.learner),
            "version": VERSION,
            **study,
        }
        cell = Cell(name, label, json.loads(json.dumps(config)))
        cell.society(1)  # an unfit stack is refused here, before anything is trained
        return cell


def digest(config: Mapping[str, Any]) -> str:
    """SHA-256 of a configuration in canonical JSON."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def resolve(value: Any, references: Callable[[], References]) -> Any:
    """`value` with every `{ reference = "path", times = 1 }` replaced by the number it names."""
    if isinstance(value, Mapping) and "reference" in value:
        path, times = _reference(**value)
        return look_up(references(), path) * times
    if isinstance(value, Mapping):
        return {key: resolve(entry, references) for key, entry in value.items()}
    if isinstance(value, list):
        return [resolve(entry, references) for entry in value]
    return value


def _reference(reference: Any, times: Any = 1.0, **others: Any) -> tuple[str, float]:
    for name in others:
        raise UnknownName("key of references", name, ("reference", "times"))
    return fit("reference", reference, str), fit("times", times, float)


def _asks(value: Any) -> bool:
    """Whether a reference is named anywhere in `value`."""
    if isinstance(value, Mapping):
        return "reference" in value or any(map(_asks, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_asks, value))


def look_up(references: References, path: str) -> float:
    """A number of the references by its dotted path, e.g. `corrective.extraction.rate`."""
    found: Any = references
    for step in path.split("."):
        if is_dataclass(found):
            numbers = {k: getattr(found, k) for k in vars(found)}
            found = {**numbers, **numbers.get("detail", {})}
        require(isinstance(found, Mapping), f"reference {path!r}", found, f"no {step!r}: it is a number")
        if step not in found:
            raise UnknownName(f"reference {path!r}: no entry", step, map(str, found))
        found = found[step]
    require(isinstance(found, (int, float)), f"reference {path!r}", found, "the path of a number")
    return float(found)


def load(name: str | Path) -> Suite:
    """The suite in a TOML file, or one that comes with the package by its name.

    Raises:
        InvalidSuite: with file, line and key.
        UnknownName: neither a file nor a suite of the package.
    """
    require(isinstance(name, str | Path), "suite", name, "a name, or the path of a file that ends in .toml")
    path = Path(name)
    if path.suffix != ".toml":
        shipped = {p.name.removesuffix(".toml"): p for p in _shipped().iterdir() if p.name.endswith(".toml")}
        if str(name) not in shipped:
            raise UnknownName("suite", str(name), [*shipped, "a file that ends in .toml"])
        return parse(shipped[str(name)].read_text("utf-8"), f"{name}.toml")
    try:
        text = path.read_text("utf-8-sig")  # some editors begin a file with a mark
    except (OSError, ValueError) as error:
        raise InvalidSuite(f"{path} cannot be read: {error}") from error
    return parse(text, str(path))


def _shipped() -> Any:
    return resources.files("commonweal.benchmarks") / "suites"


def parse(text: str, source: str = "suite") -> Suite:
    """The suite that a TOML text describes; `source` is named in errors."""
    require(isinstance(text, str), "text of a suite", text, "TOML as text")
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidSuite(f"{source}: {error}") from error
    except RecursionError as error:
        raise InvalidSuite(f"{source}: nested too deeply, at end of document") from error
    return _Reader(text, source, tables).suite()


class _Reader:
    """Reads the tables one by one, so that an error can say where it is."""

    def __init__(self, text: str, source: str, tables: dict[str, Any]) -> None:
        self.text, self.source, self.tables = text, source, tables

    def suite(self) -> Suite:
        known = ("study", "learner", "dilemma", "institution")
        for name in self.tables:
            if name not in known:
                raise self.error(str(UnknownName("table", name, known)), name, 0)
        for name in known:
            wanted = list if name in known[2:] else dict
            given = self.tables.get(name, {} if wanted is dict else None)
            tables = not isinstance(given, list) or all(isinstance(table, dict) for table in given)
            if not isinstance(given, wanted) or not tables or (wanted is list and not given):
                form = f"one or more [[{name}]]" if wanted is list else f"one [{name}]"
                fault = f"there is no table [[{name}]]; " if given is None else ""
                raise self.error(f"{fault}allowed: {form}", name, 0)
        return Suite(
            self._table("study", Study), self._table("learner", _learner),
            self._labelled("dilemma", _dilemma), self._labelled("institution", _stack),
        )  # fmt: skip

    def _table(self, name: str, build: Callable[..., Any]) -> Any:
        return self._build(name, 0, self.tables.get(name, {}), build)

    def _labelled(self, name: str, build: Callable[..., Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for index, table in enumerate(self.tables[name]):
            label = table["label"] if "label" in table else str(table.get("id", ""))
            if label in [*found]:
                raise self.error(
                    f"label is {label!r}, given twice; allowed: labels that differ", name, index, "label"
                )
            try:
                require_name("label", label, LONGEST_TEXT)
            except InvalidParameter as error:
                raise self.error(str(error), name, index, "label") from None
            found[label] = self._build(name, index, {k: v for k, v in table.items() if k != "label"}, build)
        return found

    def _build(self, name: str, index: int, table: dict[str, Any], build: Callable[..., Any]) -> Any:
        known = inspect.signature(build).parameters
        try:
            for key in table:
                if key not in known and all(p.kind is not p.VAR_KEYWORD for p in known.values()):
                    raise UnknownName(f"key of [{name}]", key, known)
            return build(**table)
        except MissingExtra:  # nothing that the file could change
            raise
        except (CommonwealError, TypeError, ValueError) as error:
            # The key that the message names first is the one at fault; the others are allowed ones.
            places = {key: re.search(rf"\b{re.escape(key)}\b", str(error)) for key in _keys(table)}
            named = {key: place.start() for key, place in places.items() if place}
            key = min(named, key=lambda k: named[k]) if named else _holding(table, str(error))
            raise self.error(str(error), name, index, key) from error

    def error(self, message: str, name: str, index: int, key: str = "") -> InvalidSuite:
        """An error that names file, line and key."""
        line = _line(self.text, name, index, key)
        where = f"{self.source}, {f'line {line}' if line else 'at end of document'}"
        return InvalidSuite(f"{where}: {name}{f'.{key}' if key else ''}: {message}")


def _holding(table: Mapping[str, Any], message: str) -> str:
    """The first key whose value is quoted in `message`."""
    quoted = [key for key, value in table.items() if isinstance(value, str) and repr(value) in message]
    return quoted[0] if quoted else ""


def _keys(table: Mapping[str, Any]) -> list[str]:
    """The keys of a table and of the tables in it."""
    found = list(table)
    for value in table.values():
        for inner in value if isinstance(value, list) else [value]:
            found += _keys(inner) if isinstance(inner, Mapping) else []
    return found


def _line(text: str, name: str, index: int, key: str) -> int:
    """Line of `key` in the `index`-th table `name`, or of its heading; 0 where there is none."""
    heading, seen, inside, top = 0, -1, False, True
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\[?\s*([\w.-]+)", line)
        if header:
            outer, _, inner = header[1].partition(".")
            top = False
            seen += outer == name and not inner
            inside = outer == name and seen == index
            if inside and not heading:
                heading = number
        if top and re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*[=.]", line):
            return number
        given = rf"(^|[\s{{,\[.\"']){re.escape(key)}[\"']?\s*(=|\])"
        if inside and key and re.search(given, line.split("#")[0]):
            return number
    return heading


def _learner(steps: int = 40_000, worlds: int = 8, response_steps: int = 20_000, **ppo: Any) -> Learner:
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in ppo.items()}
    return Learner(steps, worlds, response_steps, values)


def _dilemma(id: str = "", preset: str | None = None, parameters: Mapping[str, Any] | None = None) -> Dilemma:
    require(isinstance(parameters, Mapping | None), "parameters", parameters, "a table")
    return registry.make(id, preset, **(parameters or {}))


def _stack(stack: list[dict[str, Any]] | None = None, **single: Any) -> tuple[Mapping[str, Any], ...]:
    require(stack is None or not single, "keys beside stack", sorted(single), "either a stack or one id")
    parts = stack if stack is not None else [single]
    require(isinstance(parts, list), "stack", parts, "a list of tables")
    for part in parts:
        require(isinstance(part, dict), "stack", parts, "a list of tables")
        require("id" in part, "an institution with keys", sorted(part), "an id and its parameters")
        cls = registry.institution_class(part["id"])
        # References are not known yet: 0.5 stands for each of them.
        plain = _without_references(part)
        cls.from_dict({k: v for k, v in plain.items() if k != "id"})
    return tuple(parts)


def _without_references(value: Any) -> Any:
    if isinstance(value, Mapping) and "reference" in value:
        _reference(**value)
        return 0.5
    if isinstance(value, Mapping):
        return {key: _without_references(entry) for key, entry in value.items()}
    return value
