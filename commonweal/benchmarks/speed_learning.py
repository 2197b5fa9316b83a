"""Population PPO beside stable-baselines3: at equal settings, and until equal efficiency.

At equal settings all learners have the same network (two layers of 64, tanh), worlds, rollout, minibatches,
epochs and one policy shared by all agents of a dilemma. Stable-baselines3 trains ten replicates one after
the other, as it would have to. Boats of the fishery all see the same, which our learner computes once;
workers see a skill of their own, where that saves nothing.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from commonweal import registry
from commonweal.agents.ppo import PPO, PPOConfig
from commonweal.benchmarks.speed import Measurement, measure
from commonweal.evaluation import evaluate
from commonweal.extras import extra
from commonweal.interfaces.pettingzoo import parallel_env
from commonweal.interfaces.stable_baselines3 import vec_env
from commonweal.references import References
from commonweal.society import Society
from commonweal.solvers import references

DILEMMAS = {"fishery-v0": "fishery", "labour-v0": "labour, own skills"}
WORLDS, ROLLOUT, EPOCHS, MINIBATCHES = 16, 128, 4, 4
LAYERS = (64, 64)
JUDGED, CHECKED = 16, 512  # worlds in which efficiency is measured, steps between two measurements
HELD_OUT = 1 << 40


def population(
    dilemma: str, replicates: int, rollout: int = ROLLOUT, hidden: tuple[int, ...] = LAYERS, updates: int = 4
) -> Callable[[], float]:
    """Agent-steps per second of our learner."""
    config = PPOConfig(
        sharing="shared", hidden=hidden, rollout=rollout, epochs=EPOCHS, minibatches=MINIBATCHES
    )
    society = Society(registry.make(dilemma), num_worlds=replicates * WORLDS)
    agents = society.num_worlds * society.charter.num_agents
    learner = PPO(society, config, replicates=replicates, seed=0)

    def work() -> float:
        start = time.perf_counter()
        learner.train(updates * rollout * WORLDS)
        return agents * rollout * updates / (time.perf_counter() - start)

    return work


def baseline(env: Any, updates: int = 1) -> Callable[[], float]:
    """Agent-steps per second of stable-baselines3's PPO on a `VecEnv` of all agents and worlds."""
    from stable_baselines3 import PPO as Baseline

    slots = env.num_envs
    learner = Baseline(
        "MlpPolicy", env, n_steps=ROLLOUT, batch_size=slots * ROLLOUT // MINIBATCHES, n_epochs=EPOCHS,
        gamma=0.95, policy_kwargs={"net_arch": list(LAYERS)}, device="cpu",
    )  # fmt: skip

    def work() -> float:
        start = time.perf_counter()
        learner.learn(updates * slots * ROLLOUT)
        return updates * slots * ROLLOUT / (time.perf_counter() - start)

    return work


def supersuit_env(dilemma: str) -> Any:
    """The usual pipeline: PettingZoo through SuperSuit into stable-baselines3."""
    with extra():
        import supersuit

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        env = supersuit.pettingzoo_env_to_vec_env_v1(parallel_env(dilemma))
        return supersuit.concat_vec_envs_v1(env, WORLDS, num_cpus=1, base_class="stable_baselines3")


def learning(threads: int = 2, repetitions: int = 3) -> list[Measurement]:
    """Agent-steps per second of training at equal settings: four learners in each dilemma."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    jobs: dict[str, tuple[str, float, Callable[[], float]]] = {}
    try:
        for dilemma, called in DILEMMAS.items():
            work = {
                "population PPO, one replicate": population(dilemma, 1),
                "population PPO, ten replicates": population(dilemma, 10),
                "stable-baselines3 + SuperSuit": baseline(supersuit_env(dilemma)),
                "stable-baselines3 on our VecEnv": baseline(vec_env(dilemma, num_worlds=WORLDS)),
            }
            jobs |= {f"{called}: {name}": ("agent-steps/s", 0.0, job) for name, job in work.items()}
        return measure(jobs, repetitions)
    finally:
        torch.set_num_threads(before)


Ratio = tuple[str, float, float]  # name, value, goal


def ratios(measured: list[Measurement]) -> list[Ratio]:
    """What the goals are about: ratios of medians. SB3 trains ten replicates in turn."""
    found = []
    for number, called in enumerate(DILEMMAS.values()):
        one, ten, supersuit, own = (m.median for m in measured[4 * number : 4 * number + 4])
        found += [
            (f"{called}: one replicate / stable-baselines3 + SuperSuit", one / supersuit, 3.0),
            (f"{called}: one replicate / stable-baselines3 on our VecEnv", one / own, 3.0),
            (f"{called}: ten replicates / stable-baselines3 + SuperSuit, ten times", ten / supersuit, 5.0),
            (f"{called}: ten replicates / stable-baselines3 on our VecEnv, ten times", ten / own, 5.0),
            (f"{called}: time of ten replicates / time of one (at most)", 10.0 * one / ten, 3.0),
        ]
    return found


# ---------------------------------------------------------------------- until equal efficiency

TARGET = 0.95  # efficiency that every replicate must reach
Setting = tuple[float, int, int]  # learning rate, rollout, units of each of two hidden layers
TRIED: tuple[Setting, ...] = tuple(product((3e-3, 1e-2), (16, 32), (16, 64)))
LONGEST = 60_000  # steps of all worlds of a replicate, after which a run has failed


def _taxed(num_worlds: int) -> tuple[Society, References]:
    """The default fishery under its corrective landing tax, where learning raises efficiency."""
    fishery = registry.make("fishery-v0")
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


def population_until(replicates: int, seed: int, setting: Setting) -> float:
    """Seconds until *every* replicate of our learner has reached the target."""
    learning_rate, rollout, units = setting
    society, found = _taxed(replicates * WORLDS)
    judge, _ = _taxed(replicates * JUDGED)
    config = PPOConfig(
        sharing="shared", hidden=(units, units), rollout=rollout, epochs=EPOCHS, minibatches=MINIBATCHES,
        learning_rate=learning_rate, final_learning_rate=learning_rate,
    )  # fmt: skip
    learner = PPO(society, config, replicates=replicates, seed=seed)

    def train() -> int:
        return learner.train(CHECKED, schedule=10 * LONGEST).steps

    def efficiency() -> float:
        welfare = evaluate(judge, learner.policies(), HELD_OUT).welfare.reshape(replicates, -1).mean(axis=1)
        return float(found.efficiency(welfare).min())

    return _seconds(train, efficiency)


def baseline_until(seed: int, setting: Setting) -> float:
    """Seconds until stable-baselines3's PPO, on our `VecEnv`, has reached the target.

    Observations and rewards are normalised as they are in our learner: by its `VecNormalize`.
    """
    from stable_baselines3 import PPO as Baseline
    from stable_baselines3.common.vec_env import VecNormalize

    from commonweal.interfaces.stable_baselines3 import SocietyVecEnv

    learning_rate, rollout, units = setting
    society, found = _taxed(WORLDS)
    judge, _ = _taxed(JUDGED)
    env = VecNormalize(SocietyVecEnv(society), gamma=0.95)
    agents, slots = society.charter.num_agents, env.num_envs
    learner = Baseline(
        "MlpPolicy", env, n_steps=rollout, batch_size=slots * rollout // MINIBATCHES,
        n_epochs=EPOCHS, gamma=0.95, learning_rate=learning_rate, seed=seed, device="cpu",
        policy_kwargs={"net_arch": [units, units]},
    )  # fmt: skip

    class Trained:
        def act(self, observation: Any, mask: Any = None) -> dict[str, Any]:
            seen = observation["citizens"]
            flat = env.normalize_obs(seen.reshape(-1, seen.shape[2]))
            chosen, _ = learner.predict(flat, deterministic=False)
            return {"citizens": chosen.reshape(*seen.shape[:2], -1).astype(np.float64)}

    def train() -> int:
        learner.learn(CHECKED * agents, reset_num_timesteps=False)
        return int(learner.num_timesteps) // agents

    def efficiency() -> float:
        return float(found.efficiency(evaluate(judge, Trained(), HELD_OUT).welfare.mean()))

    return _seconds(train, efficiency)


def until_equal_efficiency(seeds: int = 3, threads: int = 2) -> tuple[list[str], list[Ratio]]:
    """Lines to show, and the ratios that have goals.

    Each side takes the best of the same settings, by the median of as many runs as are measured then, on
    other seeds. Stable-baselines3 trains ten replicates one after the other: ten times
    its median.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        population_until(1, 99, TRIED[0])  # compiles what is compiled
        tuning, judging = range(seeds, 2 * seeds), range(seeds)
        best = min(TRIED, key=lambda at: np.median([population_until(10, seed, at) for seed in tuning]))
        other = min(TRIED, key=lambda at: np.median([baseline_until(seed, at) for seed in tuning]))
        own = [population_until(10, seed, best) for seed in judging]
        base = [baseline_until(seed, other) for seed in judging]
        _, rollout, units = best
        one, ten = measure(
            {
                str(replicates): ("", 0.0, population("fishery-v0", replicates, rollout, (units, units)))
                for replicates in (1, 10)
            },
            max(seeds, 5),
        )
    finally:
        torch.set_num_threads(before)
    ours, theirs = float(np.median(own)), float(np.median(base))
    lines = [
        f"population PPO, ten replicates, all at {TARGET:g}: {ours:.2f} s ({_told(best, own)})",
        f"stable-baselines3 on our VecEnv, one replicate: {theirs:.2f} s ({_told(other, base)})",
    ]
    cost = 10.0 * one.median / ten.median
    return lines, [
        ("time until equal efficiency, ten replicates, theirs / ours", 10.0 * theirs / ours, 20.0),
        ("at our setting: time of ten replicates / time of one (at most)", cost, 3.0),
    ]


def _told(setting: Setting, seconds: list[float]) -> str:
    rate, rollout, units = setting
    found = f"learning rate {rate:g}, rollout {rollout}, two layers of {units}"
    return f"{found}; {min(seconds):.2f} to {max(seconds):.2f}"
