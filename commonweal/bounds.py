"""Ranges of columns, and how much rounding may lead out of them.

Doors speak float32, and wrappers compute in it: a bound comes back as its neighbour. What only rounding has
led out of a range is at its bound, for actions on their way in and for observations on their way out; what
is further outside was never meant to be inside, and is refused (actions) or left to be seen (observations).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from commonweal.jit import njit, types

Array = NDArray[np.float64]

INSIDE, ROUNDED, OUTSIDE = range(3)
# Actions as they mostly are; and any: of any strides, read-only or not, aligned or not.
_PLAIN = types.float64[:, :, ::1]
_ANY, _ANY_2D = (types.Array(types.float64, axes, "A", readonly=True, aligned=False) for axes in (3, 2))


def margin(low: Array, high: Array) -> Array:
    """How far outside of `[low, high]` a value may lie by rounding to float32, of the bounds' shape.

    Two units in the last place of float32 at the larger bound, which a rescaling (one product, one sum) may
    round; and a half, as a bound itself is rounded when a space is made of it.
    """
    ends = np.stack([np.abs(low), np.abs(high)])
    largest = np.where(np.isfinite(ends), ends, 1.0).max(axis=0, initial=1e-30)
    return 2.5 * np.spacing(largest.astype(np.float32)).astype(np.float64)


def table(low: Array, high: Array, slack: Array, whole: NDArray[np.bool_] | bool = False) -> Array:
    """What the kernels below read of columns: bounds, bounds with slack, whether whole; `(5, C)`."""
    return np.stack([low, high, low - slack, high + slack, np.broadcast_to(whole, low.shape)])


@njit(signature=[types.int64(kind, types.float64[:, ::1]) for kind in (_PLAIN, _ANY)], error_model="numpy")
def position(values, columns):  # type: ignore[no-untyped-def]
    """Whether `values (B, n, C)` are all `INSIDE` their ranges, some `ROUNDED` out of them, or `OUTSIDE`.

    NaN is outside, as is what is not whole where whole numbers are asked for; `columns` is a `table`.
    """
    found, worlds, agents = INSIDE, values.shape[0], values.shape[1]
    for c in range(values.shape[2]):
        low, high, lowest, highest, whole = columns[:, c]
        outside, fractions = 0, 0
        for b in range(worlds):  # counting has no branches: it is most of the work
            for i in range(agents):
                outside += int(not low <= values[b, i, c] <= high)
        if whole != 0.0:
            for b in range(worlds):
                for i in range(agents):
                    fractions += int(values[b, i, c] != np.rint(values[b, i, c]))
        if fractions:
            return OUTSIDE
        if outside:
            found = ROUNDED
            for b in range(worlds):
                for i in range(agents):
                    if not lowest <= values[b, i, c] <= highest:
                        return OUTSIDE
    return found


@njit(
    signature=types.void(types.float32[:, :, ::1], types.int64, types.float32[:, ::1]), error_model="numpy"
)  # fmt: skip
def settle(seen, d, columns):  # type: ignore[no-untyped-def]
    """Move what rounding has led out of the range of column d to the bound, in place; `seen (B, n, D)`."""
    low, high, lowest, highest = columns[0, d], columns[1, d], columns[2, d], columns[3, d]
    for b in range(seen.shape[0]):
        for i in range(seen.shape[1]):
            if lowest <= seen[b, i, d] < low:
                seen[b, i, d] = low
            if high < seen[b, i, d] <= highest:
                seen[b, i, d] = high


@njit(
    signature=types.void(types.float32[:, :, ::1], types.int64, _ANY_2D, types.float32[:, ::1]),
    error_model="numpy",
)  # fmt: skip
def write(seen, d, value, columns):  # type: ignore[no-untyped-def]
    """Put `value`, `(B, n)` or `(B, 1)`, into column d of `seen (B, n, D)`, and `settle` it; a `table`."""
    worlds, agents, outside = seen.shape[0], seen.shape[1], 0
    low, high = columns[0, d], columns[1, d]
    for b in range(worlds):
        for i in range(agents):
            one = np.float32(value[b, i if value.shape[1] > 1 else 0])
            seen[b, i, d] = one
            outside += int(not low <= one <= high)  # counting has no branches
    if outside:
        settle(seen, d, columns)
