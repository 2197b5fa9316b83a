"""The arithmetic of `team.py` on a CPU: acting and the gradient of PPO's loss, compiled.

A policy is small: its weights fit the innermost cache, and PyTorch spends its time on moving
intermediate results and on calling many small operations. Here one call does all the work of a step
for every policy, one task after another, with matrix products by BLAS. `Team.loss` in PyTorch is the
definition; a test holds the two together.

Samples are worked on in blocks of fixed size, so results do not depend on the number of threads.
Networks are the rows of `theta (P, K)`, laid out as in `population.Stack`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import threadpoolctl
import torch
from numpy.typing import NDArray
from torch import Tensor

from commonweal.agents.heads import FORBIDDEN, LOG_ROOT_TWO_PI, Heads
from commonweal.agents.normalisation import LARGEST_INPUT, ObservationScale
from commonweal.agents.population import Stack

Ints = NDArray[np.int64]
BLOCK = 256  # samples of a task
SMALLEST_PART = 512  # samples; fewer are not worth a thread
THREADS = ThreadPoolExecutor(thread_name_prefix="kernel")


@cache
def _blas() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController().select(internal_api="openblas")


def one_blas_thread() -> AbstractContextManager[Any]:
    """The products here are small: more threads inside one would only wait for each other."""
    limited: AbstractContextManager[Any] = _blas().limit(limits=1)
    return limited


f4 = np.float32
compiled = numba.njit(cache=True, fastmath=True, error_model="numpy", nogil=True)


@compiled
def _tanh(x):  # type: ignore[no-untyped-def]
    """Rational approximation, within 2e-7; the loop around it becomes vector instructions."""
    x = min(max(x, f4(-7.9)), f4(7.9))
    s = x * x
    p = f4(-2.76076847742355e-16)
    p = p * s + f4(2.00018790482477e-13)
    p = p * s + f4(-8.60467152213735e-11)
    p = p * s + f4(5.12229709037114e-08)
    p = p * s + f4(1.48572235717979e-05)
    p = p * s + f4(6.37261928875436e-04)
    p = p * s + f4(4.89352455891786e-03)
    q = f4(1.19825839466702e-06)
    q = q * s + f4(1.18534705686654e-04)
    q = q * s + f4(2.26843463243900e-03)
    q = q * s + f4(4.89352518554385e-03)
    return x * p / q


@compiled
def _exp(x, y):  # type: ignore[no-untyped-def]
    """`y = exp(x)` for x <= 0, as exact as x itself: relative error 6e-8 (1 + |x|), 0 below -87.

    The loop becomes vector instructions.

    `exp(x) = 2^n 2^f` with the whole number n written into the exponent's bits, and a polynomial
    (Taylor's, of degree 7) for |f| <= 1/2.
    """
    bits = y.view(np.int32)
    for j in range(len(x)):
        z = max(x[j], f4(-87.0)) * f4(1.4426950408889634)
        n = math.floor(z + f4(0.5))
        f = (z - n) * f4(0.6931471805599453)
        p = f4(1.0 / 5040.0)
        p = p * f + f4(1.0 / 720.0)
        p = p * f + f4(1.0 / 120.0)
        p = p * f + f4(1.0 / 24.0)
        p = p * f + f4(1.0 / 6.0)
        p = p * f + f4(0.5)
        p = p * f + f4(1.0)
        p = p * f + f4(1.0)
        bits[j] = np.int32(n + f4(127.0)) << np.int32(23)
        y[j] *= p if x[j] > f4(-87.0) else f4(0.0)


@compiled
def _num_parameters(sizes):  # type: ignore[no-untyped-def]
    """Weights and biases of a network."""
    number = 0
    for layer in range(len(sizes) - 1):
        number += (sizes[layer] + 1) * sizes[layer + 1]
    return number


@compiled
def _forward(theta, at, sizes, relu, acts, n):  # type: ignore[no-untyped-def]
    """Fill `acts` with the activations of all layers for `n` samples; the first holds the inputs.

    Returns where the outputs begin.
    """
    here = 0
    for layer in range(len(sizes) - 1):
        i, o = sizes[layer], sizes[layer + 1]
        x = acts[here : here + n * i].reshape(n, i)
        here += n * i
        y = acts[here : here + n * o].reshape(n, o)
        np.dot(x, theta[at : at + i * o].reshape(i, o), y)
        at += i * o
        bias = theta[at : at + o]
        at += o
        # Row by row through slices: an index that might be negative would forbid vector instructions.
        for s in range(n):
            row = y[s]
            if layer == len(sizes) - 2:
                for j in range(o):
                    row[j] += bias[j]
            elif relu:
                for j in range(o):
                    row[j] = max(row[j] + bias[j], f4(0.0))
            else:
                for j in range(o):
                    row[j] = _tanh(row[j] + bias[j])
    return here


@compiled
def _backward(theta, end, sizes, relu, acts, delta, n, grad):  # type: ignore[no-untyped-def]
    """Gradient of the network whose parameters end at `end`, into the same place of `grad`.

    `delta`, laid out as `acts`, holds the gradient of the outputs; it is overwritten.
    """
    here, at = 0, end
    for layer in range(len(sizes) - 1):
        here += n * sizes[layer]
    for layer in range(len(sizes) - 2, -1, -1):
        i, o = sizes[layer], sizes[layer + 1]
        g = delta[here : here + n * o].reshape(n, o)
        below = here - n * i
        x = acts[below:here].reshape(n, i)
        at -= o
        bias = grad[at : at + o]
        bias[:] = f4(0.0)
        for s in range(n):
            row = g[s]
            for j in range(o):
                bias[j] += row[j]
        at -= i * o
        np.dot(x.T, g, grad[at : at + i * o].reshape(i, o))
        if layer > 0:
            np.dot(g, theta[at : at + i * o].reshape(i, o).T, delta[below:here].reshape(n, i))
            slope, y = delta[below:here], acts[below:here]
            if relu:
                for k in range(n * i):
                    slope[k] = slope[k] if y[k] > f4(0.0) else f4(0.0)
            else:
                for k in range(n * i):
                    slope[k] *= f4(1.0) - y[k] * y[k]
        here = below


@compiled
def _softmax(output, probability, columns, masked, mask):  # type: ignore[no-untyped-def]
    """Turn the logits of discrete columns into log-probabilities in place; fill in the probabilities."""
    for s in range(len(output)):
        for c in range(len(columns)):
            start, size, _ = columns[c]
            logit, allowed = output[s, start : start + size], mask[s * masked, start : start + size]
            if masked:
                for j in range(size):
                    if not allowed[j]:
                        logit[j] = f4(FORBIDDEN)
            top = f4(-np.inf)
            for j in range(size):
                top = max(top, logit[j])
            for j in range(size):
                logit[j] -= top
    _exp(output.ravel(), probability.ravel())  # of means of continuous columns too, which nobody reads
    for s in range(len(output)):
        for c in range(len(columns)):
            start, size, _ = columns[c]
            if size == 0:
                continue
            log_p, p = output[s, start : start + size], probability[s, start : start + size]
            total = f4(0.0)
            for j in range(size):
                total += p[j]
            shift, inverse = f4(math.log(total)), f4(1.0) / total
            for j in range(size):
                log_p[j] -= shift
                p[j] *= inverse


@compiled
def _act(  # type: ignore[no-untyped-def]
    first, last, theta, sizes, relu, observation, shift, scale, noise, columns, masked, mask, raw, log_prob
):  # fmt: skip
    """Sample raw actions and their log-probabilities; see `Kernel.act`."""
    samples = observation.shape[1]
    width, outputs = sizes.sum(), sizes[-1]
    deviations = _num_parameters(sizes)
    acts = np.empty(samples * width, np.float32)
    probability = np.empty((samples, outputs), np.float32)
    for p in range(first, last):
        for s in range(samples):
            for k in range(sizes[0]):
                x = (observation[p, s, k] - shift[p, 0, k]) * scale[p, 0, k]
                acts[s * sizes[0] + k] = min(max(x, f4(-LARGEST_INPUT)), f4(LARGEST_INPUT))
        here = _forward(theta[p], 0, sizes, relu, acts, samples)
        output = acts[here : here + samples * outputs].reshape(samples, outputs)
        _softmax(output, probability, columns, masked, mask[p * masked])
        for s in range(samples):
            total = f4(0.0)
            for c in range(len(columns)):
                start, size, k = columns[c]
                allowed = mask[p * masked, s * masked, start : start + max(size, 1)]
                if size == 0:
                    log_std = theta[p, deviations + k]
                    raw[p, s, c] = output[s, start] + math.exp(log_std) * noise[p, s, c]
                    live = f4(1.0) if not masked or allowed[0] else f4(0.0)
                    square = noise[p, s, c] * noise[p, s, c]
                    total += live * (f4(-0.5) * square - log_std - f4(LOG_ROOT_TWO_PI))
                    continue
                left, chosen = noise[p, s, c], size - 1
                for j in range(size):
                    left -= probability[s, start + j]
                    if left < f4(0.0):
                        chosen = j
                        break
                while masked and not allowed[chosen] and chosen > 0:  # rounding at the very end
                    chosen -= 1
                raw[p, s, c] = chosen
                total += output[s, start + chosen]
            log_prob[p, s] = total


@compiled
def _head(  # type: ignore[no-untyped-def]
    output, raw, old, advantage, theta, deviations, columns, masked, mask, clip, entropy, scale,
    delta, grad, told,
):  # fmt: skip
    """Gradient of surrogate and entropy bonus with respect to outputs and log deviations."""
    _softmax(
        output, delta, columns, masked, mask
    )  # until its slope is known, `delta` holds the probabilities
    for s in range(len(output)):
        total, bonus = f4(0.0), f4(0.0)
        for c in range(len(columns)):
            start, size, k = columns[c]
            if size == 0:
                log_std = theta[deviations + k]
                z = (raw[s, c] - output[s, start]) * math.exp(-log_std)
                live = f4(1.0) if not masked or mask[s, start] else f4(0.0)
                total += live * (f4(-0.5) * z * z - log_std - f4(LOG_ROOT_TWO_PI))
                bonus += live * (log_std + f4(0.5) + f4(LOG_ROOT_TWO_PI))
                continue
            log_p, p = output[s, start : start + size], delta[s, start : start + size]
            total += log_p[int(raw[s, c])]
            for j in range(size):
                bonus -= p[j] * log_p[j]
        log_ratio = total - old[s]
        ratio = f4(math.exp(log_ratio))
        bounded = min(max(ratio, f4(1.0) - clip), f4(1.0) + clip)
        # The unbounded term is the smaller one: it alone has a slope.
        push = -ratio * advantage[s] * scale if ratio * advantage[s] <= bounded * advantage[s] else f4(0.0)
        told[0] += bonus * scale
        told[1] += (ratio - f4(1.0) - log_ratio) * scale
        for c in range(len(columns)):
            start, size, k = columns[c]
            if size == 0:
                live = f4(1.0) if not masked or mask[s, start] else f4(0.0)
                inverse = f4(math.exp(-theta[deviations + k]))
                z = (raw[s, c] - output[s, start]) * inverse
                delta[s, start] = live * push * z * inverse
                grad[deviations + k] += live * (push * (z * z - f4(1.0)) - entropy * scale)
                continue
            log_p, slope = output[s, start : start + size], delta[s, start : start + size]
            own = f4(0.0)
            for j in range(size):
                own -= slope[j] * log_p[j]
            for j in range(size):
                slope[j] *= entropy * scale * (log_p[j] + own) - push
            slope[int(raw[s, c])] += push


@compiled
def _value(first, last, theta, critic, relu, observation, value):  # type: ignore[no-untyped-def]
    """Outputs of the critics, whose parameters come last; see `Kernel.value`."""
    blocks, total, inputs = -(-observation.shape[1] // BLOCK), observation.shape[1], critic[0]
    begin = theta.shape[1] - _num_parameters(critic)
    acts = np.empty(BLOCK * critic.sum(), np.float32)
    for task in range(first, last):
        p, start = task // blocks, task % blocks * BLOCK
        n = min(start + BLOCK, total) - start
        acts[: n * inputs] = observation[p, start : start + n].ravel()
        here = _forward(theta[p], begin, critic, relu, acts, n)
        value[p, start : start + n] = acts[here : here + n]


@compiled
def _gradient(  # type: ignore[no-untyped-def]
    first, last, theta, actor, critic, relu, columns, continuous, rows, observation, raw, old, advantage,
    target, masked, mask, clip, value_coefficient, entropy, per_replicate, grad, told,
):  # fmt: skip
    """Gradient of the loss on the samples `rows`, block by block; see `Kernel.gradient`."""
    blocks, size = grad.shape[1], rows.shape[1]
    deviations = _num_parameters(actor)
    inputs, outputs = actor[0], actor[-1]
    scale = f4(1.0 / size)
    most = min(BLOCK, size)
    # Room for the activations and their gradients, layer after layer; the inputs come first in both.
    acts = np.empty(most * max(actor.sum(), critic.sum()), np.float32)
    delta = np.empty_like(acts)
    wanted, drawn = np.empty((most, columns.shape[0]), np.float32), np.empty((3, most), np.float32)
    options = np.empty((most, outputs), np.bool_)
    for task in range(first, last):
        p, block = task // blocks, task % blocks
        start = block * BLOCK
        n = min(start + BLOCK, size) - start
        chosen = rows[p // per_replicate, start : start + n]
        own, slope = theta[p], grad[p, block]
        slope[deviations : deviations + continuous] = f4(0.0)
        told[p, block, :] = f4(0.0)
        for s in range(n):
            row = chosen[s]
            for k in range(inputs):
                acts[s * inputs + k] = observation[p, row, k]
            for c in range(columns.shape[0]):
                wanted[s, c] = raw[p, row, c]
            if masked:
                options[s] = mask[p, row]
            drawn[0, s], drawn[1, s], drawn[2, s] = old[p, row], advantage[p, row], target[p, row]
        here = _forward(own, 0, actor, relu, acts, n)
        output = acts[here : here + n * outputs].reshape(n, outputs)
        steep = delta[here : here + n * outputs].reshape(n, outputs)
        _head(
            output, wanted, drawn[0], drawn[1], own, deviations, columns, masked, options, clip, entropy,
            scale, steep, slope, told[p, block],
        )  # fmt: skip
        _backward(own, deviations, actor, relu, acts, delta, n, slope)
        here = _forward(own, deviations + continuous, critic, relu, acts, n)
        for s in range(n):
            delta[here + s] = value_coefficient * scale * (acts[here + s] - drawn[2, s])
        _backward(own, len(own), critic, relu, acts, delta, n, slope)


class Kernel:
    """Acting and gradients of the stacked policies of one group, on a CPU.

    Args:
        heads: the action columns.
        actor: its networks.
        critic: its networks.
    """

    def __init__(self, heads: Heads, actor: Stack, critic: Stack) -> None:
        self.actor, self.critic = _sizes(actor), _sizes(critic)
        self.relu, self.continuous = actor.activation is torch.relu, heads.num_continuous
        self.columns = np.array(
            [
                (place.start, place.stop - place.start if discrete else 0, deviation)
                for place, discrete, deviation in zip(
                    heads.places, heads.discrete, heads.deviations, strict=True
                )
            ],
            np.int64,
        ).reshape(-1, 3)
        self.anything = torch.ones((1, 1, heads.num_outputs), dtype=torch.bool)

    def _run(self, work: Callable[..., None], tasks: int, samples: int, *arguments: Any) -> None:
        """Call `work(first, last, ...)` on parts of the tasks, in as many threads as PyTorch would use."""
        parts = min(torch.get_num_threads(), tasks, 1 + samples // SMALLEST_PART)
        bounds = [tasks * part // parts for part in range(parts + 1)]
        others = [THREADS.submit(work, first, last, *arguments) for first, last in pairwise(bounds[1:])]
        work(bounds[0], bounds[1], *arguments)
        for other in others:
            other.result()

    def act(
        self, theta: Tensor, observation: Tensor, scale: ObservationScale, noise: Tensor,
        mask: Tensor | None, raw: Tensor, log_prob: Tensor,
    ) -> None:  # fmt: skip
        """Sample actions; all tensors are contiguous.

        Args:
            theta: `(P, K)`.
            observation: `(P, S, D)`.
            scale: of the observations.
            noise: see `Heads.noise`, `(P, S, C)`.
            mask: `(P, S, M)` or None.
            raw: filled with raw actions, `(P, S, C)`.
            log_prob: filled with their joint log-probabilities, `(P, S)`.
        """
        allowed = self.anything if mask is None else mask
        self._run(
            _act, len(theta), log_prob.numel(), theta.numpy(), self.actor, self.relu, observation.numpy(),
            scale.shift.numpy(), scale.scale.numpy(), noise.numpy(), self.columns, mask is not None,
            allowed.numpy(), raw.numpy(), log_prob.numpy(),
        )  # fmt: skip

    def value(self, theta: Tensor, observation: Tensor) -> Tensor:
        """Outputs of the critics `(P, N)` for scaled observations `(P, N, D)`."""
        value = torch.empty(observation.shape[:2])
        tasks = len(theta) * -(-value.shape[1] // BLOCK)
        self._run(
            _value, tasks, value.numel(), theta.numpy(), self.critic, self.relu,
            observation.contiguous().numpy(), value.numpy(),
        )  # fmt: skip
        return value

    def gradient(
        self, theta: Tensor, batch: dict[str, Tensor], rows: Ints, clip: float, value: float, entropy: float
    ) -> tuple[Tensor, Tensor]:
        """Gradient `(P, K)` of the loss, and entropy and approximate KL divergence, `(P, 2)`.

        Args:
            theta: `(P, K)`.
            batch: `observation (P, N, D)`, `raw (P, N, C)`, `log_prob`, `advantage`, `target (P, N)` and
                perhaps `mask (P, N, M)`.
            rows: of each replicate, the samples of this minibatch, `(R, n)`.
            clip: of the ratio.
            value: weight of the critic's error.
            entropy: weight of the entropy bonus.
        """
        policies, blocks = len(theta), -(-rows.shape[1] // BLOCK)
        grad = np.empty((policies, blocks, theta.shape[1]), np.float32)
        told = np.empty((policies, blocks, 2), np.float32)
        mask = batch.get("mask", self.anything).contiguous()
        names = ("observation", "raw", "log_prob", "advantage", "target")
        columns = [batch[name].contiguous().numpy() for name in names]
        self._run(
            _gradient, policies * blocks, policies * rows.shape[1], theta.numpy(), self.actor, self.critic,
            self.relu, self.columns, self.continuous, rows, *columns, "mask" in batch, mask.numpy(),
            f4(clip), f4(value), f4(entropy), policies // len(rows), grad, told,
        )  # fmt: skip
        return torch.from_numpy(grad.sum(axis=1)), torch.from_numpy(told.sum(axis=1))


def _sizes(stack: Stack) -> Ints:
    return np.array([stack.shapes[0][0], *(units for _, units in stack.shapes)], np.int64)
