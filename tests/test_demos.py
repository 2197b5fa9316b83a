"""Every script of the gallery runs, and with it the claim that it asserts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

DEMOS = Path(__file__).parent.parent / "demos"
SCRIPTS = sorted(p.name for p in DEMOS.glob("*.py") if p.name not in ("play.py", "style.py"))
# More than two and a half seconds on one core.
SLOW = (
    "attention.py", "auction.py", "exchange.py", "multi_unit_auction.py", "production.py", "taxation.py",
    "voting.py",
)  # fmt: skip


@pytest.mark.parametrize(
    "script", [pytest.param(s, marks=pytest.mark.slow if s in SLOW else ()) for s in SCRIPTS]
)
def test_claim_holds(script):
    pytest.importorskip("matplotlib")
    paths = [str(DEMOS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    found = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", str(DEMOS / script)],
        env={
            **os.environ,
            "MPLBACKEND": "Agg",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(paths),
        },
        cwd=DEMOS,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert "**Claim.**" in (DEMOS / script).read_text()
    assert "**What not to conclude.**" in (DEMOS / script).read_text()
