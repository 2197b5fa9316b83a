"""Running moments, one set per policy: of observations, of the critic's targets."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from commonweal.columns import Group

LARGEST_INPUT = 10.0  # in standard deviations
SMALLEST_SHARE = 0.01  # of its declared width: the smallest spread that a column is scaled by
SMALLEST_SPREAD = 0.01  # of the targets, relative to their mean


class ObservationScale:
    """Brings observations to about [-1, 1] by running moments.

    Declared bounds are often far wider than what is ever visited (a stock that never falls to zero),
    and on so small a part of its input a critic learns slopes slowly; that is why they only set a
    floor under the spread.

    Args:
        group: whose observation columns.
        num_policies: P.
        device: where the tensors live.
    """

    def __init__(self, group: Group, num_policies: int, device: str | torch.device = "cpu") -> None:
        width = torch.as_tensor(group.observation_high - group.observation_low).double()
        self._floor = torch.where(torch.isfinite(width), SMALLEST_SHARE * width, 1e-9).to(device)
        shape = (num_policies, 1, group.observation_size)
        self.moments = {
            name: torch.zeros(shape, dtype=torch.float64, device=device)
            for name in ("count", "mean", "squares")
        }
        self.refresh()

    def refresh(self) -> None:
        """Compute shift and scale from the moments."""
        count, mean, squares = self.moments.values()
        std = torch.sqrt(squares / count.clamp_min(1.0)).maximum(self._floor)
        # A column that does not vary is shifted to 0, not blown up.
        std = torch.where(std > 1e-3 * mean.abs(), std, mean.abs().clamp_min(1.0))
        self.shift, self.scale = mean.float(), 1.0 / std.float()

    def update(self, x: Tensor, live: Tensor) -> None:
        """Add observations `(P, S, D)` to the moments of the policies that are `live (P, 1)`.

        Source: Chan, Golub and LeVeque (1983), The American Statistician 37(3).
        """
        x, number = x.double(), x.shape[1] * live.double().unsqueeze(1)
        count, mean, squares = self.moments.values()
        batch_mean = x.mean(dim=1, keepdim=True)
        delta, total = batch_mean - mean, count + number
        share = number / total.clamp_min(1.0)
        within = x.var(dim=1, keepdim=True, correction=0) * number
        self.moments = {
            "count": total,
            "mean": mean + delta * share,
            "squares": squares + within + delta**2 * count * share,
        }
        self.refresh()

    def __call__(self, x: Tensor) -> Tensor:
        """Scaled observations `(P, S, D)`."""
        return ((x - self.shift) * self.scale).clamp(-LARGEST_INPUT, LARGEST_INPUT)

    def rows(self, index: Tensor) -> Self:
        """The scale of the policies `index`, by copy."""
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__)
        part.moments = {name: moment[index] for name, moment in self.moments.items()}
        part.refresh()
        return part


class TargetScale:
    """Normalises the critic's targets, since rewards differ by orders of magnitude.

    Args:
        num_policies: P.
        decay: of the moments, per update.
        device: where the tensors live.
    """

    def __init__(self, num_policies: int, decay: float, device: str | torch.device = "cpu") -> None:
        self.decay = decay
        self.moments = {
            name: torch.zeros(num_policies, dtype=torch.float64, device=device)
            for name in ("weight", "mean", "square")
        }

    def update(self, target: Tensor) -> None:
        """Add targets `(P, S)`; the moments are unbiased from the first update on."""
        target = target.double()
        sample = (torch.ones_like(target[:, 0]), target.mean(dim=1), (target**2).mean(dim=1))
        for (name, old), new in zip(self.moments.items(), sample, strict=True):
            self.moments[name] = self.decay * old + (1.0 - self.decay) * new

    def __call__(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, `(P, 1)` each."""
        weight, mean, square = self.moments.values()
        mean, square = mean / weight.clamp_min(1e-9), square / weight.clamp_min(1e-9)
        std = torch.sqrt((square - mean**2).clamp_min(0.0)).maximum(SMALLEST_SPREAD * mean.abs())
        std = torch.where(weight > 0, std.clamp_min(1e-6), 1.0)
        return mean.float().unsqueeze(1), std.float().unsqueeze(1)
