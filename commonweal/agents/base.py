"""What every kind of agent has in common: observations in, actions out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Policies(Protocol):
    """The behaviour of all agents of a society."""

    def act(
        self,
        observation: Mapping[str, NDArray[np.float32]],
        mask: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> dict[str, Array]:
        """Actions `(B, n, C)` by group, from observations `(B, n, D)` and masks `(B, n, M)`."""
        ...
