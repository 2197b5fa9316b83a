"""The command line: `commonweal run | report | list | show | verify | bench`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import tyro
import tyro.extras
from rich.console import Console
from tyro.conf import Positional

from commonweal.errors import CommonwealError, require
from commonweal.terminal import prepare


def run(suite: Positional[str], /, *, out: Path | None = None, workers: int = 2, quiet: bool = False) -> int:
    """Run a study: train and measure every cell, print the table, write the report.

    Cells that are finished are skipped, those that were killed go on from their last checkpoint.

    Args:
        suite: name of a suite of the package (quick), or a TOML file.
        out: folder of the results; by default runs/NAME.
        workers: cells trained at the same time, one process and one thread each.
        quiet: no progress.
    """
    from commonweal.benchmarks.report import write_report
    from commonweal.benchmarks.runner import run_study
    from commonweal.benchmarks.store import Store
    from commonweal.benchmarks.suite_file import load
    from commonweal.benchmarks.summary import summarise
    from commonweal.benchmarks.table import table

    found = load(suite)
    folder = out if out is not None else Path("runs") / found.study.name
    outcome = run_study(found, folder, workers=workers, quiet=quiet)
    console = Console(markup=False)  # labels may hold brackets
    summaries = summarise(Store(folder))
    if summaries:
        try:  # before anything is printed, as whoever reads may have hung up
            path = write_report(folder)
        finally:  # but what was found is shown where the disk has no room for the report
            console.print(table(summaries, f"{found.study.name}, {outcome.seconds:.0f} s"))
        console.print(f"report: {path}", soft_wrap=True)
    for cell, reason in outcome.failed.items():
        print(f"failed: {cell}: {reason}", file=sys.stderr)
    return 1 if outcome.failed else 0


def report(folder: Positional[Path], /) -> int:
    """Write the report of a study's folder anew and print its table.

    Args:
        folder: what `run` wrote.
    """
    from commonweal.benchmarks.report import write_report
    from commonweal.benchmarks.store import Store
    from commonweal.benchmarks.summary import summarise
    from commonweal.benchmarks.table import table

    path = write_report(folder)
    store = Store(folder)
    console = Console(markup=False)  # labels may hold brackets
    console.print(table(summarise(store), store.config["study"]["name"]))
    console.print(f"report: {path}", soft_wrap=True)
    return 0


def list_(*, matrix: bool = False) -> int:
    """List dilemmas and institutions.

    Args:
        matrix: show who goes with whom instead.
    """
    from commonweal.benchmarks.show import fits, listing

    Console().print(fits() if matrix else listing())
    return 0


def show(dilemma: Positional[str], /, *, preset: str | None = None, out: Path | None = None) -> int:
    """Show a dilemma: parameters, columns, references, and its course under both references.

    Args:
        dilemma: its id, as in `commonweal list`.
        preset: a published set of parameters.
        out: folder for a picture (PNG).
    """
    from commonweal import registry
    from commonweal.benchmarks.show import show as show_dilemma

    show_dilemma(registry.make(dilemma, preset), Console(), out)
    return 0


def verify() -> int:
    """Compare theory numbers with what is computed; the exit code is 1 on a miss."""
    from rich.table import Table

    from commonweal.benchmarks.verify import checks

    table = Table(title="theory", title_justify="left")
    for heading in ("what", "reference", "ours", "error", "allowed", ""):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    found = list(checks())
    for check in found:
        verdict = "[green]pass[/green]" if check.passed else "[bold red]MISS[/bold red]"
        numbers = (check.reference, check.ours, check.error, check.tolerance)
        table.add_row(check.name, *[f"{number:.6g}" for number in numbers], verdict)
    missed = sum(not check.passed for check in found)
    Console().print(table, f"{len(found) - missed} of {len(found)} pass")
    return 1 if missed else 0


def bench(
    what: Positional[Literal["speed"]], /, *, learning: bool = True, repetitions: int = 3, threads: int = 2
) -> int:
    """Measure speed side by side in one run: medians, ratios and the goals. Never a test.

    Args:
        what: speed.
        learning: training beside stable-baselines3 too; else stepping alone.
        repetitions: of each measurement.
        threads: of PyTorch while training.
    """
    from commonweal.benchmarks.speed import stepping, stepping_table

    if learning:
        from commonweal.benchmarks import speed_learning
    require(repetitions >= 1, "repetitions", repetitions, "1 or more")
    require(threads >= 1, "threads", threads, "1 or more")
    console = Console()
    title = "agent-steps per second on one core: 1024 worlds, 8 agents unless said"
    console.print(stepping_table(stepping(repetitions=repetitions), title))
    if learning:
        measured = speed_learning.learning(threads, repetitions)
        console.print(stepping_table(measured, "training: agent-steps per second, one policy shared by all"))
        lines, until = speed_learning.until_equal_efficiency(repetitions, threads)
        console.print(*lines, sep="\n")
        for name, ratio, goal in speed_learning.ratios(measured) + until:
            console.print(f"{name}: {ratio:.1f} (goal {goal:g})")
    return 0


COMMANDS = {"run": run, "report": report, "list": list_, "show": show, "verify": verify, "bench": bench}


def main(arguments: list[str] | None = None) -> None:
    """Entry point; errors made on purpose are one line on stderr and exit code 2."""
    prepare()
    try:
        code = tyro.extras.subcommand_cli_from_dict(
            COMMANDS, prog="commonweal", args=arguments, description="Institutions compared."
        )
    except CommonwealError as error:
        print(f"commonweal: {' '.join(str(error).split())}", file=sys.stderr)
        code = 2
    except OSError as error:  # of the system: a full disk under the output, say
        print(f"commonweal: {error}", file=sys.stderr)
        code = 2
    sys.exit(code)
