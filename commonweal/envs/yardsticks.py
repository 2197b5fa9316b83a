"""Yardsticks of a symmetric game in one state, each with a bound on its error.

Equilibria are found on a coarse grid and followed to the next. What is reported is *measured*, for the very
rule that scripted agents play: its W and its epsilon, the exact gain of the best reply.

A bound has two sides. *From below* stands what the rule itself brings: the planner's is played by the model
from the initial state, which makes no grid error; where lots are drawn (mixed strategies, noise) W is
computed on ever finer grids and nodes. *From above* stands the value that dynamic programming promises on
ever finer grids (and acts, where they are continuous). The spread of the last three refinements bounds the
error of the finest wherever each refinement at least halves it; two differences that agree by chance do
not fool it, as one can. The planner's error is what lies between both sides, so a better plan without end
is within it. `detail["epsilon_error"]` is the change of epsilon in its last refinement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.aggregative import Against, Draws, Game, play, require_playable, sums
from commonweal.envs.dynamic_programming import Chain, Plan, best_plan, played_reply, transitions
from commonweal.envs.markov_perfect import equilibria, mixture, refined, welfare
from commonweal.envs.one_state import Problem
from commonweal.envs.state_rules import MixedRule, PlannedRule
from commonweal.references import LARGEST_EPSILON, Yardstick, ranked

Array = NDArray[np.float64]

SHRINKS = 0.9  # ratio of two changes from grid to finer grid at most, for the error bound
ENDLESS = 5  # times the plays that count, whose end weighs a hundredth: then 1e-10 is left of any value
FINER_ACTS = 4  # continuous acts of a deviation between two levels, and of each zoom of a planner


def spread(values: list[float]) -> float:
    """How far the limit of finer and finer grids may be from the finest, the last of the values.

    As far as any of the others, or as what follows if changes go on shrinking as they did: a geometric
    series. Where they hardly shrink or grow, sharp rules are blurred on every grid, and the ratio is taken
    as `SHRINKS`.
    """
    changes = np.abs(np.diff(values))
    ratio = 0.0
    if len(changes) > 1 and changes[-1] > 0.0:
        ratio = min(changes[-1] / changes[-2], SHRINKS) if changes[-2] > 0.0 else SHRINKS
    tail = changes[-1] * ratio / (1.0 - ratio)
    return max(float(tail), *(abs(values[-1] - value) for value in values))


def planned_levels(problem: Problem) -> Array:
    """Levels of all agents `(K, N)` among which a planner chooses: as even as levels allow."""
    n = problem.num_agents
    if problem.continuous:
        return np.repeat(np.arange(float(problem.num_levels))[:, None], n, axis=1)
    many = n * (problem.num_levels - 1) + 1
    require_playable(many, n)
    total = np.arange(many)[:, None]
    return (total // n + (np.arange(n) < total % n)).astype(np.float64)


@dataclass(frozen=True)
class Planned:
    """The best plan on a grid: levels of all agents `(G, N)`, and W without end `(G,)`."""

    grid: Array
    levels: Array
    value: Array


def plan_on(problem: Problem, grid: Array, draws: Draws, zooms: int) -> Planned:
    """The best plan on a grid.

    Continuous acts are first sought among the levels, then so many times on finer steps around the best of
    each state: a best act that lies between the first two levels shows on no grid of them.
    """
    size = len(grid)

    def best_of(levels: Array | Against, count: int) -> Plan:
        cells = play(problem.model, grid, np.repeat(grid, count), levels, draws)
        return best_plan(cells.shaped((size, count)), problem.discount)

    planned = planned_levels(problem)
    require_playable(size * len(planned), problem.num_agents, draws)
    row = np.tile(np.arange(len(planned), dtype=np.intp), size)
    plan = best_of(Against(planned[row, 0], row, planned[:, 1:]), len(planned))
    best = planned[plan.total]
    for zoom in range(zooms if problem.continuous else 0):
        around = best[:, :1] + np.arange(-FINER_ACTS, FINER_ACTS + 1.0) / FINER_ACTS ** (zoom + 1)
        options = np.clip(around, 0.0, problem.num_levels - 1.0)
        levels = np.repeat(options.reshape(-1, 1), problem.num_agents, axis=1)
        plan = best_of(levels, options.shape[1])
        best = np.repeat(options[np.arange(size), plan.total, None], problem.num_agents, axis=1)
    return Planned(grid, best, plan.value)


def plan_of(problem: Problem) -> Planned:
    """The plan on the finest grid."""
    refinements = problem.refinements()
    return plan_on(problem, *refinements[-1], zooms=len(refinements) - 1)


def plan_yardstick(problem: Problem) -> Yardstick:
    """The planner: W of its rule, and how much more there could be."""
    refinements = problem.refinements()
    plans = [plan_on(problem, *on, zooms) for zooms, on in enumerate(refinements)]
    promised = [problem.at(plan.grid, plan.value) for plan in plans]
    rules = [PlannedRule(problem, plan.grid, plan.levels) for plan in plans]
    if len(problem.draws[0][0]) == 1:
        followed = [_followed(problem, rule) for rule in rules]
        values, brought = [total for total, _ in followed], followed[-1][1]
        error = max(promised[-1] - brought, 0.0) + spread(promised) + spread(values)
    else:
        # The plans differ by what is lost in planning coarsely, all measured alike; the last, by how.
        chains = [_planned_chain(problem, rule, *refinements[-1]) for rule in rules]
        endless = [problem.at(rules[-1].grid, link.forever(link.welfare)) for link in chains]
        values = [_over(problem, rules[-1].grid, link) for link in chains]
        measured = [_over(problem, on[0], _planned_chain(problem, rules[-1], *on)) for on in refinements]
        error = max(spread(endless), spread(values)) + spread(measured)
    # Any play over the plays that count, with the best plan after it, brings no more than that plan.
    left = problem.discount**problem.plays * min(float(plans[-1].value.min()), 0.0)
    slack = max(promised[-1] - left - values[-1], 0.0)
    return Yardstick(values[-1], "dynamic programming", error, rule=rules[-1], slack=slack)


def _over(problem: Problem, grid: Array, link: Chain) -> float:
    """W of a chain over the plays that count."""
    return problem.at(grid, link.over(link.welfare, problem.plays))


def _followed(problem: Problem, rule: PlannedRule) -> tuple[float, float]:
    """W of a rule where nothing is drawn, over the plays that count and without end, played by the model."""
    state, weight, total, counted = np.array([problem.start]), 1.0, 0.0, 0.0
    for played in range(ENDLESS * problem.plays):
        step = problem.model(state, rule.at(state), float(problem.draws[0][0][0]))
        total += weight * float(step.welfare[0])
        counted = total if played < problem.plays else counted
        weight *= problem.discount * float(step.continues[0])
        state = step.following
        if not weight:
            break
    return counted, total


def _planned_chain(problem: Problem, rule: PlannedRule, grid: Array, draws: Draws) -> Chain:
    cells = play(problem.model, grid, grid, rule.at(grid), draws)
    matrix = transitions(cells.shaped((len(grid), 1)), np.ones((len(grid), 1)), len(grid))
    return Chain(cells.reward, cells.welfare, matrix, problem.discount)


@dataclass(frozen=True)
class Measured:
    """W and what an agent gains by deviating, at the start and at most from any state."""

    welfare: float
    epsilon: float
    anywhere: float


def measured_on(problem: Problem, rule: MixedRule, grid: Array, draws: Draws) -> Measured:
    """A strategy that all follow, on a grid of its own."""
    finer = FINER_ACTS if problem.continuous else 1
    acts = np.arange(finer * (problem.num_levels - 1) + 1) / finer
    law = np.stack([np.interp(grid, rule.grid, column) for column in rule.strategy.T], axis=1)
    others = sums(problem.num_agents, problem.num_levels)
    profiles = others.probabilities([law] * (problem.num_agents - 1))
    profiles = np.broadcast_to(profiles, (len(grid), profiles.shape[1]))
    own = np.zeros((len(grid), len(acts)))
    own[:, ::finer] = law
    answer = played_reply(problem.model, grid, acts, profiles, others, problem.discount, draws)
    link, gain = answer.chain(own), answer.gain(own)[1]
    welfare = problem.at(grid, link.over(link.welfare, problem.plays))
    return Measured(welfare, problem.at(grid, gain), float(gain.max()))


def measure(problem: Problem, rule: MixedRule, gap: float) -> Yardstick:
    """W, error and epsilon of a strategy that all follow; the gap is the scale for epsilon."""
    found = [measured_on(problem, rule, *on) for on in problem.refinements()]
    *_, half, finest = found
    exact = finest.epsilon <= LARGEST_EPSILON * gap / problem.num_agents
    return Yardstick(
        finest.welfare,
        "dynamic programming" if exact else "best known",
        spread([one.welfare for one in found]),
        finest.epsilon,
        rule=rule,
        detail={
            "epsilon_anywhere": finest.anywhere,
            "epsilon_error": abs(finest.epsilon - half.epsilon),
        },
    )


def equilibrium_yardsticks(
    problem: Problem, first_best: float | None = None, gap: float | None = None
) -> list[Yardstick]:
    """Symmetric Markov-perfect equilibria, the worst for the group first.

    Args:
        problem: the game.
        first_best: W of the planner, from which each equilibrium's own gap is counted.
        gap: the gap that is the scale for epsilon, where it is known already.
    """
    coarse, second = problem.games()
    found = equilibria(coarse)
    measured: list[Yardstick] = []
    for equilibrium in found:
        versions = [
            MixedRule(problem, game.grid, mixture(version.position, problem.num_levels))
            for game, version in ((coarse, equilibrium), (second, refined(coarse, second, equilibrium)))
        ]
        once = problem.refinements()[1]
        tried = [(measured_on(problem, rule, *once), rule) for rule in versions]
        best, rule = min(tried, key=lambda pair: pair[0].epsilon)
        scale = abs((first_best or 0.0) - best.welfare) if gap is None else gap
        measured.append(measure(problem, rule, scale))
    measured = ranked(measured)
    known = measured[0].kind != "best known"
    if found[0].limit:
        how = "limit of finite-horizon backward induction"
        return [replace(measured[0], selection=how if known else f"no equilibrium, but the {how} on a grid")]
    how = f"of {len(found)} found by relaxed backward induction; the plain induction cycles"
    first = "worst for the group" if known else "no equilibrium, but the least gain of deviating"
    return [
        replace(one, selection=f"{first if place == 0 else 'another'} {how}")
        for place, one in enumerate(measured)
    ]


def constant_range(problem: Problem, game: Game) -> tuple[float, float]:
    """Smallest and largest W when all play the same level for ever."""
    strategies = [np.tile(row, (len(game.grid), 1)) for row in np.eye(game.num_levels)]
    values = [welfare(game, strategy, problem.plays, problem.start) for strategy in strategies]
    return min(values), max(values)
