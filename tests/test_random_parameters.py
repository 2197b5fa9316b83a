"""Yardsticks at admissible parameters drawn at random, against brute force through the society."""

import numpy as np
import pytest

from commonweal import Society, evaluate, make
from commonweal.agents.scripted import Scripted, scripted
from commonweal.errors import NotExact

WORLDS = 300
# Nothing is drawn in play, so that every world is one joint rule or one deviation.
CERTAIN = (
    "govsim-v0", "fish_war-v0", "public_goods-v0", "irrigation-v0", "ai_race-v0", "routing-v0",
    "holdup-v0", "production-v0", "appropriation-v0", "escape_room-v0",
)  # fmt: skip


def parameters(name, rng):
    """Parameters of a dilemma; agents differ where that is allowed and the lot says so."""

    def number(low, high):
        return float(rng.uniform(low, high))

    def each(count, low, high):
        return tuple(rng.uniform(low, high, count).tolist()) if rng.integers(2) else number(low, high)

    n = int(rng.integers(2, 7))
    levels = (None, 6, 11)[rng.integers(3)]
    return {
        "govsim-v0": lambda: {
            "num_agents": n, "max_catch": 50.0, "levels": 11, "growth": float(rng.integers(1, 4)),
            "collapse": number(0, 30), "rationing": ("equal", "proportional")[rng.integers(2)],
            "months": int(rng.integers(1, 8)), "discount": number(0.5, 1),
        },
        "fish_war-v0": lambda: {
            "num_agents": n, "elasticity": number(0.1, 0.95), "share_levels": levels,
            "cap": number(0.5, 0.99), "discount": number(0.3, 0.95),
        },
        "public_goods-v0": lambda: {
            "num_agents": n, "endowment": each(n, 5, 20), "marginal_return": each(n, 0.1, 1.5),
            "levels": None, "technology": ("linear", "threshold", "club")[rng.integers(3)],
        },
        "irrigation-v0": lambda: {
            "num_agents": n, "yield_slope": each(n, 1, 5), "yield_curvature": number(0.05, 0.3),
        },
        "ai_race-v0": lambda: {
            "num_agents": min(n, 4), "steps": int(rng.integers(2, 10)), "speed": number(1, 3),
            "benefit": number(0, 10), "safety_cost": number(0, 3), "prize": number(0, 150),
            "risk": number(0, 1), "public_damage": number(0, 30), "rounds": (None, 8)[rng.integers(2)],
        },
        "routing-v0": lambda: {"num_agents": n, "value_of_time": each(n, 0.5, 2)},
        "holdup-v0": lambda: {
            "marginal_return": number(1, 4), "specificity": number(0, 1), "cost": number(0.5, 3),
            "max_investment": 10.0, "levels": levels,
        },
        "production-v0": lambda: {
            "num_agents": n, "unit_cost": each(n, 0, 5), "marginal_damage": number(0, 10), "levels": levels,
        },
        "appropriation-v0": lambda: {
            "num_agents": n, "outside_wage": number(0, 30), "yield_slope": number(5, 30),
            "yield_curvature": number(0.05, 1), "levels": levels,
        },
        "escape_room-v0": lambda: {
            "num_agents": n, "pullers": int(rng.integers(1, n + 1)), "prize": each(n, 1, 15),
            "cost": each(n, 0.1, 3),
        },
    }[name]()  # fmt: skip


def entries(spaces, shape, draw):
    """Entries of every column, drawn uniformly: whole where the column has levels."""
    return {
        name: np.floor(draw(shape) * space.size)
        if space.size
        else space.low + draw(shape) * (space.high - space.low)
        for name, space in spaces.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("name", CERTAIN)
def test_no_rule_beats_the_planner_and_no_deviation_gains_more_than_epsilon(name, seed):
    dilemma = make(name, **parameters(name, np.random.default_rng(seed)))
    try:
        found = dilemma.references()
    except NotExact:
        return  # refused by name: no pure equilibrium
    spaces = {action.name: action.space for action in dilemma.actions()}
    # Optimum and epsilon are of play without end; a time limit that comes early rewards greed before it.
    limit = dilemma.time_limit
    society = Society(dilemma, num_worlds=WORLDS, time_limit=5 * limit if limit else None)
    rounding = 1e-6 * (1.0 + abs(found.planner.welfare))

    def constant(observed, rng, agent=None):
        shape = next(iter(observed.values())).shape[:2]
        drawn = entries(spaces, shape, np.random.default_rng(seed).random)  # the same in every play
        if agent is None:
            return drawn
        played = {name: np.array(value) for name, value in found.selfish.rule(observed, rng).items()}
        for name, value in drawn.items():
            played.setdefault(name, np.zeros(shape))[:, agent] = value[:, agent]
        return played

    def restless(observed, rng):
        return entries(spaces, next(iter(observed.values())).shape[:2], lambda shape: rng.uniform(shape[1]))

    once = Society(dilemma)
    for one in (found.planner, found.selfish):
        welfare = evaluate(once, scripted(once, one), seed=2).welfare
        assert welfare == pytest.approx(one.welfare, abs=one.error + rounding)
    planned = evaluate(society, scripted(society, found.planner), seed=1).welfare.max()
    for rule in (constant, restless):
        best = evaluate(society, Scripted(society, rule), seed=1).welfare.max()
        assert best <= planned + found.planner.error + rounding
    followed = evaluate(society, scripted(society, found.selfish), seed=2)
    for agent in range(followed.returns.shape[1]):
        rule = Scripted(society, lambda observed, rng, i=agent: constant(observed, rng, i))
        gain = evaluate(society, rule, seed=2).returns[:, agent] - followed.returns[:, agent]
        assert gain.max() <= found.selfish.epsilon + rounding
