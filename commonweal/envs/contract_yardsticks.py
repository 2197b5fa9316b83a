"""Yardsticks of `employment-v0` from its exact contracts, and textbook numbers by playing them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from commonweal.curves import cara_inverse
from commonweal.envs.contracting import Employer, Terms, accepted, answer
from commonweal.envs.employment import Employment
from commonweal.envs.one_state import Fixed
from commonweal.envs.sides import Strategies, by_agent, exactly, of
from commonweal.errors import NotExact
from commonweal.references import Check, Kind, References, Yardstick, ranked

Array = NDArray[np.float64]
Seen = Mapping[str, Array]

NODES = 80  # of the quadrature in `theory`


def _employers(game: Employment) -> list[Employer]:
    columns = (by_agent(game, name, "workers") for name in ("effort_cost", "risk_aversion", "outside_option"))
    return [Employer(game, *map(float, one)) for one in zip(*columns, strict=True)]


def references(game: Employment) -> References:
    """Yardsticks of the game; see `Employment`.

    Raises:
        NotExact: parameters by world, terms out of range, or levels for some of the columns only.
    """
    discrete = {bool(levels) for levels in (game.wage_levels, game.slope_levels, game.effort_levels)}
    if len(discrete) > 1:
        raise NotExact("some columns have levels and some have none; allowed: all or none of them")
    employers = _employers(game)
    solved = {one: one.equilibria() for one in set(employers)}
    kind: Kind = "closed form" if discrete == {False} else "enumeration"

    def stick(names: list[str], selection: str) -> Yardstick:
        """What is found if each worker and its principals are in the equilibrium named."""
        terms = [solved[one][name] for one, name in zip(employers, names, strict=True)]
        return _equilibrium(game, employers, terms, kind, selection)

    contracts = ["contracts" if "contracts" in solved[one] else "no contract" for one in employers]
    nobody = ["no contract" if "no contract" in solved[one] else "contracts" for one in employers]
    found = {"contracts": stick(contracts, "subgame-perfect terms in every round")}
    if nobody != contracts:
        found["no contract"] = stick(nobody, "worst found: nobody makes an acceptable offer")
    selfish, *_ = ranked(found.values())
    others = {name: one for name, one in found.items() if one is not selfish}
    planner = _planner(game, employers, kind)
    first = employers[0]
    facts = {
        "worker's effort per unit of slope": 1.0 / first.c,
        "surplus per worker in equilibrium": first.welfare(*solved[first][contracts[0]][:2]) - first.o,
        "surplus per worker at first best": first.first_best()[3] - first.o,
    }
    lowest = min(game.weight * sum(one.o for one in employers), selfish.welfare)
    return References(selfish, planner, planner.welfare - lowest, others=others, facts=facts)


def _equilibrium(
    game: Employment, employers: list[Employer], terms: list[Terms], kind: Kind, selection: str
) -> Yardstick:
    """Terms offered in every round and answered by the workers."""
    later, idle = game.later_weight, sum(one.o for one in employers)
    flow = sum(one.welfare(t.wage, t.slope) for one, t in zip(employers, terms, strict=True))
    welfare, gain = idle + later * flow, later * max(t.gain for t in terms)
    wage, slope = (np.concatenate([getattr(t, name) for t in terms]) for name in ("wage", "slope"))
    sums = terms[0].slope.sum(axis=0)
    detail = {"slope": float(sums[0]), "effort": float(answer(game, sums, employers[0].c)[0])}
    rule = Strategies(game, {"output": _offering(game, wage, slope), "wage": _answering(game)})
    return Yardstick(welfare, exactly(kind, gain, welfare), 0.0, gain, selection, rule, detail)


def _planner(game: Employment, employers: list[Employer], kind: Kind) -> Yardstick:
    """Effort as if it were seen, and the insurance that levels allow; refused where idleness is better."""
    wage, slope, effort, total = zip(*(one.first_best() for one in employers), strict=True)
    idle = np.array([one.o for one in employers])
    works = np.array(total) > idle
    welfare = idle.sum() + game.later_weight * np.maximum(total, idle).sum()
    rule = Strategies(
        game,
        {
            "output": _offering(game, np.concatenate(wage), np.concatenate(slope)),
            "wage": _working(works, np.stack(effort)),
        },
    )
    how = "first best: effort as if it were seen, and full insurance"
    return Yardstick(float(welfare), kind, 0.0, np.nan, how, rule, {"effort": float(effort[0][0])})


def _offering(game: Employment, wage: Array, slope: Array) -> Callable[[Seen], Mapping[str, Array]]:
    def strategy(seen: Seen) -> Mapping[str, Array]:
        return {"wage": wage} | {f"slope_{j + 1}": slope[:, j] for j in range(game.measured)}

    return strategy


def _answering(game: Employment) -> Callable[[Seen], Mapping[str, Array]]:
    def strategy(seen: Seen) -> Mapping[str, Array]:
        slope = np.stack([seen[f"slope_{j + 1}"] for j in range(game.measured)], axis=-1)
        c, r = seen["effort_cost"], seen["risk_aversion"]
        effort = answer(game, slope, c)
        outside = of(game.outside_option, game.agents_of("workers"))
        accept = accepted(game, seen["wage"], slope, effort, c, r, outside)
        done = {f"effort_{j + 1}": column for j, column in enumerate(np.moveaxis(effort, -1, 0))}
        return {"accept": accept.astype(np.float64)} | done

    return strategy


def _working(works: NDArray[np.bool_], effort: Array) -> Callable[[Seen], Mapping[str, Array]]:
    def strategy(seen: Seen) -> Mapping[str, Array]:
        told = {f"effort_{j + 1}": column for j, column in enumerate(effort.T)}
        return {"accept": works.astype(np.float64)} | told

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
        reward = game.utility(state, outcome.money)[0]
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
    found = game.references()
    return found.others.get("contracts", found.selfish).detail["slope"]
