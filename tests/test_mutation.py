"""For every mechanism of every institution, some test fails when it is switched off."""

import subprocess
import sys

import pytest

from tests.mutation import MECHANISMS


@pytest.mark.slow
def test_a_test_notices_every_mechanism_that_is_off():
    command = [sys.executable, "-m", "tests.mutation"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert len(told.stdout.splitlines()) == len(MECHANISMS)
