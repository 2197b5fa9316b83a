"""Numbers of theory against our own: closed forms to 1e-6, dynamic programming within its bound."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonweal import registry
from commonweal.agents.best_response import best_response_gain
from commonweal.agents.scripted import Constant, scripted
from commonweal.envs.fish_war import FishWar
from commonweal.envs.fishery import Fishery, golden_rule_stock
from commonweal.evaluation import evaluate
from commonweal.random import Streams, world_seeds
from commonweal.references import Check
from commonweal.society import Society
from commonweal.solvers import corrective_tax, equilibrium

Array = NDArray[np.float64]
CLOSED_FORM = 1e-6
WORLDS = 256


def checks() -> list[Check]:
    """Every check, computed afresh: those of each dilemma's own file, then those that need solvers."""
    told = [check for name in registry.DILEMMAS for check in registry.dilemma_class(name).theory()]
    closed = [*_fish_war(), *_gordon_schaefer(), *_golden_rule(), *_effort_game(), *_public_goods()]
    return [*told, *closed, *_programming()]


def _fish_war() -> Iterator[Check]:
    source = "Levhari and Mirman (1980)"
    for n, share, stock in ((2, 11 / 31, 9 / 31), (5, 11 / 64, 9 / 64)):
        war = FishWar(num_agents=n, elasticity=0.5, discount=0.9)
        selfish = war.references().selfish
        name = f"fish war, N = {n}"
        yield Check(f"{name}: Markov-perfect share", source, share, selfish.detail["share"], CLOSED_FORM)
        # Play is simulated until the stock rests; the share saved is 1 - N share = 9/31 and 9/64.
        yield Check(f"{name}: steady stock", source, stock, _resting_stock(war, share), CLOSED_FORM)
        played = Society(war, num_worlds=1)
        welfare = float(evaluate(played, scripted(played, selfish)).welfare[0])
        yield Check(f"{name}: W of the equilibrium", "simulation", welfare, selfish.welfare, CLOSED_FORM)
        gain = float(best_response_gain(played, scripted(played, selfish)).max())
        yield Check(f"{name}: gain of the best reply", source, 0.0, gain, CLOSED_FORM)
        yield Check(f"{name}: planner's total share", source, 0.55, n * war.planner_share(), CLOSED_FORM)
        at_best = _resting_stock(war, war.planner_share())
        yield Check(f"{name}: planner's steady stock", source, 0.45, at_best, CLOSED_FORM)


def _resting_stock(war: FishWar, share: float) -> float:
    """The stock after 200 plays at a constant share."""
    rng = Streams(world_seeds(0, 1), 0)
    state = war.initial(rng)
    for _ in range(200):
        state, _ = war.step(state, {"share": np.full((1, war.num_agents), share)}, rng)
    return float(state.stock[0, 0])


def _gordon_schaefer() -> Iterator[Check]:
    source = "Gordon (1954), Schaefer (1954)"
    fishery = Fishery()
    facts, r, capacity, q = fishery.facts(), 0.5, 100.0, 0.01
    rent = _steady_rent(fishery, facts["open_access_effort"])
    yield Check("open access: rent at the bionomic effort", source, 0.0, rent, CLOSED_FORM)
    stock = _resting_fishery(fishery, facts["open_access_effort"])
    yield Check("open access: stock c / (p q)", source, 20.0, stock, CLOSED_FORM)
    yield Check("bionomic stock", source, 20.0, facts["bionomic_stock"], CLOSED_FORM)
    at_msy = _resting_fishery(fishery, r / (2.0 * q))
    yield Check("stock at the maximum sustainable yield", source, capacity / 2.0, at_msy, CLOSED_FORM)
    yield Check("maximum sustainable yield", source, r / 2.0 * at_msy, facts["msy"], CLOSED_FORM)
    efforts = np.linspace(0.0, facts["open_access_effort"], 41)
    best = efforts[np.argmax([_steady_rent(fishery, effort) for effort in efforts])]
    rent_stock = _resting_fishery(fishery, float(best))
    yield Check("rent-maximising stock (K + c / (p q)) / 2", source, 60.0, rent_stock, CLOSED_FORM)


def _resting_fishery(fishery: Fishery, effort: float) -> float:
    """The stock at rest when all boats together exert `effort`."""
    rng = Streams(world_seeds(0, 1), 0)
    state = fishery.initial(rng)
    play = {"effort": np.full((1, fishery.num_agents), effort / fishery.num_agents)}
    for _ in range(500):
        state, _ = fishery.step(state, play, rng)
    return float(state.stock[0, 0])


def _steady_rent(fishery: Fishery, effort: float) -> float:
    rng = Streams(world_seeds(0, 1), 0)
    state = fishery.state_at(np.array([_resting_fishery(fishery, effort)]))
    play = {"effort": np.full((1, fishery.num_agents), effort / fishery.num_agents)}
    return float(fishery.step(state, play, rng)[1].money.sum())


def _golden_rule() -> Iterator[Check]:
    source = "Clark (1990), parameters recalled"
    halibut = {"growth": 0.71, "capacity": 80.5, "z": 17.5 / 80.5}
    for rate in (0.0, 0.05, 0.12, math.inf):
        ours = golden_rule_stock(**halibut, rate=rate)
        reference = _golden_stock_by_search(**halibut, rate=rate)
        yield Check(f"halibut: golden-rule stock at {rate:g} a year", source, reference, ours, CLOSED_FORM)
    for rate, printed in ((0.0, 49.0), (0.05, 47.2), (0.12, 44.9)):
        ours = golden_rule_stock(**halibut, rate=rate)
        yield Check(f"halibut: printed stock at {rate:g} a year", source, printed, ours, 0.05)
    preset = registry.make("fishery-v0", preset="halibut")
    assert isinstance(preset, Fishery)
    facts = preset.facts()
    yield Check("halibut: maximum sustainable yield", source, 14.28875, facts["msy"], CLOSED_FORM)
    yield Check("halibut: bionomic stock", source, 17.5, facts["bionomic_stock"], CLOSED_FORM)
    for rate, stock in ((0.01, 200.0), (0.08, 100.0)):
        ours = golden_rule_stock(0.08, 400.0, 0.1, rate)
        yield Check(f"fin whale: golden-rule stock at {rate:g} a year", source, stock, ours, CLOSED_FORM)


def _golden_stock_by_search(growth: float, capacity: float, z: float, rate: float) -> float:
    """Root of the golden rule `F'(x) - c'(x) F(x) / (p - c(x)) = rate` by bisection.

    In units p = 1, unit cost of catching `c(x) = z K / x`, growth `F(x) = r x (1 - x / K)`.
    """
    if math.isinf(rate):
        return z * capacity
    low, high = z * capacity * (1.0 + 1e-12), capacity
    for _ in range(200):
        stock = 0.5 * (low + high)
        slope = growth * (1.0 - 2.0 * stock / capacity)
        surplus = growth * stock * (1.0 - stock / capacity)
        margin = z * capacity / stock**2 * surplus / (1.0 - z * capacity / stock)
        low, high = (stock, high) if slope + margin > rate else (low, stock)
    return 0.5 * (low + high)


def _effort_game() -> Iterator[Check]:
    source = "static game of N fishers, textbook"
    for n, share in ((1, 1 / 2), (2, 2 / 3), (5, 5 / 6)):
        fishery = Fishery(num_agents=n, max_effort=100.0)
        facts = fishery.facts()
        ours = facts["static_nash_effort"] / facts["open_access_effort"]
        yield Check(f"N = {n}: Nash effort over open access", source, share, ours, CLOSED_FORM)
        # No boat can gain: the steady rent of one boat is stationary in its own effort.
        each = facts["static_nash_effort"] / n
        slope = (_own_rent(fishery, each, 0.01) - _own_rent(fishery, each, -0.01)) / 0.02
        yield Check(f"N = {n}: marginal rent of a boat at Nash", source, 0.0, slope, CLOSED_FORM)


def _own_rent(fishery: Fishery, each: float, more: float) -> float:
    """Steady rent of a boat that exerts `each + more` while the others exert `each`."""
    rng = Streams(world_seeds(0, 1), 0)
    play = {"effort": np.full((1, fishery.num_agents), each)}
    play["effort"][0, 0] += more
    state = fishery.initial(rng)
    for _ in range(800):
        state, outcome = fishery.step(state, play, rng)
    return float(outcome.money[0, 0])


def _public_goods() -> Iterator[Check]:
    """Rules laid over a round of the public good, played through the society."""
    source = "Christoffersen et al. (2023): 1 - m"
    slopes = [_contracted(theta, [[1, 7, 7, 7], [0, 7, 7, 7]]) for theta in (0.5, 0.7)]
    low, high = (float(payoff[0, 0] - payoff[1, 0]) for payoff in slopes)
    switch = 0.5 - 0.2 * low / (high - low)
    yield Check("public good: reward from which giving pays", source, 0.6, switch, CLOSED_FORM)
    source = "Koster et al. (2022)"
    paid = _contracted(1.2, [[10, 2, 2, 2], [9, 2, 2, 2]], preset="democratic_ai")
    # Shared equally, plus 1.2 a unit from the others: each has back 1.6 times its own.
    yield Check("libertarian: all give all, the rich", source, 16.0, float(paid[0, 0]), CLOSED_FORM)
    yield Check("libertarian: all give all, a poor one", source, 3.2, float(paid[0, 1]), CLOSED_FORM)
    own = 1.0 + float(paid[0, 0] - paid[1, 0])
    yield Check("libertarian: own return of a unit", source, 1.6, own, CLOSED_FORM)
    yield Check(
        "one point at 1:3 for each 5 tokens", "Fehr and Gächter (2002)", 0.2, _deterrence(), CLOSED_FORM
    )


def _contracted(theta: float, gifts: list[list[float]], preset: str | None = None) -> Array:
    """Payoffs `(B, N)` of contributions `gifts (B, N)` under a signed contract that pays `theta` a unit."""
    contract = registry.institution("contract", max_transfer=2.0, levels=None)
    game = registry.make("public_goods-v0", preset=preset, levels=None)
    society = Society(game, [contract], num_worlds=len(gifts))
    columns = [action.name for action in society.groups["citizens"].spaces]
    entries: tuple[tuple[str, Any], ...] = (
        ("contract_offer", theta), ("contract_sign", 1.0), ("contribution", np.array(gifts, np.float64)),
    )  # fmt: skip
    for name, value in entries:
        actions = society.columns.null_actions(len(gifts))
        actions["citizens"][..., columns.index(name)] = value
        paid = society.step(actions).reward["citizens"]
    return paid


def _deterrence() -> float:
    """Points for each token kept back after which a lone free rider has what the others' giving brings."""
    sanctions = registry.institution("peer-sanctions", base="contribution", stage="respond", targets="each")
    society = Society(registry.make("public_goods-v0"), [sanctions])
    play = society.columns.null_actions(1)
    play["citizens"][0, 1:, 0] = 20
    rider = society.step(play).reward["citizens"][0, 0]
    respond = society.columns.null_actions(1)
    respond["citizens"][0, 3, 1] = 1  # one point from the last agent to the next, the free rider
    loss = -society.step(respond).reward["citizens"][0, 0]
    return float((rider - 32.0) / loss / 20.0)


def _programming() -> Iterator[Check]:
    for preset in (None, "halibut", "fin_whale"):
        fishery, name = registry.make("fishery-v0", preset=preset), preset or "default"
        found = fishery.references()
        society = Society(fishery, num_worlds=WORLDS)
        for who, yardstick in (("planner", found.planner), ("selfish equilibrium", found.selfish)):
            played = evaluate(society, scripted(society, yardstick), seed=7).welfare
            spread = 3.0 * float(played.std()) / math.sqrt(WORLDS)  # of the mean of random play
            yield Check(
                f"{name}: W of the {who}", "simulation", float(played.mean()), yardstick.welfare,
                yardstick.error + spread,
            )  # fmt: skip
        epsilon, bound = found.selfish.epsilon, 0.01 * found.gap / fishery.groups["citizens"]
        yield Check(f"{name}: epsilon under 1% of the gap per agent", "best reply", 0.0, epsilon, bound)
        same = equilibrium(Society(fishery)).welfare
        reference = found.selfish.welfare
        yield Check(f"{name}: equilibrium through the society", "identity", reference, same, CLOSED_FORM)
        idle = Society(fishery, num_worlds=1)
        yield Check(
            f"{name}: W when nobody fishes", "identity", 0.0,
            float(evaluate(idle, Constant(idle, effort=0)).welfare[0]), CLOSED_FORM,
        )  # fmt: skip
        taxed = float(found.efficiency(corrective_tax(fishery).welfare))
        yield Check(f"{name}: efficiency under the corrective tax", "own bar, no theory", 1.0, taxed, 0.02)
