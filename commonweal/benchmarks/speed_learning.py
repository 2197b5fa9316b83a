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
from commonweal.evaluation import evaluate
from commonweal.interfaces.pettingzoo import parallel_env
from commonweal.interfaces.stable_baselines3 import vec_env
from commonweal.references import References
from commonweal.society import Society
from commonweal.solvers import references

AGENTS, WORLDS, ROLLOUT, EPOCHS, MINIBATCHES = 5, 16, 128, 4, 4
LAYERS = (64, 64)
JUDGED, CHECKED = 16, 512  # worlds in which efficiency is measured, steps between two measurements
HELD_OUT = 1 << 40


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
    try:
        jobs: dict[str, tuple[str, float, Callable[[], float]]] = {
            "population PPO, one replicate": (unit, 0.0, population(1)),
            "population PPO, ten replicates": (unit, 0.0, population(10)),
            "stable-baselines3 + SuperSuit": (unit, 0.0, baseline(supersuit_env())),
            "stable-baselines3 on our VecEnv": (
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


# ---------------------------------------------------------------------- until equal efficiency

TARGET = 0.95  # efficiency that every replicate must reach
TRIED = tuple((rate, rollout) for rate in (1e-3, 3e-3) for rollout in (32, 128))
LONGEST = 60_000  # steps of all worlds of a replicate, after which a run has failed


def _taxed(num_worlds: int) -> tuple[Society, References]:
    """The default fishery under its corrective landing tax, where learning raises efficiency."""
    fishery = registry.make("fishery-v0", num_agents=AGENTS)
    found = references(fishery)
    rate = found.corrective["extraction"].detail["rate"]
    tax = registry.institution("taxation", base="extraction", rate=rate)
    return Society(fishery, [tax], num_worlds=num_worlds), found


def _seconds(train: Callable[[], int], efficiency: Callable[[], float]) -> float:
    """Seconds of training until the target; measuring is not counted. inf where it is not reached."""
    spent, steps = 0.0, 0
    while steps < LONGEST:
        start = time.perf_counter()
        steps = train()
        spent += time.perf_counter() - start
        if efficiency() >= TARGET:
            return spent
    return float("inf")


def population_until(replicates: int, seed: int, learning_rate: float, rollout: int) -> float:
    """Seconds until *every* replicate of our learner has reached the target."""
    society, found = _taxed(replicates * WORLDS)
    judge, _ = _taxed(replicates * JUDGED)
    config = PPOConfig(
        sharing="shared", hidden=LAYERS, rollout=rollout, epochs=EPOCHS, minibatches=MINIBATCHES,
        learning_rate=learning_rate, final_learning_rate=learning_rate,
    )  # fmt: skip
    learner = PPO(society, config, replicates=replicates, seed=seed)

    def train() -> int:
        return learner.train(10 * LONGEST, learner.steps + CHECKED).steps

    def efficiency() -> float:
        welfare = evaluate(judge, learner.policies(), HELD_OUT).welfare.reshape(replicates, -1).mean(axis=1)
        return float(found.efficiency(welfare).min())

    return _seconds(train, efficiency)


def baseline_until(seed: int, learning_rate: float, rollout: int) -> float:
    """Seconds until stable-baselines3's PPO, on our `VecEnv`, has reached the target."""
    from stable_baselines3 import PPO as Baseline

    from commonweal.interfaces.stable_baselines3 import SocietyVecEnv

    society, found = _taxed(WORLDS)
    judge, _ = _taxed(JUDGED)
    slots = AGENTS * WORLDS
    learner = Baseline(
        "MlpPolicy", SocietyVecEnv(society), n_steps=rollout, batch_size=slots * rollout // MINIBATCHES,
        n_epochs=EPOCHS, gamma=0.95, learning_rate=learning_rate, seed=seed, device="cpu",
        policy_kwargs={"net_arch": list(LAYERS)},
    )  # fmt: skip

    class Trained:
        def act(self, observation: Any, mask: Any = None) -> dict[str, Any]:
            seen = observation["citizens"]
            chosen, _ = learner.predict(seen.reshape(-1, seen.shape[2]), deterministic=False)
            return {"citizens": chosen.reshape(*seen.shape[:2], -1).astype(np.float64)}

    def train() -> int:
        learner.learn(CHECKED * AGENTS, reset_num_timesteps=False)
        return int(learner.num_timesteps) // AGENTS

    def efficiency() -> float:
        return float(found.efficiency(evaluate(judge, Trained(), HELD_OUT).welfare.mean()))

    return _seconds(train, efficiency)


def until_equal_efficiency(seeds: int = 3, threads: int = 2) -> tuple[list[str], float]:
    """Lines to show, and how many times longer stable-baselines3 takes for ten replicates.

    Each side takes the best of the same settings, by one run each on a seed of its own; then it is
    measured on other seeds. Stable-baselines3 trains ten replicates one after the other: ten times
    its median.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        population_until(1, 99, *TRIED[0])  # compiles what is compiled
        ours = {number: population_until(10, 99, *setting) for number, setting in enumerate(TRIED)}
        theirs = {number: baseline_until(99, *setting) for number, setting in enumerate(TRIED)}
        best, other = min(ours, key=lambda n: ours[n]), min(theirs, key=lambda n: theirs[n])
        own = [population_until(10, seed, *TRIED[best]) for seed in range(seeds)]
        base = [baseline_until(seed, *TRIED[other]) for seed in range(seeds)]
    finally:
        torch.set_num_threads(before)
    ten, one = float(np.median(own)), float(np.median(base))
    lines = [
        f"population PPO, ten replicates, all at {TARGET:g}: {ten:.2f} s ({_told(TRIED[best], own)})",
        f"stable-baselines3 on our VecEnv, one replicate: {one:.2f} s ({_told(TRIED[other], base)})",
    ]
    return lines, 10.0 * one / ten


def _told(setting: tuple[float, int], seconds: list[float]) -> str:
    rate, rollout = setting
    return f"learning rate {rate:g}, rollout {rollout}; {min(seconds):.2f} to {max(seconds):.2f}"


def spread(measurement: Measurement) -> str:
    """Smallest and largest rate, in words."""
    low, high = np.min(measurement.rates), np.max(measurement.rates)
    return f"{low:,.0f} to {high:,.0f}"
