"""Mixed action heads: from the outputs of a stack of networks to actions and their log-probabilities.

A head reads one output per option of a discrete column (a logit) and one per continuous column (the
mean of a Gaussian in logit space, squashed by the sigmoid into `[low, high]`): the layout of a mask.
Log-probability and entropy of a continuous column are those before squashing; the Jacobian of the
sigmoid does not depend on the parameters, so the ratio of two policies is the same either way.
"""

from __future__ import annotations

import torch
from torch import Tensor

from commonweal.columns import Group

FORBIDDEN = -1e9  # a logit whose probability is exactly 0, yet 0 * logit is no NaN
LOG_ROOT_TWO_PI = 0.9189385332046727
HALF_ULP = 2.0**-25  # keeps float32 uniforms strictly inside (0, 1)


class Heads:
    """The action columns of a group, for `P` policies and `S` samples each.

    Actions are kept *raw*: the index of a discrete column, the value before squashing of a
    continuous one; `physical` turns them into what `Society.step` takes.

    Args:
        group: whose columns.
        device: where the tensors live.
    """

    def __init__(self, group: Group, device: str | torch.device = "cpu") -> None:
        self.places = group.mask_slices
        self.discrete = [bool(value) for value in group.discrete]
        self.num_outputs = group.mask_size
        self.num_continuous = self.discrete.count(False)
        self.low = torch.as_tensor(group.low, device=device)
        self.high = torch.as_tensor(group.high, device=device)
        # Place of each continuous column among the standard deviations.
        self.deviations = [self.discrete[:c].count(False) for c in range(len(self.discrete))]

    def log_probabilities(self, output: Tensor, mask: Tensor | None = None) -> list[Tensor | None]:
        """Log-probabilities `(P, S, L)` of each discrete column's options; None where continuous."""
        if mask is not None:
            output = output.masked_fill(~mask, FORBIDDEN)
        return [
            torch.log_softmax(output[..., place], dim=-1) if discrete else None
            for place, discrete in zip(self.places, self.discrete, strict=True)
        ]

    def noise(self, uniform: Tensor) -> Tensor:
        """What `sample` takes, from numbers uniform on [0, 1) `(..., C)`: normal for continuous columns."""
        noise = uniform.clamp(HALF_ULP, 1.0 - 2.0 * HALF_ULP)
        for column, discrete in enumerate(self.discrete):
            if not discrete:
                noise[..., column] = torch.special.ndtri(noise[..., column])
        return noise

    def sample(self, output: Tensor, log_std: Tensor, noise: Tensor, mask: Tensor | None = None) -> Tensor:
        """Raw actions `(P, S, C)`, by inversion of one number per column.

        Args:
            output: of the networks, `(P, S, M)`.
            log_std: of the continuous columns, `(P, 1, number of them)`.
            noise: from `noise`, `(P, S, C)`.
            mask: allowed options `(P, S, M)`; None: all.
        """
        raw = torch.empty_like(noise)
        for column, log_p in enumerate(self.log_probabilities(output, mask)):
            if log_p is None:
                place, k = self.places[column].start, self.deviations[column]
                raw[..., column] = output[..., place] + log_std[..., k].exp() * noise[..., column]
            else:
                cumulative = log_p.exp().cumsum(dim=-1)
                threshold = noise[..., column, None] * cumulative[..., -1:]
                raw[..., column] = (cumulative <= threshold).sum(dim=-1)
        return raw

    def mode(self, output: Tensor, mask: Tensor | None = None) -> Tensor:
        """Raw actions `(P, S, C)`: the likeliest option, the mean before squashing."""
        columns = [
            output[..., place.start] if log_p is None else log_p.argmax(dim=-1).to(output.dtype)
            for place, log_p in zip(self.places, self.log_probabilities(output, mask), strict=True)
        ]
        return torch.stack(columns, dim=-1)

    def evaluate(
        self, output: Tensor, log_std: Tensor, raw: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Joint log-probability of `raw` and joint entropy, `(P, S)` each."""
        log_prob, entropy = torch.zeros_like(raw[..., 0]), torch.zeros_like(raw[..., 0])
        for column, log_p in enumerate(self.log_probabilities(output, mask)):
            chosen, place = raw[..., column], self.places[column]
            if log_p is None:
                scale = log_std[..., self.deviations[column]]
                z = (chosen - output[..., place.start]) * torch.exp(-scale)
                one = -0.5 * z * z - scale - LOG_ROOT_TWO_PI
                spread = (scale + 0.5 + LOG_ROOT_TWO_PI).expand_as(one)
                if mask is not None:  # a column without a say has nothing to learn
                    live = mask[..., place.start]
                    one, spread = one * live, spread * live
            else:
                one = log_p.gather(-1, chosen.long().unsqueeze(-1)).squeeze(-1)
                spread = -(log_p.exp() * log_p).sum(dim=-1)
            log_prob, entropy = log_prob + one, entropy + spread
        return log_prob, entropy

    def physical(self, raw: Tensor) -> Tensor:
        """Entries of the action array, float64: indices as they are, values inside `[low, high]`."""
        actions = raw.double()
        for column, discrete in enumerate(self.discrete):
            if not discrete:
                low, high = self.low[column], self.high[column]
                share = torch.sigmoid(actions[..., column])
                actions[..., column] = torch.clamp(low + (high - low) * share, low, high)
        return actions
