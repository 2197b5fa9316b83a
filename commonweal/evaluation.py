"""Play a society with fixed policies and measure it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from commonweal.agents.base import Policies
from commonweal.errors import require
from commonweal.society import Society

Array = NDArray[np.float64]


@dataclass
class Evaluation:
    """One episode in each of `B` worlds.

    Attributes:
        welfare: discounted W, `(B,)`: the citizens' utilities plus the weighted treasury flow.
        returns: discounted utility of each citizen, `(B, N)`.
        enforcement_cost: discounted money burnt by institutions, `(B,)`.
        shortfall: money due but not paid, `(B,)`.
        length: plays until the end, `(B,)`.
        series: by name, `(T, B)`: what the citizens see of the world (stock) and the mean of each
            conduct; nan after a world has ended.
        flows: discounted payments by `(institution, purpose, payer, payee)`, `(B,)`.
    """

    welfare: Array
    returns: Array
    enforcement_cost: Array
    shortfall: Array
    length: Array
    series: dict[str, Array] = field(default_factory=dict)
    flows: dict[tuple[str, str, str, str], Array] = field(default_factory=dict)


def evaluate(
    society: Society, policies: Policies, seed: int | NDArray[np.uint64] | None = None
) -> Evaluation:
    """Play one episode in every world, from a reset with `seed`; the society is reset afterwards.

    Raises:
        InvalidParameter: the society has no time limit and does not end by itself.
    """
    require(isinstance(society, Society), "society", society, "a Society")
    require(hasattr(policies, "act"), "policies", policies, "an object with act(observation, mask)")
    require(society.autoreset, "society.autoreset", society.autoreset, "True")
    worlds, n = society.num_worlds, society.charter.num_citizens
    observation = society.reset(society.seeds if seed is None else seed)
    alive, weight = np.ones(worlds, bool), np.ones(worlds)
    result = Evaluation(
        np.zeros(worlds), np.zeros((worlds, n)), np.zeros(worlds), np.zeros(worlds), np.zeros(worlds)
    )
    rows: dict[str, list[Array]] = {}
    while alive.any():
        before = society.dilemma.observe(society.state)
        actions = policies.act(observation, society.mask)
        step = society.step(actions)
        scale = alive * weight
        result.welfare += scale * step.welfare
        result.returns += scale[:, None] * np.concatenate(
            [step.reward[name] for name, group in society.groups.items() if group.citizens], axis=1
        )
        result.enforcement_cost += scale * step.ledger.burnt
        result.shortfall += alive * step.ledger.shortfall.sum(axis=1)
        for entry in step.ledger.entries:
            key = (entry.institution, entry.purpose, entry.payer, entry.payee)
            flow = scale * entry.amount.reshape(worlds, -1).sum(axis=1)
            result.flows[key] = result.flows.get(key, np.zeros(worlds)) + flow
        if step.discount.min() < 1.0 or not society.agenda.staged:
            result.length += alive
            shown = _means(before) | _means(step.conduct)
            for name, value in shown.items():
                rows.setdefault(name, []).append(np.where(alive, value, np.nan))
        weight = weight * step.discount
        alive = alive & ~step.done
        observation = step.observation
        limit = society.time_limit
        require(limit is not None or result.length.max() < 100_000, "time_limit", limit, "a time limit")
    society.reset()
    result.series = {name: np.stack(values) for name, values in rows.items()}
    return result


def _means(values: Mapping[str, Array]) -> dict[str, Array]:
    return {name: value.reshape(len(value), -1).mean(axis=1) for name, value in values.items()}
