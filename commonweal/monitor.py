"""What a regulator sees: a monitor stands between conduct and any institution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from commonweal.parameters import Parameter, Parameters, check, nonzero
from commonweal.random import Streams

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Monitor(Parameters):
    """Noisy, partial and costly observation of conduct. The default sees everything, for free.

    Attributes:
        coverage: probability that an agent is inspected in a step; who is not is read as 0.
        noise: standard deviation of the log of the reading; the reading is unbiased
            (`x exp(noise z - noise^2 / 2)`).
        false_positives: probability that an inspected agent is charged the group's mean conduct
            instead of its own.
        cost: money the treasury spends per inspection.
    """

    coverage: Parameter = 1.0
    noise: Parameter = 0.0
    false_positives: Parameter = 0.0
    cost: Parameter = 0.0

    def validate(self) -> None:
        """Check the ranges."""
        check("Monitor.coverage", self.coverage, 0.0, 1.0)
        check("Monitor.noise", self.noise, 0.0, 10.0)
        check("Monitor.false_positives", self.false_positives, 0.0, 1.0)
        check("Monitor.cost", self.cost, 0.0, np.inf)

    @cached_property
    def perfect(self) -> bool:
        """Whether readings equal conduct (the cost aside)."""
        return bool(
            np.all(np.asarray(self.coverage) == 1.0)
            and not nonzero(self.noise)
            and not nonzero(self.false_positives)
        )

    def observe(self, conduct: Array, rng: Streams, concealed: Array | float = 0.0) -> tuple[Array, Array]:
        """Read `conduct (B, N)`, of which the fraction `concealed` is hidden.

        Returns:
            the readings `(B, N)` and the cost of looking `(B,)`.
        """
        worlds, n = conduct.shape
        visible = conduct * (1.0 - concealed)
        if self.perfect:
            inspected = np.ones_like(conduct)
            reading = visible
        else:
            draws = rng.uniform(2, n)
            inspected = (draws[:, 0] < self.coverage).astype(np.float64)
            framed = draws[:, 1] < self.false_positives
            reading = np.where(framed, conduct.mean(axis=1, keepdims=True), visible)
            if nonzero(self.noise):
                noise = np.asarray(self.noise)
                reading = reading * np.exp(noise * rng.normal(n) - 0.5 * noise**2)
            reading = reading * inspected
        spent = inspected * self.cost if nonzero(self.cost) else np.zeros((worlds, 1))
        return reading, spent.sum(axis=1)
