"""Pure equilibria on levels of a round in which an agent's own level and the sum of all decide its payoff.

For each sum the levels from which an agent does not want to move are listed; the sum is one of an
equilibrium where one such level of each adds up to it. Nothing is left out and no profile is tried twice.
Source: aggregative games, Selten (1970), Preispolitik der Mehrproduktenunternehmung, recalled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.ties import slack
from commonweal.errors import require_memory

Array = NDArray[np.float64]
Ints = NDArray[np.intp]
TIE = 1e-9  # of the range of an agent's payoffs: nearer than this they are equal


@dataclass(frozen=True)
class Aggregative:
    """A round among agents of several kinds.

    Attributes:
        kinds: the kind of each agent, `(N,)`, from 0; agents of a kind are alike.
        most: the highest level of an agent of each kind, `(K,)`; the lowest is 0.
        payoff: of a kind, by own levels and sums of all; what the agent cannot change may be left out.
        worth: what an agent of a kind adds to W by its own level, the sum given.
    """

    kinds: Ints
    most: Ints
    payoff: Callable[[int, Ints, Ints], Array]
    worth: Callable[[int, Ints, int], Array]

    @property
    def highest(self) -> int:
        """The largest sum."""
        return int(self.most[self.kinds].sum())

    def equilibria(self) -> list[Ints]:
        """For each sum of a pure equilibrium the levels `(N,)` of the one of least W.

        Raises:
            NotExact: the levels and agents are too many.
        """
        settled = [self._settled(kind) for kind in range(len(self.most))]
        count = np.bincount(self.kinds, minlength=len(self.most))
        sums = np.arange(self.highest + 1)
        low = sum(n * table.argmax(axis=1) for n, table in zip(count, settled, strict=True))
        high = sum(
            n * (table.shape[1] - 1 - table[:, ::-1].argmax(axis=1))
            for n, table in zip(count, settled, strict=True)
        )
        possible = np.all([table.any(axis=1) for table in settled], axis=0)
        sums = sums[possible & (low <= sums) & (sums <= high)]
        width = sum(n * table[sums].sum(axis=1) for n, table in zip(count, settled, strict=True))
        cells = int((width * (sums - low[sums] + 1)).sum())
        require_memory(8.0 * cells, f"a table of {cells} ways to add up to {len(sums)} sums")
        found = []
        for total in sums.tolist():
            levels = [np.flatnonzero(table[total]) for table in settled]
            worth = [self.worth(kind, own, total) for kind, own in enumerate(levels)]
            one = least([levels[k] for k in self.kinds], [worth[k] for k in self.kinds], total)
            if one is not None:
                found.append(one)
        return found

    def _settled(self, kind: int) -> NDArray[np.bool_]:
        """Whether an agent of this kind stays at a level where all add up to a sum, `(sums, levels)`."""
        own, others = np.arange(self.most[kind] + 1), np.arange(self.highest - self.most[kind] + 1)
        cells = len(own) * len(others)
        require_memory(24.0 * cells, f"a table of {cells} payoffs of {len(self.kinds)} agents")
        value = np.asarray(self.payoff(kind, own[None, :], others[:, None] + own), np.float64)
        settled = np.zeros((self.highest + 1, len(own)), np.bool_)
        stays = value >= value.max(axis=1, keepdims=True) - slack(value, TIE, units=64.0)
        for level in own.tolist():
            settled[others + level, level] = stays[:, level]
        return settled


def least(levels: Sequence[Ints], worth: Sequence[Array], total: int) -> Ints | None:
    """One level of each agent that add up to `total`, of the least sum of `worth`; None: there are none.

    Args:
        levels: those of each agent, increasing.
        worth: of each of these levels.
        total: their sum.
    """
    spare = total - sum(int(own[0]) for own in levels)
    if spare < 0:
        return None
    so_far, choices = np.full(spare + 1, np.inf), []
    so_far[0] = 0.0
    for own, value in zip(levels, worth, strict=True):
        tried = np.full((len(own), spare + 1), np.inf)
        for place, above in enumerate((own - own[0]).tolist()):
            if above <= spare:
                tried[place, above:] = so_far[: spare + 1 - above] + value[place]
        choices.append(tried.argmin(axis=0))
        so_far = tried.min(axis=0)
    if not np.isfinite(so_far[spare]):
        return None
    found = np.empty(len(levels), np.intp)
    for agent in reversed(range(len(levels))):
        place = choices[agent][spare]
        found[agent] = levels[agent][place]
        spare -= int(levels[agent][place] - levels[agent][0])
    return found
