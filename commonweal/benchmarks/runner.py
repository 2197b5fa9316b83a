"""Runs a study in local worker processes: one cell a process, one thread each."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from commonweal import registry
from commonweal.benchmarks.progress import Progress
from commonweal.benchmarks.store import Store, read_json, write_json
from commonweal.benchmarks.suite import Cell, Suite, digest
from commonweal.benchmarks.yardsticks import SWITCHED_OFF, because, record, restore
from commonweal.envs.base import Dilemma
from commonweal.errors import NotExact, StorageError
from commonweal.references import References
from commonweal.storage import alone
from commonweal.typed import whole


@dataclass
class Outcome:
    """What became of a study.

    Attributes:
        finished: cells that ran now.
        skipped: cells that had been finished before.
        failed: reason by cell folder; the traceback lies in the cell's folder.
        seconds: wall-clock time.
    """

    finished: list[Cell] = field(default_factory=list)
    skipped: list[Cell] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def run_study(suite: Suite, out: str | Path, *, workers: int = 2, quiet: bool = False) -> Outcome:
    """Run every cell that is not finished, and gather the results.

    A cell that fails leaves the others alone; one that was killed goes on from its last checkpoint
    when the study is started again.

    Raises:
        InvalidParameter: no workers.
        InvalidSuite: a stack does not fit its dilemma; nothing was trained then.
        StorageError: the folder cannot be written, or another study is running in it.
    """
    workers = whole("workers", workers, 1)
    store = Store(out)
    with alone(store.folder, wait=False):
        return _run_study(suite, store, workers, quiet)


def _run_study(suite: Suite, store: Store, workers: int, quiet: bool) -> Outcome:
    started, outcome = time.monotonic(), Outcome()
    with Progress(quiet=quiet) as progress:
        wanted = suite.study.references
        cells = suite.cells(lambda dilemma: _known(dilemma, store, wanted))
        records: dict[str, dict[str, Any] | None] = {}
        for label, dilemma in suite.dilemmas.items():
            records[label] = _told(label, dilemma, store, progress) if wanted else None
        store.start(_plan(suite, cells))
        for cell in cells:
            (outcome.skipped if store.finished(cell) else outcome.finished).append(cell)
        _work(outcome, store, records, workers, progress)
    outcome.finished = [c for c in outcome.finished if c.folder not in outcome.failed]
    store.gather()
    outcome.seconds = time.monotonic() - started
    return outcome


def _plan(suite: Suite, cells: list[Cell]) -> dict[str, Any]:
    return {
        "study": asdict(suite.study),
        "learner": asdict(suite.learner),
        "dilemmas": {label: registry.describe(dilemma) for label, dilemma in suite.dilemmas.items()},
        "institutions": {label: list(stack) for label, stack in suite.institutions.items()},
        "cells": [asdict(cell) for cell in cells],
    }


def reference_path(dilemma: Dilemma, store: Store) -> Path:
    """Where the references of a dilemma are kept."""
    return store.folder / "references" / f"{dilemma.id}-{digest(registry.describe(dilemma))[:12]}.json"


def _told(label: str, dilemma: Dilemma, store: Store, progress: Progress) -> dict[str, Any] | None:
    """The record, with a word on the screen of what is computed and what could not be."""
    progress.say(f"references of {label}")
    found = references_of(dilemma, store)
    if found is None:
        progress.say(f"no references of {label}: {read_json(reference_path(dilemma, store))['reason']}")
    return found


def references_of(dilemma: Dilemma, store: Store) -> dict[str, Any] | None:
    """The record in the folder, computed and kept where it is missing.

    None where there is none, whatever the solver failed of: then the file holds the `reason`, and the study
    goes on without efficiency. It is tried again when the study is started again.
    """
    path = reference_path(dilemma, store)
    try:
        found: dict[str, Any] = read_json(path)
        restore(found)
        return found
    except (StorageError, LookupError, TypeError, AttributeError):
        pass  # missing or damaged: computed anew
    try:
        found = record(dilemma)
    except Exception as error:
        failure = {"reason": because(error), "traceback": traceback.format_exc()}
        write_json(path, {"dilemma": registry.describe(dilemma), **failure})
        return None
    write_json(path, found)
    return found


def _known(dilemma: Dilemma, store: Store, wanted: bool = True) -> References:
    found = references_of(dilemma, store) if wanted else None
    if found is None:
        reason = read_json(reference_path(dilemma, store))["reason"] if wanted else SWITCHED_OFF
        raise NotExact(
            f"{dilemma.id} has no references ({reason}); allowed: institutions with numbers of their own"
        )
    return restore(found)


# ---------------------------------------------------------------------- processes


@dataclass
class _Worker:
    """A running cell."""

    cell: Cell
    process: Any
    messages: Connection
    failure: str = ""


def _work(
    outcome: Outcome, store: Store, records: Mapping[str, Any], workers: int, progress: Progress
) -> None:  # fmt: skip
    """Keep `workers` cells running until all have ended."""
    waiting = list(outcome.finished)
    running: list[_Worker] = []
    progress.start(len(waiting), len(outcome.skipped))
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                cell = waiting.pop(0)
                running.append(_launch(cell, store, records[cell.dilemma]))
                progress.begin(cell, records[cell.dilemma])
            ready = wait([w.messages for w in running])
            for worker in [w for w in running if w.messages in ready]:
                if _listen(worker, progress):
                    continue
                running.remove(worker)
                _end(worker, store, outcome, progress)
    finally:
        for worker in running:
            worker.process.terminate()
            worker.process.join()


def _launch(cell: Cell, store: Store, references: Mapping[str, Any] | None) -> _Worker:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    arguments = (cell, store.folder_of(cell), references, sender)
    process = context.Process(target=_run, args=arguments, daemon=True)
    with _deaf():
        process.start()
    sender.close()
    return _Worker(cell, process, receiver)


@contextmanager
def _deaf() -> Iterator[None]:
    """What is started here never hears Ctrl-C, which a terminal sends to all; the study ends it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # its start would open the ears again
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _run(cell: Cell, folder: Path, references: Mapping[str, Any] | None, sender: Connection) -> None:
    """The body of a worker process."""
    import torch

    from commonweal.benchmarks.cell import run_cell
    from commonweal.storage import write_text

    torch.set_num_threads(1)
    try:
        run_cell(cell, folder, references, lambda *news: sender.send(news))
    except ConnectionError:
        pass  # the study is gone, and with it whoever asked; what is written stays
    except StorageError as error:
        sender.send(("failed", 0.0, str(error)))
    except Exception as error:
        sender.send(("failed", 0.0, f"{type(error).__name__}: {error}"))
        write_text(folder / "failure.txt", traceback.format_exc())


def _listen(worker: _Worker, progress: Progress) -> bool:
    """Take one message; False when the process has hung up."""
    try:
        phase, share, value = worker.messages.recv()
    except EOFError:
        return False
    if phase == "failed":
        worker.failure = value
    else:
        progress.update(worker.cell, phase, share, value)
    return True


def _end(worker: _Worker, store: Store, outcome: Outcome, progress: Progress) -> None:
    worker.process.join()
    worker.messages.close()
    if not worker.failure and not store.finished(worker.cell):
        worker.failure = f"the process ended with exit code {worker.process.exitcode}"
    if worker.failure:
        outcome.failed[worker.cell.folder] = worker.failure
    progress.end(worker.cell, worker.failure)
