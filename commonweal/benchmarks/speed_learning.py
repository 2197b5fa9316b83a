"""Population PPO beside stable-baselines3: at equal settings, and until equal efficiency.

At equal settings all learners have the same network (two layers of 64, tanh), worlds, rollout, minibatches,
epochs and one policy shared by the five agents of the fishery. Stable-baselines3 trains ten replicates
one after the other, as it would have to.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from commonweal import registry
from commonweal.agents.ppo import PPO, PPOConfig
from commonweal.benchmarks.speed import Measurement, measure
from commonweal.interfaces.pettingzoo import parallel_env
from commonweal.interfaces.stable_baselines3 import vec_env
from commonweal.society import Society

AGENTS, WORLDS, ROLLOUT, EPOCHS, MINIBATCHES = 5, 16, 128, 4, 4
LAYERS = (64, 64)


def population(replicates: int, updates: int = 4) -> Callable[[], float]:
    """Agent-steps per second of our learner."""
    config = PPOConfig(
        sharing="shared", hidden=LAYERS, rollout=ROLLOUT, epochs=EPOCHS, minibatches=MINIBATCHES
    )
    society = Society(registry.make("fishery-v0", num_agents=AGENTS), num_worlds=replicates * WORLDS)
    learner = PPO(society, config, replicates=replicates, seed=0)

    def work() -> float:
        start = time.perf_counter()
        learner.train(learner.steps + updates * ROLLOUT * WORLDS)
        return replicates * WORLDS * AGENTS * ROLLOUT * updates / (time.perf_counter() - start)

    return work


def baseline(env: Any, updates: int = 1) -> Callable[[], float]:
    """Agent-steps per second of stable-baselines3's PPO on a `VecEnv` of all agents and worlds."""
    from stable_baselines3 import PPO as Baseline

    slots = AGENTS * WORLDS
    learner = Baseline(
        "MlpPolicy", env, n_steps=ROLLOUT, batch_size=slots * ROLLOUT // MINIBATCHES, n_epochs=EPOCHS,
        gamma=0.95, policy_kwargs={"net_arch": list(LAYERS)}, device="cpu",
    )  # fmt: skip

    def work() -> float:
        start = time.perf_counter()
        learner.learn(updates * slots * ROLLOUT)
        return updates * slots * ROLLOUT / (time.perf_counter() - start)

    return work


def supersuit_env() -> Any:
    """The usual pipeline: PettingZoo through SuperSuit into stable-baselines3."""
    import supersuit

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        env = supersuit.pettingzoo_env_to_vec_env_v1(parallel_env("fishery-v0", num_agents=AGENTS))
        return supersuit.concat_vec_envs_v1(env, WORLDS, num_cpus=1, base_class="stable_baselines3")


def learning(threads: int = 2, repetitions: int = 3) -> list[Measurement]:
    """Agent-steps per second of training at equal settings."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    unit = "agent-steps/s"
    label = f"{AGENTS} agents, {WORLDS} worlds, 64 x 64, {threads} threads"
    try:
        jobs: dict[str, tuple[str, float, Callable[[], float]]] = {
            f"population PPO, one replicate, {label}": (unit, 0.0, population(1)),
            f"population PPO, ten replicates, {label}": (unit, 0.0, population(10)),
            f"stable-baselines3 + SuperSuit, {label}": (unit, 0.0, baseline(supersuit_env())),
            f"stable-baselines3 on our VecEnv, {label}": (
                unit,
                0.0,
                baseline(vec_env("fishery-v0", num_worlds=WORLDS, num_agents=AGENTS)),
            ),
        }
        return measure(jobs, repetitions)
    finally:
        torch.set_num_threads(before)


def ratios(measured: list[Measurement]) -> list[tuple[str, float, float]]:
    """What the goals are about: name, ratio of medians, goal. SB3 trains ten replicates in turn."""
    one, ten, supersuit, own = (m.median for m in measured)
    return [
        ("one replicate / stable-baselines3 + SuperSuit", one / supersuit, 3.0),
        ("one replicate / stable-baselines3 on our VecEnv", one / own, 3.0),
        ("ten replicates / stable-baselines3 + SuperSuit, ten times", ten / supersuit, 5.0),
        ("ten replicates / stable-baselines3 on our VecEnv, ten times", ten / own, 5.0),
        ("time of ten replicates / time of one (at most)", 10.0 * one / ten, 3.0),
    ]


def spread(measurement: Measurement) -> str:
    """Smallest and largest rate, in words."""
    low, high = np.min(measurement.rates), np.max(measurement.rates)
    return f"{low:,.0f} to {high:,.0f}"
