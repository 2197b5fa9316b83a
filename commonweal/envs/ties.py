"""When two payoffs count as equal: on the scale of a player's own payoffs, in whatever unit they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

EPSILON = float(np.finfo(np.float64).eps)


def slack(payoffs: NDArray[np.float64], share: float, axis: int | None = None, units: float = 8.0) -> Any:
    """What is no gain among `payoffs`, over all of them or along an axis.

    Args:
        payoffs: of one player, of any shape; along an axis: of several.
        share: of the range of payoffs.
        axis: over which range and largest payoff are taken.
        units: in the last place of the largest payoff, which a range far from zero is not known better than.
    """
    return share * np.ptp(payoffs, axis=axis) + units * EPSILON * np.abs(payoffs).max(axis=axis)
