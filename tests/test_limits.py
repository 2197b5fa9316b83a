"""A thousand agents and a thousand levels: references come or are refused by name, in little memory."""

import json
import subprocess
import sys
from dataclasses import fields

import pytest

from commonweal import make, registry
from commonweal.errors import LARGEST_TABLE, InvalidParameter, NotExact, require_memory

resource = pytest.importorskip("resource", reason="memory is limited as POSIX systems do")
MANY = 1000
LIMIT = 3 << 30  # bytes of address space: Python with NumPy and SciPy, one table and what it is made of
SIZES = ("num_agents", "num_buyers", "num_sellers", "num_workers", "num_pairs")
SCRIPT = """
import json, resource, sys
from commonweal import make
from commonweal.errors import NotExact
name, parameters, limit = json.loads(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    make(name, **parameters).references()
except NotExact as error:
    print(error)
"""


def large():
    """Every dilemma with many agents, and with many levels where it has levels.

    Not the exchange, whose tables are small and whose search by best replies takes minutes.
    """
    for name in [name for name in registry.DILEMMAS if name != "exchange-v0"]:
        own = [field.name for field in fields(registry.dilemma_class(name))]
        agents = {key: MANY for key in SIZES if key in own}
        if name == "fish_war-v0":
            agents |= {"min_share": 1e-5, "share_levels": 11}
        if name == "labour-v0":
            agents |= {"skill": [1.0] * MANY}
        levels = {key: MANY + 1 for key in own if key.endswith("levels")}
        for kind, parameters in (("agents", agents), ("levels", levels)):
            if parameters:
                yield pytest.param(name, parameters, id=f"{name} {kind}")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameters"), large())
def test_many_agents_or_levels_are_answered_or_refused(name, parameters):
    given = json.dumps([name, parameters, LIMIT])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, given], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("fishery-v0", {"num_agents": 1200}),
        ("fishery-v0", {"effort_levels": 1001}),
        ("fishery-v0", {"num_agents": 200, "effort_levels": None}),
        ("attention-v0", {"num_agents": MANY}),
        ("forest-v0", {"num_agents": MANY}),
        ("irrigation-v0", {"num_agents": MANY}),
        ("irrigation-v0", {"contribution_levels": 1001, "water_levels": 1001}),
        ("climate_risk-v0", {"levels": 1001}),
        ("govsim-v0", {"num_agents": MANY, "levels": 1001}),
        ("holdup-v0", {"levels": 10_000}),
        ("production-v0", {"levels": 10_000}),
        ("fish_war-v0", {"num_agents": MANY, "share_levels": 1001, "min_share": 1e-5}),
    ],
    ids=str,
)
def test_a_table_too_large_is_refused_before_it_is_laid_out(name, parameters):
    limits = resource.getrlimit(resource.RLIMIT_AS)
    dilemma = make(name, **parameters)
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, limits[1]))
    try:
        with pytest.raises(NotExact, match=r"takes [\d.e+]+ GiB; allowed: 1 GiB"):
            dilemma.references()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def test_what_fits_is_not_refused():
    require_memory(LARGEST_TABLE, "a table")
    with pytest.raises(NotExact, match="a table takes 2 GiB; allowed: 1 GiB"):
        require_memory(2.0 * LARGEST_TABLE, "a table")


@pytest.mark.parametrize("name", registry.DILEMMAS)
def test_one_level_is_no_choice(name):
    levels = [field.name for field in fields(registry.dilemma_class(name)) if field.name.endswith("levels")]
    for key in levels:
        with pytest.raises(InvalidParameter, match="levels"):
            make(name, **{key: 1})
