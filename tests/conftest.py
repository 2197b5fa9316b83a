"""`--off Class.hook` switches a mechanism off, to prove that a test notices (see test_mutation.py)."""

import os

import pytest

# Two workers on two cores: threads of their own would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser):
    parser.addoption("--off", default=None, help="institution hook to switch off, e.g. Taxation.settle")


def pytest_configure(config):
    off = config.getoption("--off")
    if off is None:
        return
    from commonweal import registry
    from commonweal.institutions.base import Institution

    name, _, hook = off.partition(".")
    classes = [registry.institution_class(i) for i in registry.INSTITUTIONS]
    found = [cls for cls in classes if cls.__name__ == name]
    if not found:
        raise pytest.UsageError(f"--off {off}: no such institution")
    setattr(found[0], hook, Institution.__dict__[hook])
