"""One cell of a study: train a population, measure it on held-out worlds, write its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonweal import solvers
from commonweal.agents.ppo import PPO, PPOConfig
from commonweal.benchmarks.deviation import deviation_gain
from commonweal.benchmarks.store import Row, finished, read_rows, write_json, write_rows
from commonweal.benchmarks.suite import Cell
from commonweal.benchmarks.yardsticks import SWITCHED_OFF, because, restore
from commonweal.errors import CorruptCheckpoint, StorageError
from commonweal.evaluation import Evaluation, evaluate
from commonweal.random import world_seeds
from commonweal.references import References, Yardstick
from commonweal.storage import alone, sweep, write_text
from commonweal.welfare import equality

Array = NDArray[np.float64]
# phase, share done, mean discounted welfare of the replicates
Listener = Callable[[str, float, float], object]
CHECKPOINTS = 10  # in the course of a training
HELD_OUT = 1 << 40  # added to the study's seed: worlds that no learner has met


def run_cell(cell: Cell, folder: Path, record: Mapping[str, Any] | None, listen: Listener) -> None:
    """Train, measure and write; a checkpoint found in `folder` is where training goes on.

    Where another process is at the same cell (left over by a study that was killed), it is waited for,
    and what it has finished is not done again.

    Args:
        cell: what to run.
        folder: the cell's own.
        record: its dilemma's references, or None where they are not known.
        listen: told of the progress.

    Raises:
        StorageError: the folder cannot be written; what was written stays.
    """
    with alone(folder, wait=True):
        if not finished(folder):
            _run(cell, folder, record, listen)


def _run(cell: Cell, folder: Path, record: Mapping[str, Any] | None, listen: Listener) -> None:
    sweep(folder)
    write_json(folder / "config.json", cell.config)
    references = restore(record) if record is not None else None
    learner = _train(cell, folder, listen)
    replicates, study = learner.replicates, cell.config
    seeds = world_seeds(study["seed"] + HELD_OUT, replicates * study["evaluation_worlds"])
    listen("measuring", 1.0, float(learner.welfare.mean()))
    result = evaluate(cell.society(len(seeds)), learner.policies(), seeds)
    gain, method, no_exact_gain = deviation_gain(cell, learner, seeds, listen)
    write_rows(folder / "series.parquet", _series(result, replicates))
    write_rows(folder / "flows.parquet", _flows(result, replicates))
    rows = _results(cell, result, learner, references)
    gap = references.scale if references is not None else np.nan
    theory = {**_equilibrium(cell), "no_exact_gain": no_exact_gain}
    for row, value in zip(rows, gain, strict=True):
        row |= {"gain": float(value), "gain_share": float(value / gap), "gain_method": method, **theory}
    write_rows(folder / "results.parquet", rows)
    write_text(folder / "done", "")


def _train(cell: Cell, folder: Path, listen: Listener) -> PPO:
    """The trained population, continued from the last checkpoint where there is one."""
    options, checkpoint = cell.config["learner"], folder / "checkpoint.npz"
    replicates = cell.config["replicates"]
    learner = None
    curves: list[Row] = []
    if checkpoint.exists():
        try:
            learner = PPO.resume(checkpoint, cell.society(replicates * options["worlds"]))
            curves = [row for row in read_rows(folder / "curves.parquet") if row["steps"] <= learner.steps]
        except (CorruptCheckpoint, StorageError):
            learner, curves = None, []  # nothing to go on from: start anew
    if learner is None:
        ppo: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in options["ppo"].items()}
        society = cell.society(replicates * options["worlds"])
        learner = PPO(society, PPOConfig(**ppo), replicates=replicates, seed=cell.config["seed"])

    def remember(info: Mapping[str, Any]) -> None:
        steps, welfare = info["steps"], info["welfare"]
        curves.extend({"steps": steps, "replicate": r, "welfare": float(w)} for r, w in enumerate(welfare))
        listen("training", steps / options["steps"], float(np.mean(welfare)))

    every = -(-options["steps"] // CHECKPOINTS)
    while learner.steps < options["steps"]:
        left = options["steps"] - learner.steps
        learner.train(min(every, left), schedule=options["steps"], on_update=remember)
        # Curves first: rows beyond the checkpoint are dropped on resuming, missing ones are lost.
        write_rows(folder / "curves.parquet", curves)
        learner.save(checkpoint)
    return learner


def _results(cell: Cell, result: Evaluation, learner: PPO, references: References | None) -> list[Row]:
    """One row per replicate, means over its held-out worlds."""
    replicates = learner.replicates

    def mean(values: Array) -> Array:
        return values.reshape(replicates, -1, *values.shape[1:]).mean(axis=1)

    welfare, returns = mean(result.welfare), mean(result.returns)
    columns = {
        "welfare": welfare,
        "efficiency": np.full(replicates, np.nan) if references is None else references.efficiency(welfare),
        "loss": np.full(replicates, np.nan) if references is None else references.planner.welfare - welfare,
        "equality": equality(returns),
        "enforcement_cost": mean(result.enforcement_cost),
        "shortfall": mean(result.shortfall),
        "episode_length": mean(result.length.astype(np.float64)),
    }
    for name, values in result.series.items():
        columns[f"final_{name}"] = mean(_late(values))
    return [
        {
            "dilemma": cell.dilemma,
            "institution": cell.institution,
            "replicate": r,
            "seed": str(learner.seeds[r]),
            **{name: float(values[r]) for name, values in columns.items()},
            "returns": returns[r].tolist(),
        }
        for r in range(replicates)
    ]


def _equilibrium(cell: Cell) -> Row:
    """What theory expects of the society, institutions included; nan, and why, where it is not solved."""
    nothing = Yardstick(np.nan, "best known", np.nan)
    found, reason = nothing, ""
    try:
        if cell.config["references"]:
            found = solvers.equilibrium(cell.society(1))
        else:
            reason = SWITCHED_OFF
    except Exception as error:  # no fault of the population, which is measured without it
        reason = because(error)
    return {
        "equilibrium_welfare": found.welfare,
        "equilibrium_error": found.error,
        "equilibrium_epsilon": found.epsilon,
        "no_equilibrium": reason,
    }


def _late(values: Array) -> Array:
    """Mean over the last quarter of each world's plays, `(T, B)` -> `(B,)`: stocks may pulse."""
    lived = ~np.isnan(values)
    late = lived & (lived.cumsum(axis=0) > 0.75 * lived.sum(axis=0))
    return np.asarray(np.where(late, values, 0.0).sum(axis=0) / late.sum(axis=0))


def _series(result: Evaluation, replicates: int) -> list[Row]:
    """Play by play, means over each replicate's worlds that have not ended."""
    means = {}
    for name, values in result.series.items():
        split = values.reshape(len(values), replicates, -1)
        alive = (~np.isnan(split)).sum(axis=2)
        means[name] = np.where(alive > 0, np.nansum(split, axis=2) / np.maximum(alive, 1), np.nan)
    length = len(next(iter(means.values())))
    return [
        {"replicate": r, "play": t, **{name: float(values[t, r]) for name, values in means.items()}}
        for r in range(replicates)
        for t in range(length)
    ]


def _flows(result: Evaluation, replicates: int) -> list[Row]:
    """Discounted payments by replicate."""
    rows: list[Row] = []
    for (institution, purpose, payer, payee), amount in result.flows.items():
        names = {"institution": institution, "purpose": purpose, "payer": payer, "payee": payee}
        for r, value in enumerate(amount.reshape(replicates, -1).mean(axis=1)):
            rows.append({**names, "replicate": r, "amount": float(value)})
    nothing = dict.fromkeys(("institution", "purpose", "payer", "payee"), "")
    return rows or [{**nothing, "replicate": 0, "amount": 0.0}]
