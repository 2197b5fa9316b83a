"""Contributions to a common target over a known number of rounds: who gives when, and who would rather not.

The theory of `climate_risk-v0`: paths of contributions, the exact gain of the best reply to them, and
whether threats to stop are credible after every history.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.provision import ROUNDING, equal_shares
from commonweal.errors import require_memory
from commonweal.random import Streams

Array = NDArray[np.float64]
TOLERANCE = 1e-9  # of the largest endowment: gain from deviating up to which a path is an equilibrium


@dataclass(frozen=True)
class Pledges:
    """One world of the collective-risk dilemma in numbers.

    A path `(rounds, N)` is played by giving what it says as long as the fund is on it, else nothing.

    Attributes:
        endowment, risk: e and p, `(N,)`.
        target: T.
        most: largest contribution in a round.
        step: distance of two levels of contribution; 0: continuous.
        rounds: of the game.
    """

    endowment: Array
    risk: Array
    target: float
    most: float
    step: float
    rounds: int

    @property
    def able(self) -> Array:
        """The largest totals that each can give, `(N,)`."""
        return np.minimum(self.endowment, self.rounds * self.most)

    @property
    def slack(self) -> float:
        """Money that is rounding."""
        return TOLERANCE * float(self.endowment.max())

    def met(self, path: Array) -> bool:
        """Whether `path (rounds, N)` meets the target."""
        return bool(path.sum() >= self.target * (1.0 - ROUNDING))

    def payoffs(self, path: Array) -> Array:
        """What each expects to have at the end, `(N,)`."""
        kept = self.endowment - path.sum(axis=0)
        return kept if self.met(path) else (1.0 - self.risk) * kept

    def shares(self, cap: Array) -> Array | None:
        """The most equal totals `(N,)` up to `cap (N,)` that meet the target; None: there are none."""
        return equal_shares(self.target, cap, self.step)

    def path(self, totals: Array, late: bool = False) -> Array:
        """Contributions `(rounds, N)` that add up to `totals (N,)`: evenly, or as late as possible."""
        left = np.arange(self.rounds, -1, -1.0)[:, None]
        if late:
            remaining = np.minimum(totals, left * self.most)
        else:
            remaining = totals * left / self.rounds
            if self.step:
                remaining = np.ceil(remaining / self.step - ROUNDING) * self.step
        return -np.diff(remaining, axis=0) + 0.0

    def bearable(self) -> Iterator[tuple[str, Array]]:
        """Paths that just meet the target with totals that nobody would rather risk, if there are any."""
        most = np.minimum(self.able, self.risk * self.endowment)
        shares = self.shares(most)
        if shares is None:
            return
        yield "equal shares", self.path(shares)
        yield "equal shares, late", self.path(shares, late=True)
        total = shares.sum()
        if self.step:
            most = np.floor(most / self.step + ROUNDING) * self.step
        before = np.cumsum(most) - most
        yield "as few as can bear it", self.path(np.clip(total - before, 0.0, most))

    def gain(self, path: Array, agent: int) -> float:
        """What `agent` gains by its best reply to the others on `path (rounds, N)`."""
        return self._gain_by_levels(path, agent) if self.step else self._gain_continuous(path, agent)

    def _gain_continuous(self, path: Array, agent: int) -> float:
        """Closed form for continuous contributions: give nothing, or what is missing, or as the path says.

        Exact for paths that just meet the target and for giving nothing; else an upper bound.
        """
        e, p, target = self.endowment, self.risk, self.target
        own = float(path[:, agent].sum())
        missing = max(target - float(path.sum()) + own, 0.0)
        safe = e[agent] - missing if missing <= min(e[agent], self.rounds * self.most) else -math.inf
        value = self.payoffs(path)[agent]
        return max((1.0 - p[agent]) * e[agent] - value, safe - value, 0.0)

    def _gain_by_levels(self, path: Array, agent: int) -> float:
        """Dynamic programming over (round, fund, own total), in steps between levels."""
        e, p, target = self.endowment, self.risk, self.target
        given = np.rint(path / self.step).astype(np.intp)
        goal, top = math.ceil(target / self.step - ROUNDING), round(self.most / self.step)
        cap = round(min(e[agent] / self.step, self.rounds * top))
        cells = (top + 1) * (goal + 1) * (cap + 1)
        require_memory(8.0 * cells, f"a table of {cells} contributions, funds and own totals")
        fund, own = np.arange(goal + 1)[:, None], np.arange(cap + 1)[None, :]
        best = follow = (e[agent] - own * self.step) * np.where(fund >= goal, 1.0, 1.0 - p[agent])
        so_far = np.minimum(np.cumsum(given.sum(axis=1)) - given.sum(axis=1), goal)
        for t in range(self.rounds - 1, -1, -1):
            on = fund == so_far[t]
            others = np.where(on, given[t].sum() - given[t, agent], 0)
            mine = np.minimum(np.where(on, given[t, agent], 0), cap - own)
            follow = follow[np.minimum(fund + others + mine, goal), own + mine]
            tried = np.full((top + 1, goal + 1, cap + 1), -np.inf)
            for gift in range(min(top, cap) + 1):
                tried[gift, :, : cap + 1 - gift] = best[np.minimum(fund + others + gift, goal), own[:, gift:]]
            best = tried.max(axis=0)
        return float(best[0, 0] - follow[0, 0])

    def perfect(self, path: Array) -> bool:
        """Whether no departure pays after any history, if all give nothing once the fund has left the path.

        On the path nobody, whatever it has given beyond its share, would rather risk what it has than
        give the rest; and a departure leaves more to be given than one alone can.
        """
        e, p, target = self.endowment, self.risk, self.target
        each = path.sum(axis=1)
        left = np.arange(self.rounds - 1, -1, -1.0)[:, None]  # rounds after this one
        departed = (np.cumsum(each) - path.T).T + self.most
        hopeless = target - departed > self.most * left
        if not self.met(path):
            return bool(hopeless.all()) and not path.any()
        most = np.minimum(each, self.most)
        account = e - (np.cumsum(most) - most)[:, None]  # of one who gave all that the path foresaw for all
        rest = np.cumsum(path[::-1], axis=0)[::-1]
        bearable = rest <= p * account + self.slack
        return bool(hopeless[:-1].all() and bearable.all())


@dataclass(frozen=True)
class OnPath:
    """The rule of giving what `path (rounds, N)` says while the fund is on it, else nothing."""

    pledges: Pledges
    path: Array

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """Entries of the action array, `(B, N)`, by column."""
        played = np.rint(observed["progress"][..., 0] * self.pledges.rounds).astype(np.intp)
        so_far = np.append(0.0, np.cumsum(self.path.sum(axis=1)))
        close = 1e-5 * max(1.0, float(so_far[-1]))  # observations are single precision
        on = np.abs(observed["fund"][..., 0] - so_far[played]) <= close
        played, step = np.minimum(played, self.pledges.rounds - 1), self.pledges.step
        given = np.where(on, self.path[played, np.arange(self.path.shape[1])], 0.0)
        return {"contribution": np.rint(given / step) if step else given}

    def probabilities(self, observed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Law `(B, N, L)` of the level: a sure thing; empty where contributions are continuous."""
        if not self.pledges.step:
            return {}
        levels = round(self.pledges.most / self.pledges.step) + 1
        entry = self(observed, Streams(np.zeros(1, np.uint64), 0))["contribution"]
        return {"contribution": np.eye(levels)[entry.astype(np.intp)]}
