"""Small societies in which each parameter matters, for the tests of values by world and by agent."""

from dataclasses import replace

import numpy as np

from commonweal import registry
from commonweal.compatibility import fitting
from commonweal.monitor import Monitor

# Sizes so small that worlds are easily as many as agents, and what makes each parameter matter.
SMALL = {
    "fishery-v0": {"noise": 0.3, "collapse": 0.1},
    "forest-v0": {
        "ignition": 0.5, "spread": 1.0, "amenity": 0.01, "initial_age": 100.0, "levels": None,
        "num_stands": 2, "num_agents": 4,
    },
    "ai_race-v0": {"public_damage": 3.0, "steps": 3, "sampled": True},
    "auction-v0": {"reserve": 0.9},
    "multi_unit_auction-v0": {},
    "climate_risk-v0": {"rounds": 3, "endowment": 20.0, "target": 20.0, "risk": 1.0},
    "employment-v0": {"num_workers": 2, "outside_option": 0.2},
    "moral_hazard-v0": {"num_workers": 2, "outside_option": 0.2, "risk_aversion": 0.5},
    "screening-v0": {"num_sellers": 2},
    "signalling-v0": {"num_workers": 2},
    "lemons-v0": {"num_sellers": 2, "lowest_quality": 0.2},
    "holdup-v0": {"num_pairs": 2},
    "irrigation-v0": {"steepness": 2.0},
    "labour-v0": {"skill": 2.0},
    "production-v0": {"damage_share": 0.3},
}  # fmt: skip
WITH = {  # what else makes a parameter matter
    ("public_goods-v0", "threshold"): {"technology": "threshold"},
    ("public_goods-v0", "refund"): {"technology": "threshold", "refund": 0.8, "threshold": 50.0},
    ("public_goods-v0", "fee"): {"technology": "club"},
    ("public_goods-v0", "crowding"): {"technology": "club", "crowding": 0.3},
    ("auction-v0", "highest_value"): {"reserve": 0.1},
    ("fishery-v0", "collapse"): {"collapse": 0.5, "catchability": 0.03},
    ("forest-v0", "initial_age"): {"ignition": 0.0},
    ("quota", "fine"): {"enforcement": "fined", "limit": 0.5},
    ("quota", "monitor"): {"enforcement": "fined", "limit": 0.5},
    ("taxation", "administration"): {"administration": 0.3},
    ("peer-sanctions", "cost"): {"targets": "each"},
    ("classifier", "noise"): {"noise": 0.3},
    ("classifier", "threshold"): {"threshold": 3.0},
}
MONITOR = {"coverage": 0.7, "noise": 0.3, "false_positives": 0.3, "cost": 0.1}
HOMES = {"inspection": "production-v0"}  # else the first dilemma that an institution fits


def dilemma(name, **parameters):
    """A small one, three agents where it may be."""
    known = [name for name in registry.dilemma_class(name).__dataclass_fields__]
    size = {"num_agents": 3} if "num_agents" in known else {}
    return registry.make(name, **{**size, **SMALL.get(name, {}), **parameters})


def home(name):
    """The first dilemma that fits an institution, and the stack."""
    for candidate in [HOMES[name]] if name in HOMES else registry.DILEMMAS:
        game = dilemma(candidate)
        stack, _ = fitting(game, name)
        if stack is not None:
            return game, stack
    raise AssertionError(f"{name} fits nowhere")


def varied(cls):
    """Names of the parameters that may differ; those of a monitor too."""
    names = [*cls.several()]
    if "monitor" in cls.__dataclass_fields__:
        names += [f"monitor.{name}" for name in Monitor.several()]
    return names


def with_value(part, name, value):
    """`part` with a parameter, or one of its monitor."""
    whole, _, inner = name.partition(".")
    extra = WITH.get((part.id, whole), {})
    if inner:
        return replace(part, **extra, monitor=Monitor(**{**MONITOR, inner: value}))
    return replace(part, **{**extra, name: value})


def value_of(part, name):
    if name.startswith("monitor."):
        return MONITOR[name.removeprefix("monitor.")]
    return float(np.max(getattr(replace(part, **WITH.get((part.id, name), {})), name)))
