"""For every mechanism of every institution, some test fails when it is switched off."""

import subprocess
import sys

import pytest

from commonweal import registry
from commonweal.institutions.base import Institution

HOOKS = ("deliberate", "govern", "permit", "settle", "announce", "excluded", "reward", "limits")
MECHANISMS = [
    f"{cls.__name__}.{hook}"
    for cls in map(registry.institution_class, registry.INSTITUTIONS)
    for hook in HOOKS
    if getattr(cls, hook) is not getattr(Institution, hook)
]
NOTICING = ["tests/test_institutions.py", "tests/test_eight_stacks.py"]


def run(*arguments):
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-p", "no:xdist"]
    return subprocess.run([*command, *arguments, *NOTICING], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_nothing_fails_with_all_mechanisms_on():
    result = run()
    assert result.returncode == 0, result.stdout[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_test_notices_the_mechanism_is_off(mechanism):
    result = run(f"--off={mechanism}")
    assert result.returncode == 1, f"no test notices that {mechanism} is off\n{result.stdout[-2000:]}"
    assert "FAILED" in result.stdout
