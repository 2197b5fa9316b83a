"""What the doors show lies in the space they declare, and is nobody's but the caller's."""

import numpy as np
import pytest

import commonweal
from commonweal import Society, institution, make, registry
from tests.strategies import extreme_actions, random_actions
from tests.test_action_arrays import null_policies

DILEMMAS = sorted(registry.DILEMMAS)


def varied(name, rng):
    """A society with other numbers of agents, levels and amounts, or None where they are refused."""
    cls = registry.dilemma_class(name)
    parameters = make(name, preset=rng.choice([None, *cls.presets])).to_dict()
    for field, value in parameters.items():
        if rng.random() < 0.5 or isinstance(value, bool):
            continue
        if field.endswith("levels"):
            parameters[field] = None if rng.random() < 0.6 else int(rng.integers(2, 40))
        elif isinstance(value, float):
            parameters[field] = value * rng.uniform(0.3, 1.7)
        elif isinstance(value, int):
            parameters[field] = max(1, value + int(rng.integers(-3, 8)))
    try:
        return Society(make(name, **parameters), num_worlds=4, seed=3)
    except commonweal.errors.CommonwealError:
        return None


def check_within(society, seed, steps=24):
    rng = np.random.default_rng(seed)
    for number in range(steps):
        step = society.step((random_actions, extreme_actions)[number % 2](society, rng))
        for seen in (step.observation, step.final_observation or {}):
            for name, array in seen.items():
                group = society.groups[name]
                assert np.isfinite(array).all(), society
                assert (array >= group.observation_low).all(), society
                assert (array <= group.observation_high).all(), society


@pytest.mark.parametrize("name", DILEMMAS)
def test_observations_of_other_parameters_are_in_range(name):
    rng = np.random.default_rng(DILEMMAS.index(name))
    for seed in range(12):
        society = varied(name, rng)
        if society is not None:
            check_within(society, seed)


def test_permits_sold_to_the_last_are_none():
    """Issued, less all of it in parts, as far as buyers can pay: 4e-16 below nothing."""
    game = make("appropriation-v0", num_agents=13, levels=None)
    permits = institution("tradable-quotas", allocation=0.7, levels=None)
    check_within(Society(game, [permits], num_worlds=32, seed=3, credit=3.0), 0, 100)


def test_rounding_is_moved_to_the_bound_and_no_more_than_that():
    society = Society(make("fishery-v0", num_agents=1), num_worlds=7)
    high = 200.0
    stock = np.array([[-1e-16], [-1e-6], [-1.0], [high], [high + 1e-5], [high + 1.0], [np.nan]])
    seen = society.columns.observe({"dilemma": {"stock": stock}}, 7)["citizens"][:, 0, 0]
    assert np.array_equal(
        seen, np.array([0.0, 0.0, -1.0, high, high, high + 1.0, np.nan], np.float32), equal_nan=True
    )


@pytest.mark.parametrize("name", DILEMMAS)
def test_every_door_shows_what_its_space_holds(name):
    env = commonweal.parallel_env(name, continuous=True)
    seen, _ = env.reset(seed=1)
    while env.agents:
        for agent, array in seen.items():
            assert env.observation_space(agent).contains(array)
            array[...] = 7.0
        assert env.state_space.contains(env.state())
        seen, *_ = env.step({agent: env.action_space(agent).sample() for agent in env.agents})
        if env.transition is not None and env.society.memory.plays[0] > 5:
            break
    for group in Society(make(name)).groups:
        policies = null_policies(Society(make(name)))
        single = commonweal.gym_env(name, group=group, policies=policies, continuous=True)
        array, _ = single.reset(seed=1)
        assert single.observation_space.contains(array)
        array[...] = 7.0
        assert not (single.society.observation[group] == 7.0).all()
        array = single.step(single.action_space.sample())[0]
        assert single.observation_space.contains(array)
        vec = commonweal.vec_env(name, num_worlds=2, group=group, policies=policies, continuous=True)
        vec.seed(1)
        rows = vec.reset()
        for _ in range(3):
            assert all(vec.observation_space.contains(row) for row in rows)
            rows[...] = 7.0
            assert not (vec.society.observation[group] == 7.0).all()
            rows = vec.step(np.stack([vec.action_space.sample() for _ in range(vec.num_envs)]))[0]


def test_other_policies_may_write_into_what_they_are_shown():
    """Neither does anybody else see it, nor is a mask enforced that a policy has changed."""
    tax = institution("taxation", base="extraction", name="tax")
    stack = [tax, institution("vote", on="tax.rate", every=1)]

    def careless(seen, mask):
        seen[...], mask[...] = 7.0, False
        return np.broadcast_to(np.array([0.1, 0.5]), (1, 2, 2))

    env = commonweal.gym_env("fish_war-v0", stack, policies={"citizens": careless}, continuous=True)
    env.reset(seed=0)
    seen, allowed = (given["citizens"].copy() for given in (env.society.observation, env.society.mask))
    assert allowed.any()
    env.others.act()
    assert np.array_equal(env.society.observation["citizens"], seen)
    assert np.array_equal(env.society.mask["citizens"], allowed)


def test_a_reward_beyond_float32_is_the_largest_there_is():
    vec = commonweal.vec_env("labour-v0", risk_aversion=10.0, num_worlds=1)
    vec.seed(0)
    vec.reset()
    reward = vec.step(np.zeros(vec.num_envs, int))[1]
    assert (reward == -np.finfo(np.float32).max).all()
