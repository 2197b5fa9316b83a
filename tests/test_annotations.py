"""A parameter is one however its annotation is spelled, and wherever its class is made."""

import sys
import types
from dataclasses import dataclass

import numpy as np
import pytest

from commonweal.annotations import hints
from commonweal.errors import InvalidParameter
from commonweal.monitor import Monitor
from commonweal.parameters import Parameters
from commonweal.typed import fit_fields

PARTS = "from commonweal.parameters import Parameters, check\nfrom dataclasses import dataclass\n"
FUTURE = "from __future__ import annotations\n"
CLASS = """
@dataclass(frozen=True, eq=False)
class Mine(Parameters):
    number: int = 1
    price: {spelled} = 1.0
    growth: {shared} = 1.0
    {more}
"""
BOTH = "from commonweal.parameters import Parameter, WorldParameter\n"
# How the import reads, and how the annotations of a parameter and of a world's do.
SPELLED = {
    "names": (BOTH, "Parameter", "WorldParameter"),
    "renamed": ("from commonweal.parameters import Parameter as P, WorldParameter as W", "P", "W"),
    "module": ("from commonweal import parameters as p", "p.Parameter", "p.WorldParameter"),
    "package": (
        "import commonweal.parameters",
        "commonweal.parameters.Parameter",
        "commonweal.parameters.WorldParameter",
    ),
    "alias": (f"{BOTH}Rate, Share = Parameter, WorldParameter", "Rate", "Share"),
    "text": (BOTH, "'Parameter'", "'WorldParameter'"),
    "optional": (BOTH, "Parameter | None", "WorldParameter | None"),
    "annotated": (
        f"{BOTH}from typing import Annotated",
        "Annotated[Parameter, 'money']",
        "Annotated[WorldParameter, 'share']",
    ),
    "for the type checker alone": (
        f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {BOTH}",
        "'Parameter'",
        "'WorldParameter'",
    ),
}
MODULE = "from commonweal import parameters as p"
BY_MODULE = CLASS.format(spelled="p.Parameter", shared="p.WorldParameter", more="")
MORE = {
    "": "",
    "beside what is unknown": "other: 'Unknown' = None\n    prose: 'a number, mostly' = None",
    "beside a class constant": "Table = tuple\n    table: 'Table[int, ...]' = (1,)",
}


def within(text):
    """The text inside a function that is called at once, and returns `Mine`."""
    inside = "".join(f"    {line}\n" for line in text.splitlines())
    return f"def make():\n{inside}    return Mine\nMine = make()\n"


def made(source, known=True):
    """`Mine` of a stranger's module, forgotten afterwards; not `known`: of text without any module."""
    module = types.ModuleType("stranger")
    names = module.__dict__ if known else {}
    if known:
        sys.modules["stranger"] = module
    try:
        exec(source, names)
        return names["Mine"]
    finally:
        sys.modules.pop("stranger", None)


def check_recognised(cls):
    assert {name: (v.agents, v.worlds) for name, v in cls.several().items()} == {
        "price": (True, True), "growth": (False, True)
    }  # fmt: skip
    with pytest.raises(InvalidParameter, match=r"Mine\.price is 'cheap'; allowed: "):
        cls(price="cheap")
    with pytest.raises(InvalidParameter, match=r"Mine\.growth is \(1, 2\); allowed: "):
        cls(growth=(1, 2))
    with pytest.raises(InvalidParameter, match=r"Mine\.number is 0\.5; allowed: "):
        cls(number=0.5)
    assert cls(price=(1, 2, 3)).price.tolist() == [[1.0, 2.0, 3.0]]
    assert cls(price=np.array([1, 2, 3]), growth=np.array([1, 2])).price.shape == (3, 1)
    assert cls.from_dict(cls(price=np.array([1, 2])).to_dict()).price.tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize("more", MORE)
@pytest.mark.parametrize("spelled", SPELLED)
@pytest.mark.parametrize("future", [FUTURE, ""], ids=["future", "now"])
def test_a_parameter_is_one_however_it_is_spelled(future, spelled, more):
    imports, *names = SPELLED[spelled]
    text = CLASS.format(spelled=names[0], shared=names[1], more=MORE[more])
    for known in (True, False):
        check_recognised(made(f"{future}{PARTS}{imports}{text}", known=known))
        check_recognised(made(f"{future}{PARTS}{within(imports + text)}", known=known))
    check_recognised(made(f"{future}{PARTS}{within(imports + chr(10) + within(text))}"))


def test_a_class_in_a_class_and_one_with_slots():
    inside = f"class Outer:\n    {MODULE}\n"
    inside += "".join(f"    {line}\n" for line in BY_MODULE.splitlines())
    check_recognised(made(f"{FUTURE}{PARTS}{within(inside + 'Mine = Outer.Mine')}"))
    slotted = BY_MODULE.replace("eq=False", "eq=False, slots=True")
    check_recognised(made(f"{FUTURE}{PARTS}{within(MODULE + slotted)}"))


def test_a_class_that_looks_at_its_children_itself():
    base = "class Base(Parameters):\n    def __init_subclass__(cls):\n        super().__init_subclass__()\n"
    text = BY_MODULE.replace("(Parameters)", "(Base)")
    check_recognised(made(f"{FUTURE}{PARTS}{base}{within(MODULE + text)}"))


def test_what_children_inherit_and_redeclare():
    child = "\n@dataclass(frozen=True, eq=False)\nclass Mine(Mine):\n    price: float = 1.0\n"
    cls = made(f"{FUTURE}{PARTS}{MODULE}{BY_MODULE}{child}    rate: p.AgentParameter = 0.0\n")
    assert [*cls.several()] == ["growth", "rate"]
    with pytest.raises(InvalidParameter, match="price is"):
        cls(price=(1.0, 2.0))
    with pytest.raises(InvalidParameter, match=r"rate is .*alike in all worlds$"):
        cls(rate=np.array([1.0, 2.0]))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="a statement of Python 3.12")
def test_a_type_statement_is_an_alias_too():
    text = CLASS.format(spelled="Rate", shared="Share", more="")
    alias = "type Rate = Parameter\ntype Share = WorldParameter"
    for future in (FUTURE, ""):
        check_recognised(made(f"{future}{PARTS}from commonweal.parameters import *\n{alias}{text}"))


def test_a_name_that_is_known_later():
    later = CLASS.format(spelled="'Later'", shared="'Share'", more="")
    after = "\nfrom commonweal.parameters import Parameter as Later, WorldParameter as Share\n"
    sys.modules["stranger"] = module = types.ModuleType("stranger")
    try:
        exec(f"{PARTS}{later}{after}", module.__dict__)
        check_recognised(module.Mine)
    finally:
        del sys.modules["stranger"]


def test_settings_know_them_too():
    @dataclass(frozen=True)
    class Settings:
        rate: "Parameter" = 1.0  # noqa: F821
        monitor: Monitor = None
        unknown: "Nowhere" = None  # noqa: F821

        def __post_init__(self):
            fit_fields(self)

    assert Settings(rate=(1, 2)).rate.tolist() == [[1.0, 2.0]]
    with pytest.raises(InvalidParameter, match=r"Settings\.rate is 'cheap'; allowed: "):
        Settings(rate="cheap")
    assert hints(Settings)["monitor"] is Monitor


def test_every_parameter_of_the_package_is_resolved():
    """No annotation of a registered part stands for anything."""
    from typing import Any

    from commonweal import registry

    classes = [registry.dilemma_class(n) for n in registry.DILEMMAS]
    classes += [registry.institution_class(n) for n in registry.INSTITUTIONS] + [Monitor]
    for cls in classes:
        assert issubclass(cls, Parameters)
        assert Any not in hints(cls).values(), cls
