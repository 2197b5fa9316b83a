"""Social welfare functions and measures of inequality over the citizens' utilities or incomes.

All take an array whose last axis is the `N` citizens and return one number for each leading entry.
A society scores by the utilitarian sum; the others are reported beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonweal.curves import power_mean
from commonweal.errors import require

Array = NDArray[np.float64]
ROUNDING = 1e-12  # of the sum of absolute incomes: a total so small is none


def utilitarian(utility: ArrayLike) -> Any:
    """The sum, `(..., N)` -> `(...)`."""
    return np.asarray(utility, np.float64).sum(axis=-1)


def rawlsian(utility: ArrayLike) -> Any:
    """The utility of the worst off, `(..., N)` -> `(...)`. Source: Rawls (1971)."""
    return np.asarray(utility, np.float64).min(axis=-1)


def nash(utility: ArrayLike) -> Any:
    """The geometric mean, `(..., N)` -> `(...)`; nan where a utility is negative.

    Source: Kaneko and Nakamura (1979), Econometrica 47(2).
    """
    values = np.asarray(utility, np.float64)
    return power_mean(values, 0.0, 1.0 / values.shape[-1])


def prioritarian(utility: ArrayLike, aversion: float = 1.0) -> Any:
    """Atkinson's equally distributed equivalent times N, `(..., N)` -> `(...)`.

    `aversion` 0 is the utilitarian sum (of any utilities), 1 is N times the geometric mean, infinity N
    times the worst off. Above 0 it is nan where a utility is negative, and with an aversion of 1 or more 0
    where one is zero.

    Source: Atkinson (1970), J. Economic Theory 2(3).
    """
    require(aversion >= 0.0, "aversion", aversion, "0 or more")
    values = np.asarray(utility, np.float64)
    if aversion == 0.0:
        return utilitarian(values)
    n = values.shape[-1]
    return n * power_mean(values, 1.0 - aversion, 1.0 / n)


def gini(income: ArrayLike) -> Any:
    """Gini coefficient, `(..., N)` -> `(...)`; nan where the total is not positive beyond rounding.

    `sum_ij |x_i - x_j| / (2 N sum_i x_i)`. With negative incomes it may exceed 1.
    """
    values = np.asarray(income, np.float64)
    total = values.sum(axis=-1)
    # What is won and lost in equal parts adds up to a rounding error, not to an income.
    total = np.where(total > ROUNDING * np.abs(values).sum(axis=-1), total, 0.0)
    differences = np.abs(values[..., :, None] - values[..., None, :]).sum(axis=(-2, -1))
    scale = 2.0 * values.shape[-1] * np.where(total > 0, total, np.nan)
    return differences / scale


def equality(income: ArrayLike) -> Any:
    """One minus the Gini coefficient, `(..., N)` -> `(...)`.

    Source: Perolat et al. (2017), "A multi-agent reinforcement learning model of common-pool
    resource appropriation".
    """
    return 1.0 - gini(income)


def normalised_equality(income: ArrayLike) -> Any:
    """`1 - gini N / (N - 1)`, 0 when one citizen has all, `(..., N)` -> `(...)`.

    Source: Zheng et al. (2022), Science Advances 8(18), the AI Economist.
    """
    n = np.asarray(income).shape[-1]
    require(n >= 2, "number of citizens", n, "2 or more")
    return 1.0 - gini(income) * n / (n - 1)
