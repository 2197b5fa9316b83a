"""Yardsticks of `moral_hazard-v0`: the best contracts, and the planner's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from commonweal.curves import cara
from commonweal.envs.moral_hazard import MoralHazard
from commonweal.envs.sides import Strategies, by_agent
from commonweal.references import Kind, References, Yardstick

Array = NDArray[np.float64]


def references(game: MoralHazard) -> References:
    """The best contract in every round, and the first best with a fixed wage.

    Raises:
        NotExact: parameters by world, or a case without an exact contract.
    """
    columns = (by_agent(game, name, "workers").tolist() for name in ("risk_aversion", "outside_option"))
    rows, later = list(zip(*columns, strict=True)), game.later_weight
    known = {row: game.best_contract(*row) for row in set(rows)}
    wages = np.stack([known[row] for row in rows])
    kind: Kind = "enumeration" if game.wage_levels else "numerical"
    idle = sum(o for _, o in rows)

    def answering(seen: Mapping[str, Array]) -> Mapping[str, Array]:
        standing = np.stack([seen[f"open_{name}"] for name in game.columns], axis=-1)
        r, o = (np.broadcast_to([v], seen["open_wage_1"].shape) for v in zip(*rows, strict=True))
        worth, effort = game.answer(standing, r, o)
        accept = worth >= o - game.tie(standing)
        return {"accept": accept.astype(np.float64), "effort": effort.astype(np.float64)}

    flow = sum(float(game.expected(known[row][None], *row)[1][0]) for row in rows)
    asked = float(game.answer(wages[0], *rows[0])[1])
    selfish = Yardstick(
        idle + later * flow, kind, 0.0, 0.0, "best contract of every principal, in every round",
        Strategies(game, {"output": _posting(game, wages), "open_wage_1": answering}),
        {"effort": asked, "wage of the best outcome": float(wages[0, int(np.argmax(game.value))])},
    )  # fmt: skip
    plans = [_first_best(game, *row) for row in rows]
    fixed, effort, works, flows = (np.array(column) for column in zip(*plans, strict=True))

    def told(seen: Mapping[str, Array]) -> Mapping[str, Array]:
        return {"accept": works, "effort": effort}

    certain = np.repeat(fixed[:, None], len(game.value), axis=1)
    total = idle + later * float(flows.sum())
    gain = np.array(game.probability) @ np.array(game.value) - np.array(game.toil)
    # Payments of institutions could hold every worker to o, whatever wages are levels.
    most = idle + later * sum(max(float(gain.max()), o) for _, o in rows)
    planner = Yardstick(
        total, kind, 0.0, math.nan, "efficient effort as if it were seen, a fixed wage",
        Strategies(game, {"output": _posting(game, certain), "open_wage_1": told}),
        {"effort": float(effort[0])}, max(most - total, 0.0),
    )  # fmt: skip
    facts = {f"surplus of effort {a + 1}": float(g) for a, g in enumerate(gain)}
    low = min(selfish.welfare, game.weight * idle)
    return References(selfish, planner, planner.welfare - low, facts=facts)


def _first_best(game: MoralHazard, r: float, o: float) -> tuple[float, float, float, float]:
    """Wage, effort, whether the worker is employed, and W a round, at the planner's best.

    W is concave in the wage for each outcome, so that one wage is best for all of them: what leaves a
    worker its outside option where that is admitted, else one of all levels, or the nearest end.
    """
    toil, output = np.array(game.toil), np.array(game.probability) @ np.array(game.value)
    if game.wage_levels:
        wage = np.linspace(game.min_wage, game.max_wage, game.wage_levels)[:, None]
    else:
        wage = np.clip(o + toil, game.min_wage, game.max_wage)[None, :]
    total = output - wage + o + cara(wage - toil - o, np.array(r))
    level, best = np.unravel_index(int(total.argmax()), total.shape)
    paid = float(np.broadcast_to(wage, total.shape)[level, best])
    return paid, float(best), float(total.max() > o), max(float(total.max()), o)


def _posting(game: MoralHazard, wages: Array) -> Callable[[Mapping[str, Array]], Mapping[str, Array]]:
    return lambda seen: {name: wages[:, k] for k, name in enumerate(game.columns)}
