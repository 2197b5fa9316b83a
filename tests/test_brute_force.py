"""References on coarse levels against every joint act of a round, played by the real `step`.

The planner must be the best of all, selfish play the worst pure equilibrium, and nobody may gain by leaving it.
"""

import itertools

import numpy as np
import pytest

from commonweal import make
from commonweal.envs.yardsticks import Fixed
from commonweal.errors import NotExact

QUICK = range(12)
MANY = range(12, 300)
everywhere = pytest.mark.parametrize(
    "seed", [*QUICK, *(pytest.param(seed, marks=pytest.mark.slow) for seed in MANY)]
)


def each(rng, count, low, high):
    """One number, or one for each agent."""
    return tuple(rng.uniform(low, high, count).tolist()) if rng.integers(2) else float(rng.uniform(low, high))


def rounds(dilemma, options):
    """Payoffs `(options, ..., options, N)` and W `(options, ..., options)` of every joint act of a round.

    Args:
        dilemma: of one round.
        options: by column, the physical values of an agent's acts, `(A,)`: one act in each place.
    """
    n, count = dilemma.num_agents, len(next(iter(options.values())))
    joint = np.array(list(itertools.product(range(count), repeat=n)))
    rng = Fixed(len(joint), 0.0, dilemma.id)
    play = {name: np.asarray(values, float)[joint] for name, values in options.items()}
    following, outcome = dilemma.step(dilemma.initial(rng), play, rng)
    payoff = dilemma.utility(following, outcome, outcome.money)
    welfare = payoff.sum(axis=1) + (0.0 if outcome.outside is None else outcome.outside)
    return payoff.reshape(*[count] * n, n), welfare.reshape([count] * n)


def equilibria(payoff):
    """Which joint acts nobody alone gains by leaving, from payoffs `(A, ..., A, N)`."""
    tie = 1e-9 * np.ptp(payoff)
    stays = [
        payoff[..., i] >= payoff[..., i].max(axis=i, keepdims=True) - tie for i in range(payoff.shape[-1])
    ]
    return np.all(stays, axis=0)


def check(dilemma, payoff, welfare, stays=None):
    """The references of a game of one round tell what brute force finds."""
    stays = equilibria(payoff) if stays is None else stays
    rounding = 1e-8 * (1.0 + np.ptp(welfare) + abs(welfare.max()))
    try:
        found = dilemma.references()
    except NotExact as error:
        assert "no pure equilibrium" in str(error)
        assert not stays.any()
        return
    assert found.planner.welfare == pytest.approx(welfare.max(), abs=rounding)
    assert found.planner.error <= rounding
    assert found.selfish.welfare == pytest.approx(welfare[stays].min(), abs=rounding)
    assert found.selfish.epsilon <= rounding
    assert found.selfish.kind == "enumeration"


def production(seed):
    rng = np.random.default_rng(seed)
    n, levels = int(rng.integers(2, 5)), int(rng.integers(2, 5))
    parameters = {
        "unit_cost": each(rng, n, 0, 5) if rng.integers(4) else 0.0,
        "cost_slope": each(rng, n, 0, 3) if rng.integers(3) else 0.0,
        "emission_intensity": each(rng, n, 0, 1.5),
        "marginal_damage": each(rng, n, 0, 13),
        "damage_share": float(rng.choice([0.0, 0.5, 1.0])),
        "demand_slope": float(rng.uniform(0.3, 2)),
        "max_output": float(rng.uniform(2, 12)),
    }
    return make("production-v0", num_agents=n, levels=levels, rounds=1, **parameters)


@everywhere
def test_production(seed):
    game = production(seed)
    check(game, *rounds(game, {"output": np.linspace(0.0, game.max_output, game.levels)}))
