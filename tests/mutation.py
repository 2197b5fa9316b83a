"""`python -m tests.mutation`: switch each mechanism of each institution off; some test must fail.

Prints the test that notices. Each mutant lives in a forked child, so that libraries load once.
"""

import contextlib
import io
import os
import re
import sys
from importlib import import_module

import pytest

from commonweal import registry
from commonweal.institutions.base import Institution

HOOKS = (
    "deliberate", "govern", "permit", "settle", "announce", "excluded", "reward", "limits", "lawful",
)  # fmt: skip
CLASSES = list(map(registry.institution_class, registry.INSTITUTIONS))
MECHANISMS = [
    f"{cls.__name__}.{hook}"
    for cls in CLASSES
    for hook in HOOKS
    if getattr(cls, hook) is not getattr(Institution, hook)
]
NOTICING = ["tests/test_institutions.py", "tests/test_eight_stacks.py", "tests/test_society.py"]


def import_and_compile():
    """Once, for all children."""
    from commonweal import Society, make

    for path in NOTICING:
        import_module(path.removesuffix(".py").replace("/", "."))
    society = Society(make("fishery-v0", noise=0.1), [registry.institution("contract", base="extraction")])
    society.step(society.columns.null_actions(1))


def run(*arguments):
    """Run the tests in a child until one fails: exit code, and what pytest told."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            code = pytest.main(
                ["-x", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=no", *arguments, *NOTICING]
            )
        with os.fdopen(writing, "w") as pipe:
            pipe.write(told.getvalue())
        os._exit(int(code))
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), told


def main():
    import_and_compile()
    code, told = run()
    if code:
        sys.exit(f"tests fail with all mechanisms on\n{told}")
    unnoticed = []
    for mechanism in MECHANISMS:
        code, told = run(f"--off={mechanism}")
        found = re.search(r"^FAILED (\S+)", told, re.MULTILINE)
        print(f"{mechanism:28} {found[1] if code == 1 and found else 'NOBODY NOTICES'}", flush=True)
        if not (code == 1 and found):
            unnoticed.append(mechanism)
    sys.exit(f"no test notices: {', '.join(unnoticed)}" if unnoticed else 0)


if __name__ == "__main__":
    main()
