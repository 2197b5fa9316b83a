"""Yardsticks of `employment-v0` from its exact contracts, and textbook numbers by playing them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from commonweal.curves import cara_inverse, geometric_sum
from commonweal.envs.contracting import TIE, Employer, answer, certainty_equivalent
from commonweal.envs.employment import Employment
from commonweal.envs.sides import Strategies, of
from commonweal.envs.yardsticks import Fixed
from commonweal.errors import NotExact
from commonweal.references import Check, Kind, References, Yardstick

Array = NDArray[np.float64]
Seen = Mapping[str, Array]

NODES = 80  # of the quadrature in `theory`


def _employers(game: Employment) -> list[Employer]:
    columns = []
    for name in ("effort_cost", "risk_aversion", "outside_option"):
        value = of(getattr(game, name), game.agents_of("workers"))
        if value.ndim == 2 and len(value) > 1:
            raise NotExact(f"Employment.{name} has one value per world; allowed: one per agent, or a number")
        columns.append(np.broadcast_to(value, (1, game.num_workers))[0])
    return [Employer(game, *map(float, row)) for row in zip(*columns, strict=True)]


def references(game: Employment) -> References:
    """Yardsticks of the game; see `Employment`.

    Raises:
        NotExact: parameters by world, terms out of range, or levels for some of the columns only.
    """
    discrete = {bool(levels) for levels in (game.wage_levels, game.slope_levels, game.effort_levels)}
    if len(discrete) > 1:
        raise NotExact("some columns have levels and some have none; allowed: all or none of them")
    employers = _employers(game)
    known: dict[tuple[float, float, float], tuple[Array, Array, float]] = {}
    for one in employers:
        if (one.c, one.r, one.o) not in known:
            known[one.c, one.r, one.o] = one.enumerated() if discrete == {True} else one.exact()
    terms = [known[one.c, one.r, one.o] for one in employers]
    later, share = game.discount * geometric_sum(game.discount, game.rounds - 1), game.principals_per_worker
    idle = sum(one.o for one in employers)

    def stick(
        flow: float, gain: float, kind: str, selection: str, rule: Strategies, **detail: float
    ) -> Yardstick:
        return Yardstick(idle + later * flow, kind, 0.0, later * gain, selection, rule, detail)  # type: ignore[arg-type]

    wage = np.concatenate([t[0] for t in terms])
    slope = np.concatenate([t[1] for t in terms])
    gain = max(t[2] for t in terms)
    flow = sum(one.welfare(t[0], t[1]) for one, t in zip(employers, terms, strict=True))
    exactly: Kind = "closed form" if discrete == {False} else "enumeration"
    kind: Kind = exactly if gain < 1e-6 else "best known"
    first = employers[0]
    selfish = stick(
        flow, gain, kind, "subgame-perfect terms in every round at which workers are employed",
        Strategies(game, {"output": _offering(game, wage, slope), "wage": _answering(game)}),
        slope=float(terms[0][1].sum(axis=0)[0]),
        effort=float(answer(game, terms[0][1].sum(axis=0), first.c)[0]),
    )  # fmt: skip
    best = [one.first_best() for one in employers]
    paid, effort = np.concatenate([b[0] for b in best]), np.stack([b[1] for b in best])
    flow = sum(
        max(one.welfare(b[0], np.zeros((share, game.measured)), b[1]), one.o)
        for one, b in zip(employers, best, strict=True)
    )
    works = [float(one.surplus(b[1])) > one.o for one, b in zip(employers, best, strict=True)]
    planner = stick(
        flow, np.nan, exactly, "first best: effort as if it were seen, and full insurance",
        Strategies(game, {"output": _offering(game, paid, 0.0 * slope), "wage": _working(works, effort)}),
        effort=float(effort[0, 0]),
    )  # fmt: skip
    others = {}
    if share > 1:
        bad = np.full_like(wage, -game.max_wage)
        gain = max(one.gain_over_nothing() for one in employers)
        others["no contract"] = stick(
            idle, gain, exactly if gain < 1e-6 else "best known", "nobody makes an acceptable offer",
            Strategies(game, {"output": _offering(game, bad, 0.0 * slope), "wage": _answering(game)}),
        )  # fmt: skip
    lowest = min(idle * game.weight, selfish.welfare)
    facts = {
        "worker's effort per unit of slope": 1.0 / first.c,
        "surplus per worker in equilibrium": first.welfare(terms[0][0], terms[0][1]) - first.o,
        "surplus per worker at first best": float(first.surplus(effort[0])) - first.o,
    }
    return References(selfish, planner, planner.welfare - lowest, others=others, facts=facts)


def _offering(game: Employment, wage: Array, slope: Array) -> Callable[[Seen], Mapping[str, Array]]:
    def strategy(seen: Seen) -> Mapping[str, Array]:
        return {"wage": wage} | {f"slope_{j + 1}": slope[:, j] for j in range(game.measured)}

    return strategy


def _answering(game: Employment) -> Callable[[Seen], Mapping[str, Array]]:
    def strategy(seen: Seen) -> Mapping[str, Array]:
        slope = np.stack([seen[f"slope_{j + 1}"] for j in range(game.measured)], axis=-1)
        c, r = seen["effort_cost"], seen["risk_aversion"]
        effort = answer(game, slope, c)
        worth = certainty_equivalent(game, seen["wage"], slope, effort, c, r)
        accept = (worth >= of(game.outside_option, game.agents_of("workers")) - TIE).astype(np.float64)
        return {"accept": accept} | {f"effort_{j + 1}": e for j, e in enumerate(np.moveaxis(effort, -1, 0))}

    return strategy


def _working(works: list[bool], effort: Array) -> Callable[[Seen], Mapping[str, Array]]:
    def strategy(seen: Seen) -> Mapping[str, Array]:
        told = {f"effort_{j + 1}": column for j, column in enumerate(effort.T)}
        return {"accept": np.array(works, dtype=np.float64)} | told

    return strategy


# ---------------------------------------------------------------------- theory, by playing


def played(game: Employment, wage: float, slope: float, effort: float) -> tuple[float, float]:
    """A principal's expected profit and its worker's certainty equivalent, by playing `step`.

    One task, one worker who accepts; each node of a Gauss and Hermite quadrature is one play.
    """
    node, weight = np.polynomial.hermite_e.hermegauss(NODES)
    share, profit, utility = game.principals_per_worker, 0.0, 0.0
    for shock, chance in zip(node, weight / weight.sum(), strict=True):
        state = game.initial(Fixed(1, None, game.id))
        terms = {"wage": np.full((1, share), wage / share), "slope_1": np.full((1, share), slope / share)}
        work = {"accept": np.ones((1, 1)), "effort_1": np.full((1, 1), effort)}
        state, _ = game.step(state, {**terms, **work}, Fixed(1, 0.0, game.id))
        state, outcome = game.step(state, {**terms, **work}, Fixed(1, float(shock), game.id))
        reward = game.utility(state, outcome, outcome.money)[0]
        profit += chance * float(reward[0])
        utility += chance * float(reward[share])
    r, o = float(np.max(game.risk_aversion)), float(np.max(game.outside_option))
    return profit, o + float(cara_inverse(utility - o, r))


def vertex(function: Callable[[float], float], at: float, width: float = 0.1) -> float:
    """Where a parabola through three values of `function` has its top."""
    low, middle, high = (function(at + d) for d in (-width, 0.0, width))
    return at - 0.5 * width * (high - low) / (high - 2.0 * middle + low)


def theory() -> Iterator[Check]:
    """The linear contract of Holmström and Milgrom (1987), and its variants."""
    source = "Holmström and Milgrom (1987)"
    game = Employment(
        num_workers=1, risk_aversion=2.0, effort_cost=0.5, noise=(1.5,), max_effort=4.0,
        wage_levels=None, slope_levels=None, effort_levels=None,
    )  # fmt: skip
    reply = vertex(lambda a: played(game, 0.0, 0.4, a)[1], 0.5)
    yield Check("employment: effort under slope 0.4, c = 0.5", source, 0.8, reply)

    def surplus(slope: float) -> float:  # the wage moves money and nothing else
        return sum(played(game, 0.0, slope, slope / 0.5))

    slope = vertex(surplus, 0.5)
    yield Check("employment: slope, r = 2, c = 0.5, variance 1.5", source, 0.4, slope)
    yield Check("employment: surplus of that contract", source, 0.4, surplus(slope))
    yield Check("employment: surplus at first best", source, 1.0, sum(played(game, 1.0, 0.0, 2.0)))
    found = game.references()
    yield Check("employment: slope of the references", source, 0.4, found.selfish.detail["slope"])
    yield Check("employment: W of 10 rounds of work", source, 4.0, found.selfish.welfare)
    source = "Holmström and Milgrom (1991)"
    two = replace(game, benefit=(1.0, 1.0), noise=(1.0,), rivalry=0.5, intrinsic=1.0, effort_cost=1.0)
    # (b1 - b2 C12 / C22) / (1 + r s2 (C11 - C12^2 / C22)) with r = 2.
    yield Check("employment: slope beside a task not measured", source, 0.2, _slope(two))
    source = "derived: b / (1 + P r c s2)"
    for share, reference in ((2, 0.25), (4, 1.0 / 7.0)):
        shared = replace(game, principals_per_worker=share)
        yield Check(f"employment: sum of slopes of {share} principals", source, reference, _slope(shared))


def _slope(game: Employment) -> float:
    return game.references().selfish.detail["slope"]
