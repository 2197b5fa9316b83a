"""`Foreign`: any PettingZoo parallel environment as a dilemma.

The user says how to read money and conduct from what an agent saw, did and got:

    def read(observation, action, reward, info):
        return reward, {"moved": float(action != 4)}

    pursuit = Foreign("sisl/pursuit_v5", read, {"moved": Conduct("steps")}, max_cycles=50)
    society = Society(pursuit, [Taxation(base="moved", rate=0.01)], num_worlds=8)

All agents must have the same spaces. An agent that comes in later or leaves earlier than the others
earns, does and sees nothing while it is away. The environment must repeat itself when reset with
the same seed and given the same acts: the state of a foreign world is its seed and its past. It is
not registered and not rebuilt from JSON, since that would let a file name code to run.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pettingzoo
from numpy.typing import NDArray

from commonweal.envs.base import Dilemma, Outcome, Play
from commonweal.envs.hosting import Host, Reader, flat_size
from commonweal.envs.workers import Workers
from commonweal.errors import InvalidParameter, NotExact, UnsupportedSpace, require
from commonweal.parameters import check
from commonweal.random import Streams
from commonweal.references import References
from commonweal.spaces import Action, Bounds, Choice, Conduct, Real, Signal
from commonweal.typed import LARGEST

Array = NDArray[np.float64]


@dataclass
class ForeignState:
    """A world's seed and past.

    Attributes:
        seed: what the environment was reset with, `(B, 1)`.
        plays: so far, `(B, 1)`.
        acts: the acts so far, zeros beyond, `(B, T, N, C)`.
        observation: what the agents see, flattened, `(B, N, D)`.
    """

    seed: NDArray[np.int64]
    plays: NDArray[np.int64]
    acts: Array
    observation: Array


@dataclass(frozen=True, eq=False, repr=False)
class Foreign(Dilemma):
    """A PettingZoo parallel environment.

    Attributes:
        make: function that builds the environment, or an id in PettingZoo's registry. Its first
            option (of a `Discrete`) stands for not acting.
        reader: `(observation, action, reward, info)` of one agent -> its money and conducts.
        conduct: what the reader tells, by name.
        max_cycles: plays of an episode; at most the environment's own limit.
        discount: of the future, per play.
        workers: processes that host the environments; 0: this one.
        timeout: seconds that workers have to answer for all their worlds, after which they are killed; None:
            for ever. Nothing can interrupt an environment in this process.
    """

    id: ClassVar[str] = "foreign-v0"
    is_dilemma: ClassVar[bool] = False

    make: Callable[[], Any] | str
    reader: Reader
    conduct: Mapping[str, Conduct]
    max_cycles: int
    discount: float = 0.99
    workers: int = 0
    timeout: float | None = 300.0

    def validate(self) -> None:
        """Build one environment and read its spaces.

        Raises:
            InvalidParameter: `make` gives no parallel environment, or a conduct is one that nobody
                outside can bound or tell targets of.
            UnsupportedSpace: agents differ, or a space is none of those that columns can hold.
        """
        check("Foreign.max_cycles", self.max_cycles, 1, np.inf)
        check("Foreign.discount", self.discount, 0.0, 1.0)
        check("Foreign.workers", self.workers, 0, 256)
        if self.timeout is not None:
            check("Foreign.timeout", self.timeout, 0.0, LARGEST, open_low=True)
        self._check_parts()
        env = _maker(self.make)()
        parallel = isinstance(env, pettingzoo.ParallelEnv) and bool(env.possible_agents)
        allowed = "what gives a PettingZoo ParallelEnv with agents (an AECEnv: through aec_to_parallel)"
        require(parallel, "Foreign.make", self.make, allowed)
        agents = list(env.possible_agents)
        spaces = [(env.observation_space(agent), env.action_space(agent)) for agent in agents]
        if any(pair != spaces[0] for pair in spaces):
            raise UnsupportedSpace(f"the agents of {env} have different spaces; allowed: all the same")
        object.__setattr__(self, "num_agents", len(agents))
        object.__setattr__(self, "_spaces", spaces[0])
        object.__setattr__(self, "_host", None)
        flat_size(spaces[0][0])
        object.__setattr__(self, "_columns", _columns(spaces[0][1]))
        env.close()

    def _check_parts(self) -> None:
        callable_or_id = callable(self.make) or isinstance(self.make, str)
        require(callable_or_id, "Foreign.make", self.make, "a function, or an id in PettingZoo's registry")
        require(callable(self.reader), "Foreign.reader", self.reader, "a function")
        plain = isinstance(self.conduct, Mapping) and all(map(_is_plain, self.conduct.values()))
        allowed = "by name, a Conduct(unit) that is neither limitable nor dyadic and done in play"
        require(plain, "Foreign.conduct", self.conduct, allowed)

    @property
    def conducts(self) -> Mapping[str, Conduct]:  # type: ignore[override]
        """What the reader tells."""
        return self.conduct

    @property
    def time_limit(self) -> int:
        """The longest episode."""
        return self.max_cycles

    @property
    def host(self) -> Host | Workers:
        """Where the environments live; started when first needed."""
        if self._host is None:  # type: ignore[attr-defined]
            make = _maker(self.make)
            if self.workers:
                host: Host | Workers = Workers(
                    self.workers, self.timeout, make, self.reader, list(self.conduct)
                )
                weakref.finalize(self, host.close)
            else:
                host = Host(make, self.reader, list(self.conduct))
            object.__setattr__(self, "_host", host)
        return self._host  # type: ignore[attr-defined]

    def close(self) -> None:
        """Close the environments; a world that is played on starts again and repeats its past."""
        self.host.close()

    def to_dict(self) -> dict[str, Any]:
        """The parameters as plain JSON values, functions by their names: to be read, not rebuilt."""
        conduct = {name: one.unit for name, one in self.conduct.items()}
        names = {"make": _name(self.make), "reader": _name(self.reader), "conduct": conduct}
        return super().to_dict() | names

    def __getstate__(self) -> dict[str, Any]:
        # A copy starts environments of its own and finds its worlds again by their past.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        self.validate()

    def actions(self) -> list[Action]:
        """One column per entry of the action."""
        return self._columns  # type: ignore[attr-defined]

    def signals(self) -> list[Signal]:
        """The observation, flattened."""
        space = self._spaces[0]  # type: ignore[attr-defined]
        if isinstance(space, gymnasium.spaces.Discrete):
            return [Signal("observation", "", float(space.start), float(space.start + space.n - 1))]
        low, high = float(space.low.min(initial=0.0)), float(space.high.max(initial=0.0))
        return [Signal("observation", "", low, high, width=flat_size(space))]

    def initial(self, rng: Streams) -> ForeignState:
        """Reset with a seed from the world's own random numbers."""
        worlds, n = rng.num_worlds, self.num_agents  # type: ignore[attr-defined]
        seeds = rng.integers(2**31 - 1, 1)
        observation = np.stack(self.host.start([int(seed) for seed in seeds[:, 0]]))
        acts = np.zeros((worlds, self.time_limit, n, len(self.actions())))
        return ForeignState(seeds, np.zeros((worlds, 1), np.int64), acts, observation)

    def step(self, state: ForeignState, play: Play, rng: Streams) -> tuple[ForeignState, Outcome]:
        """One step of each environment."""
        plays = state.plays[:, 0]
        require(
            bool((plays < self.time_limit).all()),
            "time_limit of a society",
            f"above {self.time_limit}",
            f"at most {self.time_limit}, Foreign.max_cycles",
        )
        acts = np.array(state.acts)
        acts[np.arange(len(acts)), plays] = np.stack([play[a.name] for a in self.actions()], axis=-1)
        played = self.host.play(
            [
                (int(seed), past[: t + 1], seen)
                for seed, past, seen, t in zip(state.seed[:, 0], acts, state.observation, plays, strict=True)
            ]
        )
        for one, t in zip(played, plays, strict=True):
            if one.truncated and t + 1 < self.time_limit:
                raise InvalidParameter(
                    f"Foreign.max_cycles is {self.max_cycles}; allowed: at most {t + 1}, where it truncates"
                )
        observation = np.stack([one.observation for one in played])
        conduct = np.stack([one.conduct for one in played], axis=1)
        outcome = Outcome(
            np.stack([one.money for one in played]),
            dict(zip(self.conduct, conduct, strict=True)),
            np.array([one.terminated for one in played]),
        )
        return ForeignState(state.seed, state.plays + 1, acts, observation), outcome

    def observe(self, state: ForeignState) -> Mapping[str, Array]:
        """What the environment showed."""
        return {"observation": state.observation}

    def references(self) -> References:
        """There are none.

        Raises:
            NotExact: always.
        """
        raise NotExact("a foreign world has no exact references; compare with its trained laissez-faire")

    def limit(self, state: ForeignState, play: Play, bounds: Bounds) -> Play:
        """No foreign conduct is limitable."""
        return play


def _maker(make: Callable[[], Any] | str) -> Callable[[], Any]:
    if callable(make):
        return make
    return partial(pettingzoo.make, "parallel", make)


def _is_plain(conduct: object) -> bool:
    return isinstance(conduct, Conduct) and conduct == Conduct(conduct.unit, oracle=conduct.oracle)


def _name(make: Callable[..., Any] | str) -> str:
    if isinstance(make, str) or not hasattr(make, "__qualname__"):
        return str(make)
    return f"{make.__module__}:{make.__qualname__}"


def _columns(space: gymnasium.Space[Any]) -> list[Action]:
    if isinstance(space, gymnasium.spaces.Discrete):
        return [Action("action", _choice(int(space.n)))]
    if isinstance(space, gymnasium.spaces.MultiDiscrete) and space.shape and len(space.shape) == 1:
        return [Action(f"action_{i}", _choice(int(n))) for i, n in enumerate(space.nvec)]
    if isinstance(space, gymnasium.spaces.Box) and space.is_bounded() and space.dtype.kind == "f":
        ranges = zip(space.low.ravel().tolist(), space.high.ravel().tolist(), strict=True)
        return [Action(f"action_{i}", Real(low, high)) for i, (low, high) in enumerate(ranges)]
    raise UnsupportedSpace(f"actions are {space}; allowed: Discrete, MultiDiscrete, bounded float Box")


def _choice(options: int) -> Choice:
    return Choice(tuple(str(i) for i in range(options)))
