"""Every package that `make` installs, and what builds this one, has a pinned version."""

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(file):
    lines = (ROOT / file).read_text("utf-8").split()
    assert all("==" in line for line in lines)
    return {canonical(line.partition("==")[0]): line.partition("==")[2] for line in lines}


def needed(requirements):
    """Names of all installed packages that the requirements lead to."""
    found, waiting = {}, [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonical(requirement.name)
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            found.setdefault(name, set())  # so that it is missed, where it has no pin
            continue
        for extra in requirement.extras or {""}:
            if extra not in found.setdefault(name, set()):
                found[name].add(extra)
                waiting += [(Requirement(text), extra) for text in package.requires or []]
                waiting.append((Requirement(name), ""))
    return found.keys() - {"commonweal"}


def project(extra):
    """What the project itself requires with an extra, those of its own that this one names included."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found, waiting = list(told["dependencies"]), [extra]
    while waiting:
        for text in told["optional-dependencies"][waiting.pop()]:
            inner = Requirement(text)
            waiting += inner.extras if inner.name == "commonweal" else ()
            found += [] if inner.name == "commonweal" else [text]
    return found


@pytest.mark.parametrize(
    ("file", "extra"),
    [("constraints.txt", "dev"), ("constraints.txt", "docs"), ("constraints-doors.txt", "doors")],
)
def test_whatever_is_needed_is_pinned(file, extra):
    assert needed(project(extra)) <= pins(file).keys()


def test_what_builds_the_package_is_pinned():
    told = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    build = set(map(canonical, told["build-system"]["requires"]))
    build |= {"editables", "packaging", "pathspec", "pluggy", "tomlkit", "trove-classifiers"}  # Hatchling's
    for file in ("constraints.txt", "constraints-doors.txt"):
        assert build <= pins(file).keys()


@pytest.mark.parametrize(
    ("folder", "file"), [(".venv", "constraints.txt"), (".venv-doors", "constraints-doors.txt")]
)
def test_whatever_is_installed_is_pinned(folder, file):
    if Path(sys.prefix).resolve() != (ROOT / folder).resolve():
        pytest.skip("another environment")
    installed = {canonical(d.name): d.version.partition("+")[0] for d in metadata.distributions()}
    assert installed.items() - pins(file).items() <= {
        (name, installed.get(name)) for name in ("commonweal", "pip")
    }


def test_both_environments_agree_where_they_need_not_differ():
    here, doors = pins("constraints.txt"), pins("constraints-doors.txt")
    assert {name for name in here.keys() & doors.keys() if here[name] != doors[name]} == {"gymnasium"}
    assert here["torch"] == "2.13.0"
