"""References of a dilemma as a record that can be kept: numbers, error bounds and trajectories."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonweal import registry
from commonweal.agents.scripted import Scripted
from commonweal.envs.base import Dilemma
from commonweal.errors import NotExact
from commonweal.evaluation import evaluate
from commonweal.references import References, Rule, Yardstick
from commonweal.society import Society
from commonweal.solvers import references

Array = NDArray[np.float64]
WORLDS = 64  # for the mean trajectory of a yardstick
SEED = 20_000
SWITCHED_OFF = "references = false in the study"


def trajectory(dilemma: Dilemma, rule: Rule) -> dict[str, list[float]]:
    """Mean over worlds of every series when all follow `rule`, play by play."""
    society = Society(dilemma, num_worlds=WORLDS)
    played = evaluate(society, Scripted(society, rule, SEED), SEED)
    return {name: np.nanmean(values, axis=1).tolist() for name, values in played.series.items()}


def because(error: Exception) -> str:
    """Why there is no exact answer, in a line: what a solver says itself, or what befell it."""
    named = isinstance(error, NotExact) and str(error)
    return str(error) if named else f"{type(error).__name__}: {error}".removesuffix(": ")


def record(dilemma: Dilemma) -> dict[str, Any]:
    """The references of `dilemma` as plain JSON, with the trajectory of each rule.

    Where the search for corrective rates fails, `no_corrective` says why; the rest is there.
    """
    reason = ""
    try:
        found = references(dilemma)
    except Exception as error:  # whatever it is, the dilemma's own yardsticks may still be had
        found, reason = dilemma.references(), because(error)
    return {
        "dilemma": registry.describe(dilemma),
        "no_corrective": reason,
        "selfish": _yardstick(dilemma, found.selfish),
        "planner": _yardstick(dilemma, found.planner),
        "payoff_range": found.payoff_range,
        "corrective": {k: _yardstick(dilemma, v, play=False) for k, v in found.corrective.items()},
        "others": {k: _yardstick(dilemma, v, play=False) for k, v in found.others.items()},
        "facts": {k: float(v) for k, v in found.facts.items()},
    }


def steady(series: Mapping[str, list[float]]) -> dict[str, float]:
    """Means over the last quarter of an episode, as `steady_stock` and so on; of one agent for conduct."""
    return {f"steady_{name}": float(np.mean(v[-max(len(v) // 4, 1) :])) for name, v in series.items()}


def _yardstick(dilemma: Dilemma, found: Yardstick, *, play: bool = True) -> dict[str, Any]:
    series = trajectory(dilemma, found.rule) if play and found.rule is not None else {}
    return {
        "welfare": found.welfare,
        "kind": found.kind,
        "error": found.error,
        "slack": found.slack,
        "epsilon": None if math.isnan(found.epsilon) else found.epsilon,
        "selection": found.selection,
        "detail": {k: float(v) for k, v in found.detail.items()} | steady(series),
        "series": series,
    }


def restore(plain: Mapping[str, Any]) -> References:
    """The references in a record; the rules themselves are not kept."""
    one = _restored
    return References(
        one(plain["selfish"]),
        one(plain["planner"]),
        plain["payoff_range"],
        {k: one(v) for k, v in plain["corrective"].items()},
        {k: one(v) for k, v in plain["others"].items()},
        plain["facts"],
    )


def _restored(plain: Mapping[str, Any]) -> Yardstick:
    values = {k: v for k, v in plain.items() if k != "series"}
    values["epsilon"] = math.nan if values["epsilon"] is None else values["epsilon"]
    return Yardstick(**values)
