"""Gymnasium's face: one agent learns, all others act by given policies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Dilemma
from commonweal.errors import InvalidAction, require
from commonweal.interfaces.assembly import Layer, assemble, fresh_seed
from commonweal.interfaces.others import OtherAgents, Others, learning_group
from commonweal.interfaces.rendering import RENDER_MODES, Renderer, check_render_mode
from commonweal.interfaces.spaces import Face
from commonweal.random import whole_seed
from commonweal.society import Society
from commonweal.transition import Transition
from commonweal.typed import fit

FACE_OPTIONS = ("group", "learner", "policies", "continuous", "discrete", "render_mode")


class LearnerEnv(gymnasium.Env[Any, Any]):
    """One agent of a society of one world; the rest of its group and all other groups are policies.

    Args:
        society: one world, without autoreset.
        group: the learner's group.
        learner: its place in the group.
        policies: how everybody else acts, see `commonweal.interfaces.others`. A policy of the
            learner's own group answers for all of it; the learner's row is replaced.
        continuous: a `Box` for every kind of action.
        discrete: one `Discrete` over all joint options.
        render_mode: None, `"human"` or `"rgb_array"`.

    Attributes:
        society: the society.
        transition: all that the last step brought; None before the first.
    """

    def __init__(
        self,
        society: Society,
        group: str | None = None,
        learner: int = 0,
        policies: Others = None,
        continuous: bool = False,
        discrete: bool = False,
        render_mode: str | None = None,
    ) -> None:
        require(society.num_worlds == 1, "num_worlds", society.num_worlds, "1")
        require(not society.autoreset, "autoreset", society.autoreset, "False")
        check_render_mode(render_mode)
        self.society = society
        self.group = learning_group(society, group)
        size = society.groups[self.group].size
        learner = fit("learner", learner, int)
        require(0 <= learner < size, "learner", learner, f"0 to {size - 1}")
        self.learner = learner
        needed = [name for name in society.groups if name != self.group or size > 1]
        self.others = OtherAgents(society, policies, needed)
        self.face = Face(society.groups[self.group], continuous, discrete)
        self.action_space = self.face.action_space()
        self.observation_space = self.face.observation_space()
        self.metadata = {"render_modes": list(RENDER_MODES), "render_fps": 10}
        self.render_mode = render_mode
        self.transition: Transition | None = None
        self._renderer = Renderer(society) if render_mode else None
        self._seeded = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode; a first reset without a seed draws one from the operating system."""
        seed = None if seed is None else whole_seed(seed)
        super().reset(seed=seed, options=options)
        if seed is None and not self._seeded:
            seed = fresh_seed()
        self._seeded = True
        self.society.reset(seed)
        self.others.reseed(seed)
        self.transition = None
        if self._renderer:
            self._renderer.reset()
        self._show()
        return self._observation(), self._info()

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Advance the world by one stage.

        Raises:
            InvalidAction: the action is not in the action space, or the episode is over.
        """
        if not self._seeded:
            raise InvalidAction("no episode is under way; call reset() first")
        columns = self.others.act()
        size = self.society.groups[self.group].size
        mine = self.face.decode(np.broadcast_to(action, (size, *np.shape(action))), 1)
        if self.group in columns:
            everyone = np.array(columns[self.group])
            everyone[0, self.learner] = mine[0, self.learner]
            columns[self.group] = everyone
        else:
            columns[self.group] = mine
        transition = self.transition = self.society.step(columns)
        if self._renderer:
            self._renderer.record(transition)
        self._show()
        reward = float(transition.reward[self.group][0, self.learner])
        ends = bool(transition.terminated[0]), bool(transition.truncated[0])
        return self._observation(), reward, *ends, self._info()

    def _observation(self) -> NDArray[np.float32]:
        observation: NDArray[np.float32] = self.society.observation[self.group][0, self.learner].copy()
        return observation

    def _info(self) -> dict[str, Any]:
        masks = None if self.society.mask is None else self.face.masks(self.society.mask[self.group][0])
        return {} if masks is None else {"action_mask": masks[self.learner]}

    def _show(self) -> None:
        if self._renderer and self.render_mode == "human":
            self._renderer.show()

    def render(self) -> Any:
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


def gym_env(
    dilemma: str | Dilemma,
    institutions: Iterable[Layer] = (),
    *,
    group: str | None = None,
    learner: int = 0,
    policies: Others = None,
    continuous: bool = False,
    discrete: bool = False,
    render_mode: str | None = None,
    **options: Any,
) -> LearnerEnv:
    """A dilemma under institutions as a Gymnasium environment of one learner.

    Args:
        dilemma: an id such as `"fishery-v0"`, or a dilemma.
        institutions: instances, ids, or `{"id": ..., **parameters}`, innermost first.
        group: the learner's group; may be left out where there is one group of citizens.
        learner: the learner's place in its group.
        policies: how all others act: an object with `act(observation, mask)`, or by group a
            function of observation `(1, n, D)` and mask that returns action columns `(1, n, C)`.
        continuous: a `Box` for every kind of action.
        discrete: one `Discrete` over all joint options.
        render_mode: None, `"human"` or `"rgb_array"`.
        options: as in `commonweal.parallel_env`.

    Raises:
        UnknownName: no such dilemma, institution, group or option; names the nearest.
        UnsupportedSpace: no single space holds the group's actions; names the option that helps.
        InvalidParameter: somebody else has no policy.
    """
    society = assemble(dilemma, institutions, options, autoreset=False, face_options=FACE_OPTIONS)
    return LearnerEnv(society, group, learner, policies, continuous, discrete, render_mode)
