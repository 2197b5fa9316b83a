"""What the policies of one group learn from a rollout: advantages, the clipped surrogate, the critic.

Sources: Schulman et al. (2017), arXiv 1707.06347; Schulman et al. (2016), generalised advantage
estimation, arXiv 1506.02438; Pardo et al. (2018), time limits, arXiv 1712.00378; van Hasselt et al.
(2016), targets normalised without moving the outputs (PopArt), arXiv 1602.07714.

Shapes: `B` worlds, `n` agents of a group, `P` policies of a group (replicates x agents, or replicates
where the group shares one), `S` samples of a policy in a step, `T` steps of a rollout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from commonweal.agents.heads import Heads
from commonweal.agents.kernel import Kernel
from commonweal.agents.normalisation import ObservationScale, TargetScale
from commonweal.agents.population import Actors, Layout, Stack, draw, finite
from commonweal.columns import Group
from commonweal.errors import Diverged, require
from commonweal.jit import njit
from commonweal.random import Streams

if TYPE_CHECKING:
    from commonweal.agents.ppo import PPOConfig

Array = NDArray[np.float64]
Bool = NDArray[np.bool_]
MEAN_DECAY, SQUARE_DECAY = 0.9, 0.999  # of Adam's moments


@njit
def _carried_back(delta, carry):  # type: ignore[no-untyped-def]
    """`delta[t] + carry[t] * (what follows at t + 1)` in place, for `(P, T, S)`."""
    for p in range(delta.shape[0]):
        for t in range(delta.shape[1] - 2, -1, -1):
            for s in range(delta.shape[2]):
                delta[p, t, s] += carry[p, t, s] * delta[p, t + 1, s]


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
    delta, carry = (tensor.cpu().contiguous() for tensor in (delta, carry))
    _carried_back(delta.numpy(), carry.numpy())
    return delta.to(reward.device)


def _by_policy(steps: Tensor) -> Tensor:
    """`(T, P, S, ...)` as `(P, T S, ...)`."""
    return steps.transpose(0, 1).flatten(1, 2)


class Team:
    """The policies of one group: actors, critics, and what trains them.

    A row of `theta` holds all parameters of one policy: actor, log standard deviations, critic.
    """

    def __init__(self, group: Group, config: PPOConfig, streams: Streams, device: torch.device) -> None:
        self.name, self.config, self.device, self.streams = group.name, config, device, streams
        self.layout = Layout(streams.num_worlds, group.size, config.sharing)
        self.heads = Heads(group, device)
        policies, inputs = self.layout.num_policies, group.observation_size
        self.scale = ObservationScale(group, policies, device)
        self.target_scale = TargetScale(policies, config.target_decay, device)
        self.actor = Stack((inputs, *config.hidden, self.heads.num_outputs), config.activation, gain=0.01)
        self.critic = Stack((inputs, *config.hidden, 1), config.activation, gain=1.0)
        self.pieces = [self.actor.num_parameters, self.heads.num_continuous, self.critic.num_parameters]
        self.theta = self._initial().to(device).requires_grad_()
        self.kernel: Kernel | None = None
        if device.type == "cpu":
            self.kernel = Kernel(self.layout, self.heads, self.actor, self.critic)
        self.train_only(range(group.size))

    def _initial(self) -> Tensor:
        policies = self.layout.num_policies
        rows = policies // self.layout.replicates
        normal = torch.from_numpy(self.streams.normal(rows, sum(self.pieces))).float().view(policies, -1)
        actor, log_std, critic = normal.split_with_sizes(self.pieces, dim=1)
        log_std = torch.full_like(log_std, self.config.initial_log_std)
        return torch.cat([self.actor.initial(actor), log_std, self.critic.initial(critic)], dim=1)

    def train_only(self, agents: Sequence[int]) -> None:
        """Freeze the policies of all other agents and start the optimiser anew."""
        rows = self.layout.num_policies // self.layout.replicates
        inside = all(0 <= agent < self.layout.agents for agent in agents)
        require(inside, "trainable", list(agents), f"0 to {self.layout.agents - 1}")
        live = torch.zeros(self.layout.agents, device=self.device)
        live[list(agents)] = 1.0
        shared = rows < self.layout.agents
        allowed = "all or none of the agents who share a policy"
        require(not shared or bool((live == live[0]).all()), "trainable", list(agents), allowed)
        self.live = live[:rows].repeat(self.layout.replicates).unsqueeze(1)
        self.adam = {name: torch.zeros_like(self.theta.detach()) for name in ("mean", "square")}
        self.gradient_steps = 0

    def actors(self) -> Actors:
        """The actors; they share memory with the team."""
        theta, log_std, _ = self.theta.detach().split_with_sizes(self.pieces, dim=1)
        return Actors(self.layout, self.heads, self.actor, theta, log_std, self.scale)

    # ------------------------------------------------------------------ rollout

    def begin(self, num_worlds: int, masked: bool) -> None:
        """Make room for a rollout, step by step, and draw its noise."""
        length, policies = self.config.rollout, self.layout.num_policies
        shape = (length, policies, num_worlds * self.layout.agents // policies)
        inputs, options, columns = self.actor.shapes[0][0], self.heads.num_outputs, len(self.heads.places)
        uniform = draw(self.streams, (policies, length, shape[2], columns), self.device)
        self.noise = self.heads.noise(uniform).transpose(0, 1).contiguous()
        self.raw = torch.empty_like(self.noise)
        self.log_prob = torch.empty(shape, device=self.device)
        self.observation = torch.empty((length + 1, *shape[1:], inputs), device=self.device)
        self.mask = torch.ones((*shape, options), dtype=torch.bool, device=self.device) if masked else None
        self.reward = np.empty((length, num_worlds, self.layout.agents))
        self.final: dict[int, Tensor] = {}
        self.acting = self.actors()
        if self.kernel is not None:
            self.kernel.begin(
                self.theta.detach(), self.scale, self.noise, self.observation, self.mask, self.raw,
                self.log_prob,
            )  # fmt: skip

    def act(self, t: int, observation: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> Array:
        """Keep what is observed at step `t` and sample actions `(B, n, C)`."""
        if self.kernel is not None:
            return self.kernel.act(t, observation, mask if self.mask is not None else None)
        acting, allowed = self.acting, None
        seen, raw, log_prob = self.observation[t], self.raw[t], self.log_prob[t]
        seen.copy_(acting.fold(observation))
        if self.mask is not None and mask is not None:
            allowed = self.mask[t].copy_(acting.fold(mask))
        output, log_std = self.actor(acting.theta, self.scale(seen)), acting.log_std.unsqueeze(1)
        raw.copy_(self.heads.sample(output, log_std, self.noise[t], allowed))
        log_prob.copy_(self.heads.evaluate(output, log_std, raw, allowed)[0])
        actions: Array = self.layout.unfold(self.heads.physical(raw)).cpu().numpy()
        return actions

    # ------------------------------------------------------------------ learning

    def value(self, observation: Tensor) -> Tensor:
        """Values `(P, T)` in units of the reward, of observations `(P, T, D)`.

        A centralised critic would differ here and in `begin`, by observing more than its actor.
        """
        mean, std = self.target_scale()
        seen = self.scale(observation)
        if self.kernel is not None:
            return self.kernel.value(self.theta.detach(), seen) * std + mean
        critic = self.theta.split_with_sizes(self.pieces, dim=1)[2]
        return self.critic(critic, seen).squeeze(-1) * std + mean

    def _stretch(self, array: NDArray[Any]) -> Tensor:
        """`(T, B)` or `(T, B, n)` as `(P, T, S)`."""
        tensor = torch.from_numpy(array).to(self.device)
        if tensor.ndim == 2:
            tensor = tensor.unsqueeze(-1).expand(-1, -1, self.layout.agents)
        tensor = self.layout.fold(tensor.permute(1, 2, 0)).transpose(1, 2)
        return tensor.float() if tensor.is_floating_point() else tensor

    def assess(self, discount: Array, terminated: Bool, done: Bool) -> tuple[Tensor, Tensor]:
        """Advantages and targets of the rollout, `(P, T, S)`; the other arguments are `(T, B)`.

        Raises:
            Diverged: observations, rewards or the logarithms of probabilities are not finite.
        """
        self.require_finite("observations", self.observation, *self.final.values())
        self.require_finite("rewards", torch.from_numpy(self.reward))
        self.require_finite("outputs", self.log_prob)
        value = torch.unflatten(self.value(_by_policy(self.observation)), 1, (len(self.observation), -1))
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
        weight, bias = self.critic.layers(self.theta.split_with_sizes(self.pieces, dim=1)[2])[-1]
        weight.mul_((old_std / std).unsqueeze(1))
        bias.mul_((old_std / std).unsqueeze(1)).add_(((old_mean - mean) / std).unsqueeze(1))
        return (target - mean) / std

    def learn(
        self, advantage: Tensor, target: Tensor, learning_rate: float, entropy: float
    ) -> dict[str, Tensor]:
        """Improve the policies on the rollout; returns diagnostics by name, `(P,)` each.

        Raises:
            Diverged: parameters are no longer finite.
        """
        config, target, advantage = self.config, target.flatten(1), advantage.flatten(1)
        explained = 1.0 - advantage.var(dim=1) / target.var(dim=1).clamp_min(1e-12)
        spread = advantage.std(dim=1, keepdim=True) + 1e-8
        observation = _by_policy(self.observation[:-1])
        batch = {
            "observation": self.scale(observation),
            "raw": _by_policy(self.raw),
            "log_prob": _by_policy(self.log_prob),
            "advantage": (advantage - advantage.mean(dim=1, keepdim=True)) / spread,
        }
        if self.mask is not None:
            batch["mask"] = _by_policy(self.mask)
        with torch.no_grad():
            batch["target"] = self.normalise(target)
        # Agents who share a policy stay together: a minibatch has all of a world's step or none of it.
        members = np.arange(self.layout.members)
        steps = target.shape[1] // len(members)
        parts, size = config.minibatches, steps // config.minibatches
        for _ in range(config.epochs):
            order = self.streams.shuffle(steps)[:, : parts * size] * len(members)
            for rows in np.split(order, parts, axis=1):
                rows = (rows[:, :, None] + members).reshape(len(rows), -1)
                gradient, told = self.gradient(batch, rows, entropy)
                self._step(gradient, learning_rate)
        self.require_finite("parameters", self.theta.detach())
        self.scale.update(observation, self.live)
        return {"entropy": told[:, 0], "approx_kl": told[:, 1], "explained_variance": explained}

    def gradient(
        self, batch: dict[str, Tensor], rows: NDArray[np.intp], entropy: float
    ) -> tuple[Tensor, Tensor]:
        """Gradient on the samples `rows (R, n)` of each replicate; entropy and KL, `(P, 2)`.

        The gradient comes in parts `(P, parts, K)` whose sum it is.
        """
        config = self.config
        if self.kernel is not None:
            return self.kernel.gradient(
                self.theta.detach(), batch, rows, config.clip, config.value_coefficient, entropy
            )
        policies, samples = batch["target"].shape
        index = torch.from_numpy(rows).to(self.device)
        index = index.repeat_interleave(policies // self.layout.replicates, dim=0)
        index = (index + samples * torch.arange(policies, device=self.device).unsqueeze(1)).flatten()
        part = {
            name: values.flatten(0, 1)[index].view(policies, -1, *values.shape[2:])
            for name, values in batch.items()
        }
        loss, told = self.loss(part, entropy)
        return torch.autograd.grad(loss.sum(), self.theta)[0].unsqueeze(1), told

    def evaluate(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the batch's actions and entropies, `(P, S)` each."""
        actor, log_std, _ = self.theta.split_with_sizes(self.pieces, dim=1)
        output = self.actor(actor, batch["observation"])
        return self.heads.evaluate(output, log_std.unsqueeze(1), batch["raw"], batch.get("mask"))

    def loss(self, batch: Mapping[str, Tensor], entropy_coefficient: float) -> tuple[Tensor, Tensor]:
        """The clipped surrogate, the critic's squared error and the entropy bonus `(P,)`; see `gradient`."""
        config, advantage = self.config, batch["advantage"]
        log_prob, entropy = self.evaluate(batch)
        log_ratio = log_prob - batch["log_prob"]
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1.0 - config.clip, 1.0 + config.clip)
        surrogate = torch.minimum(ratio * advantage, clipped * advantage).mean(dim=1)
        value = self.critic(self.theta.split_with_sizes(self.pieces, dim=1)[2], batch["observation"]).squeeze(
            -1
        )
        error = 0.5 * ((value - batch["target"]) ** 2).mean(dim=1)
        bonus = entropy.mean(dim=1)
        loss = config.value_coefficient * error - surrogate - entropy_coefficient * bonus
        with torch.no_grad():
            kl = (ratio - 1.0 - log_ratio).mean(dim=1)
        return loss, torch.stack([bonus.detach(), kl], dim=1)

    @torch.no_grad()
    def _step(self, gradient: Tensor, learning_rate: float) -> None:
        """Clip the gradient of each policy by its own norm, then move those that are not frozen.

        Args:
            gradient: in parts, `(P, parts, K)`; it is used up.
            learning_rate: of Adam.

        Source: Kingma and Ba (2015), Adam, arXiv 1412.6980.
        """
        self.gradient_steps += 1
        decays, largest = (1.0 - MEAN_DECAY, 1.0 - SQUARE_DECAY), self.config.max_gradient_norm
        unbiased = [1.0 / (1.0 - decay**self.gradient_steps) for decay in (MEAN_DECAY, SQUARE_DECAY)]
        mean, square = self.adam["mean"], self.adam["square"]
        if self.kernel is not None:
            self.kernel.descend(
                gradient, self.live, largest, learning_rate, decays, unbiased, mean, square,
                self.theta.detach(),
            )  # fmt: skip
            return
        gradient = gradient.sum(dim=1)
        norm = gradient.norm(dim=1, keepdim=True)
        gradient = gradient * ((largest / (norm + 1e-6)).clamp_max(1.0) * self.live)
        mean.lerp_(gradient, decays[0])
        square.lerp_(gradient.square_(), decays[1])
        spread = (square * unbiased[1]).sqrt_().add_(1e-5)
        self.theta.addcdiv_(mean, spread, value=-learning_rate * unbiased[0])

    # ------------------------------------------------------------------ copies

    @torch.no_grad()
    def copy_policies(self, other: Team) -> None:
        """Take parameters and moments of observations and targets, and nothing else."""
        self.theta.copy_(other.theta)
        for own, given in ((self.scale, other.scale), (self.target_scale, other.target_scale)):
            own.moments = {name: moment.clone().to(self.device) for name, moment in given.moments.items()}
        self.scale.refresh()

    def require_finite(self, what: str, *tensors: Tensor) -> None:
        """Raise `Diverged` unless all numbers are finite."""
        for tensor in tensors:
            if not finite(tensor):
                wrong = tensor[~torch.isfinite(tensor)]
                raise Diverged(
                    f"{what} of {self.name}: {len(wrong)} of {tensor.numel()} numbers are {float(wrong[0])}; "
                    f"allowed: finite ones (the learning rate is {self.config.learning_rate:g})"
                )
