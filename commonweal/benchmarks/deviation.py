"""What one agent would still gain by behaving otherwise: exact where possible, else trained."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from commonweal.agents.best_response import best_response_gain
from commonweal.agents.ppo import PPO
from commonweal.benchmarks.suite import Cell
from commonweal.benchmarks.yardsticks import because
from commonweal.evaluation import evaluate

Array = NDArray[np.float64]
Method = Literal["exact", "trained"]
FRESH = 1 << 41  # added to the study's seed for the worlds and weights of a trained response


def deviation_gain(
    cell: Cell, learner: PPO, seeds: NDArray[np.uint64], listen: Any
) -> tuple[Array, Method, str]:
    """Gain in an agent's own discounted utility, `(R,)`, how it was found, and why not exactly."""
    try:
        return exact_gain(cell, learner), "exact", ""
    except Exception as error:  # whatever the solver failed of, a response can be trained
        return trained_gain(cell, learner, seeds, listen), "trained", because(error)


def exact_gain(cell: Cell, learner: PPO) -> Array:
    """Of the agent that gains most, by dynamic programming against the frozen policies, `(R,)`.

    Raises:
        NotExact: the society has no such solution.
    """
    policies = learner.policies()
    return best_response_gain(cell.society(1), policies, learner.replicates).max(axis=1)


def trained_gain(cell: Cell, learner: PPO, seeds: NDArray[np.uint64], listen: Any) -> Array:
    """By training agent 0 alone, on from its own policy, while all others are frozen, `(R,)`.

    A lower bound of the true gain, measured in the same held-out worlds as the population itself;
    it may fall below zero where training has found nothing better.
    """
    options, replicates = cell.config["learner"], learner.replicates
    worlds = options["worlds"] * replicates
    other = PPO(cell.society(worlds), learner.config, replicates=replicates, seed=cell.config["seed"] + FRESH)
    group = next(name for name, found in other.society.groups.items() if found.citizens)
    other.copy_policies(learner).train_only({group: [0]})
    total = options["response_steps"]
    other.train(
        total, on_update=lambda info: listen("best response", info["steps"] / total, info["welfare"].mean())
    )
    society = cell.society(len(seeds))
    before = evaluate(society, learner.policies(), seeds).returns[:, 0]
    after = evaluate(society, other.policies(), seeds).returns[:, 0]
    return np.asarray((after - before).reshape(replicates, -1).mean(axis=1))
