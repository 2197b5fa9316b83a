"""A study: a grid of dilemmas x institutions under one learner; as a file see `suite_file`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from importlib import metadata
from typing import Any

from commonweal import registry
from commonweal.envs.base import Dilemma
from commonweal.errors import CommonwealError, InvalidSuite, UnknownName, require, require_name
from commonweal.references import References
from commonweal.society import Society
from commonweal.typed import fit, fit_fields

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
        plain = self.name not in (".", "..") and not re.search(r"[/\\]", self.name)
        require(plain, "name", self.name, "a name of a folder, without slashes")
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
        path, times = named_reference(**value)
        return look_up(references(), path) * times
    if isinstance(value, Mapping):
        return {key: resolve(entry, references) for key, entry in value.items()}
    if isinstance(value, list):
        return [resolve(entry, references) for entry in value]
    return value


def named_reference(reference: Any, times: Any = 1.0, **others: Any) -> tuple[str, float]:
    """The path and the factor of a table `{ reference = "path", times = 1 }`."""
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
