"""References on coarse levels against every joint act of a round, played by the real `step`.

The planner must be the best of all, selfish play the worst pure equilibrium; nobody may gain by leaving it.
"""

import itertools

import numpy as np
import pytest

from commonweal import make
from commonweal.envs.one_state import Fixed
from commonweal.errors import NotExact

QUICK = range(12)
MANY = range(12, 100)
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
    payoff = dilemma.utility(following, outcome.money)
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
        return None
    assert found.planner.welfare == pytest.approx(welfare.max(), abs=rounding)
    assert found.planner.error <= rounding
    assert found.selfish.welfare == pytest.approx(welfare[stays].min(), abs=rounding)
    assert found.selfish.epsilon <= rounding
    return found


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
    found = check(game, *rounds(game, {"output": np.linspace(0.0, game.max_output, game.levels)}))
    assert found is None or found.selfish.kind == "enumeration"


@everywhere
def test_appropriation(seed):
    rng = np.random.default_rng(seed)
    n, levels = int(rng.integers(2, 5)), int(rng.integers(2, 5))
    wage, slope = float(rng.uniform(0, 20)), float(rng.uniform(5, 30))
    game = make(
        "appropriation-v0", num_agents=n, levels=levels, outside_wage=wage, yield_slope=slope,
        yield_curvature=float(rng.uniform(0.1, 1.0)), rounds=1,
    )  # fmt: skip
    found = check(game, *rounds(game, {"tokens": np.linspace(0.0, game.endowment, levels)}))
    assert found.selfish.kind == "enumeration"


@everywhere
def test_fish_war(seed):
    """Constant shares, played until nothing is left to count; W is counted over the time limit."""
    rng = np.random.default_rng(seed)
    n, levels = int(rng.integers(2, 5)), int(rng.integers(2, 4))
    game = make(
        "fish_war-v0", num_agents=n, share_levels=levels, elasticity=float(rng.uniform(0.1, 0.9)),
        cap=float(rng.uniform(0.5, 0.99)), discount=float(rng.uniform(0.3, 0.9)),
    )  # fmt: skip
    joint = np.array(list(itertools.product(range(levels), repeat=n)))
    play = {"share": np.linspace(game.min_share, game.cap / n, levels)[joint]}
    rng = Fixed(len(joint), None, game.id)
    state, payoff, welfare = game.initial(rng), np.zeros(joint.shape), None
    for played in range(5 * game.time_limit):
        state, outcome = game.step(state, play, rng)
        payoff += game.discount**played * game.utility(state, outcome.money)
        welfare = payoff.sum(axis=1) if played + 1 == game.time_limit else welfare
    shape, found = [levels] * n, game.references()
    stays = equilibria(payoff.reshape(*shape, n)).ravel()
    best = welfare[payoff.sum(axis=1).argmax()]
    assert found.planner.welfare == pytest.approx(best, abs=1e-6 * (1.0 + abs(best)))
    assert found.selfish.welfare == pytest.approx(welfare[stays].min(), abs=1e-6 * (1.0 + abs(best)))
    assert found.selfish.epsilon <= 1e-9 * (1.0 + abs(best))


@everywhere
def test_irrigation(seed):
    """All acts in labour and water; equilibria in openings that no other matches whatever is left."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 4))
    game = make(
        "irrigation-v0", num_agents=n, contribution_levels=3, water_levels=3, rounds=1, endowment=2.0,
        base_flow=float(rng.uniform(0, 8)), capacity=float(rng.uniform(8, 25)),
        steepness=float(rng.uniform(1, 3)), half_labour=float(rng.uniform(0.5, 4)),
        max_water=float(rng.uniform(3, 12)), yield_slope=each(rng, n, 0.5, 3),
        yield_curvature=each(rng, n, 0.1, 0.6),
    )  # fmt: skip
    labour, water = (np.linspace(0.0, most, 3) for most in (2.0, game.max_water))
    acts = np.array(list(itertools.product(labour, water))).T
    payoff, welfare = rounds(game, {"contribution": acts[0], "water": acts[1]})
    stays = equilibria(payoff)
    left = np.linspace(0.0, 25.0, 2501)
    for i in range(n):
        slope, curvature = (np.ravel(v)[i % np.size(v)] for v in (game.yield_slope, game.yield_curvature))
        taken = np.minimum(water, left[:, None])
        value = taken * (slope - 0.5 * curvature * taken)
        for opening in range(3):
            as_good = (value >= value[:, [opening]] - 1e-12).all(axis=0)
            better = (value > value[:, [opening]] + 1e-12).any(axis=0)
            if (as_good & better).any():  # dominated
                stays[(slice(None),) * i + (acts[1] == water[opening],)] = False
    found = check(game, payoff, welfare, stays)
    assert found is None or found.selfish.kind == "enumeration"


@everywhere
def test_routing(seed):
    """Latencies of every size, drivers whose time is worth more or less."""
    rng = np.random.default_rng(seed)
    n, routes, size = int(rng.integers(2, 5)), int(rng.integers(2, 4)), 10.0 ** rng.integers(-3, 7)
    edges = [rng.choice(4, int(rng.integers(1, 4)), replace=False).tolist() for _ in range(routes)]
    latency = tuple(tuple((size * rng.uniform(0, 2, int(rng.integers(1, 4)))).tolist()) for _ in range(4))
    game = make(
        "routing-v0", num_agents=n, routes=tuple(map(tuple, edges)), latency=latency, rounds=1,
        value_of_time=each(rng, n, 0.5, 2),
    )  # fmt: skip
    found = check(game, *rounds(game, {"route": np.arange(routes)}))
    assert found.selfish.kind == "enumeration"


class Told(Fixed):
    """The dice that decide about the climate are given."""

    def uniform(self, *shape):
        return np.full((self.num_worlds, *shape), self.shock)


@everywhere
def test_climate_risk(seed):
    """One round, unequal endowments and risks; what is kept is averaged over both ends."""
    rng = np.random.default_rng(seed)
    n, levels = int(rng.integers(2, 5)), int(rng.integers(2, 5))
    endowment = rng.integers(1, levels + 2, n).astype(float)
    game = make(
        "climate_risk-v0", num_agents=n, levels=levels, most=levels - 1.0, rounds=1,
        endowment=tuple(endowment), risk=each(rng, n, 0, 1), target=float(rng.uniform(0.5, n * (levels - 1))),
    )  # fmt: skip
    joint = np.array(list(itertools.product(range(levels), repeat=n)))
    kept = []
    for dice in (0.0, 1.0):
        told = Told(len(joint), dice, game.id)
        kept.append(game.step(game.initial(told), {"contribution": joint.astype(float)}, told)[1].money)
    risk = np.broadcast_to(np.asarray(game.risk), (1, n))
    # Dice of 0 lose whatever can be lost, so that with no risk at all they lose nothing.
    payoff = risk * kept[0] + (1.0 - risk) * kept[1]
    check(game, payoff.reshape(*[levels] * n, n), payoff.sum(axis=1).reshape([levels] * n))


@everywhere
def test_govsim(seed):
    """All plans of all fishers, and all plans of one among others who always want everything."""
    rng = np.random.default_rng(seed)
    n, months = int(rng.integers(2, 4)), int(rng.integers(1, 4))
    game = make(
        "govsim-v0", num_agents=n, levels=3, capacity=4.0, max_catch=float(rng.choice([2.0, 4.0])),
        growth=float(rng.integers(1, 4)), collapse=float(rng.uniform(0, 4)), months=months,
        discount=float(rng.uniform(0.5, 1)), rationing=("equal", "proportional")[rng.integers(2)],
    )  # fmt: skip
    levels = np.linspace(0.0, game.max_catch, 3)

    def earned(plans):
        """What each fisher earns, `(P, N)`, by plans `(P, months, N)` of levels."""
        rng = Fixed(len(plans), None, game.id)
        state, total, going = game.initial(rng), np.zeros((len(plans), n)), np.ones((len(plans), 1))
        for month in range(months):
            state, outcome = game.step(state, {"wish": levels[plans[:, month]]}, rng)
            total += game.discount**month * going * outcome.money
            going = going * ~outcome.terminated[:, None]
        return total

    every = np.array(list(itertools.product(range(3), repeat=months * min(n, 2)))).reshape(
        -1, months, min(n, 2)
    )
    if n == 3:  # the third wants one of three constant things, or what the first wants
        every = np.concatenate(
            [np.concatenate([every, third], axis=2)
             for third in (0 * every[..., :1], 0 * every[..., :1] + 2, every[..., :1])]
        )  # fmt: skip
    found = game.references()
    assert earned(every).sum(axis=1).max() <= found.planner.welfare + 1e-9
    greedy = np.full((3**months, months, n), 2)
    greedy[:, :, 0] = np.array(list(itertools.product(range(3), repeat=months)))
    gain = earned(greedy)[:, 0]
    assert found.selfish.welfare == pytest.approx(n * gain[-1])
    assert found.selfish.epsilon == pytest.approx(gain.max() - gain[-1], abs=1e-9)
    assert (found.selfish.kind == "best known") == (found.selfish.epsilon > 1e-9)
    if n == 2:
        assert earned(every).sum(axis=1).max() == pytest.approx(found.planner.welfare)
