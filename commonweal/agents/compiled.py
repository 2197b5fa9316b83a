"""Compiled arithmetic of small networks: elementary functions, layers forwards and backwards, softmax.

All arrays are float32. Activations of `n` samples lie layer after layer in one flat array, so that a
whole network fits the innermost cache. Matrix products are BLAS's.
"""

from __future__ import annotations

import math

import numpy as np

from commonweal.agents.heads import FORBIDDEN
from commonweal.jit import njit

f4 = np.float32
compiled = njit(fastmath=True, error_model="numpy", nogil=True)


@compiled
def tanh(x):  # type: ignore[no-untyped-def]
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
def exp(x, y):  # type: ignore[no-untyped-def]
    """Exponential of x into y, as exact as x itself: relative error 6e-8 (1 + |x|), 0 below -87.

    Above 88, where float32 ends, it stays at exp(88). The loop becomes vector instructions.

    `exp(x) = 2^n 2^f` with the whole number n written into the exponent's bits, and a polynomial
    (Taylor's, of degree 7) for |f| <= 1/2.
    """
    bits = y.view(np.int32)
    for j in range(len(x)):
        z = min(max(x[j], f4(-87.0)), f4(88.0)) * f4(1.4426950408889634)
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
def num_parameters(sizes):  # type: ignore[no-untyped-def]
    """Weights and biases of a network."""
    number = 0
    for layer in range(len(sizes) - 1):
        number += (sizes[layer] + 1) * sizes[layer + 1]
    return number


@compiled
def forward(theta, at, sizes, relu, acts, n):  # type: ignore[no-untyped-def]
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
                    row[j] = tanh(row[j] + bias[j])
    return here


@compiled
def backward(theta, end, sizes, relu, acts, delta, n, grad):  # type: ignore[no-untyped-def]
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
def softmax(output, probability, columns, masked, mask):  # type: ignore[no-untyped-def]
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
    exp(output.ravel(), probability.ravel())  # of means of continuous columns too, which nobody reads
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
