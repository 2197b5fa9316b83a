"""A population of policies: the networks of all replicates and agents, stacked into one tensor.

The parameters of `P` networks of equal shape are the rows of one matrix `(P, K)`, whose layers are
views; a forward pass is one batched matrix product per layer. Whatever acts row by row (Adam, a
gradient norm per row, a copy of some rows) therefore cannot let one policy influence another.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from commonweal.agents.heads import Heads
from commonweal.agents.normalisation import ObservationScale
from commonweal.errors import Diverged
from commonweal.random import Streams
from commonweal.typed import whole

Array = NDArray[np.float64]
Sharing = Literal["independent", "shared"]
Activation = Literal["tanh", "relu"]
ACTING = 1 << 20  # owner of the random numbers of acting; learners take those above


class _Tanh(torch.autograd.Function):
    """`tanh(x) = 2 sigmoid(2 x) - 1`: on CPU, PyTorch's sigmoid is ten times as fast as its tanh."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        y = (x + x).sigmoid_().mul_(2.0).sub_(1.0)
        context.save_for_backward(y)
        return y

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        (y,) = context.saved_tensors
        return torch.ops.aten.tanh_backward(gradient, y)


class Stack:
    """Multilayer perceptrons of equal shape, one per policy, as rows of a matrix `(P, K)`.

    Args:
        sizes: units of each layer, input and output included.
        activation: of the hidden layers.
        gain: scale of the last layer's initial weights.
    """

    def __init__(self, sizes: tuple[int, ...], activation: Activation, gain: float) -> None:
        self.shapes = list(itertools.pairwise(sizes))
        self.activation = _Tanh.apply if activation == "tanh" else torch.relu
        self.gains = [2.0**0.5] * (len(self.shapes) - 1) + [gain]
        self.pieces = [size for inputs, units in self.shapes for size in (inputs * units, units)]
        self.num_parameters = sum(self.pieces)

    def layers(self, theta: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Views of weight `(P, in, out)` and bias `(P, 1, out)`, layer by layer."""
        parts = theta.split_with_sizes(self.pieces, dim=1)
        return [
            (torch.unflatten(weight, 1, shape), bias.unsqueeze(1))
            for weight, bias, shape in zip(parts[::2], parts[1::2], self.shapes, strict=True)
        ]

    def __call__(self, theta: Tensor, inputs: Tensor) -> Tensor:
        """Outputs `(P, S, out)` from inputs `(P, S, in)`."""
        *hidden, (weight, bias) = self.layers(theta)
        for w, b in hidden:
            inputs = self.activation(torch.baddbmm(b, inputs, w))
        return torch.baddbmm(bias, inputs, weight)

    def initial(self, normal: Tensor) -> Tensor:
        """Orthogonal weights and zero biases from standard normal numbers `(P, K)` (Saxe et al., 2014)."""
        theta = torch.zeros_like(normal)
        pairs = zip(self.layers(theta), self.layers(normal), self.gains, strict=True)
        for (weight, _), (noise, _), gain in pairs:
            inputs, units = noise.shape[1:]
            q, r = torch.linalg.qr(noise if inputs >= units else noise.mT)
            q = q * torch.sign(torch.diagonal(r, dim1=1, dim2=2)).unsqueeze(1)
            weight.copy_(gain * (q if inputs >= units else q.mT))
        return theta


@dataclass(frozen=True)
class Layout:
    """Which policy plays which agent: from worlds and agents to policies and samples, and back.

    Attributes:
        replicates: R; the first `B / R` worlds are replicate 0, and so on.
        agents: n, of the group.
        sharing: a policy per agent, or one for the whole group of a replicate.
    """

    replicates: int
    agents: int
    sharing: Sharing

    @property
    def num_policies(self) -> int:
        """P."""
        return self.replicates * self.agents // self.members

    @property
    def members(self) -> int:
        """Agents of a world who share a policy; their samples lie next to each other."""
        return self.agents if self.sharing == "shared" else 1

    def fold(self, x: Tensor) -> Tensor:
        """`(B, n, ...)` to `(P, S, ...)`."""
        x = torch.unflatten(x, 0, (self.replicates, -1))
        if self.sharing == "shared":
            return x.flatten(1, 2)
        return x.transpose(1, 2).flatten(0, 1)

    def unfold(self, y: Tensor) -> Tensor:
        """`(P, S, ...)` to `(B, n, ...)`."""
        if self.sharing == "shared":
            return torch.unflatten(y, 1, (-1, self.agents)).flatten(0, 1)
        return torch.unflatten(y, 0, (self.replicates, self.agents)).transpose(1, 2).flatten(0, 1)


@dataclass
class Actors:
    """The actors of one group, ready to act.

    Attributes:
        layout: which policy plays which agent.
        heads: the action columns.
        actor: the networks.
        theta: their parameters, `(P, K)`.
        log_std: of the continuous columns, `(P, number of them)`.
        scale: of the observations.
    """

    layout: Layout
    heads: Heads
    actor: Stack
    theta: Tensor
    log_std: Tensor
    scale: ObservationScale

    def fold(self, x: NDArray[np.float32] | NDArray[np.bool_]) -> Tensor:
        """An array `(B, n, ...)` as a tensor `(P, S, ...)`."""
        return self.layout.fold(torch.from_numpy(x).to(self.theta.device))

    def take(self, replicates: NDArray[np.intp]) -> Actors:
        """Those of some replicates, by copy."""
        rows = self.layout.num_policies // self.layout.replicates
        index = torch.from_numpy((replicates[:, None] * rows + np.arange(rows)).ravel()).to(self.theta.device)
        layout = Layout(len(replicates), self.layout.agents, self.layout.sharing)
        theta, log_std, scale = self.theta[index], self.log_std[index], self.scale.rows(index)
        return Actors(layout, self.heads, self.actor, theta, log_std, scale)

    def output(self, observation: NDArray[np.float32]) -> Tensor:
        """Outputs of the actors `(P, S, M)` for observations `(B, n, D)`.

        Raises:
            Diverged: the observations or the outputs are not finite.
        """
        seen = self.fold(observation)
        if not finite(seen):
            raise Diverged("observations that policies are shown are not finite; allowed: finite numbers")
        output = self.actor(self.theta, self.scale(seen))
        if not finite(output):
            raise Diverged("outputs of policies are not finite; allowed: finite numbers (smaller weights)")
        return output


class PopulationPolicies:
    """Frozen policies of some replicates, NumPy in and out (see `agents.base.Policies`).

    They act in any society with the same columns whose worlds are a multiple of the replicates:
    the first `B / R` worlds belong to the first replicate, and so on.

    Args:
        actors: by group.
        deterministic: play the likeliest option and the mean instead of sampling.
        seeds: of the sampling, one per replicate `(R,)` uint64.

    Raises:
        Diverged: weights are not finite; when they act, observations or outputs are not.
    """

    def __init__(self, actors: dict[str, Actors], deterministic: bool, seeds: NDArray[np.uint64]) -> None:
        for name, one in actors.items():
            for weights in (one.theta, one.log_std.exp()):
                if not finite(weights):
                    raise Diverged(f"weights of {name} are not finite; allowed: finite numbers")
        self.actors = actors
        self.deterministic = deterministic
        self._seeds = seeds
        self.reseed(0)

    def reseed(self, seed: int) -> None:
        """Start the sampling anew, from the replicates' own seeds and this one."""
        mixed = np.uint64(whole("seed", seed, 0, 2**64 - 1))
        self._streams = Streams(self._seeds ^ mixed, owner=ACTING)
        self._clock = 0

    @torch.no_grad()
    def act(
        self,
        observation: Mapping[str, NDArray[np.float32]],
        mask: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> dict[str, Array]:
        """Actions `(B, n, C)` by group, from observations `(B, n, D)` and masks `(B, n, M)`."""
        self._clock += 1
        actions = {}
        for phase, (name, actors) in enumerate(self.actors.items()):
            output = actors.output(observation[name])
            allowed = None if mask is None else actors.fold(mask[name])
            if self.deterministic:
                raw = actors.heads.mode(output, allowed)
            else:
                shape = (*output.shape[:2], len(actors.heads.places))
                streams = self._streams.begin(self._clock, phase)
                noise = actors.heads.noise(draw(streams, shape, output.device))
                raw = actors.heads.sample(output, actors.log_std.unsqueeze(1), noise, allowed)
            actions[name] = actors.layout.unfold(actors.heads.physical(raw)).cpu().numpy()
        return actions

    @torch.no_grad()
    def probabilities(
        self,
        observation: Mapping[str, NDArray[np.float32]],
        mask: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> dict[str, list[Array | None]]:
        """Probabilities `(B, n, L)` of each discrete column by group; None for a continuous column."""
        result = {}
        for name, actors in self.actors.items():
            allowed = None if mask is None else actors.fold(mask[name])
            columns = actors.heads.log_probabilities(actors.output(observation[name]), allowed)
            result[name] = [
                None if log_p is None else actors.layout.unfold(log_p.exp()).double().cpu().numpy()
                for log_p in columns
            ]
        return result


def finite(x: Tensor) -> bool:
    """Whether all numbers are finite; as a rule their sum tells, which is faster."""
    return math.isfinite(x.sum().item()) or bool(torch.isfinite(x).all())


def draw(streams: Streams, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Uniform numbers `shape = (P, ...)` on [0, 1), each replicate from its own stream."""
    rows = shape[0] // streams.num_worlds
    return torch.from_numpy(streams.uniform(rows, *shape[1:]).reshape(shape)).float().to(device)
