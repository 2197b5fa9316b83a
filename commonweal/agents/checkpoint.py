"""Checkpoints of a learner: everything that training needs to go on, in one `.npz` file (see `storage`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from commonweal.errors import CorruptCheckpoint, InvalidParameter, require, told
from commonweal.saving import restored
from commonweal.society import Society
from commonweal.state import check_arrays
from commonweal.storage import read_arrays, write_arrays
from commonweal.typed import LAST, whole

if TYPE_CHECKING:
    from commonweal.agents.ppo import PPO, PPOConfig
    from commonweal.agents.team import Team

Arrays = dict[str, NDArray[Any]]
P = TypeVar("P", bound="PPO")
FORMAT = "commonweal.ppo/3"


def write(learner: PPO, path: str | Path) -> None:
    """See `PPO.save`."""
    arrays: Arrays = {"seeds": learner.seeds}
    parts = {"society": learner.society.get_state(), "episodes": learner.episodes.get_state()}
    for name, team in learner.teams.items():
        team.require_finite("parameters", team.theta.detach())
        parts[f"team/{name}"] = _state(team)
    for part, state in parts.items():
        arrays |= {f"{part}/{name}": array for name, array in state.items()}
    config = {
        "format": FORMAT, "learner": asdict(learner.config), "society": learner.society.to_dict(),
        "steps": learner.steps, "updates": learner.updates,
    }  # fmt: skip
    write_arrays(path, arrays, config)


def read(cls: type[P], path: str | Path, society: Society | None, device: str | torch.device) -> P:
    """See `PPO.resume`."""
    device = device_of(device)
    arrays, config = read_arrays(path)
    before = None
    try:
        require(config["format"] == FORMAT, "format", config["format"], FORMAT)
        society = restored(config["society"], _part(arrays, "society"), society)
        before = society.get_state()  # the learner restarts it before all that may be amiss is known
        learner = cls(
            society, _settings(config["learner"], arrays), replicates=len(arrays["seeds"]),
            seed=arrays["seeds"], device=device,
        )  # fmt: skip
        for name, team in learner.teams.items():
            _restore(team, _part(arrays, f"team/{name}"))
        learner.episodes.set_state(_part(arrays, "episodes"))
        society.set_state(_part(arrays, "society"))
        learner.steps, learner.updates = (whole(name, config[name]) for name in ("steps", "updates"))
    except BaseException as error:
        if society is not None and before is not None:
            society.set_state(before)
        if isinstance(error, Exception):
            raise CorruptCheckpoint(f"{path} is no checkpoint of this learner: {error}") from error
        raise
    return learner


def _settings(plain: Mapping[str, Any], arrays: Arrays) -> PPOConfig:
    """Hyperparameters, whose networks are no larger than the weights that are there."""
    from commonweal.agents.ppo import PPOConfig

    settings = PPOConfig(**plain)
    weights = [array.shape[1] for name, array in arrays.items() if name.endswith("/theta")]
    needed = sum(settings.hidden) + sum(one * other for one, other in pairwise(settings.hidden))
    require(needed <= min(weights), "PPOConfig.hidden", settings.hidden, f"networks of {weights} weights")
    return settings


def _state(team: Team) -> Arrays:
    """What changes as the policies of a group learn; copies."""
    tensors = {"theta": team.theta.detach(), "live": team.live > 0}
    for part, moments in _moments(team).items():
        tensors |= {f"{part}.{name}": moment for name, moment in moments.items()}
    arrays = {name: np.array(tensor.cpu().numpy()) for name, tensor in tensors.items()}
    return arrays | {"gradient_steps": np.array(team.gradient_steps, np.int64)}


def _moments(team: Team) -> dict[str, dict[str, Tensor]]:
    return {"adam": team.adam, "seen": team.scale.moments, "target": team.target_scale.moments}


def _restore(team: Team, state: Arrays) -> None:
    """Restore what `_state` returned, if names, shapes, types, signs and finiteness are of such a state."""
    squares = dict.fromkeys(("adam.square", "seen.count", "seen.squares", "target.square"), (0.0, np.inf))
    check_arrays(state, _state(team), {**squares, "target.weight": (0.0, 1.0), "gradient_steps": (0, LAST)})
    weight, mean, square = (state[f"target.{name}"] for name in ("weight", "mean", "square"))
    if (weight * square < (1.0 - 1e-9) * mean**2).any():
        raise CorruptCheckpoint("target.square: a negative variance; allowed: 0 or more")
    for part, moments in _moments(team).items():
        for name, moment in moments.items():
            moment.copy_(torch.from_numpy(state[f"{part}.{name}"]))
    with torch.no_grad():
        team.theta.copy_(torch.from_numpy(state["theta"]))
    team.live.copy_(torch.from_numpy(state["live"]))
    team.gradient_steps = int(state["gradient_steps"])
    team.scale.refresh()


def _part(arrays: Arrays, part: str) -> Arrays:
    """The arrays of one part, by their own names."""
    return {name[len(part) + 1 :]: array for name, array in arrays.items() if name.startswith(f"{part}/")}


def device_of(device: str | torch.device) -> torch.device:
    """A device that is there.

    Raises:
        InvalidParameter: PyTorch knows no such device, or has none.
    """
    allowed = "cpu, cuda" if torch.cuda.is_available() else "cpu; PyTorch sees no other"
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (AssertionError, NotImplementedError, RuntimeError, TypeError) as error:
        raise InvalidParameter(f"device is {told(device)}; allowed: {allowed}") from error
    return found
