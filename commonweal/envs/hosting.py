"""Foreign environments, kept alive in this process or in workers, and found again by their past.

PettingZoo environments are objects that change in place; a dilemma is a pure function of a state.
The two meet like this: a foreign world *is* its seed and the acts so far. A live environment is a
cache of that, and one whose past is another (after a checkpoint, a copy, a stage in which only some
worlds played) is replaced by starting again from the seed and repeating the acts.
"""

from __future__ import annotations

import multiprocessing
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from commonweal.errors import InvalidParameter, UnsupportedSpace

Array = NDArray[np.float64]
Past = NDArray[np.float64]
# Observation, action, reward and info of one agent -> its money, and its conduct by name.
Reader = Callable[[Any, Any, float, Mapping[str, Any]], tuple[float, Mapping[str, float]]]


@dataclass
class Played:
    """What one play brought in one world: `(N, D)`, `(N,)`, `(conducts, N)`, and how it ended."""

    observation: Array
    money: Array
    conduct: Array
    terminated: bool
    truncated: bool


class Host:
    """Live environments of one process.

    Args:
        make: builds an environment.
        reader: reads money and conduct from what one agent saw, did and got.
        conducts: names that the reader gives, in order.
    """

    def __init__(self, make: Callable[[], Any], reader: Reader, conducts: Sequence[str]) -> None:
        self.make, self.reader, self.conducts = make, reader, list(conducts)
        self.live: OrderedDict[int, tuple[Any, bytes]] = OrderedDict()
        self.most = 0

    def start(self, seeds: Sequence[int]) -> list[Array]:
        """Observations `(N, D)` of new worlds."""
        return [self._start(seed)[1] for seed in seeds]

    def _start(self, seed: int) -> tuple[Any, Array]:
        # Twice the largest batch, so that no world still in play is thrown out for a new one.
        known = self.live.pop(seed, None)
        if known is None and len(self.live) >= 2 * max(self.most, 8):
            known = self.live.popitem(last=False)[1]
        env = known[0] if known else self.make()
        observation, _ = env.reset(seed=seed)
        self.live[seed] = (env, b"")
        return env, self._flat(env, observation)

    def play(self, worlds: Sequence[tuple[int, Past]]) -> list[Played]:
        """One play in each world `(seed, acts (plays, N, C))`, the last row of acts being new."""
        self.most = max(self.most, len(worlds))
        return [self._play(seed, acts) for seed, acts in worlds]

    def _play(self, seed: int, acts: Past) -> Played:
        env, past = self.live.get(seed, (None, b""))
        if env is None or past != acts[:-1].tobytes():
            env, _ = self._start(seed)
            for act in acts[:-1]:
                env.step(self._actions(env, act))
        self.live[seed] = (env, acts.tobytes())
        self.live.move_to_end(seed)
        return self._read(env, acts[-1])

    def _actions(self, env: Any, act: Array) -> dict[str, Any]:
        places = {agent: i for i, agent in enumerate(env.possible_agents)}
        return {agent: as_action(env.action_space(agent), act[places[agent]]) for agent in env.agents}

    def _read(self, env: Any, act: Array) -> Played:
        actions = self._actions(env, act)
        observation, reward, terminated, truncated, info = env.step(actions)
        money, conduct = np.zeros(len(act)), np.zeros((len(self.conducts), len(act)))
        for i, agent in enumerate(env.possible_agents):
            if agent in actions:
                got = self.reader(observation[agent], actions[agent], reward[agent], info.get(agent, {}))
                money[i] = got[0]
                conduct[:, i] = [got[1][name] for name in self.conducts]
        over = not env.agents
        cut = over and not all(terminated.values()) and any(truncated.values())
        return Played(self._flat(env, observation), money, conduct, over and not cut, cut)

    def _flat(self, env: Any, observation: Mapping[str, Any]) -> Array:
        """`(N, D)`; zeros for agents that are gone."""
        size = flat_size(env.observation_space(env.possible_agents[0]))
        rows = np.zeros((len(env.possible_agents), size))
        for i, agent in enumerate(env.possible_agents):
            if agent in observation:
                rows[i] = np.asarray(observation[agent], np.float64).ravel()
        return rows


def flat_size(space: gymnasium.Space[Any]) -> int:
    """Entries of an observation; raises `UnsupportedSpace` unless it is a `Box` or `Discrete`."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return 1
    if isinstance(space, gymnasium.spaces.Box):
        return int(np.prod(space.shape))
    raise UnsupportedSpace(f"observations are {space}; allowed: Box, Discrete")


def as_action(space: gymnasium.Space[Any], act: Array) -> Any:
    """Action columns `(C,)` in physical values as what the foreign environment takes."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return int(act[0]) + int(space.start)
    if isinstance(space, gymnasium.spaces.MultiDiscrete):
        return act.astype(space.dtype)
    return act.reshape(space.shape).astype(space.dtype)


class Workers:
    """`Host`s in worker processes; a world always goes to the same one."""

    def __init__(self, num: int, make: Callable[[], Any], reader: Reader, conducts: Sequence[str]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipes: list[Connection] = []
        self.processes: list[Any] = []
        for _ in range(num):
            near, far = context.Pipe()
            process = context.Process(target=_serve, args=(far, make, reader, list(conducts)), daemon=True)
            try:
                process.start()
            except (AttributeError, TypeError) as error:
                raise InvalidParameter(
                    f"workers cannot take {reader!r} or {make!r} ({error}); allowed: functions of a module"
                ) from error
            far.close()
            self.pipes.append(near)
            self.processes.append(process)

    def start(self, seeds: Sequence[int]) -> list[Array]:
        """As `Host.start`."""
        return self._ask("start", seeds, [seed % len(self.pipes) for seed in seeds])

    def play(self, worlds: Sequence[tuple[int, Past]]) -> list[Played]:
        """As `Host.play`."""
        return self._ask("play", worlds, [seed % len(self.pipes) for seed, _ in worlds])

    def _ask(self, method: str, items: Sequence[Any], homes: list[int]) -> list[Any]:
        parts = [[i for i, home in enumerate(homes) if home == w] for w in range(len(self.pipes))]
        for pipe, part in zip(self.pipes, parts, strict=True):
            if part:
                pipe.send((method, [items[i] for i in part]))
        answers: list[Any] = [None] * len(items)
        problem: BaseException | None = None
        for pipe, part in zip(self.pipes, parts, strict=True):
            if part:
                answer = pipe.recv()
                if isinstance(answer, BaseException):
                    problem = answer
                    continue
                for i, one in zip(part, answer, strict=True):
                    answers[i] = one
        if problem is not None:
            raise problem
        return answers

    def close(self) -> None:
        """End the workers."""
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.join(timeout=5)


def _serve(pipe: Connection, make: Callable[[], Any], reader: Reader, conducts: list[str]) -> None:
    host = Host(make, reader, conducts)
    while True:
        try:
            method, items = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(getattr(host, method)(items))
        except Exception as error:
            pipe.send(error)
