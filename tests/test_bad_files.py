"""Damaged files, full and read-only disks, kill -9: named errors, and what is written stays readable."""

import contextlib
import json
import random
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from commonweal import Society, institution, make
from commonweal.agents.ppo import PPO, PPOConfig
from commonweal.benchmarks.store import read_rows, write_rows
from commonweal.errors import CorruptCheckpoint, StorageError
from commonweal.storage import write_arrays
from tests.strategies import random_actions

ROWS = [{"replicate": r, "welfare": float(r)} for r in range(3)]


def society():
    return Society(
        make("public_goods-v0", num_agents=2), [institution("peer-sanctions", base="contribution")]
    )


def learner():
    return PPO(society(), PPOConfig(hidden=(2,), rollout=4, minibatches=1), seed=1)


@pytest.mark.parametrize("step", [97, pytest.param(1, marks=pytest.mark.slow)])
def test_a_society_cut_anywhere_is_refused(tmp_path, step):
    path = tmp_path / "society.npz"
    society().save(str(path))
    whole = path.read_bytes()
    for length in range(0, len(whole), step):
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptCheckpoint, match=r"society\.npz"):
            Society.load(str(path))
    path.write_bytes(whole)
    Society.load(str(path))


@pytest.mark.parametrize("step", [997, pytest.param(37, marks=pytest.mark.slow)])
def test_a_learner_cut_anywhere_is_refused_and_its_society_untouched(tmp_path, step):
    path, here = tmp_path / "checkpoint.npz", society()
    learner().save(path)
    whole = path.read_bytes()
    here.step(random_actions(here, np.random.default_rng(0)))
    before = here.get_state()
    for length in [*range(0, len(whole), step), *range(len(whole) - 30, len(whole))]:
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptCheckpoint, match=r"checkpoint\.npz"):
            PPO.resume(path, here)
    assert all(np.array_equal(before[name], array) for name, array in here.get_state().items())


@pytest.mark.parametrize("position", range(0, 2000, 131))
def test_a_society_with_a_turned_byte_is_refused_or_the_same(tmp_path, position):
    path = tmp_path / "society.npz"
    society().save(str(path))
    whole = bytearray(path.read_bytes())
    whole[position] ^= 0xFF
    path.write_bytes(whole)
    try:
        found = Society.load(str(path))
    except CorruptCheckpoint:
        return
    assert repr(found) == repr(society())


def test_a_flipped_bit_in_the_numbers_of_a_table_is_refused(tmp_path):
    """What no checksum covers is the description: names, kinds, statistics."""
    path, rng, wrong = tmp_path / "results.parquet", random.Random(0), 0
    rows = [{"replicate": r, "welfare": r / 7.0, "institution": f"tax {r % 3}"} for r in range(600)]
    write_rows(path, rows)
    whole = path.read_bytes()
    for _ in range(200):
        place, damaged = rng.randrange(8 * len(whole)), bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with contextlib.suppress(StorageError):
            wrong += read_rows(path) != rows
    assert wrong <= 3


def test_a_checkpoint_that_describes_nonsense_is_refused(tmp_path):
    path = tmp_path / "society.npz"
    for config in ("{}", "[]", "3", '{"dilemma": 3}', '{"dilemma": {"id": "x"}, "institutions": []}'):
        write_arrays(path, society().get_state(), json.loads(config))
        with pytest.raises(CorruptCheckpoint, match=r"society\.npz"):
            Society.load(str(path))


def limited(code, folder, size):
    """Run code in a process whose files may not grow beyond `size` bytes: a disk that is full."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )


WRITING = """
import signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from pathlib import Path
from commonweal.errors import StorageError
from commonweal.benchmarks.store import write_rows
from tests.test_bad_files import learner, society
folder = Path(sys.argv[1])
big = [{"replicate": r, "welfare": r / 7.0} for r in range(100_000)]
for name, write in (
    ("results.parquet", lambda path: write_rows(path, big)),
    ("society.npz", lambda path: society().save(str(path))),
    ("checkpoint.npz", lambda path: learner().save(path)),
):
    try:
        write(folder / name)
    except StorageError as error:
        print(name, error)
"""


def test_on_a_full_disk_what_was_written_stays(tmp_path):
    write_rows(tmp_path / "results.parquet", ROWS)
    society().save(str(tmp_path / "society.npz"))
    learner().save(tmp_path / "checkpoint.npz")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    told = limited(WRITING, tmp_path, 1000)
    assert told.returncode == 0, told.stderr
    for name in before:
        assert f"{name} cannot write {tmp_path / name}: File too large" in told.stdout
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before  # no rest of a file either
    assert read_rows(tmp_path / "results.parquet") == ROWS
    assert PPO.resume(tmp_path / "checkpoint.npz").steps == 0


def test_a_folder_that_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    for write in (
        lambda path: write_rows(path, ROWS), lambda path: society().save(str(path)),
        lambda path: learner().save(path),
    ):  # fmt: skip
        with pytest.raises(StorageError, match="cannot write"):
            write(tmp_path / "file" / "below")


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="no folder that even root cannot write")
def test_a_read_only_folder():
    with pytest.raises(StorageError, match="cannot write /proc/"):
        write_rows(Path("/proc/commonweal/results.parquet"), ROWS)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_kills_lose_and_double_nothing(tmp_path):
    command = [sys.executable, "-m", "tests.killed", str(tmp_path), "50", "0"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr[-2000:]
    assert told.stdout.startswith("50 kills")

    def tables(folder):
        return {
            path.relative_to(folder): read_rows(path)
            for path in folder.rglob("*.parquet")
        }  # fmt: skip

    expected = tables(tmp_path / "undisturbed")
    assert len(expected) == 2 * 4 + 1
    for folder in tmp_path.iterdir():
        np.testing.assert_equal(tables(folder), expected)  # bit for bit, and not a row more
