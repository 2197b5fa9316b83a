"""Exact equilibria of a whole society: a dilemma under institutions that keep no memory.

The tables are played by `Society.step` itself, so an institution is solved as it is coded. What a
table cannot hold (memory, randomness of an institution, further action columns, stages, officials,
unequal agents) raises `NotExact` with the reason.
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonweal import registry
from commonweal.envs.aggregative import Levels, Model, OneStep
from commonweal.envs.base import Dilemma
from commonweal.envs.markov_perfect import equilibria, mixture, welfare
from commonweal.envs.one_state import CONTINUOUS_LEVELS, Fixed, Problem, draws_of, one_state
from commonweal.envs.yardsticks import equilibrium_yardsticks
from commonweal.errors import NotExact, require
from commonweal.institutions.base import Institution
from commonweal.institutions.taxation import Taxation
from commonweal.references import References, Yardstick
from commonweal.society import Society
from commonweal.spaces import Real

Array = NDArray[np.float64]

TAXED = ("extraction", "emission")  # conducts that a corrective tax is sought for
SCAN = 9  # rates tried at once while the best tax is sought
SCANS = 3
COARSE = 101  # grid points while it is sought
FINALISTS = 4  # rates, best on the coarse grid, among which the fine one decides


def only_column(society: Society) -> tuple[str, Real]:
    """Group and space of the only action column, that of the dilemma's agents.

    Raises:
        NotExact: there are more columns, more groups, stages, masks or finite credit.
    """
    require_exact(society)
    (name, group), *_ = society.groups.items()
    space = group.actions[0][1].space
    if not isinstance(space, Real):
        raise NotExact(f"{group.actions[0][1].name} is a choice among labels; allowed: a quantity")
    return name, space


def require_exact(society: Society) -> None:
    """Raise `NotExact` with the reason where one-step tables cannot describe the society."""
    one_state(society.dilemma)
    for inst in society.institutions:
        for name, value in inst.arrays():
            raise NotExact(f"{type(inst).__name__}.{name} has {value.size} values; allowed: scalars")
    columns = [f"{owner}.{a.name}" for g in society.groups.values() for owner, a in g.actions]
    reasons = {
        f"groups {', '.join(society.groups)}; allowed: citizens alone": len(society.groups) > 1,
        f"action columns {', '.join(columns)}; allowed: the dilemma's only one": len(columns) > 1,
        "stages besides play; allowed: none": society.agenda.staged,
        "a mask of allowed acts; allowed: none": society.mask is not None,
        f"credit {society.credit}; allowed: inf, else wealth is a second state": np.isfinite(society.credit),
    }
    for reason, applies in reasons.items():
        if applies:
            raise NotExact(f"the society has {reason}")


def _same_state(name: str, before: Any, after: Any) -> None:
    for field in fields(before):
        old, new = getattr(before, field.name), getattr(after, field.name)
        if np.any(old != old[:1]) or not np.array_equal(old, new):
            raise NotExact(f"{name}.{field.name} is a memory of the past; allowed: stateless institutions")


def at_states(society: Society, coordinate: Array) -> Society:
    """A copy of the society, at its start, whose worlds stand at the coordinates `(B,)`."""
    copy = Society(
        society.dilemma, society.institutions, num_worlds=len(coordinate),
        seed=np.zeros(len(coordinate), np.uint64), time_limit=society.time_limit,
        endowment=society.endowment, treasury_weight=society.treasury_weight,
    )  # fmt: skip
    copy.state = one_state(society.dilemma).state_at(coordinate)
    copy.observation = copy._observe()
    return copy


def model_of(society: Society) -> Model:
    """`Society.step` as a one-step model of agent 0 among equals.

    Raises:
        NotExact: at once, or when called where an institution remembers or draws lots.
    """
    group, space = only_column(society)
    dilemma = one_state(society.dilemma)
    step_size = (space.high - space.low) / (CONTINUOUS_LEVELS - 1)

    def model(coordinate: Array, levels: Levels, shock: float) -> OneStep:
        worlds = at_states(society, coordinate)
        worlds._dilemma_rng = Fixed(len(coordinate), shock, society.dilemma.id)
        worlds.hooks.rngs = {name: Fixed(len(coordinate), None, name) for name in worlds.hooks.rngs}
        before = worlds.states
        entries = levels if space.levels else space.low + step_size * levels
        step = worlds.step({group: np.asarray(entries, np.float64)[:, :, None]})
        for name, state in before.items():
            _same_state(name, state, worlds.states[name])
        following = dilemma.coordinate(worlds.state)
        continues = (~step.terminated).astype(np.float64)
        return OneStep(step.reward[group][:, 0], step.welfare, following, continues)

    return model


def problem_of(society: Society) -> Problem:
    """The game that the society is, ready for any grid."""
    _, space = only_column(society)
    game, model = one_state(society.dilemma), model_of(society)
    num_levels = space.levels or CONTINUOUS_LEVELS

    start = game.coordinate(society.dilemma.initial(Fixed(1, None, society.dilemma.id)))
    plays = society.time_limit or society.dilemma.horizon
    if plays is None:
        raise NotExact("the society has no time limit; allowed: a number of plays, over which W is counted")
    action, signal = society.dilemma.actions()[0], society.dilemma.signals()[0].name
    return Problem(
        model, game.grid, game.num_agents, num_levels, game.discount, float(start[0]), plays,
        signal, action, draws_of(society.dilemma),
    )  # fmt: skip


def _key(society: Society) -> str:
    return json.dumps({**society.to_dict(), "num_worlds": 1}, sort_keys=True)


@lru_cache(maxsize=128)
def _equilibria(key: str) -> tuple[Yardstick, ...]:
    society = Society.from_dict(json.loads(key))
    problem = problem_of(society)
    return tuple(equilibrium_yardsticks(problem, gap=society.dilemma.references().gap))


def equilibrium(society: Society) -> Yardstick:
    """The worst symmetric Markov-perfect equilibrium found of the society as it stands.

    Raises:
        NotExact: see the module.
    """
    require_exact(society)
    return _equilibria(_key(society))[0]


def _rate_limit(dilemma: Dilemma, base: str) -> float:
    """The rate at which acting alone never pays: largest income per unit of the base."""
    game = one_state(dilemma)
    column = dilemma.actions()[0].space
    assert isinstance(column, Real)
    grid = game.grid(21)
    acts = np.linspace(column.low, column.high, 21)
    state, act = np.repeat(grid, 21), np.tile(acts, len(grid))
    play = np.full((len(act), game.num_agents), column.low)
    play[:, 0] = act
    rng = Fixed(len(act), 0.0, dilemma.id)
    _, outcome = dilemma.step(game.state_at(state), {dilemma.actions()[0].name: play}, rng)
    quantity = outcome.conduct[base][:, 0]
    used = quantity > 1e-9
    return float((outcome.money[used, 0] / quantity[used]).max()) if used.any() else 0.0


@lru_cache(maxsize=64)
def _corrective(key: str, base: str) -> Yardstick:
    dilemma = registry.dilemma_from(json.loads(key))

    def society(rate: float) -> Society:
        tax: list[Institution] = [Taxation(base=base, rate=rate, revenue="others")]
        return Society(dilemma, tax)

    def value(rate: float) -> float:
        problem = problem_of(society(rate))
        game = problem.build(COARSE)
        found = equilibria(game, horizons=(20,))[0]
        return welfare(game, mixture(found.position, game.num_levels), problem.plays, problem.start)

    low, high = 0.0, _rate_limit(dilemma, base)
    tried: dict[float, float] = {}
    for _ in range(SCANS):
        rates = np.linspace(low, high, SCAN)
        tried |= {float(rate): value(float(rate)) for rate in rates if float(rate) not in tried}
        order = sorted(tried)
        place = order.index(max(tried, key=lambda rate: tried[rate]))
        low, high = order[max(place - 1, 0)], order[min(place + 1, len(order) - 1)]
    ranked = sorted(tried, key=lambda rate: -tried[rate])[:FINALISTS]
    found = {rate: equilibrium(society(rate)) for rate in ranked}
    best = max(ranked, key=lambda rate: found[rate].welfare)
    return replace(found[best], detail={**found[best].detail, "rate": best})


def corrective_tax(dilemma: Dilemma, base: str = "extraction") -> Yardstick:
    """The constant tax per unit of `base`, paid to the others, whose equilibrium has the largest W.

    The rate is sought by a scan and two refinements around its best; each rate is judged by one
    equilibrium on a coarse grid, the best few by `equilibrium`. `detail["rate"]` holds the rate.

    Raises:
        NotExact: the dilemma is no symmetric game in one state, or has one agent: nobody to pay.
    """
    if one_state(dilemma).num_agents < 2:
        raise NotExact(f"{dilemma.id} has one agent; allowed: at least two, for a tax is paid to the others")
    require(base in dilemma.conducts, "base", base, ", ".join(dilemma.conducts))
    return _corrective(json.dumps(registry.describe(dilemma), sort_keys=True), base)


def references(dilemma: Dilemma) -> References:
    """The references of a dilemma, and the corrective tax on each of `TAXED` that it does not tell itself.

    A tax that raises W by no more than the errors is left out: it corrects nothing.
    """
    found = dilemma.references()
    wanted = [base for base in TAXED if base in dilemma.conducts and base not in found.corrective]
    taxes = {base: corrective_tax(dilemma, base) for base in wanted}
    taxes = {base: tax for base, tax in taxes.items() if found.raised_by(tax)}
    return replace(found, corrective={**found.corrective, **taxes})
