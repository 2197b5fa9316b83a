"""stable-baselines3's face: the agents of one group in all worlds as the slots of a `VecEnv`.

One policy is shared by all slots. A time limit is marked `TimeLimit.truncated`, with the last
observation as `terminal_observation`, so that the learner bootstraps instead of learning it as the
world's end. For episode returns in its log, wrap in stable-baselines3's `VecMonitor`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Dilemma
from commonweal.errors import Diverged, InvalidAction, UnknownName, require, told
from commonweal.extras import extra
from commonweal.interfaces.assembly import Layer, assemble, fresh_seed
from commonweal.interfaces.others import OtherAgents, Others, learning_group
from commonweal.interfaces.rendering import Renderer, check_render_mode
from commonweal.interfaces.spaces import Face
from commonweal.random import whole_seed
from commonweal.society import Society
from commonweal.transition import Transition

with extra():
    from stable_baselines3.common.vec_env import VecEnv

Indices = None | int | Iterable[int]
FLOAT32 = float(np.finfo(np.float32).max)
FACE_OPTIONS = ("num_worlds", "group", "policies", "continuous", "discrete", "render_mode")


class SocietyVecEnv(VecEnv):  # type: ignore[misc]
    """A society of B worlds as `B * n` slots, world by world: slot `b * n + i` is agent i of world b.

    Args:
        society: any number of worlds, with autoreset.
        group: the group that learns.
        policies: how the other groups act, see `commonweal.interfaces.others`.
        continuous: a `Box` for every kind of action.
        discrete: one `Discrete` over all joint options, for DQN.
        render_mode: None or `"rgb_array"`: world 0.

    Attributes:
        society: the society.
        transition: all that the last step brought; None before the first.
    """

    def __init__(
        self,
        society: Society,
        group: str | None = None,
        policies: Others = None,
        continuous: bool = False,
        discrete: bool = False,
        render_mode: str | None = None,
    ) -> None:
        require(society.autoreset, "autoreset", society.autoreset, "True")
        check_render_mode(render_mode, ("rgb_array",))
        self.society = society
        self.group = learning_group(society, group)
        self.others = OtherAgents(society, policies, [name for name in society.groups if name != self.group])
        self.face = Face(society.groups[self.group], continuous, discrete)
        self.render_mode = render_mode
        self.transition: Transition | None = None
        self._renderer = Renderer(society) if render_mode else None
        self._columns: dict[str, NDArray[np.float64]] = {}
        self._seeded = False
        slots = society.num_worlds * society.groups[self.group].size
        super().__init__(slots, self.face.observation_space(), self.face.action_space())

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Restart the random numbers with this seed at the next reset; None: with one drawn."""
        seeds: Sequence[int | None] = super().seed(None if seed is None else whole_seed(seed))
        return seeds

    def reset(self) -> NDArray[np.float32]:
        """Start all worlds anew; `seed()` before it restarts the random numbers."""
        seed = self._seeds[0]
        if seed is None and not self._seeded:
            seed = fresh_seed()
        self._seeded = True
        self.society.reset(seed)
        self.others.reseed(seed)
        self._reset_seeds()
        self._reset_options()
        self.reset_infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if self._renderer:
            self._renderer.reset()
        return self._slots(self.society.observation[self.group].copy())

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take in the learner's actions, `(B * n,)` or `(B * n, C)`.

        Raises:
            InvalidAction: wrong number of entries, no numbers, NaN or out of range; or no reset before.
        """
        if not self._seeded:
            raise InvalidAction("no episode is under way; call reset() first")
        mine = self.face.decode(actions, self.society.num_worlds)
        self._columns = {self.group: mine, **self.others.act()}

    def step_wait(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Advance all worlds by one stage.

        Raises:
            Diverged: observations or rewards of the group are not finite.
        """
        transition = self.transition = self.society.step(self._columns)
        size = self.num_envs // self.society.num_worlds
        done = np.repeat(transition.done, size)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if transition.final_observation is not None:
            last = self._slots(transition.final_observation[self.group])
            for slot in np.flatnonzero(done):
                infos[slot]["terminal_observation"] = last[slot]
                infos[slot]["TimeLimit.truncated"] = bool(transition.truncated[slot // size])
        if self._renderer:
            self._renderer.reset() if transition.done[0] else self._renderer.record(transition)
        # The utility of hardly anything at a high aversion is beyond float32; minus infinity teaches nothing.
        reward = self._finite("rewards", transition.reward[self.group]).clip(-FLOAT32, FLOAT32)
        reward = reward.astype(np.float32).ravel()
        return self._slots(transition.observation[self.group]), reward, done, infos

    def _slots(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._finite("observations", array.reshape(self.num_envs, -1))

    def _finite(self, what: str, array: NDArray[Any]) -> NDArray[Any]:
        # stable-baselines3 would take them for numbers, and its policies act on.
        if not np.isfinite(array).all():
            raise Diverged(f"{what} of {self.group} are {told(array)}; allowed: finite numbers")
        return array

    def action_masks(self) -> list[NDArray[np.bool_]]:
        """Allowed options of each slot `(M,)`, columns one after the other, for maskable learners."""
        size = self.num_envs // self.society.num_worlds
        masks: list[NDArray[np.bool_]] = []
        for world in range(self.society.num_worlds):
            if self.society.mask is None:
                allowed = np.ones((size, self.society.groups[self.group].mask_size), bool)
            else:
                allowed = self.society.mask[self.group][world]
            for mask in self.face.masks(allowed) or allowed:
                masks.append(
                    np.concatenate(mask).astype(bool) if isinstance(mask, tuple) else mask.astype(bool)
                )
        return masks

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """World 0, once."""
        return [self._renderer.frame()] if self._renderer else []

    def close(self) -> None:
        """Drop the picture, and close what the dilemma holds."""
        if self._renderer:
            self._renderer.close()
        self.society.dilemma.close()

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """The attribute of this environment, once for each slot asked for."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Set an attribute; slots share it."""
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Indices = None, **kwargs: Any) -> list[Any]:
        """Only `action_masks`: slots are not environments of their own."""
        if method_name != "action_masks":
            raise UnknownName("method of a slot", method_name, ["action_masks"])
        masks = self.action_masks()
        return [masks[slot] for slot in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]], indices: Indices = None
    ) -> list[bool]:
        """Never."""
        return [False for _ in self._get_indices(indices)]


def vec_env(
    dilemma: str | Dilemma,
    institutions: Iterable[Layer] = (),
    *,
    num_worlds: int = 1,
    group: str | None = None,
    policies: Others = None,
    continuous: bool = False,
    discrete: bool = False,
    render_mode: str | None = None,
    **options: Any,
) -> SocietyVecEnv:
    """A dilemma under institutions as a stable-baselines3 `VecEnv` of `num_worlds * n` slots.

    Args:
        dilemma: an id such as `"fishery-v0"`, or a dilemma.
        institutions: instances, ids, or `{"id": ..., **parameters}`, innermost first.
        num_worlds: B.
        group: the group that learns; may be left out where there is one group of citizens.
        policies: how the other groups act: an object with `act(observation, mask)`, or by group a
            function of observation `(B, n, D)` and mask that returns action columns `(B, n, C)`.
        continuous: a `Box` for every kind of action.
        discrete: one `Discrete` over all joint options, for DQN.
        render_mode: None or `"rgb_array"`.
        options: as in `commonweal.parallel_env`.

    Raises:
        UnknownName: no such dilemma, institution, group or option; names the nearest.
        UnsupportedSpace: no single space holds the group's actions; names the option that helps.
        InvalidParameter: another group has no policy.
    """
    society = assemble(dilemma, institutions, options, num_worlds=num_worlds, face_options=FACE_OPTIONS)
    return SocietyVecEnv(society, group, policies, continuous, discrete, render_mode)
