"""Exact payoffs by playing every alternative at once, each in a world of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from commonweal import Society, Transition
from commonweal.envs.base import Dilemma
from commonweal.institutions.base import Institution


def column(society: Society, name: str, group: str = "citizens") -> int:
    """Where the action column `name` stands in the action array of its group."""
    return [action.name for action in society.groups[group].spaces].index(name)


def alternatives(
    dilemma: Dilemma, stack: Sequence[Institution], name: str, own, others, agent: int = 0
) -> Transition:
    """One play in which `agent` chooses `own[b]` in world b and the others `others`, of column `name`.

    The entries are those of the action array: values of a continuous column, else level indices.
    """
    own = np.asarray(own, float)
    society = Society(dilemma, stack, num_worlds=len(own))
    actions = society.columns.null_actions(len(own))
    k = column(society, name)
    actions["citizens"][:, :, k] = others
    actions["citizens"][:, agent, k] = own
    return society.step(actions)


def best_reply(dilemma, stack, name: str, grid, others, agent: int = 0) -> float:
    """The entry of `grid` that pays `agent` most."""
    step = alternatives(dilemma, stack, name, grid, others, agent)
    return float(grid[step.reward["citizens"][:, agent].argmax()])


def symmetric_equilibrium(dilemma, stack, name: str, grid, start: float, damping: float = 0.2) -> float:
    """The entry that is the best reply to itself, by damped iteration."""
    level = start
    for _ in range(60):
        level += damping * (best_reply(dilemma, stack, name, grid, level) - level)
    return level
