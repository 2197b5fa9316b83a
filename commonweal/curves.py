r"""Curves with a special case, accurate at it, beside it and far from it; and ratios of powers.

Isoelastic utility at an aversion of one, CARA without aversion, means of power zero, a series of equal terms:
each is a quotient whose denominator vanishes, and its value there is the limit. The textbook's formula loses
all digits beside that point. Here each is written by `expm1` and `log1p`, good to about 1e-13 everywhere.
Ratios of powers divide before they raise, so that no power leaves the numbers.

Source: Higham (2002), Accuracy and Stability of Numerical Algorithms, 2nd ed., section 1.14 (recalled).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Values = Array | float  # of any shapes that broadcast


def isoelastic(consumption: Values, aversion: Values) -> Any:
    """`(c^(1 - a) - 1) / (1 - a)`, the logarithm at a = 1 (CRRA; a Box-Cox transform), of any shape.

    Of nothing it is `-1 / (1 - a)` for an aversion below one, else minus infinity; of a debt nan, unless
    a = 0: then it is a line. (NumPy warns of both, as of the logarithm.)
    """
    if isinstance(aversion, float) and aversion == 0.0:
        return np.asarray(consumption, np.float64) - 1.0
    power: Any = 1.0 - aversion if isinstance(aversion, float) else 1.0 - np.asarray(aversion, np.float64)
    log = np.log(consumption)
    if isinstance(power, float):
        return np.expm1(power * log) / power if power else log
    curve = np.where(power == 0.0, log, np.expm1(power * log) / np.where(power == 0.0, 1.0, power))
    return np.where(power == 1.0, np.asarray(consumption, np.float64) - 1.0, curve)


def isoelastic_inverse(utility: Values, aversion: Values) -> Any:
    """The consumption of `isoelastic` utility u, of any shape; nan where no consumption has it."""
    utility, power = np.asarray(utility, np.float64), 1.0 - np.asarray(aversion, np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        log = np.log1p(power * utility) / np.where(power == 0.0, 1.0, power)
        return np.exp(np.where(power == 0.0, utility, log))


def cara(money: Values, aversion: Values) -> Any:
    """`(1 - e^(-r m)) / r`, and m itself at r = 0, of any shape; linear beyond an exponent of 500."""
    exponent = np.minimum(-np.asarray(aversion, np.float64) * money, 500.0)
    flat = exponent == 0.0
    return money * np.where(flat, 1.0, np.expm1(exponent) / np.where(flat, 1.0, exponent))


def cara_inverse(utility: Values, aversion: Values) -> Any:
    """The money of `cara` utility u, of any shape; nan where no money has it."""
    loss = -np.asarray(aversion, np.float64) * utility
    flat = loss == 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        return utility * np.where(flat, 1.0, np.log1p(loss) / np.where(flat, 1.0, loss))


def geometric_sum(ratio: float, terms: float) -> float:
    """`1 + d + ... + d^(n - 1)` for d from 0 to 1: what a payoff of one in each of n rounds is worth."""
    gap = 1.0 - ratio
    if gap in (0.0, 1.0):
        return float(min(terms, 1) if gap else terms)
    return float(-np.expm1(terms * np.log1p(-gap)) / gap)


def power_mean(values: Values, power: Values, weight: Values) -> Any:
    """`(sum w x^p)^(1/p)` over the last axis, the geometric mean at p = 0; the weights' sum is one.

    nan where a value is negative; zero where one is zero and the power zero or less. It tends to the largest
    value for large powers and to the smallest for very negative ones.

    Args:
        values: x, `(..., L)`.
        power: p, of a shape that broadcasts with `(...)`.
        weight: w, of a shape that broadcasts with `(..., L)`, positive.

    Source: Hardy, Littlewood and Pólya (1934), Inequalities, chapter 2 (recalled).
    """
    power = np.clip(np.asarray(power, np.float64), -1e300, 1e300)
    weight = np.asarray(weight, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log(values)  # minus infinity for zero, nan for a debt
        geometric = (weight * log).sum(axis=-1)
        if not power.any():
            return np.exp(geometric)
        lead = np.where(power > 0.0, log.max(axis=-1), log.min(axis=-1))  # whose power is the largest
        below = np.where(log == lead[..., None], 0.0, log - lead[..., None])
        raised = power[..., None] * below
        rise, total = (weight * np.expm1(raised)).sum(axis=-1), (weight * np.exp(raised)).sum(axis=-1)
        # Means near one from what they lack of it, others themselves.
        mean = np.where(rise > -0.5, np.log1p(rise), np.log(total)) / np.where(power == 0.0, 1.0, power)
        return np.exp(np.where(power == 0.0, geometric, lead + mean))


def shares_of_powers(base: Values, power: Values) -> Any:
    """`b_i^m_i / sum_j b_j^m_j` over the last axis for m > 0, a contest's success function; nan if all are 0.

    Args:
        base: b, 0 or more, `(..., N)`.
        power: m, of a shape that broadcasts with `(..., N)`.

    Source: Skaperdas (1996), Economic Theory 7, 283-290 (recalled).
    """
    base, power = np.asarray(base, np.float64), np.asarray(power, np.float64)
    largest = base.max(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
        # In logarithms, of what is left when the largest is taken out of all: it matters where powers differ.
        force = power * np.log(base / largest)
        if power.ndim and power.shape[-1] > 1:
            force = force + (power - power.max(axis=-1, keepdims=True)) * np.log(largest)
            force = force - force.max(axis=-1, keepdims=True)
        force = np.exp(force)
    return force / force.sum(axis=-1, keepdims=True)


def hill(dose: Values, half: Values, steepness: Values) -> Any:
    """`x^k / (x^k + h^k)` for x of 0 or more, h and k above 0: from 0 over a half at h to 1; of any shape.

    Source: Hill (1910), J. Physiology 40, iv-vii (recalled).
    """
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        return 1.0 / (1.0 + (half / np.asarray(dose, np.float64)) ** steepness)


def sum_of_others(values: Array) -> Array:
    """`sum_(j != i) v_j` of the last axis, `(..., N)`, with no digit lost to the own one."""
    upto, since = np.cumsum(values, axis=-1), np.cumsum(values[..., ::-1], axis=-1)[..., ::-1]
    others = np.zeros_like(upto)
    others[..., 1:] += upto[..., :-1]
    others[..., :-1] += since[..., 1:]
    return others
