"""The documentation says what the code does: its numbers are computed, its examples run."""

import doctest
import re
import sys
from pathlib import Path

import pytest

import commonweal.envs
import commonweal.institutions
from commonweal import make, registry
from tests import battery

DOCS = Path(__file__).parent.parent / "docs"
# How long training takes is no part of an example.
FEWER = {r"\.train\(\d[\d_]*\)": ".train(600)", r"\.learn\(\d[\d_]*\)": ".learn(320)"}


def blocks(page, language):
    """The fenced blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def test_numbers_of_the_design_page():
    text = "\n".join(blocks("design.md", "pycon"))
    test = doctest.DocTestParser().get_doctest(text, {}, "design.md", None, None)
    assert len(test.examples) > 12
    assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize("page", ["quickstart.md", "training.md", "your_own_environment.md"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_examples_run(page):
    pytest.importorskip("torch")
    if page != "quickstart.md":
        pytest.importorskip("stable_baselines3")
    found = blocks(page, "python")
    assert found
    space = {}
    for code in found:
        for pattern, less in FEWER.items():
            code = re.sub(pattern, less, code)
        exec(compile(code, page, "exec"), space)


@pytest.fixture
def followed(tmp_path, monkeypatch):
    """What `adding.md` tells to write, in a folder that stands for the package; files by name."""
    files = {}
    for code in blocks("adding.md", "python"):
        first, _, rest = code.partition("\n")
        name = first.removeprefix("# ")
        files[name] = files.get(name, "") + rest
    for package in (commonweal.envs, commonweal.institutions):
        folder = tmp_path / package.__name__.replace(".", "/")
        folder.mkdir(parents=True)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    for name in ("commonweal/envs/smoke.py", "commonweal/institutions/suspension.py"):
        (tmp_path / name).write_text(files[name])
    tables = {n: dict(getattr(registry, n)) for n in ("DILEMMAS", "INSTITUTIONS")}
    for name, table in tables.items():
        monkeypatch.setattr(registry, name, table)
    exec(files["commonweal/registry.py"], tables)
    yield files
    for module in ("commonweal.envs.smoke", "commonweal.institutions.suspension"):
        sys.modules.pop(module, None)


def test_the_page_on_adding_is_followed_literally(followed, tmp_path):
    from commonweal.compatibility import fitting

    run = [name for name in followed if name.startswith("tests/")]
    assert run == ["tests/test_smoke.py", "tests/test_suspension.py"]
    for name in run:
        space = {}
        exec(compile(followed[name], name, "exec"), space)
        tests = [value for key, value in space.items() if key.startswith("test_")]
        assert tests
        for test in tests:
            test()
    exec(compile(followed["demos/suspension.py"], "demos/suspension.py", "exec"), {})
    pairs = [(make("smoke-v0"), name) for name in registry.INSTITUTIONS]
    pairs.append((make("fishery-v0"), "suspension"))
    for number, (dilemma, name) in enumerate(pairs):
        stack, reason = fitting(dilemma, name)
        assert stack is not None, f"{name}: {reason}"
        folder = tmp_path / str(number)
        folder.mkdir()
        battery.check_equal_seeds_equal_worlds(dilemma, stack)
        battery.check_batch_equals_single_worlds(dilemma, stack)
        battery.check_observations_stay_in_range_and_finite(dilemma, stack)
        battery.check_ledger_and_declared_properties(dilemma, stack)
        battery.check_voluntary(dilemma, stack)
        battery.check_json_and_restore(dilemma, stack, folder)


def test_every_registered_part_has_a_page():
    pytest.importorskip("matplotlib")
    sys.path.insert(0, str(DOCS))
    try:
        import generate
    finally:
        sys.path.remove(str(DOCS))
    for name in registry.INSTITUTIONS:
        page = generate.institution_page(name)
        assert page.startswith(f"# {name}\n")
        assert "## Hooks" in page
    for name in registry.DILEMMAS:
        told = generate.attributes(registry.dilemma_class(name))
        lacking = [f for f in registry.make(name).to_dict() if f not in told]
        assert not lacking, f"{name} says nothing of {lacking}"
        lead = generate._lead(name)
        assert lead, f"the module of {name} has no docstring"
