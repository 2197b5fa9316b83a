"""`commonweal` and `python -m commonweal`: the command line, which Ctrl-C may end while it is imported."""

import os
import sys


def main() -> None:
    """Run the command line; Ctrl-C is one line on stderr and exit code 130."""
    try:
        from commonweal import cli, envs

        envs.register()
        cli.main()
    except KeyboardInterrupt:
        print("commonweal: interrupted; start again to go on", file=sys.stderr, flush=True)
        # Python would end by the signal where it came in the midst of `exec`, and wait for threads.
        os._exit(130)


if __name__ == "__main__":
    main()
