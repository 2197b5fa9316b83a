"""Schelling's diagram, computed: what one agent gets by either yardstick's rule.

It is drawn against the number of the others who follow the planner's rule.

Source: Schelling (1973), "Hockey helmets, concealed weapons, and daylight saving", J. Conflict
Resolution 17(3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from commonweal.agents.scripted import Scripted, scripted
from commonweal.envs.base import Dilemma
from commonweal.errors import NotExact
from commonweal.evaluation import evaluate
from commonweal.random import world_seeds
from commonweal.references import References
from commonweal.society import Society

Array = NDArray[np.float64]
AGENTS = 8  # of whom each in turn is the one; agents may differ
DRAWS = 16  # worlds with random numbers of their own, the same for both rules
SEED = 30_000


@dataclass(frozen=True)
class Schelling:
    """Discounted utility of one agent while k of the N - 1 others follow the planner's rule.

    Two rules are compared, no others: an agent may have still better deviations.

    Attributes:
        selfish: if it follows the rule of the selfish yardstick and so do the other N - 1 - k, `(N,)`.
        planner: if it follows the planner's, `(N,)`.
    """

    selfish: Array
    planner: Array

    @property
    def _equal(self) -> float:
        """Differences up to this are rounding."""
        return 1e-9 * float(np.abs([self.selfish, self.planner]).max())

    @property
    def dominant(self) -> bool:
        """Whether the selfish rule pays more whatever the others do."""
        return bool((self.selfish > self.planner + self._equal).all())

    @property
    def tempting(self) -> bool:
        """Whether the selfish rule pays more while all others follow the planner's."""
        return bool(self.selfish[-1] > self.planner[-1] + self._equal)

    @property
    def wasteful(self) -> bool:
        """Whether each has more when all follow the planner's rule than when all follow the selfish."""
        return bool(self.planner[-1] > self.selfish[0] + self._equal)

    @property
    def is_dilemma(self) -> bool:
        """Whether what tempts each leaves all worse off."""
        return self.tempting and self.wasteful

    @property
    def verdict(self) -> str:
        """The same in words."""
        more = self.planner[-1] - self.selfish[0]
        if not self.wasteful:
            return "no dilemma: the planner's rule, followed by all, brings an agent no more"
        if not self.tempting:
            return "no temptation by this rule: who alone takes it up has less; another deviation may pay"
        when = "whatever the others do" if self.dominant else "while all others follow the planner's"
        gain = f"yet each would have {more:.4g} more by the planner's"
        return f"a dilemma: the selfish rule pays more {when}, {gain}"


class _Mixed:
    """Some agents follow one rule, the others another (see `agents.base.Policies`)."""

    def __init__(self, selfish: Scripted, planner: Scripted, cooperates: NDArray[np.bool_]) -> None:
        self.selfish, self.planner, self.cooperates = selfish, planner, cooperates

    def act(
        self,
        observation: Mapping[str, NDArray[np.float32]],
        mask: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> dict[str, Array]:
        """Actions `(B, n, C)` by group."""
        one, other = self.planner.act(observation, mask), self.selfish.act(observation, mask)
        return {name: np.where(self.cooperates[..., None], one[name], other[name]) for name in one}


def schelling(dilemma: Dilemma, references: References | None = None) -> Schelling:
    """Play both rules through the society, for k = 0 .. N - 1 others who follow the planner's.

    Up to eight agents in turn are the one, and the k agents after it follow the planner's rule; the
    mean is taken over them, since agents may differ.

    Raises:
        NotExact: a yardstick has no rule, or there are several groups.
    """
    if len(dilemma.groups) > 1:
        raise NotExact(f"{dilemma.id} has the groups {', '.join(dilemma.groups)}; allowed: one group")
    found = dilemma.references() if references is None else references
    n = sum(dilemma.groups.values())
    one = np.unique(np.linspace(0, n, min(n, AGENTS), endpoint=False).astype(int))
    distance = (np.arange(n) - one[:, None]) % n  # (agents, N): how far after the one
    worlds = len(one) * DRAWS
    seeds = np.tile(world_seeds(SEED, DRAWS), len(one))
    curves: dict[bool, list[float]] = {False: [], True: []}
    society = Society(dilemma, num_worlds=worlds)
    for k in range(n):
        for joins, curve in curves.items():
            cooperates = ((distance > 0) & (distance <= k)) | ((distance == 0) & joins)
            who = np.repeat(cooperates, DRAWS, axis=0)
            policies = _Mixed(scripted(society, found.selfish), scripted(society, found.planner), who)
            returns = evaluate(society, policies, seeds).returns
            curve.append(float(returns[np.arange(worlds), np.repeat(one, DRAWS)].mean()))
    return Schelling(np.array(curves[False]), np.array(curves[True]))
