"""A process forked after training does not wait for threads that it does not have."""

import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize(
    ("when", "children"), [pytest.param("after", 4, marks=pytest.mark.slow), ("during", 4), ("vector", 1)]
)
def test_children_do_what_their_parent_did(when, children):
    told = subprocess.run(
        [sys.executable, "-m", "tests.forked", when], capture_output=True, encoding="utf-8", timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
    )  # fmt: skip
    assert told.stdout == f"{[0] * children}\n", told.stderr
