"""Random numbers that belong to worlds, not to batches.

Each world `b` owns the stream `Philox4x32-10(key = seed[b], counter = (lane, draw, clock, owner))`. The
counter has room for 2^32 plays; after each such era a world goes on under a new key, drawn from its seed.
Hence a world's history depends on its own seed alone: it is the same in a batch of one and in a
batch of a thousand, replicates cannot influence each other, and an institution that draws does
not shift the dilemma's noise (common random numbers across institutions). The clock counts the plays
of a world, in 64 bits, so that stages of deliberation and response shift nothing either. A checkpoint
needs the seeds and the clocks, nothing else.

Source: Salmon, Moraes, Dror and Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3".
The tests hold the kernel against that paper's known answers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import require
from commonweal.jit import njit

Array = NDArray[np.float64]
# Draw numbers of one step are split in phases, so that what one hook draws (or whether it is
# called at all, because some other world is in its stage) cannot shift another hook's numbers.
DRAWS_PER_PHASE = 1 << 12
KEYS = 0xFFFFFFFF  # an owner that no stream has: what seeds and keys are drawn from


@njit(inline="always")
def _philox(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    mask = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        p0 = np.uint64(0xD2511F53) * np.uint64(c0)
        p1 = np.uint64(0xCD9E8D57) * np.uint64(c2)
        c0, c1, c2, c3 = (
            np.uint32((p1 >> np.uint64(32)) ^ np.uint64(c1) ^ np.uint64(k0)),
            np.uint32(p1 & mask),
            np.uint32((p0 >> np.uint64(32)) ^ np.uint64(c3) ^ np.uint64(k1)),
            np.uint32(p0 & mask),
        )
        k0 = np.uint32((np.uint64(k0) + np.uint64(0x9E3779B9)) & mask)
        k1 = np.uint32((np.uint64(k1) + np.uint64(0xBB67AE85)) & mask)
    return c0, c1, c2, c3


@njit
def philox_block(counter: NDArray[np.uint32], key: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """One block: `counter (4,)`, `key (2,)` -> four 32-bit words."""
    out = np.empty(4, np.uint32)
    out[0], out[1], out[2], out[3] = _philox(counter[0], counter[1], counter[2], counter[3], key[0], key[1])
    return out


@njit(inline="always")
def _unit(high, low):  # type: ignore[no-untyped-def]
    # 53 bits of two words: uniform on [0, 1).
    return (np.float64(high >> np.uint32(5)) * 67108864.0 + np.float64(low >> np.uint32(6))) * (
        1.0 / 9007199254740992.0
    )


@njit
def _key(seed, clock):  # type: ignore[no-untyped-def]
    """Key of a world in the era of its clock; in the first one its seed itself."""
    k0 = np.uint32(seed & np.uint64(0xFFFFFFFF))
    k1 = np.uint32(seed >> np.uint64(32))
    era = np.uint32(np.uint64(clock) >> np.uint64(32))
    if era > 0:
        k0, k1, _, _ = _philox(era, np.uint32(0), np.uint32(0), np.uint32(KEYS), k0, k1)
    return k0, k1


@njit
def _uniforms(seeds, draw, clock, owner, out):  # type: ignore[no-untyped-def]
    worlds, lanes = out.shape
    for b in range(worlds):
        k0, k1 = _key(seeds[b], clock[b])
        for lane in range(0, lanes, 2):
            w0, w1, w2, w3 = _philox(
                np.uint32(lane >> 1), np.uint32(draw), np.uint32(clock[b]), np.uint32(owner), k0, k1
            )
            out[b, lane] = _unit(w0, w1)
            if lane + 1 < lanes:
                out[b, lane + 1] = _unit(w2, w3)


@njit
def _normals(seeds, draw, clock, owner, out):  # type: ignore[no-untyped-def]
    # Box and Muller (1958): two independent normals from two uniforms.
    worlds, lanes = out.shape
    for b in range(worlds):
        k0, k1 = _key(seeds[b], clock[b])
        for lane in range(0, lanes, 2):
            w0, w1, w2, w3 = _philox(
                np.uint32(lane >> 1), np.uint32(draw), np.uint32(clock[b]), np.uint32(owner), k0, k1
            )
            radius = math.sqrt(-2.0 * math.log1p(-_unit(w0, w1)))
            angle = 2.0 * math.pi * _unit(w2, w3)
            out[b, lane] = radius * math.cos(angle)
            if lane + 1 < lanes:
                out[b, lane + 1] = radius * math.sin(angle)


def whole_seed(seed: Any) -> int:
    """`seed`, where it is a whole number from 0 on; else raises `InvalidParameter`."""
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool) and int(seed) >= 0
    require(whole, "seed", seed, "a whole number, 0 or more")
    return int(seed)


def world_seeds(seed: int, num_worlds: int) -> NDArray[np.uint64]:
    """Seeds `(B,)` of the worlds of one experiment; world `b` gets the same seed for any `B`."""
    key = np.random.SeedSequence(whole_seed(seed)).generate_state(2, np.uint32)
    counter = np.zeros(4, np.uint32)
    counter[3] = KEYS
    seeds = np.empty(num_worlds, np.uint64)
    for world in range(num_worlds):
        counter[0] = world
        words = philox_block(counter, key).astype(np.uint64)
        seeds[world] = words[0] | (words[1] << np.uint64(32))
    return seeds


def seeds_of(seed: object, number: int) -> NDArray[np.uint64]:
    """Seeds `(number,)`: those given one by one, or those of an experiment's `seed`.

    Raises:
        InvalidParameter: another number of them, or they are no whole numbers from 0 on.
    """
    if isinstance(seed, np.ndarray) and seed.ndim:
        require(seed.shape == (number,), "seed", seed.shape, f"({number},)")
        whole = seed.dtype.kind in "iu" and bool((seed >= 0).all())
        require(whole, "seed", seed, "whole numbers, 0 or more")
        return seed.astype(np.uint64)
    return world_seeds(whole_seed(seed), number)


@njit
def _shuffle(uniform, order):  # type: ignore[no-untyped-def]
    """Fisher and Yates' shuffle of 0 .. n - 1 in every row of `order`, from numbers on [0, 1)."""
    for b in range(len(order)):
        for i in range(order.shape[1]):
            j = int(uniform[b, i] * (i + 1))
            order[b, i] = order[b, j]
            order[b, j] = i


class Streams:
    """The random numbers of one owner (the dilemma, or one institution) in every world.

    Every method returns an array whose first axis is the worlds.
    """

    def __init__(self, seeds: NDArray[np.uint64], owner: int) -> None:
        self.seeds = seeds
        self.owner = owner
        self.clock = np.zeros(len(seeds), np.int64)
        self._draw = 0

    def begin(self, clock: int | NDArray[np.int64], phase: int) -> Streams:
        """Set the clock, `(B,)` or one for all, and the phase of the step; returns itself."""
        self.clock = clock if isinstance(clock, np.ndarray) else np.full(self.seeds.shape, clock, np.int64)
        self._draw = phase * DRAWS_PER_PHASE
        return self

    def take(self, index: NDArray[np.intp]) -> Streams:
        """The streams of the worlds `index`, at the same clock and draw."""
        part = Streams(self.seeds[index], self.owner)
        part.clock, part._draw = self.clock[index], self._draw
        return part

    @property
    def num_worlds(self) -> int:
        """B."""
        return len(self.seeds)

    def uniform(self, *shape: int) -> Array:
        """Uniform on [0, 1), `(B, *shape)`."""
        out = np.empty((self.num_worlds, math.prod(shape)))
        _uniforms(self.seeds, self._draw, self.clock, self.owner, out)
        self._draw += 1
        return out.reshape((self.num_worlds, *shape))

    def normal(self, *shape: int) -> Array:
        """Standard normal, `(B, *shape)`."""
        out = np.empty((self.num_worlds, math.prod(shape)))
        _normals(self.seeds, self._draw, self.clock, self.owner, out)
        self._draw += 1
        return out.reshape((self.num_worlds, *shape))

    def integers(self, high: int, *shape: int) -> NDArray[np.int64]:
        """Uniform on 0 .. high - 1, `(B, *shape)`."""
        return (self.uniform(*shape) * high).astype(np.int64)

    def permutation(self, n: int) -> NDArray[np.intp]:
        """A random order of 0 .. n - 1 in each world, `(B, n)`."""
        return np.argsort(self.uniform(n), axis=1, kind="stable")

    def shuffle(self, n: int) -> NDArray[np.int64]:
        """A random order of 0 .. n - 1 in each world, `(B, n)`; for large n faster than `permutation`."""
        order = np.empty((self.num_worlds, n), np.int64)
        _shuffle(self.uniform(n), order)
        return order
