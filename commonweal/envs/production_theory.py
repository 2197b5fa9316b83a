"""What is exact about Cournot competition among polluters: equilibria, planner and the best tax.

Continuous outputs solve one equation in their sum Q: each firm makes what is best at Q, which falls with
Q. On levels the output nearest to it need be no equilibrium, nor the worst; there all sums are tried.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from commonweal.envs.pure_equilibria import Aggregative, Ints
from commonweal.envs.repeated import Always
from commonweal.errors import NotExact
from commonweal.references import Kind, References, Yardstick

if TYPE_CHECKING:
    from commonweal.envs.production import Production

Array = NDArray[np.float64]
Conduct = Literal["planner", "Cournot", "price takers"]
FLAT = 1e-9  # stands for a cost slope of zero where output is otherwise not unique
OPTIONS = 10_001  # outputs among which the best deviation is sought where they are continuous
GAIN = 1e-9  # of the range of W: a tax that raises it by less mends nothing


def firms(game: Production, name: str) -> Array:
    """A parameter of each firm, `(N,)`."""
    return np.broadcast_to(np.asarray(getattr(game, name), float).reshape(-1), (game.num_agents,))


def require_exact(game: Production) -> None:
    """Raise `NotExact` where worlds differ."""
    for name, value in vars(game).items():
        if isinstance(value, np.ndarray) and value.shape[0] > 1:
            raise NotExact(f"Production.{name} has {value.shape[0]} values; allowed: not one per world")


def output(game: Production, conduct: Conduct, tax: float = 0.0) -> Array:
    """Outputs `(N,)` of continuous acts: the planner's, or in equilibrium at a tax per unit emitted.

    Raises:
        NotExact: a parameter differs by world.
    """
    require_exact(game)
    b, n, most = float(np.max(game.demand_slope)), game.num_agents, game.max_output
    damage = firms(game, "marginal_damage")
    charge = damage if conduct == "planner" else tax + float(np.max(game.damage_share)) * damage / n
    margin = float(np.max(game.choke_price)) - firms(game, "unit_cost")
    margin = margin - charge * firms(game, "emission_intensity")
    slope = np.maximum(firms(game, "cost_slope") + (b if conduct == "Cournot" else 0.0), FLAT)

    def made(total: float) -> Array:
        return (margin - b * total) / slope

    # Between two sums at which some firm starts, or is at its most, all is linear.
    turns = np.sort(np.clip(np.append(margin, margin - slope * most) / b, 0.0, n * most))
    turn = bisect_left(turns, 0.0, key=lambda total: total - np.clip(made(total), 0.0, most).sum())
    low, high = (turns[turn - 1] if turn else 0.0), (turns[turn] if turn < len(turns) else n * most)
    more, less = (np.clip(made(total), 0.0, most) for total in (low, high))
    excess, missing = more.sum() - low, high - less.sum()
    share = excess / (excess + missing) if excess + missing > 0.0 else 0.0
    return np.asarray(more + share * (less - more))


def glut(game: Production, tax: float = 0.0) -> Array | None:
    """Outputs `(N,)` so large that the price is 0 whatever one firm does; None: no equilibrium is such.

    Firms whom output costs nothing do not mind, where the others can fill the market without any one of them.
    """
    emission, borne = firms(game, "emission_intensity"), float(np.max(game.damage_share)) / game.num_agents
    charge = tax * emission + borne * firms(game, "marginal_damage") * emission
    free = firms(game, "unit_cost") + firms(game, "cost_slope") + charge == 0.0
    made = np.where(free, game.max_output, 0.0)
    market = float(np.max(game.choke_price)) / float(np.max(game.demand_slope))
    return made if made.sum() - made.max() >= market else None


def on_levels(game: Production, tax: float = 0.0) -> Aggregative:
    """The round on levels at a tax per unit emitted."""
    b, n, a = float(np.max(game.demand_slope)), game.num_agents, float(np.max(game.choke_price))
    assert game.levels
    unit = game.max_output / (game.levels - 1)
    damage = firms(game, "marginal_damage") * firms(game, "emission_intensity")
    charge = tax * firms(game, "emission_intensity") + float(np.max(game.damage_share)) / n * damage
    rows = np.stack([firms(game, "unit_cost"), firms(game, "cost_slope"), charge, damage], axis=1)
    kind, place = np.unique(rows, axis=0, return_inverse=True)

    def profit(k: int, own: Ints, sums: Ints) -> Array:
        made, price = unit * own, np.maximum(a - b * unit * sums, 0.0)
        return np.asarray(made * (price - kind[k, 0] - 0.5 * kind[k, 1] * made))

    def payoff(k: int, own: Ints, sums: Ints) -> Array:
        return profit(k, own, sums) - kind[k, 2] * unit * own

    def worth(k: int, own: Ints, total: int) -> Array:
        return profit(k, own, np.asarray(total)) - kind[k, 3] * unit * own

    return Aggregative(place.reshape(-1), np.full(len(kind), game.levels - 1), payoff, worth)


def settled(game: Production, tax: float = 0.0) -> list[Array]:
    """Outputs `(N,)` of pure equilibria of a round, the one of least W first: one of each sum.

    Raises:
        NotExact: there is none.
    """
    if game.levels:
        unit = game.max_output / (game.levels - 1)
        found = [unit * levels.astype(np.float64) for levels in on_levels(game, tax).equilibria()]
    else:
        found = [made for made in (output(game, "Cournot", tax), glut(game, tax)) if made is not None]
    if not found:
        raise NotExact("no pure equilibrium of a round exists on these levels; allowed: finer ones, or None")
    return sorted(found, key=lambda made: float(game.welfare(made[None])[0]))


def planned(game: Production) -> Array:
    """The planner's outputs `(N,)`.

    On levels: at a given sum the surplus is a sum of concave functions of each output, so that the units go
    one by one to where they are worth most; all sums are compared.
    """
    if not game.levels:
        return output(game, "planner")
    n, steps = game.num_agents, game.levels - 1
    unit, each = game.max_output / steps, np.arange(steps + 1.0)[:, None]
    made = unit * each
    cost = made * (firms(game, "unit_cost") + 0.5 * firms(game, "cost_slope") * made)
    cost = cost + made * firms(game, "marginal_damage") * firms(game, "emission_intensity")
    further = np.diff(cost, axis=0)  # the cost of each further unit, rising
    order = np.argsort(further, axis=None, kind="stable")
    total = unit * np.arange(n * steps + 1.0)
    a, b = float(np.max(game.choke_price)), float(np.max(game.demand_slope))
    sold = np.minimum(total, a / b)
    surplus = sold * (a - 0.5 * b * sold) - np.append(0.0, np.cumsum(further.ravel()[order]))
    firm = order[: int(surplus.argmax())] % n
    return np.asarray(unit * np.bincount(firm, minlength=n))


def largest_gain(game: Production, made: Array) -> float:
    """The largest gain in a round of a firm that alone leaves the outputs `(N,)`, every alternative tried."""
    tried = np.linspace(0.0, game.max_output, game.levels or OPTIONS)
    b, a, total = float(np.max(game.demand_slope)), float(np.max(game.choke_price)), made.sum()
    borne = float(np.max(game.damage_share)) / game.num_agents * firms(game, "marginal_damage")
    borne = borne * firms(game, "emission_intensity")
    rows = np.stack([firms(game, "unit_cost"), firms(game, "cost_slope"), borne, made], axis=1)
    most = 0.0
    for unit_cost, slope, charge, now in np.unique(rows, axis=0):
        own = np.append(now, tried)
        price = np.maximum(a - b * (total - now + own), 0.0)
        value = own * (price - unit_cost - charge - 0.5 * slope * own)
        most = max(most, float(value.max() - value[0]))
    return most


def best_rate(game: Production) -> float:
    """The tax per unit emitted of largest W in Cournot's equilibrium, continuous outputs; nan: none helps.

    Where firms are alike it restores the planner's output; else one rate cannot mend all markups.
    """
    emission = firms(game, "emission_intensity")
    if not emission.any():
        return math.nan
    high = float(np.max(game.choke_price)) / float(emission[emission > 0.0].min())

    def loss(tax: float) -> float:
        return -float(game.welfare(output(game, "Cournot", tax)[None])[0])

    rates = np.linspace(-high, high, 201)
    losses = [loss(rate) for rate in rates]
    best = int(np.argmin(losses))
    around = rates[max(best - 1, 0)], rates[min(best + 1, 200)]
    found = minimize_scalar(loss, bounds=around, method="bounded", options={"xatol": 1e-10})
    helps = loss(0.0) - float(found.fun) > GAIN * (max(losses) - min(losses) + abs(loss(0.0)))
    return float(found.x) if helps else math.nan


def _stick(game: Production, made: Array, selection: str, epsilon: float = math.nan) -> Yardstick:
    kind: Kind = "enumeration" if game.levels else "closed form"
    welfare = game.weight * float(game.welfare(made[None])[0])
    rule, detail = Always(game, {"output": made[None]}), {"output": float(made.sum())}
    return Yardstick(welfare, kind, 0.0, epsilon, selection, rule, detail)


def _corrected(game: Production, rate: float, found: References) -> References:
    """With the best tax on emission, where it mends anything."""
    if math.isnan(rate):
        return found
    try:
        made = settled(game, rate)[0]
    except NotExact:
        return found  # no equilibrium on these levels under it
    where = "the best tax per unit emitted for continuous output; its worst equilibrium"
    taxed = replace(_stick(game, made, where, 0.0), rule=None)
    taxed = replace(taxed, detail={**taxed.detail, "rate": rate})
    return replace(found, corrective={"emission": taxed}) if found.raised_by(taxed) else found


@lru_cache(maxsize=64)
def references(parameters: str) -> References:
    """The references of the game with these parameters, see `Production.references`."""
    from commonweal.envs.production import Production

    game = Production.from_dict(json.loads(parameters))
    require_exact(game)
    found = settled(game)
    how = f"worst of {len(found)} sums of output in pure equilibria" if game.levels else "the only one"
    if not game.levels and len(found) > 1:
        how = "the worse of it and of a glut at the price 0"
    how = f"Cournot's equilibrium of every round, {how}"
    sticks = [_stick(game, made, how, game.weight * largest_gain(game, made)) for made in found]
    selfish, planner = sticks[0], _stick(game, planned(game), "maximum of the surplus of all")
    everyone = np.linspace(0.0, game.max_output, game.levels or OPTIONS)[:, None]
    constant = game.weight * game.welfare(np.repeat(everyone, game.num_agents, axis=1))
    scale = float(np.ptp(np.append(constant, [planner.welfare, selfish.welfare])))
    rate = best_rate(game)
    takers = output(game, "price takers")
    others = 1.0 - float(np.max(game.damage_share)) / game.num_agents
    facts = {
        "output of price takers": float(takers.sum()),
        "W of price takers in a round": float(game.welfare(takers[None])[0]),
        "corrective tax among price takers": float(np.max(game.marginal_damage)) * others,
        "corrective tax in Cournot's equilibrium": rate,
    }
    more = {f"output {one.detail['output']:g}": one for one in sticks[1:]}
    return _corrected(game, rate, References(selfish, planner, scale, others=more, facts=facts))
