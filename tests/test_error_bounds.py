"""Error bounds of dynamic programming hold against much finer grids and simulated play."""

import math

import numpy as np
import pytest

from commonweal import Society, evaluate, institution
from commonweal.agents.scripted import scripted
from commonweal.envs.aggregative import normal, play
from commonweal.envs.appropriation import Appropriation
from commonweal.envs.attention import Attention
from commonweal.envs.fishery import Fishery
from commonweal.envs.one_state import SHOCK, draws_of, laissez_faire
from commonweal.envs.yardsticks import plan_on, planned_levels, spread
from commonweal.errors import NotExact
from commonweal.solvers import corrective_tax, equilibrium

WORLDS = 4096
NOISY = {"num_agents": 2, "effort_levels": 5, "max_effort": 20.0, "noise": 0.3, "collapse": 0.2}
CASES = [
    pytest.param(Fishery(), id="fishery"),
    pytest.param(Fishery(effort_levels=None, num_agents=2, max_effort=25.0), id="continuous"),
    pytest.param(Fishery(**NOISY), id="noise and collapse"),
    pytest.param(Attention(), id="attention"),
]


def draw(cls, rng):
    """Admissible parameters at random."""
    levels = (3, 6, 11, None)[rng.integers(4)]
    discount = float(rng.choice([0.8, 0.9, 0.95, 0.98]))
    if cls is Fishery:
        price, catchability, capacity = rng.uniform(0.5, 3), rng.uniform(0.002, 0.03), rng.uniform(10, 500)
        noise = (0.0, 0.0, 0.1, 0.3)[rng.integers(4)]
        return cls(
            num_agents=int(rng.integers(1, 5 if noise or not levels else 7)),
            growth=rng.uniform(0.05, 1.0), capacity=capacity, catchability=catchability, price=price,
            cost=rng.uniform(0.0, 0.6) * price * catchability * capacity,
            max_effort=float(rng.uniform(3, 40)), effort_levels=levels or (6 if noise else None),
            noise=noise, collapse=(0.0, 0.0, 0.05, 0.2)[rng.integers(4)],
            initial_stock=rng.uniform(0.2, 1.0), discount=discount,
        )  # fmt: skip
    most, recovery = rng.uniform(2, 20), rng.uniform(0.02, 0.5)
    return cls(
        num_agents=int(rng.integers(1, 7)), attention=rng.uniform(20, 300), price=rng.uniform(0.3, 3),
        fame=rng.uniform(0.1, 5), cost=rng.uniform(0.1, 4), dullness=rng.uniform(0, 1),
        reader_harm=rng.uniform(0, 0.05), recovery=recovery, wear=rng.uniform(0, 1 - recovery) / most,
        max_provocation=float(most), levels=levels, initial_goodwill=rng.uniform(0.2, 1),
        discount=discount,
    )  # fmt: skip


def played(dilemma, yardstick, plays):
    """Mean W of a yardstick's rule over so many plays, and three standard errors of it."""
    sure = yardstick.rule is not None and hasattr(yardstick.rule, "levels") and not np.any(
        getattr(dilemma, "noise", 0.0)
    )  # fmt: skip
    society = Society(dilemma, num_worlds=1 if sure else WORLDS, time_limit=plays)
    welfare = evaluate(society, scripted(society, yardstick), seed=3).welfare
    return float(welfare.mean()), 3.0 * float(welfare.std()) / math.sqrt(len(welfare))


def holds(dilemma):
    """Both yardsticks are inside their bounds: the rule as it plays, and any better plan without end."""
    found, problem = dilemma.references(), laissez_faire(dilemma)
    rounding = 1e-9 * (1.0 + abs(found.planner.welfare))
    for one in (found.planner, found.selfish):
        welfare, noise = played(dilemma, one, dilemma.time_limit)
        assert abs(welfare - one.welfare) <= one.error + noise + rounding
    noisy = len(draws_of(dilemma)) > 1
    grid = problem.grid(801 if noisy else 4801)
    draws = normal(SHOCK / 8) if noisy else problem.draws[0]
    best = problem.at(grid, plan_on(problem, grid, draws, 0 if noisy else 4).value)
    endless = 5 * dilemma.time_limit
    brought, noise = played(dilemma, found.planner, endless)
    assert best - brought <= found.planner.error + noise + 1e-7 * abs(best)  # single precision
    return found


@pytest.mark.parametrize("dilemma", CASES)
def test_no_finer_plan_and_no_play_leaves_the_bounds(dilemma):
    found = holds(dilemma)
    assert found.gap_error < 0.1 * found.gap  # and they say something


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("cls", [Fishery, Attention])
def test_the_bounds_hold_at_random_parameters(cls, seed):
    holds(draw(cls, np.random.default_rng(seed)))


def test_levels_of_a_continuous_act_stay_in_its_range():
    highest = np.random.default_rng(0).uniform(1.0, 20.0, 200)
    problems = (laissez_faire(Attention(levels=None, max_provocation=h, wear=0.01)) for h in highest)
    assert all(problem.entries(np.array([50.0]))[0] <= problem.action.space.high for problem in problems)


def test_a_bound_is_not_fooled_by_two_grids_that_agree_by_chance():
    assert spread([1.0, 2.0, 2.0]) == 1.0


def test_shocks_integrate_what_jumps():
    nodes, weights = normal(SHOCK)
    assert weights @ nodes**2 == pytest.approx(1.0, abs=1e-3)
    assert weights @ np.exp(0.3 * nodes - 0.045) == pytest.approx(1.0, abs=1e-3)
    fine, mass = normal(SHOCK / 8)
    assert mass @ (fine < -0.7) == pytest.approx(0.2420, abs=SHOCK / 8 * 0.32)


@pytest.mark.parametrize("dilemma", [Fishery(), Attention(), Fishery(**Fishery.presets["fin_whale"])])
def test_who_knew_the_end_would_gain_no_more_than_what_is_then_left(dilemma):
    """The planner plans without end; to empty the sea just before the time limit beats it by little."""
    found, problem = dilemma.references(), laissez_faire(dilemma)
    plan = plan_on(problem, problem.grid(401), problem.draws[0], 0)
    options = planned_levels(problem)
    size, count = len(plan.grid), len(options)
    cells = play(problem.model, plan.grid, np.repeat(plan.grid, count), np.tile(options, (size, 1)))
    cells, value = cells.shaped((size, count)), np.zeros(size)
    for _ in range(problem.plays):
        value = (cells.welfare + dilemma.discount * cells.expect(value)).max(axis=1)
    excess = problem.at(plan.grid, value) - found.planner.welfare
    left = dilemma.discount**dilemma.time_limit * plan.value.max()
    assert dilemma.discount**dilemma.time_limit < 0.01
    assert 0.0 < excess <= left + found.planner.error + 0.01
    assert excess < 0.02 * found.gap


def test_one_agent_has_nobody_to_pay_a_tax_to():
    with pytest.raises(NotExact, match="has one agent"):
        corrective_tax(Fishery(num_agents=1))


def test_no_rate_of_a_fine_scan_beats_the_corrective_tax():
    pool = Appropriation(num_agents=4, levels=11, rounds=2)
    found = corrective_tax(pool)
    for rate in np.linspace(0.0, 20.0, 41):
        tax = institution("taxation", base="extraction", rate=float(rate), revenue="others")
        assert equilibrium(Society(pool, [tax])).welfare <= found.welfare + 1e-6 * abs(found.welfare)
