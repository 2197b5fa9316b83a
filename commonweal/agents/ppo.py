"""Proximal policy optimisation for a population: R replicates x N agents trained at once in one process.

Sources: Schulman et al. (2017), arXiv 1707.06347; Schulman et al. (2016), generalised advantage
estimation, arXiv 1506.02438; Pardo et al. (2018), time limits, arXiv 1712.00378; van Hasselt et al.
(2016), targets normalised without moving the outputs (PopArt), arXiv 1602.07714; Yu et al. (2022),
the surprising effectiveness of PPO in cooperative games, arXiv 2103.01955.

Shapes: `B` worlds, `n` agents of a group, `P` policies of a group (replicates x agents, or replicates
where the group shares one), `S` samples of a policy in a step, `T` steps of a rollout.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from commonweal.agents.heads import Heads
from commonweal.agents.normalisation import ObservationScale, TargetScale
from commonweal.agents.population import (
    ACTING,
    Activation,
    Actors,
    Layout,
    PopulationPolicies,
    Sharing,
    Stack,
    draw,
)
from commonweal.columns import Group
from commonweal.errors import CorruptCheckpoint, UnknownName, require
from commonweal.random import Streams, world_seeds
from commonweal.society import Society, Transition
from commonweal.storage import write_atomically

Array = NDArray[np.float64]
Bool = NDArray[np.bool_]
Info = dict[str, Any]
FORMAT = "commonweal.ppo/1"
LEARNING = ACTING + 1  # owner of the random numbers of learning


@dataclass(frozen=True)
class PPOConfig:
    """Hyperparameters."""

    sharing: Sharing = "independent"
    """A policy per agent, or one for each group."""
    hidden: tuple[int, ...] = (32, 32)
    """Units of the hidden layers, of actor and critic alike."""
    activation: Activation = "tanh"
    """Of the hidden layers."""
    rollout: int = 128
    """T, steps of every world between two updates."""
    epochs: int = 4
    """Passes over each rollout."""
    minibatches: int = 4
    """Parts of a pass; each is one gradient step."""
    learning_rate: float = 1e-3
    """Of Adam, at the start."""
    final_learning_rate: float = 0.0
    """Of Adam, at the end; linear in between."""
    gae_lambda: float = 0.95
    """Decay of generalised advantage estimation; the discount is the society's own."""
    clip: float = 0.2
    """Largest change of a probability, as a ratio, that is still rewarded."""
    entropy: float = 0.01
    """Coefficient of the entropy bonus, at the start."""
    final_entropy: float = 0.0
    """Coefficient of the entropy bonus, at the end; linear in between."""
    value_coefficient: float = 0.5
    """Weight of the critic's loss, whose targets are normalised."""
    max_gradient_norm: float = 0.5
    """Largest norm of the gradient of one policy (actor and critic together)."""
    initial_log_std: float = -0.5
    """Of continuous actions, before they are squashed."""
    target_decay: float = 0.95
    """Decay per update of the running moments that normalise the critic's targets."""

    def __post_init__(self) -> None:
        for name in ("rollout", "epochs", "minibatches"):
            require(getattr(self, name) >= 1, f"PPOConfig.{name}", getattr(self, name), "at least 1")
        for name in ("learning_rate", "clip", "max_gradient_norm"):
            require(getattr(self, name) > 0, f"PPOConfig.{name}", getattr(self, name), "above 0")
        for name in ("final_learning_rate", "entropy", "final_entropy", "value_coefficient"):
            require(getattr(self, name) >= 0, f"PPOConfig.{name}", getattr(self, name), "0 or more")
        require(0 <= self.gae_lambda <= 1, "PPOConfig.gae_lambda", self.gae_lambda, "from 0 to 1")
        require(0 <= self.target_decay < 1, "PPOConfig.target_decay", self.target_decay, "0 <= decay < 1")
        require(min(self.hidden, default=1) >= 1, "PPOConfig.hidden", self.hidden, "units of 1 or more")
        require(self.sharing in ("independent", "shared"), "PPOConfig.sharing", self.sharing, "independent, shared")
        require(self.activation in ("tanh", "relu"), "PPOConfig.activation", self.activation, "tanh, relu")


def generalised_advantages(
    reward: Tensor, value: Tensor, next_value: Tensor, discount: Tensor, terminated: Tensor, done: Tensor,
    gae_lambda: float,
) -> Tensor:  # fmt: skip
    """Advantages `(P, T, S)`; all arguments have that shape.

    `next_value` is the value of the state that followed, before any reset: the end of the world cuts
    it, a time limit does not (it only ends the sum of later errors).
    """
    delta = reward + discount * next_value * ~terminated - value
    carry = discount * gae_lambda * ~done
    advantage, following = torch.empty_like(delta), torch.zeros_like(delta[:, 0])
    for t in range(delta.shape[1] - 1, -1, -1):
        following = delta[:, t] + carry[:, t] * following
        advantage[:, t] = following
    return advantage


class Team:
    """The policies of one group: actors, critics, and what trains them.

    A row of `theta` holds all parameters of one policy: actor, log standard deviations, critic.
    """

    def __init__(self, group: Group, config: PPOConfig, streams: Streams, device: torch.device) -> None:
        self.config, self.device, self.streams = config, device, streams
        self.layout = Layout(streams.num_worlds, group.size, config.sharing)
        self.heads = Heads(group, device)
        policies, inputs = self.layout.num_policies, group.observation_size
        self.scale = ObservationScale(group, policies, device)
        self.target_scale = TargetScale(policies, config.target_decay, device)
        self.actor = Stack((inputs, *config.hidden, self.heads.num_outputs), config.activation, gain=0.01)
        self.critic = Stack((inputs, *config.hidden, 1), config.activation, gain=1.0)
        self.pieces = [self.actor.num_parameters, self.heads.num_continuous, self.critic.num_parameters]
        self.theta = self._initial().to(device).requires_grad_()
        self.train_only(range(group.size))

    def _initial(self) -> Tensor:
        policies = self.layout.num_policies
        rows = policies // self.layout.replicates
        normal = torch.from_numpy(self.streams.normal(rows, sum(self.pieces))).float().view(policies, -1)
        actor, log_std, critic = normal.split(self.pieces, dim=1)
        log_std = torch.full_like(log_std, self.config.initial_log_std)
        return torch.cat([self.actor.initial(actor), log_std, self.critic.initial(critic)], dim=1)

    def train_only(self, agents: Sequence[int]) -> None:
        """Freeze the policies of all other agents and start the optimiser anew."""
        rows = self.layout.num_policies // self.layout.replicates
        live = torch.zeros(self.layout.agents, device=self.device)
        live[list(agents)] = 1.0
        shared = rows < self.layout.agents
        allowed = "all or none of the agents who share a policy"
        require(not shared or bool((live == live[0]).all()), "trainable", list(agents), allowed)
        self.live = live[:rows].repeat(self.layout.replicates).unsqueeze(1)
        self.optimizer = torch.optim.Adam([self.theta], lr=self.config.learning_rate, eps=1e-5)

    def actors(self) -> Actors:
        """The actors; they share memory with the team."""
        theta, log_std, _ = self.theta.detach().split(self.pieces, dim=1)
        return Actors(self.layout, self.heads, self.actor, theta, log_std, self.scale)

    # ------------------------------------------------------------------ rollout

    def begin(self, num_worlds: int, masked: bool) -> None:
        """Make room for a rollout and draw its noise."""
        length, policies = self.config.rollout, self.layout.num_policies
        shape = (policies, length, num_worlds * self.layout.agents // policies)
        inputs, options, columns = self.actor.shapes[0][0], self.heads.num_outputs, len(self.heads.places)
        self.uniform = draw(self.streams, (*shape, columns), self.device)
        self.raw = torch.empty_like(self.uniform)
        self.observation = torch.empty((policies, length + 1, shape[2], inputs), device=self.device)
        self.mask = torch.ones((*shape, options), dtype=torch.bool, device=self.device) if masked else None
        self.reward = np.empty((length, num_worlds, self.layout.agents))
        self.final: dict[int, Tensor] = {}
        self.acting = self.actors()

    def act(self, t: int, observation: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> Array:
        """Keep what is observed at step `t` and sample actions `(B, n, C)`."""
        acting, allowed = self.acting, None
        seen = self.observation[:, t] = acting.fold(observation)
        if self.mask is not None and mask is not None:
            allowed = self.mask[:, t] = acting.fold(mask)
        output = self.actor(acting.theta, self.scale(seen))
        raw = self.heads.sample(output, acting.log_std.unsqueeze(1), self.uniform[:, t], allowed)
        self.raw[:, t] = raw
        actions: Array = self.layout.unfold(self.heads.physical(raw)).cpu().numpy()
        return actions

    # ------------------------------------------------------------------ learning

    def value(self, observation: Tensor) -> Tensor:
        """Values `(P, T)` in units of the reward, of observations `(P, T, D)`.

        A centralised critic would differ here and in `begin`, by observing more than its actor.
        """
        mean, std = self.target_scale()
        critic = self.theta.split(self.pieces, dim=1)[2]
        return self.critic(critic, self.scale(observation)).squeeze(-1) * std + mean

    def _stretch(self, array: NDArray[Any]) -> Tensor:
        """`(T, B)` or `(T, B, n)` as `(P, T, S)`."""
        tensor = torch.from_numpy(array).to(self.device)
        if tensor.ndim == 2:
            tensor = tensor.unsqueeze(-1).expand(-1, -1, self.layout.agents)
        tensor = self.layout.fold(tensor.permute(1, 2, 0)).transpose(1, 2)
        return tensor.float() if tensor.is_floating_point() else tensor

    def assess(self, discount: Array, terminated: Bool, done: Bool) -> tuple[Tensor, Tensor]:
        """Advantages and targets of the rollout, `(P, T, S)`; the other arguments are `(T, B)`."""
        shape = self.observation.shape[:3]
        value = self.value(self.observation.flatten(1, 2)).view(shape)
        value, next_value = value[:, :-1], value[:, 1:].clone()
        ended = self._stretch(done)
        if self.final:
            steps, final = list(self.final), torch.stack(list(self.final.values()), dim=1)
            final_value = self.value(final.flatten(1, 2)).view(final.shape[:3])
            next_value[:, steps] = torch.where(ended[:, steps], final_value, next_value[:, steps])
        advantage = generalised_advantages(
            self._stretch(self.reward), value, next_value, self._stretch(discount),
            self._stretch(terminated), ended, self.config.gae_lambda,
        )  # fmt: skip
        return advantage, advantage + value

    def normalise(self, target: Tensor) -> Tensor:
        """Targets `(P, S)` normalised by moments that now include them; values stay as they were."""
        old_mean, old_std = self.target_scale()
        self.target_scale.update(target)
        mean, std = self.target_scale()
        weight, bias = self.critic.layers(self.theta.split(self.pieces, dim=1)[2])[-1]
        weight.mul_((old_std / std).unsqueeze(1))
        bias.mul_((old_std / std).unsqueeze(1)).add_(((old_mean - mean) / std).unsqueeze(1))
        return (target - mean) / std

    def learn(self, advantage: Tensor, target: Tensor, learning_rate: float, entropy: float) -> dict[str, Tensor]:
        """Improve the policies on the rollout; returns diagnostics by name, `(P,)` each."""
        config, target, advantage = self.config, target.flatten(1), advantage.flatten(1)
        explained = 1.0 - advantage.var(dim=1) / target.var(dim=1).clamp_min(1e-12)
        spread = advantage.std(dim=1, keepdim=True) + 1e-8
        batch = {
            "observation": self.scale(self.observation[:, :-1].flatten(1, 2)),
            "raw": self.raw.flatten(1, 2),
            "advantage": (advantage - advantage.mean(dim=1, keepdim=True)) / spread,
        }
        if self.mask is not None:
            batch["mask"] = self.mask.flatten(1, 2)
        with torch.no_grad():
            batch["target"] = self.normalise(target)
            batch["log_prob"], _ = self.evaluate(batch)
        self.optimizer.param_groups[0]["lr"] = learning_rate
        for _ in range(config.epochs):
            for minibatch in self._minibatches(batch):
                loss, diagnostics = self.loss(minibatch, entropy)
                self.optimizer.zero_grad()
                loss.sum().backward()
                self._step()
        self.scale.update(self.observation[:, :-1].flatten(1, 2), self.live)
        return {**diagnostics, "explained_variance": explained}

    def evaluate(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the batch's actions and entropies, `(P, S)` each."""
        actor, log_std, _ = self.theta.split(self.pieces, dim=1)
        output = self.actor(actor, batch["observation"])
        return self.heads.evaluate(output, log_std.unsqueeze(1), batch["raw"], batch.get("mask"))

    def loss(self, batch: Mapping[str, Tensor], entropy_coefficient: float) -> tuple[Tensor, dict[str, Tensor]]:
        """The clipped surrogate, the critic's squared error and the entropy bonus: `(P,)`."""
        config, advantage = self.config, batch["advantage"]
        log_prob, entropy = self.evaluate(batch)
        log_ratio = log_prob - batch["log_prob"]
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1.0 - config.clip, 1.0 + config.clip)
        surrogate = torch.minimum(ratio * advantage, clipped * advantage).mean(dim=1)
        value = self.critic(self.theta.split(self.pieces, dim=1)[2], batch["observation"]).squeeze(-1)
        error = 0.5 * ((value - batch["target"]) ** 2).mean(dim=1)
        bonus = entropy.mean(dim=1)
        loss = config.value_coefficient * error - surrogate - entropy_coefficient * bonus
        with torch.no_grad():
            kl = (ratio - 1.0 - log_ratio).mean(dim=1)
        return loss, {"entropy": bonus.detach(), "approx_kl": kl}

    def _minibatches(self, batch: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        """The batch in a random order of its own for each replicate, in equal parts."""
        policies, samples = batch["target"].shape
        parts = self.config.minibatches
        size = samples // parts
        order = torch.from_numpy(self.streams.permutation(samples)[:, : parts * size]).to(self.device)
        order = order.repeat_interleave(policies // self.layout.replicates, dim=0)
        rows = order + samples * torch.arange(policies, device=self.device).unsqueeze(1)
        rows = rows.view(policies, parts, size).transpose(0, 1).flatten()
        split = {
            name: values.flatten(0, 1)[rows].view(parts, policies, size, *values.shape[2:])
            for name, values in batch.items()
        }
        return [{name: values[part] for name, values in split.items()} for part in range(parts)]

    @torch.no_grad()
    def _step(self) -> None:
        """Clip the gradient of each policy by its own norm, then move those that are not frozen."""
        gradient = self.theta.grad
        assert gradient is not None
        norm = gradient.norm(dim=1, keepdim=True)
        gradient.mul_((self.config.max_gradient_norm / (norm + 1e-6)).clamp_max(1.0) * self.live)
        self.optimizer.step()

    # ------------------------------------------------------------------ copies

    def get_state(self) -> dict[str, Any]:
        """Everything that changes, as tensors and plain values."""
        return {
            "theta": self.theta.detach(), "live": self.live, "optimizer": self.optimizer.state_dict(),
            "observation_moments": self.scale.moments, "target_moments": self.target_scale.moments,
        }  # fmt: skip

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self.copy_policies(state)
        self.live = state["live"].to(self.device)
        self.optimizer.load_state_dict(state["optimizer"])

    @torch.no_grad()
    def copy_policies(self, state: Mapping[str, Any]) -> None:
        """Take parameters and moments from `state`, and nothing else."""
        self.theta.copy_(state["theta"])
        self.scale.moments = {k: v.clone().to(self.device) for k, v in state["observation_moments"].items()}
        self.target_scale.moments = {k: v.clone().to(self.device) for k, v in state["target_moments"].items()}
        self.scale.refresh()


class PPO:
    """A population that learns in a society.

    Replicate `r` lives in the `r`-th part of the worlds; its worlds, weights and noise come from a
    seed of its own, so that it is the same whether it is trained alone or among others.

    Args:
        society: with `R x W` worlds; the learner restarts it with its own seeds.
        config: hyperparameters.
        replicates: R.
        seed: of the whole population, or one 64-bit seed per replicate `(R,)`.
        device: where the networks live, e.g. `"cuda"`.

    Raises:
        InvalidParameter: the worlds are no multiple of the replicates, or there are too few of them.
    """

    def __init__(
        self,
        society: Society,
        config: PPOConfig | None = None,
        *,
        replicates: int = 1,
        seed: int | NDArray[np.uint64] = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.config = config or PPOConfig()
        worlds, device = society.num_worlds, torch.device(device)
        require(replicates >= 1, "replicates", replicates, "at least 1")
        require(worlds % replicates == 0, "num_worlds", worlds, f"a multiple of replicates ({replicates})")
        samples = self.config.rollout * worlds // replicates
        require(samples >= self.config.minibatches, "minibatches", self.config.minibatches, f"up to {samples}")
        require(society.autoreset, "society.autoreset", society.autoreset, "True")
        self.society, self.replicates = society, replicates
        self.seeds = seed if isinstance(seed, np.ndarray) else world_seeds(seed, replicates)
        require(self.seeds.shape == (replicates,), "seed", self.seeds.shape, f"({replicates},)")
        society.reset(np.concatenate([world_seeds(int(s), worlds // replicates) for s in self.seeds]))
        self.streams = Streams(self.seeds, owner=LEARNING).begin(0, 0)
        self.teams = {
            name: Team(group, self.config, self.streams, device) for name, group in society.groups.items()
        }
        for name, team in self.teams.items():
            team.scale.update(team.actors().fold(society.observation[name]), team.live)
        self.steps = self.updates = 0
        # Discounted W of the running episode and its weight, by world; mean W of the last that ended.
        self._running, self._weight = np.zeros(worlds), np.ones(worlds)
        self.welfare = np.full(replicates, np.nan)

    def train(
        self,
        total_steps: int,
        until: int | None = None,
        *,
        on_update: Callable[[Info], object] | None = None,
        checkpoint: str | Path | None = None,
        checkpoint_every: int = 10,
        log_dir: str | Path | None = None,
        progress: bool = False,
    ) -> Self:
        """Train until each replicate has taken `total_steps` steps, all its worlds together.

        Args:
            total_steps: over which learning rate and entropy bonus decline.
            until: stop earlier, in the same schedule.
            on_update: called after each update with `steps`, `total_steps`, `updates`,
                `agent_steps_per_second` and arrays `(R,)`: `welfare` (discounted W of the episodes that
                ended), and by group, as in `"entropy/citizens"`: `reward` per step, `entropy`,
                `approx_kl`, `explained_variance`.
            checkpoint: file to write every `checkpoint_every` updates and at the end.
            checkpoint_every: updates between two checkpoints.
            log_dir: folder for TensorBoard.
            progress: show a bar with the mean welfare.
        """
        listeners = _listeners(on_update, log_dir, progress)
        while self.steps < min(total_steps, until if until is not None else total_steps):
            info = self.update(1.0 - self.steps / total_steps)
            for listener in listeners:
                listener({**info, "total_steps": total_steps})
            if checkpoint is not None and self.updates % checkpoint_every == 0:
                self.save(checkpoint)
        for listener in listeners:
            getattr(listener, "close", lambda: None)()
        if checkpoint is not None:
            self.save(checkpoint)
        return self

    def update(self, remaining: float) -> Info:
        """One rollout and one improvement; `remaining` of the schedule is left, from 1 to 0."""
        started, config = time.perf_counter(), self.config
        self.updates += 1
        arrays = self._rollout()
        learning_rate = config.final_learning_rate + remaining * (config.learning_rate - config.final_learning_rate)
        entropy = config.final_entropy + remaining * (config.entropy - config.final_entropy)
        info: Info = {"welfare": self.welfare.copy()}
        for phase, (name, team) in enumerate(self.teams.items()):
            self.streams.begin(self.updates, 2 * phase + 1)
            with torch.no_grad():
                advantage, target = team.assess(*arrays)
            reward = team.reward.mean(axis=(0, 2)).reshape(self.replicates, -1).mean(axis=1)
            info[f"reward/{name}"] = reward
            for key, value in team.learn(advantage, target, learning_rate, entropy).items():
                info[f"{key}/{name}"] = value.view(self.replicates, -1).mean(dim=1).cpu().numpy()
        self.steps += config.rollout * self.society.num_worlds // self.replicates
        agents = config.rollout * self.society.num_worlds * self.society.charter.num_agents
        speed = agents / (time.perf_counter() - started)
        return {"steps": self.steps, "updates": self.updates, "agent_steps_per_second": speed, **info}

    @torch.no_grad()
    def _rollout(self) -> tuple[Array, Bool, Bool]:
        """Play T steps; returns discount, terminated and done, `(T, B)` each."""
        society, shape = self.society, (self.config.rollout, self.society.num_worlds)
        discount, terminated, done = np.empty(shape), np.empty(shape, bool), np.empty(shape, bool)
        for phase, team in enumerate(self.teams.values()):
            self.streams.begin(self.updates, 2 * phase)
            team.begin(society.num_worlds, society.mask is not None)
        for t in range(shape[0]):
            mask = society.mask or {}
            actions = {
                name: team.act(t, society.observation[name], mask.get(name))
                for name, team in self.teams.items()
            }
            step = society.step(actions)
            discount[t], terminated[t], done[t] = step.discount, step.terminated, step.done
            for name, team in self.teams.items():
                team.reward[t] = step.reward[name]
                if step.final_observation is not None:
                    team.final[t] = team.acting.fold(step.final_observation[name])
            self._account(step)
        for name, team in self.teams.items():
            team.observation[:, -1] = team.acting.fold(society.observation[name])
        return discount, terminated, done

    def _account(self, step: Transition) -> None:
        """Keep the welfare of the episodes that end."""
        self._running += self._weight * step.welfare
        self._weight *= step.discount
        done = step.done
        if not done.any():
            return
        ended = done.reshape(self.replicates, -1)
        total = np.where(ended, self._running.reshape(self.replicates, -1), 0.0).sum(axis=1)
        number = ended.sum(axis=1)
        self.welfare = np.where(number > 0, total / np.maximum(number, 1), self.welfare)
        self._running[done], self._weight[done] = 0.0, 1.0

    # ------------------------------------------------------------------ policies, copies

    def policies(self, deterministic: bool = False, replicate: int | None = None, seed: int = 0) -> PopulationPolicies:
        """The policies as they are now: those of all replicates, or of one."""
        chosen = np.arange(self.replicates) if replicate is None else np.array([replicate])
        require(bool((chosen < self.replicates).all()), "replicate", replicate, f"0 to {self.replicates - 1}")
        actors = {name: team.actors().take(chosen) for name, team in self.teams.items()}
        return PopulationPolicies(actors, deterministic, self.seeds[chosen] ^ np.uint64(seed))

    def train_only(self, trainable: Mapping[str, Sequence[int]]) -> Self:
        """From now on only these agents of each group learn; the others are frozen as they are."""
        for name in trainable:
            if name not in self.teams:
                raise UnknownName("group", name, self.teams)
        for name, team in self.teams.items():
            agents = list(trainable.get(name, ()))
            require(all(0 <= a < team.layout.agents for a in agents), "trainable", agents, f"0 to {team.layout.agents - 1}")
            team.train_only(agents)
        return self

    def copy_policies(self, other: PPO) -> Self:
        """Start from the weights of a learner with the same groups, replicates and networks."""
        for name, team in self.teams.items():
            state = other.teams[name].get_state()
            require(state["theta"].shape == team.theta.shape, "other", tuple(state["theta"].shape), str(tuple(team.theta.shape)))
            team.copy_policies(state)
        return self

    def save(self, path: str | Path) -> None:
        """Write everything that training needs to go on, atomically and without pickled code."""
        world = {name: torch.from_numpy(np.array(array)) for name, array in self.society.get_state().items()}
        payload = {
            "format": FORMAT,
            "config": asdict(self.config),
            "society": json.dumps(self.society.to_dict()),
            "seeds": [int(seed) for seed in self.seeds],
            "world": world,
            "steps": self.steps,
            "updates": self.updates,
            "episode": [torch.from_numpy(a) for a in (self._running, self._weight, self.welfare)],
            "teams": {name: team.get_state() for name, team in self.teams.items()},
        }
        write_atomically(path, lambda file: torch.save(payload, file))

    @classmethod
    def resume(cls, path: str | Path, society: Society | None = None, device: str | torch.device = "cpu") -> Self:
        """The learner that `save` wrote; training goes on as if it had never stopped.

        Args:
            path: the checkpoint.
            society: where to learn; by default the one described in the checkpoint.
            device: where the networks live.

        Raises:
            CorruptCheckpoint: the file is truncated, foreign, or belongs to another society.
        """
        try:
            payload = torch.load(path, map_location="cpu", weights_only=True)
            if payload["format"] != FORMAT:
                raise ValueError(f"format {payload['format']!r}; allowed: {FORMAT!r}")
            society = society or Society.from_dict(json.loads(payload["society"]))
            seeds = np.array(payload["seeds"], np.uint64)
            learner = cls(society, PPOConfig(**payload["config"]), replicates=len(seeds), seed=seeds, device=device)
            for name, team in learner.teams.items():
                team.set_state(payload["teams"][name])
            society.set_state({name: tensor.numpy() for name, tensor in payload["world"].items()})
            learner.steps, learner.updates = payload["steps"], payload["updates"]
            learner._running, learner._weight, learner.welfare = [a.numpy().copy() for a in payload["episode"]]
        except FileNotFoundError:
            raise
        except Exception as error:
            raise CorruptCheckpoint(f"{path} is not a checkpoint of this learner: {error}") from error
        return learner


class TensorBoard:
    """Writes mean and spread over the replicates of each number."""

    def __init__(self, log_dir: str | Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(log_dir))

    def __call__(self, info: Info) -> None:
        """Write one update."""
        for name, value in info.items():
            if isinstance(value, np.ndarray) and not np.isnan(value).all():
                self.writer.add_scalar(name, float(np.nanmean(value)), info["steps"])
                self.writer.add_scalar(f"spread/{name}", float(np.nanstd(value)), info["steps"])
        self.writer.add_scalar("agent_steps_per_second", info["agent_steps_per_second"], info["steps"])

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()


class ProgressBar:
    """A bar with the mean welfare."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        text = TextColumn("W = {task.fields[welfare]:.4g}  {task.fields[speed]:,.0f} agent-steps/s")
        self.bar = Progress(BarColumn(), "{task.percentage:>3.0f}%", TimeRemainingColumn(), text)
        self.task = self.bar.add_task("training", welfare=float("nan"), speed=0.0)
        self.bar.start()

    def __call__(self, info: Info) -> None:
        """Show one update."""
        self.bar.update(
            self.task, completed=info["steps"], total=info["total_steps"],
            welfare=float(info["welfare"].mean()), speed=info["agent_steps_per_second"],
        )  # fmt: skip

    def close(self) -> None:
        """Leave the bar as it is."""
        self.bar.stop()


def _listeners(
    on_update: Callable[[Info], object] | None, log_dir: str | Path | None, progress: bool
) -> list[Callable[[Info], object]]:
    listeners: list[Callable[[Info], object]] = [on_update] if on_update else []
    if log_dir is not None:
        listeners.append(TensorBoard(log_dir))
    if progress:
        listeners.append(ProgressBar())
    return listeners
