r"""Technologies of provision: how contributions become a public good, and who is best off how.

With contributions $g$ and their sum $G$, agent $i$ gets back, besides what it has kept,

- `linear`: $m_i G$ (Isaac, Walker and Thomas 1984);
- `threshold`: $m_i T$ if $G \ge T$, else the share $\rho$ of $g_i$ (Bagnoli and Lipman 1989);
- `best-shot`: $m_i \max_j g_j$, `weakest-link`: $m_i \min_j g_j$ (Hirshleifer 1983);
- `club`: $m_i (1 - \kappa (n - 1)) \sum_{j \in M} g_j$ to the $n$ members $M = \{j : g_j \ge f\}$, and
  $g_i$ to the others, who are sent home with what they offered (Buchanan 1965).

Returns are never negative, so each agent can secure its endowment: where nobody contributes in
equilibrium, no equilibrium, pure or mixed, is worse.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import NotExact
from commonweal.random import Streams

Array = NDArray[np.float64]
# A sum of shares may fall short of the threshold by rounding.
ROUNDING = 1e-9
LARGEST_UNEQUAL_CLUB = 12  # agents, whose 2^N possible clubs are looked at one by one


@dataclass(frozen=True)
class Group:
    """One world's agents in numbers: what the theory of a technology needs.

    Attributes:
        endowment: e, `(N,)`.
        marginal_return: m, `(N,)`.
        step: distance of two levels of contribution; 0: continuous.
        threshold, refund, fee, crowding: see `PublicGoods`.
    """

    endowment: Array
    marginal_return: Array
    step: float
    threshold: float
    refund: float
    fee: float
    crowding: float

    @property
    def size(self) -> int:
        """N."""
        return len(self.endowment)

    @property
    def equal(self) -> bool:
        """Whether all agents are alike."""
        return bool(np.ptp(self.endowment) == 0 and np.ptp(self.marginal_return) == 0)

    def at_least(self, amount: Array) -> Array:
        """The smallest contributions `(N,)` there are from `amount (N,)` on, or all one has."""
        if self.step:
            amount = np.ceil(amount / self.step - ROUNDING) * self.step
        return np.minimum(amount, self.endowment)

    def options(self, agent: int, profile: Array) -> Array:
        """Contributions among which `agent`'s best reply to the others in `profile (N,)` is.

        All levels; of continuous contributions those where its payoff, linear between them, bends.
        """
        most = self.endowment[agent]
        if self.step:
            levels = np.arange(round(float(self.endowment.max()) / self.step) + 1) * self.step
            return np.minimum(levels, most)
        others = np.delete(profile, agent)
        bends = np.array([0.0, most, self.fee, self.threshold - others.sum(), *others])
        return np.clip(bends, 0.0, most)

    def sharing(self, cap: Array) -> Array | None:
        """Contributions `(N,)` that reach the threshold, as equal as `cap (N,)` and levels allow."""
        return equal_shares(self.threshold, cap, self.step)


def equal_shares(total: float, cap: Array, step: float = 0.0) -> Array | None:
    """The most equal `(N,)` amounts that sum to `total`, none above `cap (N,)`.

    With a `step`, amounts are multiples of it and the sum is the least that is not below `total`.
    None: the caps do not allow it.
    """
    if step:
        cap = np.floor(cap / step + ROUNDING) * step
        total = math.ceil(total / step - ROUNDING) * step
    if cap.sum() < total * (1.0 - ROUNDING):
        return None
    order = np.sort(cap)
    room = np.append(0.0, np.cumsum(order)[:-1]) + order * np.arange(len(cap), 0, -1)
    full = int(np.searchsorted(room, total * (1.0 - ROUNDING)))  # so many give all that they may
    level = (total - order[:full].sum()) / (len(cap) - full)
    if not step:
        return np.minimum(cap, level)
    steps = np.floor(np.minimum(cap, level) / step + ROUNDING)
    able = np.flatnonzero(steps < np.rint(cap / step))
    steps[able[: round(total / step - steps.sum())]] += 1.0
    return np.asarray(steps * step, dtype=np.float64)


Named = Iterator[tuple[str, Array]]
NOBODY = "nobody contributes"


class Technology(Protocol):
    """What a technology of provision tells: payoffs, and where to look for equilibria and the optimum."""

    def returns(self, game: Any, given: Array) -> Array:
        """What each gets back, `(B, N)` (or `(B, 1)`), from `given (B, N)`."""
        ...

    def candidates(self, group: Group) -> Named:
        """Profiles `(N,)` that hold the worst and the best pure equilibrium; not all need be one."""
        ...

    def plans(self, group: Group) -> Named:
        """Profiles `(N,)` among which the largest sum of payoffs is."""
        ...

    def floor(self, group: Group) -> float:
        """A sum of payoffs of a round that every equilibrium, mixed or not, reaches."""
        ...

    def all_or_nothing(self, group: Group) -> bool:
        """Whether it is known that who mixes does so between nothing and all it has."""
        ...


class _Secure:
    """What most technologies have in common: returns are never negative."""

    def floor(self, group: Group) -> float:
        """Each can keep what it has."""
        return float(group.endowment.sum())

    def all_or_nothing(self, group: Group) -> bool:
        """It may mix between any contributions."""
        return False


class Linear(_Secure):
    """Every unit counts the same."""

    def returns(self, game: Any, given: Array) -> Array:
        """`m G`."""
        return game.marginal_return * given.sum(axis=1, keepdims=True)

    def candidates(self, group: Group) -> Named:
        """All of one's endowment is dominant where m > 1, nothing where m < 1; at m = 1 all is alike."""
        yield "dominant strategy", np.where(group.marginal_return > 1.0, group.endowment, 0.0)
        if (group.marginal_return == 1.0).any():
            yield "who is indifferent gives all", np.where(group.marginal_return >= 1.0, group.endowment, 0.0)

    def floor(self, group: Group) -> float:
        """Who has m > 1 gives all; what others give who do not care does not lower the sum."""
        given = group.endowment[group.marginal_return > 1.0].sum()
        return float(group.endowment.sum() + (group.marginal_return.sum() - 1.0) * given)

    def plans(self, group: Group) -> Named:
        """All or nothing."""
        yield NOBODY, np.zeros(group.size)
        yield "all give all", group.endowment


class Threshold(_Secure):
    """A provision point: the good is there or it is not."""

    def returns(self, game: Any, given: Array) -> Array:
        """`m T` where the contributions reach T, else the refund."""
        provided = given.sum(axis=1, keepdims=True) >= game.threshold * (1.0 - ROUNDING)
        return np.where(provided, game.marginal_return * game.threshold, game.refund * given)

    def candidates(self, group: Group) -> Named:
        """Nobody; one alone; costs shared so that nobody pays more than the good is worth to it."""
        yield NOBODY, np.zeros(group.size)
        worth = group.marginal_return * group.threshold
        shared = group.sharing(np.minimum(group.endowment, worth))
        if shared is not None:
            yield "costs shared", shared
        for alone in np.eye(group.size)[group.endowment >= group.threshold]:
            yield "one provides", alone * group.at_least(np.full(group.size, group.threshold))

    def floor(self, group: Group) -> float:
        """Each can keep what it has, or provide the good alone if that is within its means."""
        alone = group.at_least(np.full(group.size, group.threshold))
        gain = np.where(
            group.endowment >= group.threshold, group.marginal_return * group.threshold - alone, 0.0
        )
        return float((group.endowment + np.maximum(gain, 0.0)).sum())

    def plans(self, group: Group) -> Named:
        """Nothing, or just the threshold."""
        yield NOBODY, np.zeros(group.size)
        shared = group.sharing(group.endowment)
        if shared is not None:
            yield "costs shared", shared


class BestShot(_Secure):
    """The largest contribution alone counts."""

    def returns(self, game: Any, given: Array) -> Array:
        """`m max g`."""
        return game.marginal_return * given.max(axis=1, keepdims=True)

    def candidates(self, group: Group) -> Named:
        """Nobody, or one gives all it has: whoever gives less than the best shot wastes it."""
        yield NOBODY, np.zeros(group.size)
        for alone in np.eye(group.size):
            yield "one provides", alone * group.endowment

    def plans(self, group: Group) -> Named:
        """As for the equilibria."""
        yield from self.candidates(group)

    def floor(self, group: Group) -> float:
        """Each can keep what it has, or give all of it."""
        return float((group.endowment * np.maximum(group.marginal_return, 1.0)).sum())

    def all_or_nothing(self, group: Group) -> bool:
        """The expected best shot, and so the payoff, is convex in the own: nothing or all is best."""
        return True


class WeakestLink(_Secure):
    """The smallest contribution alone counts."""

    def returns(self, game: Any, given: Array) -> Array:
        """`m min g`."""
        return game.marginal_return * given.min(axis=1, keepdims=True)

    def candidates(self, group: Group) -> Named:
        """Nobody, or all as much as the poorest has; what lies between is ranked between them."""
        yield NOBODY, np.zeros(group.size)
        yield "all give alike", group.at_least(np.full(group.size, group.endowment.min()))

    def plans(self, group: Group) -> Named:
        """As for the equilibria, and the largest level that all can reach exactly."""
        yield from self.candidates(group)
        if group.step:
            poorest = group.endowment.min()
            yield (
                "all give alike",
                np.full(group.size, np.floor(poorest / group.step + ROUNDING) * group.step),
            )


class Club(_Secure):
    """Who pays the fee is a member; members crowd one another; who pays less is sent home with it."""

    def returns(self, game: Any, given: Array) -> Array:
        """`m (1 - kappa (n - 1))` times what the members give; what is below the fee comes back."""
        member = given >= game.fee * (1.0 - ROUNDING)
        crowd = np.maximum(1.0 - game.crowding * (member.sum(axis=1, keepdims=True) - 1.0), 0.0)
        good = (given * member).sum(axis=1, keepdims=True)
        return np.where(member, game.marginal_return * crowd * good, given)

    def candidates(self, group: Group) -> Named:
        """Every club; a member gives the fee, or all it has where its own unit comes back to it."""
        yield from self._clubs(group, lambda m, crowd: m * crowd > 1.0)
        yield from self._clubs(group, lambda m, crowd: m * crowd >= 1.0)  # who does not care gives all

    def plans(self, group: Group) -> Named:
        """Every club, whose members all give all or the fee."""
        return self._clubs(group, lambda m, crowd: np.full(len(m), m.sum() * crowd > 1.0))

    def _clubs(self, group: Group, gives_all: Any) -> Named:
        for members in _clubs(group):
            n, profile = len(members), np.zeros(group.size)
            m, most = group.marginal_return[members], group.endowment[members]
            crowd = max(1.0 - group.crowding * (n - 1), 0.0)
            fee = group.at_least(np.full(group.size, group.fee))[members]
            profile[members] = np.where(gives_all(m, crowd), most, fee)
            yield f"club of {n}" if n else NOBODY, profile


def _clubs(group: Group) -> Iterator[list[int]]:
    """Members of each possible club; of equal agents one of each size."""
    able = np.flatnonzero(group.endowment >= group.fee).tolist()
    if group.equal:
        yield from (able[:n] for n in range(len(able) + 1))
        return
    if len(able) > LARGEST_UNEQUAL_CLUB:
        raise NotExact(
            f"{len(able)} unequal agents can form {2 ** len(able)} clubs; "
            f"allowed: equal agents, or {LARGEST_UNEQUAL_CLUB} of them"
        )
    yield from (list(c) for n in range(len(able) + 1) for c in combinations(able, n))


TECHNOLOGIES: dict[str, Technology] = {
    "linear": Linear(),
    "threshold": Threshold(),
    "best-shot": BestShot(),
    "weakest-link": WeakestLink(),
    "club": Club(),
}


@dataclass(frozen=True)
class Volunteer:
    """The rule of giving all with a probability `(N,)`, else nothing, in a `PublicGoods` game."""

    game: Any
    probability: Array

    def probabilities(self, observed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Law `(B, n, L)` of the level; empty where contributions are continuous."""
        levels = self.game.levels
        if not levels:
            return {}
        law = np.zeros((*next(iter(observed.values())).shape[:2], levels))
        law[..., 0], law[..., -1] = 1.0 - self.probability, self.probability
        return {"contribution": law}

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """Entries of the action array, `(B, n)`, by column."""
        n, everything = next(iter(observed.values())).shape[1], float(np.max(self.game.endowment))
        entry = self.game.levels - 1.0 if self.game.levels else everything
        return {"contribution": np.where(rng.uniform(n) < self.probability, entry, 0.0)}
