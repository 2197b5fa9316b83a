"""Random numbers: known answers of Salmon et al. (2011), distributions, independence of the batch."""

import numpy as np
import pytest
from scipy import stats

from commonweal.random import Streams, philox_block, world_seeds

KNOWN = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_philox_known_answers(counter, key, expected):
    block = philox_block(np.array(counter, np.uint32), np.array(key, np.uint32))
    assert block.tolist() == expected


def test_a_world_is_the_same_in_any_batch():
    seeds = world_seeds(7, 50)
    assert (world_seeds(7, 3) == seeds[:3]).all()
    batch = Streams(seeds, 2).begin(5, 1)
    alone = Streams(seeds[17:18], 2).begin(5, 1)
    for _ in range(3):
        assert (batch.normal(4)[17] == alone.normal(4)[0]).all()
    assert (batch.permutation(6)[17] == alone.permutation(6)[0]).all()


def test_owners_clocks_phases_and_draws_differ():
    seeds = world_seeds(0, 1)
    draws = {
        Streams(seeds, owner).begin(clock, phase).uniform(1).item()
        for owner in range(5)
        for clock in range(5)
        for phase in range(5)
    }
    assert len(draws) == 125


@pytest.mark.parametrize(("method", "law"), [("uniform", "uniform"), ("normal", "norm")])
def test_distributions(method, law):
    sample = getattr(Streams(world_seeds(3, 200), 0), method)(101).ravel()
    assert stats.kstest(sample, law).pvalue > 1e-3
    assert abs(np.corrcoef(sample[:-1], sample[1:])[0, 1]) < 0.02


def test_integers_cover_their_range():
    sample = Streams(world_seeds(3, 100), 0).integers(7, 100)
    assert stats.chisquare(np.bincount(sample.ravel(), minlength=7)).pvalue > 1e-3


def test_a_shuffle_is_a_fair_permutation():
    orders = Streams(world_seeds(3, 24_000), 0).begin(0, 0).shuffle(3)
    assert (np.sort(orders, axis=1) == np.arange(3)).all()
    kinds, counts = np.unique(orders @ np.array([9, 3, 1]), return_counts=True)
    assert len(kinds) == 6
    assert np.abs(counts - 4000).max() < 5 * np.sqrt(4000)
