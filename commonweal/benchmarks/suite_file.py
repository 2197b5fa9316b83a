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

import inspect
import re
import tomllib
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from commonweal import registry
from commonweal.benchmarks.suite import Learner, Study, Suite, named_reference
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
from commonweal.typed import LONGEST_TEXT


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
        named_reference(**value)
        return 0.5
    if isinstance(value, Mapping):
        return {key: _without_references(entry) for key, entry in value.items()}
    return value
