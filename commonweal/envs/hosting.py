"""Foreign environments, kept alive in one process, and found again by their past.

PettingZoo environments are objects that change in place; a dilemma is a pure function of a state.
The two meet like this: a foreign world *is* its seed and the acts so far. A live environment is a
cache of that, and one whose past is another (after a checkpoint, a copy, a stage in which only some
worlds played) is replaced by starting again from the seed and repeating the acts.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from commonweal.errors import ForeignWorldError, UnsupportedSpace

Array = NDArray[np.float64]
Past = NDArray[np.float64]
# A world's seed, its acts `(plays, N, C)`, the last one new, and what was seen before it, `(N, D)`.
World = tuple[int, Past, Array]
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
        now: told the seed and the play of the world that is about to be asked.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        reader: Reader,
        conducts: Sequence[str],
        now: Callable[[int, int], object] = lambda seed, play: None,
    ) -> None:
        self.make, self.reader, self.conducts, self.now = make, reader, list(conducts), now
        self.live: OrderedDict[int, tuple[Any, bytes]] = OrderedDict()
        self.most = 0

    def start(self, seeds: Sequence[int]) -> list[Array]:
        """Observations `(N, D)` of new worlds."""
        self.most = max(self.most, len(seeds))
        return [self._start(seed)[1] for seed in seeds]

    def _start(self, seed: int) -> tuple[Any, Array]:
        self.now(seed, 0)
        # Twice the largest batch, so that no world still in play is thrown out for a new one.
        known = self.live.pop(seed, None)
        if known is None and len(self.live) >= 2 * max(self.most, 8):
            known = self.live.popitem(last=False)[1]
        env = known[0] if known else self._new()
        observation, _ = _by_agent(env, "reset()", env.reset(seed=seed), 2)
        self.live[seed] = (env, b"")
        return env, self._flat(env, observation)

    def _new(self) -> Any:
        env = self.make()
        if any(env is other for other, _ in self.live.values()):
            raise ForeignWorldError(f"{self.make!r} gives {env} twice; allowed: a new one at each call")
        return env

    def play(self, worlds: Sequence[World]) -> list[Played]:
        """One play in each world.

        Raises:
            ForeignWorldError: NaN or nonsense from the environment or the reader, or an environment
                that did not repeat itself.
        """
        self.most = max(self.most, len(worlds))
        return [self._play(*world) for world in worlds]

    def _play(self, seed: int, acts: Past, seen: Array) -> Played:
        env, past = self.live.get(seed, (None, b""))
        if env is None or past != acts[:-1].tobytes():
            env = self._again(seed, acts[:-1], seen)
        self.now(seed, len(acts))
        self.live[seed] = (env, acts.tobytes())
        self.live.move_to_end(seed)
        return self._read(env, acts[-1])

    def _again(self, seed: int, acts: Past, seen: Array) -> Any:
        """An environment with this past, in which the agents see what they saw then."""
        env, observed = self._start(seed)
        for act in acts:
            observed = self._flat(env, env.step(self._actions(env, act))[0])
        if not np.array_equal(observed, seen):
            raise ForeignWorldError(
                f"{env} does not repeat itself when reset with seed {seed} and given the same "
                f"{len(acts)} acts; allowed: all randomness from the seed of reset()"
            )
        return env

    def close(self) -> None:
        """Close the environments."""
        while self.live:
            self.live.popitem()[1][0].close()

    def _actions(self, env: Any, act: Array) -> dict[str, Any]:
        places = {agent: i for i, agent in enumerate(env.possible_agents)}
        return {agent: as_action(env.action_space(agent), act[places[agent]]) for agent in env.agents}

    def _read(self, env: Any, act: Array) -> Played:
        actions = self._actions(env, act)
        answer = _by_agent(env, "step()", env.step(actions), 5)
        observation, reward, terminated, truncated, info = answer
        told = observation.keys() & reward.keys() & terminated.keys() & truncated.keys()
        if not actions.keys() <= told:
            mute = sorted(actions.keys() - told)
            raise ForeignWorldError(f"{env} tells {mute} nothing of their step; allowed: all who acted")
        money, conduct = np.zeros(len(act)), np.zeros((len(self.conducts), len(act)))
        for i, agent in enumerate(env.possible_agents):
            if agent in actions:
                if not _finite(reward[agent]):
                    raise ForeignWorldError(f"{env} pays {agent} {reward[agent]!r}; allowed: a finite number")
                got = self.reader(observation[agent], actions[agent], reward[agent], info.get(agent, {}))
                money[i], *conduct[:, i] = self._told(agent, got)
        over = all(terminated.get(agent) or truncated.get(agent) for agent in env.agents)
        cut = over and not all(terminated.values()) and any(truncated.values())
        return Played(self._flat(env, observation), money, conduct, over and not cut, cut)

    def _told(self, agent: str, got: Any) -> list[float]:
        """Money and conducts, in order."""
        try:
            money, done = got
            told = [float(money), *(float(done[name]) for name in self.conducts)]
        except (TypeError, ValueError, LookupError):
            told = [math.nan]
        if not all(map(math.isfinite, told)):
            raise ForeignWorldError(
                f"the reader says {got!r} of {agent}; allowed: its money and a mapping of "
                f"{self.conducts}, finite numbers"
            )
        return told

    def _flat(self, env: Any, observation: Mapping[str, Any]) -> Array:
        """`(N, D)`; zeros for agents that are gone."""
        size = flat_size(env.observation_space(env.possible_agents[0]))
        rows = np.zeros((len(env.possible_agents), size))
        for i, agent in enumerate(env.possible_agents):
            if agent in observation:
                seen = np.asarray(observation[agent], np.float64).ravel()
                if len(seen) != size or not np.isfinite(seen).all():
                    raise ForeignWorldError(f"{env} shows {agent} {seen}; allowed: {size} finite numbers")
                rows[i] = seen
        return rows


def _finite(number: Any) -> bool:
    try:
        return math.isfinite(number)
    except TypeError:
        return False


def _by_agent(env: Any, call: str, answer: Any, number: int) -> tuple[Mapping[str, Any], ...]:
    """The answer of an environment, which has `number` mappings by agent."""
    right = isinstance(answer, tuple) and len(answer) == number
    if not (right and all(isinstance(part, Mapping) for part in answer)):
        allowed = f"{number} mappings by agent, as in PettingZoo's parallel API"
        raise ForeignWorldError(f"{call} of {env} returns {answer!r}; allowed: {allowed}")
    return tuple(answer)


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
        return act.astype(space.dtype) + space.start
    return act.reshape(space.shape).astype(space.dtype)
