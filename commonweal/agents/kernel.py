"""The arithmetic of `team.py` on a CPU: acting, the gradient of PPO's loss and Adam, compiled.

A policy is small: its weights fit the innermost cache, and PyTorch spends its time on moving
intermediate results and on calling many small operations. Here one call does all the work of a step
for every policy, one task after another. `Team.loss` and its neighbours in PyTorch are the definition;
tests hold the two together.

Agents of a world who share a policy often see the same. The networks are asked only once for a run of
samples with equal observations (and masks), and the gradients of such samples are added before they go
back through the network: the same numbers for less work.

Work is cut into tasks whose size does not depend on the number of threads, and so do no results.
Networks are the rows of `theta (P, K)`, laid out as in `population.Stack`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import threadpoolctl
import torch
from numpy.typing import NDArray
from torch import Tensor

from commonweal.agents.compiled import backward, compiled, exp, f4, forward, num_parameters, softmax
from commonweal.agents.heads import LOG_ROOT_TWO_PI, Heads
from commonweal.agents.normalisation import LARGEST_INPUT, ObservationScale
from commonweal.agents.population import Layout, Stack
from commonweal.agents.threads import pool

Ints = NDArray[np.int64]
Array = NDArray[np.float64]
BLOCK = 128  # distinct observations that go through a network together
TASK = 1024  # samples of a task at most
SMALLEST_PART = 1024  # samples; fewer are not worth a thread
PARAMETERS = 64  # which take as long to move as a sample to learn from


@cache
def _blas() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController().select(internal_api="openblas")


def one_blas_thread() -> AbstractContextManager[Any]:
    """The products here are small: more threads inside one would only wait for each other."""
    limited: AbstractContextManager[Any] = _blas().limit(limits=1)
    return limited


@compiled
def _differ(rows, one, other):  # type: ignore[no-untyped-def]
    """Whether two rows of `(n, D)` are unequal."""
    for k in range(rows.shape[1]):  # noqa: SIM110 (numba compiles no generator)
        if rows[one, k] != rows[other, k]:
            return True
    return False


@compiled
def _act(  # type: ignore[no-untyped-def]
    first, last, t, theta, sizes, relu, members, given, shift, scale, noise, columns, masked, mask,
    low, high, seen, kept, raw, log_prob, actions,
):  # fmt: skip
    """Sample actions; see `Kernel.act`. Sample `s` of policy `p` is an agent of a world: see `Layout`."""
    samples, inputs, outputs = seen.shape[2], sizes[0], sizes[-1]
    mine = given.shape[1] // members  # policies of a replicate
    deviations = num_parameters(sizes)
    acts = np.empty(samples * sizes.sum(), np.float32)
    probability = np.empty((samples, outputs), np.float32)
    options = np.empty((samples * masked + 1, outputs), np.bool_)
    place = np.empty(samples, np.int64)
    for p in range(first, last):
        begin = p // mine * (samples // members)
        distinct = 0
        for s in range(samples):
            world, agent = begin + s // members, p % mine + s % members
            for k in range(inputs):
                seen[t, p, s, k] = given[world, agent, k]
            if masked:
                for j in range(outputs):
                    kept[t, p, s, j] = mask[world, agent, j]
            fresh = s == 0 or _differ(seen[t, p], s, s - 1)
            if fresh or (masked and _differ(kept[t, p], s, s - 1)):
                for k in range(inputs):
                    x = (seen[t, p, s, k] - shift[p, 0, k]) * scale[p, 0, k]
                    acts[distinct * inputs + k] = min(max(x, f4(-LARGEST_INPUT)), f4(LARGEST_INPUT))
                if masked:
                    options[distinct] = kept[t, p, s]
                distinct += 1
            place[s] = distinct - 1
        here = forward(theta[p], 0, sizes, relu, acts, distinct)
        output = acts[here : here + distinct * outputs].reshape(distinct, outputs)
        softmax(output, probability[:distinct], columns, masked, options)
        for s in range(samples):
            world, agent, row = begin + s // members, p % mine + s % members, place[s]
            total = f4(0.0)
            for c in range(len(columns)):
                start, size, k = columns[c]
                allowed = options[row * masked, start : start + max(size, 1)]
                if size == 0:
                    log_std, z = theta[p, deviations + k], noise[t, p, s, c]
                    value = output[row, start] + math.exp(log_std) * z
                    live = f4(1.0) if not masked or allowed[0] else f4(0.0)
                    total += live * (f4(-0.5) * z * z - log_std - f4(LOG_ROOT_TWO_PI))
                    raw[t, p, s, c] = value
                    share = 1.0 / (1.0 + math.exp(-np.float64(raw[t, p, s, c])))
                    physical = low[c] + (high[c] - low[c]) * share
                    actions[world, agent, c] = min(max(physical, low[c]), high[c])
                    continue
                left, chosen = noise[t, p, s, c], size - 1
                for j in range(size):
                    left -= probability[row, start + j]
                    if left < f4(0.0):
                        chosen = j
                        break
                while masked and not allowed[chosen] and chosen > 0:  # rounding at the very end
                    chosen -= 1
                raw[t, p, s, c] = chosen
                actions[world, agent, c] = chosen
                total += output[row, start + chosen]
            log_prob[t, p, s] = total


@compiled
def _head(  # type: ignore[no-untyped-def]
    output, place, raw, old, advantage, theta, deviations, columns, masked, mask, clip, entropy, scale,
    probability, delta, grad,
):  # fmt: skip
    """Gradient of surrogate and entropy bonus with respect to outputs and log deviations.

    `place` says which row of `output` each sample reads; a row has the sum of its samples' gradients.
    Returns the entropy and the approximate KL divergence.
    """
    rows = len(output)
    softmax(output, probability, columns, masked, mask)
    pushes, number = np.zeros(rows, np.float32), np.zeros(rows, np.float32)
    log_ratio, ratios = np.empty(len(place), np.float32), np.empty(len(place), np.float32)
    entropies, divergence = f4(0.0), f4(0.0)
    delta[:] = f4(0.0)
    for k in range(len(place)):
        s, total = place[k], f4(0.0)
        for c in range(len(columns)):
            start, size, d = columns[c]
            if size == 0:
                log_std = theta[deviations + d]
                z = (raw[k, c] - output[s, start]) * math.exp(-log_std)
                live = f4(1.0) if not masked or mask[s, start] else f4(0.0)
                total += live * (f4(-0.5) * z * z - log_std - f4(LOG_ROOT_TWO_PI))
            else:
                total += output[s, start + int(raw[k, c])]
        log_ratio[k] = total - old[k]
    exp(log_ratio, ratios)
    for k in range(len(place)):
        s, ratio = place[k], ratios[k]
        bounded = min(max(ratio, f4(1.0) - clip), f4(1.0) + clip)
        # The unbounded term is the smaller one: it alone has a slope.
        push = -ratio * advantage[k] * scale if ratio * advantage[k] <= bounded * advantage[k] else f4(0.0)
        pushes[s] += push
        number[s] += f4(1.0)
        divergence += (ratio - f4(1.0) - log_ratio[k]) * scale
        for c in range(len(columns)):
            start, size, d = columns[c]
            if size == 0:
                live = f4(1.0) if not masked or mask[s, start] else f4(0.0)
                inverse = f4(math.exp(-theta[deviations + d]))
                z = (raw[k, c] - output[s, start]) * inverse
                delta[s, start] += live * push * z * inverse
                grad[deviations + d] += live * push * (z * z - f4(1.0))
            else:
                delta[s, start + int(raw[k, c])] += push
    for s in range(rows):
        bonus, weight = f4(0.0), number[s] * scale
        for c in range(len(columns)):
            start, size, d = columns[c]
            if size == 0:
                live = f4(1.0) if not masked or mask[s, start] else f4(0.0)
                bonus += live * (theta[deviations + d] + f4(0.5) + f4(LOG_ROOT_TWO_PI))
                grad[deviations + d] -= live * entropy * weight
                continue
            log_p, p = output[s, start : start + size], probability[s, start : start + size]
            slope, own = delta[s, start : start + size], f4(0.0)
            for j in range(size):
                own -= p[j] * log_p[j]
            bonus += own
            for j in range(size):
                slope[j] += p[j] * (entropy * weight * (log_p[j] + own) - pushes[s])
        entropies += bonus * weight
    return entropies, divergence


@compiled
def _value(first, last, theta, critic, relu, observation, value):  # type: ignore[no-untyped-def]
    """Outputs of the critics, whose parameters come last; see `Kernel.value`."""
    blocks, total, inputs = -(-observation.shape[1] // TASK), observation.shape[1], critic[0]
    begin = theta.shape[1] - num_parameters(critic)
    acts, place = np.empty(TASK * critic.sum(), np.float32), np.empty(TASK, np.int64)
    for task in range(first, last):
        p, start = task // blocks, task % blocks * TASK
        n = min(start + TASK, total) - start
        distinct = 0
        for s in range(n):
            if s == 0 or _differ(observation[p], start + s, start + s - 1):
                for k in range(inputs):
                    acts[distinct * inputs + k] = observation[p, start + s, k]
                distinct += 1
            place[s] = distinct - 1
        here = forward(theta[p], begin, critic, relu, acts, distinct)
        for s in range(n):
            value[p, start + s] = acts[here + place[s]]


@compiled
def _gradient(  # type: ignore[no-untyped-def]
    first, last, theta, actor, critic, relu, columns, continuous, rows, observation, raw, old, advantage,
    target, masked, mask, clip, value_coefficient, entropy, per_replicate, grad, told,
):  # fmt: skip
    """Gradient of the loss on the samples `rows`, part by part; see `Kernel.gradient`."""
    parts, size = grad.shape[1], rows.shape[1]
    deviations, outputs, inputs = num_parameters(actor), actor[-1], actor[0]
    scale, most = f4(1.0 / size), -(-size // parts)
    block = min(BLOCK, most)
    # Room for the activations and their gradients, layer after layer; the inputs come first in both.
    acts = np.empty(block * max(actor.sum(), critic.sum()), np.float32)
    delta, later = np.empty_like(acts), np.empty(theta.shape[1], np.float32)
    wanted, drawn = np.empty((most, columns.shape[0]), np.float32), np.empty((3, most), np.float32)
    place, options = np.empty(most, np.int64), np.empty((block * masked + 1, outputs), np.bool_)
    probability, error = np.empty((block, outputs), np.float32), np.empty(block, np.float32)
    for task in range(first, last):
        p, part = task // parts, task % parts
        at, end = size * part // parts, size * (part + 1) // parts
        chosen, own = rows[p // per_replicate], theta[p]
        piece, full = grad[p, part], False
        told[p, part, :] = f4(0.0)
        while at < end:
            # Take samples until the block is full of distinct observations.
            samples, n = 0, 0
            while at < end:
                row, before = chosen[at], chosen[at - 1]
                fresh = samples == 0 or _differ(observation[p], row, before)
                if fresh or (masked and _differ(mask[p], row, before)):
                    if n == block:
                        break
                    for k in range(inputs):
                        acts[n * inputs + k] = observation[p, row, k]
                    if masked:
                        options[n] = mask[p, row]
                    n += 1
                place[samples] = n - 1
                for c in range(columns.shape[0]):
                    wanted[samples, c] = raw[p, row, c]
                drawn[0, samples], drawn[1, samples] = old[p, row], advantage[p, row]
                drawn[2, samples] = target[p, row]
                samples += 1
                at += 1
            here = forward(own, 0, actor, relu, acts, n)
            piece[deviations : deviations + continuous] = f4(0.0)
            entropies, divergence = _head(
                acts[here : here + n * outputs].reshape(n, outputs), place[:samples], wanted, drawn[0],
                drawn[1], own, deviations, columns, masked, options, clip, entropy, scale,
                probability[:n], delta[here : here + n * outputs].reshape(n, outputs), piece,
            )  # fmt: skip
            told[p, part, 0] += entropies
            told[p, part, 1] += divergence
            backward(own, deviations, actor, relu, acts, delta, n, piece)
            here = forward(own, deviations + continuous, critic, relu, acts, n)
            error[:n] = f4(0.0)
            for k in range(samples):
                error[place[k]] += acts[here + place[k]] - drawn[2, k]
            delta[here : here + n] = value_coefficient * scale * error[:n]
            backward(own, len(own), critic, relu, acts, delta, n, piece)
            if full:
                grad[p, part] += later
            piece, full = later, True


@compiled
def _descend(  # type: ignore[no-untyped-def]
    first, last, parts, live, largest, rate, decay, square_decay, correction, spread_correction,
    mean, square, theta,
):  # fmt: skip
    """Clip and apply the sum of the gradient's `parts`; see `Kernel.descend`."""
    for p in range(first, last):
        grad = parts[p, 0]
        for part in range(1, parts.shape[1]):
            grad += parts[p, part]
        norm = f4(0.0)
        for k in range(len(grad)):
            norm += grad[k] * grad[k]
        factor = min(largest / (f4(math.sqrt(norm)) + f4(1e-6)), f4(1.0)) * live[p, 0]
        m, v, own = mean[p], square[p], theta[p]
        for k in range(len(grad)):
            g = grad[k] * factor
            m[k] += (g - m[k]) * decay
            v[k] += (g * g - v[k]) * square_decay
            own[k] -= rate * correction * m[k] / (np.sqrt(v[k] * spread_correction) + f4(1e-5))


class Kernel:
    """Acting and learning of the stacked policies of one group, on a CPU.

    Args:
        layout: which policy plays which agent.
        heads: the action columns.
        actor: its networks.
        critic: its networks.
    """

    def __init__(self, layout: Layout, heads: Heads, actor: Stack, critic: Stack) -> None:
        self.members = layout.members
        self.actor, self.critic = _sizes(actor), _sizes(critic)
        self.relu, self.continuous = actor.activation is torch.relu, heads.num_continuous
        self.low, self.high = heads.low.numpy(), heads.high.numpy()
        self.columns = np.array(
            [
                (place.start, place.stop - place.start if discrete else 0, deviation)
                for place, discrete, deviation in zip(
                    heads.places, heads.discrete, heads.deviations, strict=True
                )
            ],
            np.int64,
        ).reshape(-1, 3)
        self._grad = np.empty((0, 0, 0), np.float32)
        self.anything = torch.ones((1, 1, heads.num_outputs), dtype=torch.bool)

    def _run(self, work: Callable[..., None], tasks: int, samples: int, *arguments: Any) -> None:
        """Call `work(first, last, ...)` on parts of the tasks, in as many threads as PyTorch would use."""
        parts = min(torch.get_num_threads(), tasks, 1 + samples // SMALLEST_PART)
        bounds = [tasks * part // parts for part in range(parts + 1)]
        others = [pool().submit(work, first, last, *arguments) for first, last in pairwise(bounds[1:])]
        work(bounds[0], bounds[1], *arguments)
        for other in others:
            other.result()

    def begin(
        self, theta: Tensor, scale: ObservationScale, noise: Tensor, observation: Tensor, mask: Tensor | None,
        raw: Tensor, log_prob: Tensor,
    ) -> None:  # fmt: skip
        """Bind what `act` reads and fills in during a rollout of T steps.

        Args:
            theta: `(P, K)`.
            scale: of the observations.
            noise: see `Heads.noise`, `(T, P, S, C)`.
            observation: filled with observations, `(T + 1, P, S, D)`.
            mask: filled with masks, `(T, P, S, M)`; None where everything is allowed.
            raw: filled with raw actions, `(T, P, S, C)`.
            log_prob: filled with their joint log-probabilities, `(T, P, S)`.
        """
        kept = self.anything.unsqueeze(0) if mask is None else mask
        self._read = (theta.numpy(), scale.shift.numpy(), scale.scale.numpy(), noise.numpy())
        self._filled = (observation.numpy(), kept.numpy(), raw.numpy(), log_prob.numpy())

    def act(self, t: int, observation: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> Array:
        """Actions `(B, n, C)` at step `t`, from observations `(B, n, D)` and masks `(B, n, M)`."""
        theta, shift, scale, noise = self._read
        actions = np.empty((*observation.shape[:2], len(self.columns)))
        allowed = self.anything.numpy() if mask is None else mask
        self._run(
            _act, len(theta), actions.size, t, theta, self.actor, self.relu, self.members, observation,
            shift, scale, noise, self.columns, mask is not None, allowed, self.low, self.high,
            *self._filled, actions,
        )  # fmt: skip
        return actions

    def value(self, theta: Tensor, observation: Tensor) -> Tensor:
        """Outputs of the critics `(P, N)` for scaled observations `(P, N, D)`."""
        value = torch.empty(observation.shape[:2])
        tasks = len(theta) * -(-value.shape[1] // TASK)
        self._run(
            _value, tasks, value.numel(), theta.numpy(), self.critic, self.relu,
            observation.contiguous().numpy(), value.numpy(),
        )  # fmt: skip
        return value

    def gradient(
        self, theta: Tensor, batch: dict[str, Tensor], rows: Ints, clip: float, value: float, entropy: float
    ) -> tuple[Tensor, Tensor]:
        """Gradient of the loss in parts `(P, parts, K)`, and entropy and approximate KL divergence `(P, 2)`.

        The parts are overwritten by the next call.

        Args:
            theta: `(P, K)`.
            batch: `observation (P, N, D)`, `raw (P, N, C)`, `log_prob`, `advantage`, `target (P, N)` and
                perhaps `mask (P, N, M)`.
            rows: of each replicate, the samples of this minibatch, `(R, n)`.
            clip: of the ratio.
            value: weight of the critic's error.
            entropy: weight of the entropy bonus.
        """
        policies, size = len(theta), rows.shape[1]
        # A power of two, so that few policies share out evenly among threads.
        parts = 1 << math.ceil(math.log2(max(size / TASK, 1.0)))
        shape = (policies, parts, theta.shape[1])
        if self._grad.shape != shape:  # so large that fresh memory would cost as much as the sum
            self._grad = np.empty(shape, np.float32)
        told = np.empty((policies, parts, 2), np.float32)
        mask = batch.get("mask", self.anything).contiguous()
        names = ("observation", "raw", "log_prob", "advantage", "target")
        columns = [batch[name].contiguous().numpy() for name in names]
        self._run(
            _gradient, policies * parts, policies * size, theta.numpy(), self.actor, self.critic,
            self.relu, self.columns, self.continuous, rows, *columns, "mask" in batch, mask.numpy(),
            f4(clip), f4(value), f4(entropy), policies // len(rows), self._grad, told,
        )  # fmt: skip
        return torch.from_numpy(self._grad), torch.from_numpy(told.sum(axis=1))

    def descend(
        self, parts: Tensor, live: Tensor, largest: float, rate: float, decays: tuple[float, float],
        corrections: Sequence[float], mean: Tensor, square: Tensor, theta: Tensor,
    ) -> None:  # fmt: skip
        """One step of Adam on the sum of the gradient's `parts (P, parts, K)`, which are used up.

        Args:
            parts: see `gradient`.
            live: 0 for policies that are frozen, else 1, `(P, 1)`.
            largest: norm to which the gradient of a policy is clipped.
            rate: learning rate.
            decays: weight of the new gradient, and of its square, in the moments.
            corrections: what the moments are multiplied by, as they start from zero.
            mean: first moments `(P, K)`, changed in place.
            square: second moments `(P, K)`, changed in place.
            theta: parameters `(P, K)`, changed in place.
        """
        numbers = [f4(x) for x in (largest, rate, *decays, *corrections)]
        self._run(
            _descend, len(theta), theta.numel() // PARAMETERS, parts.numpy(), live.numpy(), *numbers,
            mean.numpy(), square.numpy(), theta.numpy(),
        )  # fmt: skip


def _sizes(stack: Stack) -> Ints:
    return np.array([stack.shapes[0][0], *(units for _, units in stack.shapes)], np.int64)
