"""`python -m tests.killed FOLDER KILLS SEED`: run the small study, killing it -9 at random moments.

`FOLDER/undisturbed` is left alone; `FOLDER/0`, `FOLDER/1`, ... are killed and started again until they
are finished and KILLS have hit. A process of its own, since it forks: libraries are imported once.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from commonweal.benchmarks import cell, runner, store, suite_file  # noqa: F401 (before the first fork)
from tests.small_study import run_small


def start(folder):
    """The study in a child process; returns its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        run_small(folder)
        code = 0
    finally:
        os._exit(code)


def ended(child, seconds):
    """Wait for the child; its exit code, or None when the time is over first."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return None


def main(folder, kills, seed):
    torch.set_num_threads(1)
    assert ended(start(folder / "first"), 300) == 0  # compiles what is compiled
    began = time.monotonic()
    assert ended(start(folder / "undisturbed"), 300) == 0
    duration = time.monotonic() - began
    rng, hit, number = random.Random(seed), 0, 0
    while hit < kills:
        child = start(folder / str(number))
        code = ended(child, rng.uniform(0, 0.7 * duration))
        if code is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            hit += 1
        else:
            assert code == 0
            number += 1
    assert ended(start(folder / str(number)), 300) == 0
    print(f"{hit} kills over {number + 1} studies of {duration:.1f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
