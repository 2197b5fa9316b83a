"""What is counted has 64 bits: clocks, plays, episodes, updates."""

from collections.abc import Iterator

import numpy as np
import pytest

from commonweal import Society, institution, make
from commonweal.agents.ppo import PPO, PPOConfig
from commonweal.errors import CorruptCheckpoint
from commonweal.random import KEYS, Streams, philox_block, world_seeds
from tests.strategies import random_actions

LATE = [2**31 - 2, 2**32 - 2, 2**33 + 5, 2**53 + 1, 2**62]


def society(clock=0):
    """A noisy fishery whose worlds have so many plays and episodes behind them."""
    monitored = institution("taxation", monitor={"noise": 0.1})
    late = Society(make("fishery-v0", noise=0.3), [monitored], num_worlds=2, seed=3)
    state = late.get_state()
    late.set_state({**state, "age": np.full(2, clock), "society.episode": np.full(2, clock)})
    return late


def stocks(played, steps) -> Iterator[list[float]]:
    """The stock after each of some steps that leave the fish alone."""
    for _ in range(steps):
        played.step({"citizens": np.zeros((2, 5, 1))})
        yield played.state.stock[:, 0].tolist()


@pytest.mark.parametrize("clock", LATE)
def test_a_late_world_is_saved_and_goes_on(tmp_path, clock):
    late, rng = society(clock), np.random.default_rng(0)
    for _ in range(3):
        late.step(random_actions(late, rng))
    assert late.age.tolist() == [clock + 3] * 2
    assert late.memory.episode.tolist() == [clock] * 2
    late.save(tmp_path / "late.npz")
    other = Society.load(tmp_path / "late.npz")
    actions = random_actions(late, rng)
    assert np.array_equal(late.step(actions).reward["citizens"], other.step(actions).reward["citizens"])


def test_noise_does_not_repeat_when_32_bits_are_full():
    paths = [list(stocks(society(clock), 3)) for clock in (0, 2**31, 2**32, 2**33, 2**62)]
    assert len({tuple(map(tuple, path)) for path in paths}) == len(paths)
    over = list(stocks(society(2**32 - 1), 3))  # across the border, and from the other side of it
    assert over[0] != paths[2][0]


def test_a_clock_below_zero_is_refused():
    late = society()
    with pytest.raises(CorruptCheckpoint, match="age: found"):
        late.set_state({**late.get_state(), "age": np.full(2, -1)})


@pytest.mark.parametrize("clock", [0, 2**32 - 1, 2**32, 2**32 + 1, 7 * 2**32 + 9])
def test_after_each_era_a_world_has_another_key(clock):
    """Against the definition, block by block."""
    seeds, (era, within) = world_seeds(5, 3), divmod(clock, 2**32)
    drawn = Streams(seeds, 4).begin(clock, 2).uniform(2)
    for world, seed in enumerate(seeds):
        key = np.array([seed & np.uint64(0xFFFFFFFF), seed >> np.uint64(32)], np.uint32)
        if era:
            key = philox_block(np.array([era, 0, 0, KEYS], np.uint32), key)[:2]
        words = philox_block(np.array([0, 2 << 12, within, 4], np.uint32), key).astype(np.uint64)
        whole = [(int(words[i]) >> 5) * 2**26 + (int(words[i + 1]) >> 6) for i in (0, 2)]
        assert drawn[world].tolist() == [number / 2**53 for number in whole]


def test_every_owner_and_world_goes_over_to_keys_of_its_own():
    seeds = np.arange(50, dtype=np.uint64)  # as users number their worlds
    draws = [
        Streams(seeds, owner).begin(clock, 0).uniform(2)
        for owner in (0, 1, 1 << 20)
        for clock in (0, 1, 2**32, 2**32 + 1, 2**33, 2**40)
    ]
    assert len(np.unique(np.stack(draws))) == np.stack(draws).size


def test_learners_count_on(tmp_path):
    config = PPOConfig(hidden=(4,), rollout=4, minibatches=1)
    late, early = (PPO(Society(make("fishery-v0", num_agents=2)), config, seed=1) for _ in range(2))
    late.steps, late.updates = 2**62, 2**32
    late.teams["citizens"].gradient_steps = 2**40
    late.train(8)
    early.train(8)
    assert (late.steps, late.updates) == (2**62 + 8, 2**32 + 2)
    assert not np.array_equal(late.teams["citizens"].raw, early.teams["citizens"].raw)
    late.save(tmp_path / "late.npz")
    other = PPO.resume(tmp_path / "late.npz")
    assert (other.steps, other.updates) == (late.steps, late.updates)
    assert other.teams["citizens"].gradient_steps == 2**40 + 8
    for one in (late, other):
        one.train(8)
    assert np.array_equal(late.teams["citizens"].raw, other.teams["citizens"].raw)
