"""Play a society with fixed policies and measure it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from commonweal.agents.base import Policies
from commonweal.errors import require
from commonweal.society import Society
from commonweal.transition import copied

Array = NDArray[np.float64]


@dataclass
class Evaluation:
    """One episode in each of `B` worlds.

    Attributes:
        welfare: discounted W, `(B,)`, as `Transition.welfare` has it.
        returns: discounted utility of each citizen, `(B, N)`.
        enforcement_cost: discounted real costs of institutions, `(B,)`: money burnt, officials' time.
        shortfall: money due but not paid, `(B,)`.
        length: plays until the end, `(B,)`.
        series: by name, `(T, B)`, a row a play: what the citizens see of the world before it (stock), and
            the mean of each conduct in its round; nan after a world has ended.
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
    mask = society.mask and copied(society.mask)
    alive, weight = np.ones(worlds, bool), np.ones(worlds)
    result = Evaluation(
        np.zeros(worlds), np.zeros((worlds, n)), np.zeros(worlds), np.zeros(worlds), np.zeros(worlds)
    )
    series = _Series(worlds)
    while alive.any():
        round_ = society.memory.plays - (society.memory.stage > society.agenda.play)
        before = society.dilemma.observe(society.state)
        step = society.step(policies.act(observation, mask))
        scale = alive * weight
        result.welfare += scale * step.welfare
        result.returns += scale[:, None] * np.concatenate(
            [step.reward[name] for name, group in society.groups.items() if group.citizens], axis=1
        )
        result.enforcement_cost += scale * step.ledger.cost
        result.shortfall += alive * step.ledger.shortfall.sum(axis=1)
        for entry in step.ledger.entries:
            key = (entry.institution, entry.purpose, entry.payer, entry.payee)
            flow = scale * entry.amount.reshape(worlds, -1).sum(axis=1)
            result.flows[key] = result.flows.get(key, np.zeros(worlds)) + flow
        result.length += alive & step.played
        series.add(_means(before), round_, alive & step.played)
        series.add(_means(step.conduct), round_, alive)
        weight = weight * step.discount
        alive = alive & ~step.done
        observation, mask = step.observation, step.mask
        limit = society.time_limit
        require(limit is not None or result.length.max() < 100_000, "time_limit", limit, "a time limit")
    society.reset()
    result.series = series.until(result.length)
    return result


class _Series:
    """Sums of what is shown in the steps of a round, by name, play and world."""

    def __init__(self, worlds: int) -> None:
        self.worlds = worlds
        self.rows: dict[str, list[Array]] = {}

    def add(self, shown: Mapping[str, Array], play: NDArray[np.int64], where: NDArray[np.bool_]) -> None:
        """Add `shown (B,)` to the rows `play (B,)` of the worlds `where`."""
        for row in np.unique(play[where]):
            here = where & (play == row)
            for name, value in shown.items():
                rows = self.rows.setdefault(name, [])
                while len(rows) <= row:
                    rows.append(np.zeros(self.worlds))
                rows[row] = rows[row] + np.where(here, value, 0.0)

    def until(self, length: Array) -> dict[str, Array]:
        """Each series `(T, B)`, nan from the play `length (B,)` on."""
        plays = int(length.max())
        over = np.arange(plays)[:, None] >= length
        none = np.zeros(self.worlds)
        return {
            name: np.where(over, np.nan, np.stack((rows + [none] * plays)[:plays]))
            for name, rows in self.rows.items()
        }


def _means(values: Mapping[str, Array]) -> dict[str, Array]:
    return {name: value.reshape(len(value), -1).mean(axis=1) for name, value in values.items()}
