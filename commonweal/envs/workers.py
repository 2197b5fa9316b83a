"""Hosts of foreign environments in worker processes, which can be killed where an environment hangs."""

from __future__ import annotations

import math
import multiprocessing
import pickle
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.hosting import Host, Played, Reader, World
from commonweal.errors import ForeignWorldError, InvalidParameter

Array = NDArray[np.float64]
# Seconds that a worker has to end by itself, and at least to come up.
PATIENCE, LAUNCH = 5.0, 120.0


class Workers:
    """`Host`s in worker processes; a world always goes to the same one.

    They are started when first asked. A failure ends them all, since an answer left in a pipe would be
    taken for the next one; worlds are found again by their past, so the next play starts afresh.

    Args:
        num: processes.
        timeout: seconds that they have to answer; who exceeds it is killed. None: for ever.
        make: see `Host`.
        reader: see `Host`.
        conducts: see `Host`.
    """

    def __init__(
        self,
        num: int,
        timeout: float | None,
        make: Callable[[], Any],
        reader: Reader,
        conducts: Sequence[str],
    ) -> None:
        self.num, self.timeout, self.hosted = num, timeout, (make, reader, list(conducts))
        self.pipes: list[Connection] = []
        self.processes: list[Any] = []
        self.places: list[Any] = []  # seed and play of the world that each is at

    def start(self, seeds: Sequence[int]) -> list[Array]:
        """As `Host.start`."""
        return self._ask("start", seeds, [seed % self.num for seed in seeds])

    def play(self, worlds: Sequence[World]) -> list[Played]:
        """As `Host.play`."""
        return self._ask("play", worlds, [world[0] % self.num for world in worlds])

    def _ask(self, method: str, items: Sequence[Any], homes: list[int]) -> list[Any]:
        parts = {w: [i for i, home in enumerate(homes) if home == w] for w in sorted(set(homes))}
        answers: list[Any] = [None] * len(items)
        try:
            if not self.pipes:
                self._launch()
            for worker, part in parts.items():
                self._send(worker, (method, [items[i] for i in part]))
            began, limit = time.monotonic(), math.inf if self.timeout is None else self.timeout
            for worker, part in parts.items():
                answer = self._receive(worker, began, limit)
                if isinstance(answer, str):
                    raise ForeignWorldError(f"in worker {worker}:\n{answer}")
                for i, one in zip(part, answer, strict=True):
                    answers[i] = one
        except BaseException:
            self.close()
            raise
        return answers

    def _launch(self) -> None:
        context = multiprocessing.get_context("spawn")
        for _ in range(self.num):
            near, far = context.Pipe()
            self.pipes.append(near)
            self.places.append(context.RawArray("q", 2))
            arguments = (far, self.places[-1], *self.hosted)
            process = context.Process(target=_serve, args=arguments, daemon=True)
            try:
                process.start()
            except (AttributeError, TypeError, pickle.PicklingError) as error:
                make, reader, _ = self.hosted
                raise InvalidParameter(
                    f"workers cannot take {reader!r} or {make!r} ({error}); allowed: functions of a module"
                ) from error
            far.close()
            self.processes.append(process)
        began = time.monotonic()  # what is imported does not count as time of a world
        for worker in range(self.num):
            self._receive(worker, began, max(LAUNCH, self.timeout or 0.0))

    def _send(self, worker: int, message: Any) -> None:
        try:
            self.pipes[worker].send(message)
        except OSError as error:
            raise self._ended(worker) from error

    def _receive(self, worker: int, began: float, limit: float) -> Any:
        """What the worker answers within `limit` seconds of when they `began`."""
        pipe = self.pipes[worker]
        left = None if limit == math.inf else max(began + limit - time.monotonic(), 0.0)
        try:
            if pipe.poll(left):
                return pipe.recv()
        except (EOFError, OSError) as error:
            raise self._ended(worker) from error
        self.processes[worker].kill()  # it would not end by itself
        seed, play = self.places[worker]
        make = self.hosted[0]
        raise ForeignWorldError(
            f"worker {worker} has not answered, in play {play} (0: reset) of the world of seed {seed} of "
            f"{make!r}; allowed: {limit:g} s for all worlds of a worker, Foreign.timeout"
        )

    def _ended(self, worker: int) -> ForeignWorldError:
        process = self.processes[worker]
        process.join(timeout=PATIENCE)
        return ForeignWorldError(
            f"worker {worker} has ended with exit code {process.exitcode}; what it wrote to stderr says "
            "why (-9: killed; 1 at the start: the script lacks `if __name__ == '__main__':`)"
        )

    def close(self) -> None:
        """End the workers, by force where one does not end by itself."""
        for pipe in self.pipes:
            pipe.close()
        deadline = time.monotonic() + PATIENCE
        for process in self.processes:
            process.join(timeout=max(deadline - time.monotonic(), 0.0))
            if process.is_alive():
                process.kill()
                process.join()
        self.pipes, self.processes, self.places = [], [], []


def _serve(
    pipe: Connection, place: Any, make: Callable[[], Any], reader: Reader, conducts: list[str]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks decides what Ctrl-C ends

    def now(seed: int, play: int) -> None:
        place[:] = seed, play

    host = Host(make, reader, conducts, now)
    pipe.send(None)
    while True:
        try:
            method, items = pipe.recv()
        except EOFError:
            return host.close()
        try:
            pipe.send(getattr(host, method)(items))
        except Exception:
            pipe.send(traceback.format_exc())
