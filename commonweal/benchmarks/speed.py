"""`commonweal bench speed`: everything that claims to be fast, measured side by side in one run.

Never a test: machines are shared and noisy. Every figure is the median of several repetitions taken
in turn, and what matters are the ratios within a run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from commonweal import registry
from commonweal.envs.fishery import Fishery
from commonweal.errors import CommonwealError
from commonweal.institutions.base import Institution
from commonweal.interfaces.pettingzoo import parallel_env
from commonweal.society import Society


@dataclass(frozen=True)
class Measurement:
    """One line of the table.

    Attributes:
        name: what was measured.
        unit: what is counted.
        rates: per second, one per repetition.
        goal: rate that the project sets itself; 0: none.
    """

    name: str
    unit: str
    rates: tuple[float, ...]
    goal: float = 0.0

    @property
    def median(self) -> float:
        """Median rate."""
        return statistics.median(self.rates)


def measure(
    jobs: Mapping[str, tuple[str, float, Callable[[], float]]], repetitions: int = 5
) -> list[Measurement]:
    """Run all jobs in turn, `repetitions` times after one round of warming up.

    Args:
        jobs: name -> unit, goal, and a function that works for a while and returns units per second.
        repetitions: rounds that count.
    """
    rates: dict[str, list[float]] = {name: [] for name in jobs}
    for repetition in range(repetitions + 1):
        for name, (_, _, work) in jobs.items():
            rate = work()
            if repetition:
                rates[name].append(rate)
    return [Measurement(name, jobs[name][0], tuple(rates[name]), jobs[name][1]) for name in jobs]


def timed(step: Callable[[], Any], units: int, seconds: float = 0.3) -> Callable[[], float]:
    """A job that repeats `step`, worth `units`, for about `seconds`."""

    def work() -> float:
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            for _ in range(8):
                step()
            count += 8
        return units * count / (time.perf_counter() - start)

    return work


def society_step(
    dilemma: str, institutions: list[Institution], num_worlds: int, **parameters: Any
) -> tuple[Callable[[], Any], int]:
    """A step with random legal actions, and how many agents act in it."""
    society = Society(registry.make(dilemma, **parameters), institutions, num_worlds=num_worlds)
    rng = np.random.default_rng(0)
    batch = []
    for _ in range(8):
        actions = {}
        for name, group in society.groups.items():
            shape = (num_worlds, group.size, len(group.actions))
            drawn = group.low + (group.high - group.low) * rng.random(shape)
            actions[name] = np.where(group.discrete, np.rint(drawn), drawn)
        batch.append(actions)
    turn = iter(range(10**12))
    return lambda: society.step(batch[next(turn) % 8]), sum(g.size for g in society.groups.values())


def bare_kernel(num_worlds: int, num_agents: int) -> Callable[[], Any]:
    """The fishery's equations in plain NumPy: no names, no ledger, no checks, no observation."""
    fishery = Fishery(num_agents=num_agents)
    stock = np.full((num_worlds, 1), 100.0)
    effort = np.random.default_rng(0).random((num_worlds, num_agents)) * 2.0
    q, r, k, p, c = (
        float(getattr(fishery, n)) for n in ("catchability", "growth", "capacity", "price", "cost")
    )
    state = [stock]

    def step() -> Any:
        stock = state[0]
        catch = q * effort * stock
        state[0] = stock + r * stock * (1.0 - stock / k) - catch.sum(axis=1, keepdims=True)
        return p * catch - c * effort

    return step


def three_institutions() -> list[Institution]:
    """Two taxes and a quota: the stack that the goal of four million is meant for."""
    return [
        registry.institution("taxation", base="extraction", rate=0.3),
        registry.institution("income-tax"),
        registry.institution("quota", limit=4.0),
    ]


def single_world(stack: list[Institution]) -> Callable[[], Any]:
    """One PettingZoo world of five agents, played by its own API, resets included."""
    env = parallel_env("fishery-v0", institutions=stack, num_agents=5)
    env.reset(seed=0)
    actions = {agent: env.action_space(agent).sample() for agent in env.possible_agents}

    def step() -> None:
        env.step(actions)
        if not env.agents:
            env.reset()

    return step


def _sized(dilemma: str, num_agents: int) -> dict[str, int]:
    """The parameter that sets the number of agents, where a dilemma has one and takes the value."""
    try:
        Society(registry.make(dilemma, num_agents=num_agents))
    except CommonwealError:
        return {}
    return {"num_agents": num_agents}


def stepping(num_worlds: int = 1024, num_agents: int = 8, repetitions: int = 5) -> list[Measurement]:
    """Agent-steps per second of societies on one core, beside a bare NumPy kernel."""
    agents = num_worlds * num_agents
    jobs: dict[str, tuple[str, float, Callable[[], float]]] = {}
    unit = "agent-steps/s"
    jobs["bare NumPy kernel of the fishery"] = (
        unit, 0.0, timed(bare_kernel(num_worlds, num_agents), agents)
    )  # fmt: skip
    stacks: list[tuple[str, list[Institution], float]] = [
        ("no institution", [], 10e6),
        ("three institutions", three_institutions(), 4e6),
        ("peer sanctions", [registry.institution("peer-sanctions")], 0.0),
    ]
    for name, stack, goal in stacks:
        step, _ = society_step("fishery-v0", stack, num_worlds, num_agents=num_agents)
        jobs[f"fishery-v0, {name}"] = (unit, goal, timed(step, agents))
    for dilemma in registry.DILEMMAS:
        if dilemma != "fishery-v0":
            step, size = society_step(dilemma, [], num_worlds, **_sized(dilemma, num_agents))
            goal = 0.5e6 if dilemma == "double_auction-v0" else 2e6
            jobs[dilemma if size == num_agents else f"{dilemma}, N = {size}"] = (
                unit, goal, timed(step, num_worlds * size)
            )  # fmt: skip
    jobs["PettingZoo, one fishery of five agents"] = ("env-steps/s", 3000.0, timed(single_world([]), 1))
    return measure(jobs, repetitions)


def stepping_table(measured: list[Measurement], title: str = "stepping, one core") -> Table:
    """Medians, their range and the goals, a measurement a row."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("per second")
    for heading in ("median", "lowest", "highest", "goal"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in measured:
        numbers = [f"{x:,.0f}" for x in (one.median, min(one.rates), max(one.rates))]
        name = one.name if one.unit == "agent-steps/s" else f"{one.name} ({one.unit})"
        table.add_row(name, *numbers, f"{one.goal:,.0f}" if one.goal else "")
    return table
