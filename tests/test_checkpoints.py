"""Checkpoints: what was not written so is refused, before memory is taken and before anything changes."""

import io
import pickle
import random
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch

from commonweal import Society, institution, make
from commonweal.agents.ppo import PPO, PPOConfig
from commonweal.errors import CorruptCheckpoint
from commonweal.storage import read_arrays, write_arrays
from tests.strategies import random_actions
from tests.test_foreign import jar

BILLION = 10**9


def society(worlds=2):
    return Society(make("fishery-v0", num_agents=2), [institution("taxation", rate=0.1)], num_worlds=worlds)


def learner(steps=16):
    return PPO(society(), PPOConfig(hidden=(2,), rollout=8, minibatches=1), seed=1).train(steps)


KINDS = {"society": (society, Society.load), "learner": (learner, PPO.resume)}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    for kind, (build, _) in KINDS.items():
        build().save(folder / f"{kind}.npz")
    return {kind: (folder / f"{kind}.npz").read_bytes() for kind in KINDS}


def same(one, other):
    """Whether two files hold the same, to the bit."""
    (arrays, config), (others, other_config) = one, other
    bits = {name: (array.dtype, array.shape, array.tobytes()) for name, array in arrays.items()}
    return config == other_config and bits == {n: (a.dtype, a.shape, a.tobytes()) for n, a in others.items()}


@pytest.mark.parametrize("number", [150, pytest.param(1500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_is_refused_or_changes_nothing(files, tmp_path, kind, number):
    path, whole, rng, refused = tmp_path / f"{kind}.npz", files[kind], random.Random(number), 0
    path.write_bytes(whole)
    right = read_arrays(path)
    for _ in range(number):
        place, damaged = rng.randrange(8 * len(whole)), bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            KINDS[kind][1](path)
        except CorruptCheckpoint as error:
            assert f"{kind}.npz" in str(error)
            refused += 1
        else:
            assert same(read_arrays(path), right), f"bit {place}"
    assert refused > 0.8 * number  # what is left are dates, rights and versions in the archive


# ---------------------------------------------------------------------- well written, but nonsense


def faults(array):
    """Arrays that cannot stand in the place of `array`."""
    yield "shape", np.zeros((*array.shape, 2), array.dtype)
    yield "kind", array.astype(np.complex64)
    yield "text", np.full(array.shape, "x")
    if array.size and array.dtype.kind == "f":
        for number in (np.nan, np.inf):
            wrong = array.copy()
            wrong.flat[-1] = number
            yield str(number), wrong


SIGNED = {
    "adam.square": -1.0, "seen.count": -1.0, "seen.squares": -1.0, "target.square": -1.0,
    "target.weight": -0.5, "gradient_steps": -1, "society.plays": -1, "age": -1, "society.episode": -1,
    "society.stage": 7, "weight": -1.0,
}  # fmt: skip


def rewritten(path, whole, **changed):
    """The file with other arrays, and a digest that fits them."""
    path.write_bytes(whole)
    arrays, config = read_arrays(path)
    new = {**arrays, **changed}
    write_arrays(path, {name: array for name, array in new.items() if array is not None}, config)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_array_is_refused_and_the_society_stays(files, tmp_path, kind):
    path, here = tmp_path / f"{kind}.npz", society()
    here.step(random_actions(here, np.random.default_rng(0)))
    before = here.get_state()
    path.write_bytes(files[kind])
    arrays, tried = read_arrays(path)[0], 0
    for name, array in arrays.items():
        signed = [("sign", np.full_like(array, SIGNED[own])) for own in SIGNED if name.split("/")[-1] == own]
        for fault, wrong in [*faults(array), *signed, ("missing", None)]:
            if name == "episodes/mean" and fault == "nan":
                continue  # of a replicate in which no episode has ended
            rewritten(path, files[kind], **{name: wrong})
            with pytest.raises(CorruptCheckpoint, match=f"{kind}.npz"):
                KINDS[kind][1](path, here)
            tried += 1
    rewritten(path, files[kind], **{"society/unknown" if kind == "learner" else "unknown": np.zeros(2)})
    with pytest.raises(CorruptCheckpoint, match="unknown"):
        KINDS[kind][1](path, here)
    assert tried > 4 * len(arrays)
    assert all(np.array_equal(before[name], array) for name, array in here.get_state().items())


def test_a_negative_variance_of_the_targets_is_refused(files, tmp_path):
    path = tmp_path / "learner.npz"
    path.write_bytes(files["learner"])
    arrays, _ = read_arrays(path)
    mean = "team/citizens/target.mean"
    rewritten(path, files["learner"], **{mean: 10.0 * np.abs(arrays[mean]) + 1e6})
    with pytest.raises(CorruptCheckpoint, match="negative variance"):
        PPO.resume(path)


def test_a_state_that_cannot_be_shown_changes_nothing():
    """An order book with holes where there are none: whatever its dilemma makes of them."""
    market = Society(make("double_auction-v0"), num_worlds=2, seed=1)
    market.step(random_actions(market, np.random.default_rng(0)))
    before, seen = market.get_state(), market.observation
    for name, array in before.items():
        for number in (np.nan, np.inf, 1e300, -1e300):
            if array.dtype.kind != "f":
                continue
            try:
                market.set_state({**before, name: np.full_like(array, number)})
            except CorruptCheckpoint:
                assert market.observation is seen
                now = market.get_state()
                assert all(np.array_equal(now[key], old, equal_nan=True) for key, old in before.items())
            else:
                market.set_state(before)
                seen = market.observation


# ---------------------------------------------------------------------- what takes memory, or runs code


def peak_while_refused(load, path):
    """Bytes that refusing a file took."""
    tracemalloc.start()
    try:
        with pytest.raises(CorruptCheckpoint, match=path.name):
            load(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def described(path, **changed):
    """The file with another configuration, and a digest that fits it."""
    arrays, config = read_arrays(path)
    for place, value in changed.items():
        inner = config
        *way, last = place.split("__")
        for step in way:
            inner = inner[step]
        assert last in inner
        inner[last] = value
    write_arrays(path, arrays, config)


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("society", {"num_worlds": BILLION}),
        ("society", {"dilemma__num_agents": BILLION}),
        ("learner", {"society__num_worlds": BILLION}),
        ("learner", {"society__dilemma__num_agents": BILLION}),
        ("learner", {"learner__hidden": [BILLION]}),
        ("learner", {"learner__hidden": [60_000, 60_000]}),
    ],
    ids=str,
)
def test_what_is_described_is_no_larger_than_what_is_there(files, tmp_path, kind, changed):
    path = tmp_path / f"{kind}.npz"
    path.write_bytes(files[kind])
    described(path, **changed)
    assert peak_while_refused(KINDS[kind][1], path) < 10_000_000


@pytest.mark.parametrize("load", [Society.load, PPO.resume], ids=["society", "learner"])
def test_an_archive_does_not_expand(tmp_path, load):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("age.npy", bytes(1 << 26))
    assert path.stat().st_size < 100_000
    assert peak_while_refused(load, path) < 10_000_000
    with zipfile.ZipFile(path, "w") as archive:  # a header that promises what does not follow
        archive.writestr("age.npy", header(np.zeros(1), (10**12,)))
    assert peak_while_refused(load, path) < 10_000_000


def header(array, shape):
    file = io.BytesIO()
    described = {"descr": array.dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)
    return file.getvalue()


class Ran:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("code of a file has run",)


@pytest.mark.parametrize("load", [Society.load, PPO.resume], ids=["society", "learner"])
def test_code_in_a_file_is_not_run(tmp_path, load):
    path = tmp_path / "strange.npz"
    with path.open("wb") as file:
        pickle.dump(Ran(), file)
    writers = [
        lambda: None, lambda: np.savez(path, age=np.array([Ran()])), lambda: torch.save(Ran(), path),
        lambda: torch.save({"world": torch.zeros(1).expand(1 << 40)}, path), lambda: path.write_bytes(b""),
    ]  # fmt: skip
    for write in writers:
        write()
        assert peak_while_refused(load, path) < 10_000_000


# ---------------------------------------------------------------------- societies that no file can build


def test_a_society_of_an_unregistered_dilemma_is_restored_where_it_is_built(tmp_path):
    path, governed = tmp_path / "jar.npz", Society(jar(), num_worlds=2, seed=1)
    actions = {"citizens": np.ones((2, 3, 1))}
    governed.step(actions)
    governed.save(path)
    with pytest.raises(CorruptCheckpoint, match=r"foreign-v0.*give load or resume the society"):
        Society.load(path)
    other = Society.load(path, Society(jar(), num_worlds=2))
    assert np.array_equal(governed.step(actions).money, other.step(actions).money)
    third = Society(jar(max_cycles=3), num_worlds=2)
    with pytest.raises(CorruptCheckpoint, match=r"jar\.npz.*it is of the society"):
        Society.load(path, third)
