"""PettingZoo's face: every agent of every group of one world, in parallel or in turn."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
from numpy.typing import NDArray
from pettingzoo.utils.conversions import parallel_to_aec

from commonweal.envs.base import Dilemma
from commonweal.errors import InvalidAction, require
from commonweal.interfaces.assembly import Layer, assemble, fresh_seed
from commonweal.interfaces.rendering import RENDER_MODES, Renderer, check_render_mode
from commonweal.interfaces.spaces import Face
from commonweal.society import Society
from commonweal.transition import Transition

Observations = dict[str, NDArray[np.float32]]
Infos = dict[str, dict[str, Any]]
FACE_OPTIONS = ("continuous", "discrete", "render_mode")


class SocietyEnv(pettingzoo.ParallelEnv[str, NDArray[np.float32], Any]):  # type: ignore[misc]
    """A society of one world as a PettingZoo parallel environment.

    Agents are named after their group, `citizen_0`, `citizen_1`, ... and stay the same to the end
    of an episode. Where not every act is allowed at every time (stages, exclusion), `infos` holds
    an `action_mask` in the form that `action_space(agent).sample(mask)` takes; a forbidden act
    counts as the null act. A `Box` has no such form: there the stage stands in the observation.
    (TorchRL cannot read the masks of a `MultiDiscrete`; `discrete=True` gives it what it can.)

    Args:
        society: one world, without autoreset.
        continuous: a `Box` for every kind of action, see `commonweal.interfaces.spaces`.
        discrete: one `Discrete` over all joint options.
        render_mode: None, `"human"` or `"rgb_array"`.

    Attributes:
        society: the society.
        transition: all that the last step brought (money, conduct, ledger, welfare); None before.
    """

    def __init__(
        self,
        society: Society,
        continuous: bool = False,
        discrete: bool = False,
        render_mode: str | None = None,
    ) -> None:
        require(society.num_worlds == 1, "num_worlds", society.num_worlds, "1")
        require(not society.autoreset, "autoreset", society.autoreset, "False")
        check_render_mode(render_mode)
        self.society = society
        self.metadata = {
            "name": society.dilemma.id.replace("-v", "_v"),
            "render_modes": list(RENDER_MODES),
            "is_parallelizable": True,
            "render_fps": 10,
        }
        self.render_mode = render_mode
        self.transition: Transition | None = None
        self.faces = {name: Face(group, continuous, discrete) for name, group in society.groups.items()}
        self.members = {
            name: [f"{singular(name)}_{i}" for i in range(group.size)]
            for name, group in society.groups.items()
        }
        self.possible_agents = [agent for members in self.members.values() for agent in members]
        self.agents: list[str] = []
        self._everyone = set(self.possible_agents)
        faces = {agent: self.faces[name] for name, members in self.members.items() for agent in members}
        self.action_spaces = {agent: face.action_space() for agent, face in faces.items()}
        self.observation_spaces = {agent: face.observation_space() for agent, face in faces.items()}
        bounds = [(space.low, space.high) for space in self.observation_spaces.values()]
        low, high = (np.concatenate(side) for side in zip(*bounds, strict=True))
        self.state_space = gymnasium.spaces.Box(low, high, dtype=np.float32)
        self._seeded = False
        self._renderer = Renderer(society) if render_mode else None

    def action_space(self, agent: str) -> gymnasium.Space[Any]:
        """The action space of an agent, the same object at each call."""
        return self.action_spaces[agent]

    def observation_space(self, agent: str) -> gymnasium.Space[Any]:
        """The observation space of an agent, the same object at each call."""
        return self.observation_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, Infos]:
        """Start an episode; a seed restarts the random numbers, without one they go on.

        A first reset without a seed draws one from the operating system. There are no options.
        """
        if seed is None and not self._seeded:
            seed = fresh_seed()
        self._seeded = True
        self.society.reset(seed)
        self.agents = list(self.possible_agents)
        self.transition = None
        if self._renderer:
            self._renderer.reset()
        self._show()
        return self._observations(), self._infos()

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[Observations, dict[str, float], dict[str, bool], dict[str, bool], Infos]:
        """Advance the world by one stage.

        After the end, when no agent is left, `{}` brings five empty mappings, as PettingZoo's loops expect.

        Raises:
            InvalidAction: an agent is missing or unknown, or an action is not in its space; or the
                episode is over.
        """
        if not self.agents and actions == {} and self.transition is not None:
            return {}, {}, {}, {}, {}  # nobody is left, and nobody acts
        if not self.agents:
            raise InvalidAction("no episode is under way; call reset() first")
        if not isinstance(actions, Mapping):
            raise InvalidAction(f"actions are {actions!r}; allowed: a mapping from {self.possible_agents}")
        if actions.keys() != self._everyone:
            unknown = [agent for agent in actions if agent not in self._everyone]
            missing = [agent for agent in self.possible_agents if agent not in actions]
            faults = {"no action of": missing, "actions of unknown": unknown}
            amiss = " and ".join(f"{fault} {agents}" for fault, agents in faults.items() if agents)
            raise InvalidAction(f"{amiss}; allowed: one of each of {self.possible_agents}")
        columns = {
            name: self.faces[name].decode([actions[agent] for agent in members], 1)
            for name, members in self.members.items()
        }
        transition = self.transition = self.society.step(columns)
        agents = self.agents
        rewards: list[float] = []
        for name in self.members:
            rewards += transition.reward[name][0].tolist()
        terminated, truncated = bool(transition.terminated[0]), bool(transition.truncated[0])
        if self._renderer:
            self._renderer.record(transition)
        self._show()
        result = (
            self._observations(),
            dict(zip(agents, rewards, strict=True)),
            dict.fromkeys(agents, terminated),
            dict.fromkeys(agents, truncated),
            self._infos(),
        )
        if terminated or truncated:
            self.agents = []
        return result

    def _observations(self) -> Observations:
        observations: Observations = {}
        for name, members in self.members.items():
            observations.update(zip(members, self.society.observation[name][0].copy(), strict=True))
        return observations

    def _infos(self) -> Infos:
        infos: Infos = {agent: {} for agent in self.possible_agents}
        if self.society.mask is not None:
            for name, members in self.members.items():
                masks = self.faces[name].masks(self.society.mask[name][0])
                for agent, mask in zip(members, masks or (), strict=masks is not None):
                    infos[agent]["action_mask"] = mask
        return infos

    def state(self) -> NDArray[np.float32]:
        """What all agents see, one after the other."""
        return np.concatenate([array.ravel() for array in self.society.observation.values()])

    def _show(self) -> None:
        if self._renderer and self.render_mode == "human":
            self._renderer.show()

    def render(self) -> NDArray[np.uint8] | None:
        """A picture `(H, W, 3)` in mode `rgb_array`; a window, and None, in mode `human`."""
        if self._renderer and self.render_mode == "rgb_array":
            return self._renderer.frame()
        self._show()
        return None

    def close(self) -> None:
        """Close the window, and what the dilemma holds."""
        if self._renderer:
            self._renderer.close()
        self.society.dilemma.close()

    def __repr__(self) -> str:
        return f"SocietyEnv<{self.society!r}>"


def singular(group: str) -> str:
    """The name of one member: `buyers` -> `buyer`."""
    return group.removesuffix("s")


def parallel_env(
    dilemma: str | Dilemma,
    institutions: Iterable[Layer] = (),
    *,
    continuous: bool = False,
    discrete: bool = False,
    render_mode: str | None = None,
    **options: Any,
) -> SocietyEnv:
    """A dilemma under institutions as a PettingZoo parallel environment.

    Args:
        dilemma: an id such as `"fishery-v0"`, or a dilemma.
        institutions: instances, ids, or `{"id": ..., **parameters}`, innermost first.
        continuous: a `Box` for every kind of action.
        discrete: one `Discrete` over all joint options (at most 256).
        render_mode: None, `"human"` or `"rgb_array"`.
        options: parameters of the dilemma, `preset`, and `time_limit`, `step_limit`, `credit`,
            `endowment`, `treasury_weight` of the society; PettingZoo's `max_cycles` limits both.

    Raises:
        UnknownName: no such dilemma, institution or option; names the nearest.
        UnsupportedSpace: no single space holds a group's actions; names the option that helps.
    """
    society = assemble(dilemma, institutions, options, autoreset=False, face_options=FACE_OPTIONS)
    return SocietyEnv(society, continuous, discrete, render_mode)


@functools.wraps(parallel_env)
def aec_env(*args: Any, **options: Any) -> pettingzoo.AECEnv[str, NDArray[np.float32], Any]:
    """The same in PettingZoo's turn-based form; takes what `parallel_env` takes."""
    return parallel_to_aec(parallel_env(*args, **options))
