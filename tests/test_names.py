"""Names that no file brings back or no terminal shows are refused where they are given."""

from dataclasses import dataclass, fields
from typing import ClassVar

import pytest

from commonweal import Society, institution, make, registry
from commonweal.benchmarks.suite import Study
from commonweal.benchmarks.suite_file import parse
from commonweal.envs.foreign import Foreign
from commonweal.errors import CommonwealError, InvalidParameter, InvalidSuite, UnknownName
from commonweal.institutions.base import Institution
from commonweal.spaces import Action, Choice, Conduct, Real, Signal
from tests.test_fuzz import TEXT

BAD = {
    "NUL": "a\0b", "escape": "\x1b[31mred", "line break": "a\nb", "carriage return": "a\rb", "tab": "a\tb",
    "bell": "\a", "half a letter": "\ud800", "backwards": "a\u202eb", "nothing wide": "\u200b",
    "long": "x" * 70_000, "line separator": "a\u2028b",
}  # fmt: skip
NO_NAME = {**BAD, "empty": "", "blank": "  ", "blank end": "tax "}
bad = pytest.mark.parametrize("text", BAD.values(), ids=BAD)
no_name = pytest.mark.parametrize("text", NO_NAME.values(), ids=NO_NAME)
TEXTS = [
    pytest.param(build, name, field.name, id=f"{name} {field.name}")
    for build, names, find in (
        (make, registry.DILEMMAS, registry.dilemma_class),
        (institution, registry.INSTITUTIONS, registry.institution_class),
    )
    for name in names
    for field in fields(find(name))
    if isinstance(field.default, str)
]


@bad
@pytest.mark.parametrize(("build", "name", "field"), TEXTS)
def test_texts_among_parameters(build, name, field, text):
    with pytest.raises(InvalidParameter, match=rf"\.{field} is .*allowed: ") as refused:
        build(name, **{field: text})
    assert len(str(refused.value)) < 500
    assert str(refused.value).isprintable()


@no_name
def test_names_of_institutions(text):
    for name in registry.INSTITUTIONS:
        if "name" in registry.institution_class(name).__dataclass_fields__:
            with pytest.raises(InvalidParameter, match=r"\.name is .*allowed: "):
                institution(name, name=text)


@pytest.mark.parametrize("name", ["tax", "Grundsteuer (Boden)", "税", "x" * 60, "a/b", "%s", "🐟"])
def test_a_society_with_any_other_name_comes_back(name, tmp_path):
    tax = institution("taxation", base="extraction", name=name)
    society = Society(make("fishery-v0"), [tax])
    society.save(str(tmp_path / "society.npz"))
    assert repr(Society.load(str(tmp_path / "society.npz"))) == repr(society)


@dataclass(frozen=True, eq=False, repr=False)
class Own(Institution):
    """A stranger's, that names things itself."""

    id: ClassVar[str] = "own"
    said: ClassVar[dict[str, str]] = {}

    @property
    def address(self):
        return self.said.get("address", "own")

    @property
    def officials(self):
        return {self.said["group"]: 1} if "group" in self.said else {}

    def conducts(self, charter):
        return {self.said["conduct"]: Conduct("")} if "conduct" in self.said else {}

    def actions(self, charter):
        return [Action(self.said["action"], Real(0.0, 1.0))] if "action" in self.said else []

    def signals(self, charter):
        return [Signal(self.said["signal"])] if "signal" in self.said else []


@no_name
@pytest.mark.parametrize("what", ["address", "group", "conduct", "action", "signal"])
def test_what_an_institution_of_a_stranger_names(monkeypatch, what, text):
    monkeypatch.setattr(Own, "said", {what: text})
    with pytest.raises(InvalidParameter, match="allowed: 1 to "):
        Society(make("fishery-v0"), [Own()])


@no_name
def test_labels_columns_groups_and_units(text):
    for refused in (
        lambda: Choice(("no", text)),
        lambda: Action(text, Real(0.0, 1.0)),
        lambda: Action("act", Real(0.0, 1.0), group=text),
        lambda: Signal(text),
        lambda: Signal("seen", group=text),
        lambda: make("matrix-v0", labels=("stay", text)),
        lambda: Study(name=text),
    ):
        with pytest.raises(InvalidParameter, match="allowed: "):
            refused()


@bad
def test_units(text):
    for refused in (
        lambda: Conduct(text),
        lambda: Signal("seen", text),
        lambda: Real(0.0, 1.0, text),
        lambda: Foreign("sisl/pursuit_v5", print, {text: Conduct("steps")}, 3),
    ):
        with pytest.raises(InvalidParameter, match="allowed: "):
            refused()


@no_name
@pytest.mark.parametrize("what", ["id", "groups", "conducts"])
def test_what_a_dilemma_of_a_stranger_names(what, text):
    fishery = registry.dilemma_class("fishery-v0")
    said = {"id": text, "groups": {text: 5}, "conducts": {**fishery.conducts, text: Conduct("")}}
    cls = type("Mine", (fishery,), {what: said[what]})
    with pytest.raises(InvalidParameter, match=r"Mine.*allowed: 1 to "):
        cls()


@bad
def test_what_is_unknown_is_told_in_short(text):
    for unknown in (
        lambda: make(text),
        lambda: institution(text),
        lambda: make("fishery-v0", text),
        lambda: make("fishery-v0", **{text: 1}),
        lambda: institution("taxation", **{text: 1}),
    ):
        with pytest.raises(UnknownName) as refused:
            unknown()
        assert str(refused.value).isprintable()
        assert len(str(refused.value)) < 1500
    with pytest.raises(CommonwealError):
        Society(
            make("fishery-v0"), [institution("taxation", base="extraction"), institution("vote", on="t.x")]
        )


@pytest.mark.parametrize("label", ["a\\u0000b", "\\u001b[31m", "a\\nb", "", " ", "tax ", "x" * 70_000])
def test_labels_of_studies(label):
    heading = "[[institution]]\n"
    with pytest.raises(InvalidSuite, match=r"line .*label.*allowed: "):
        parse(
            TEXT.replace(heading, f'{heading}label = "{label}"\n', 1).replace(
                'label = "laissez-faire"\n', "", 1
            )
        )
