"""A parameter with one value per agent reaches the right agent in every formula.

Most concern one agent alone: it fares as if all had its value. For the others the formula stands here.
"""

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from commonweal import Society, institution, make, registry
from commonweal.errors import InvalidParameter
from commonweal.monitor import Monitor
from tests.varied import dilemma, home, value_of, varied, with_value


def spread(base, number):
    """Values that differ from agent to agent, none above `base`, in no order."""
    return tuple(
        (base * np.linspace(0.7, 1.0, number))[np.random.default_rng(5).permutation(number)].tolist()
    )


def continuous(game):
    """The dilemma without levels, so that unequal agents have comparable acts."""
    return replace(game, **{f.name: None for f in fields(game) if f.name.endswith("levels")})


def shared_actions(societies, rng):
    """Actions of the first society that are possible in all, `(B, n, C)` by group."""
    actions = {}
    for name, group in societies[0].groups.items():
        low = np.max([s.groups[name].low for s in societies], axis=0)
        high = np.min([s.groups[name].high for s in societies], axis=0)
        drawn = low + (high - low) * rng.random((societies[0].num_worlds, group.size, len(low)))
        actions[name] = np.where(group.discrete, np.rint(drawn), drawn)
    return actions


def readers(game, parameter):
    """Whose value each agent's own numbers depend on, `(N,)`: its own, or that of its partner."""
    n, groups = sum(game.groups.values()), [*game.groups.values()]
    whose = np.arange(n)
    if game.id == "employment-v0" or game.id == "moral_hazard-v0":  # read at the workers
        whose[: groups[0]] = groups[0] + np.arange(groups[0]) * groups[1] // groups[0]
    if game.id == "signalling-v0":
        whose[groups[0] :] = np.arange(groups[1]) * groups[0] // groups[1]
    if game.id == "lemons-v0" and parameter != "premium":  # read at the sellers
        whose[groups[0] :] = np.arange(groups[1]) * groups[0] // groups[1]
    return whose


def own(step, society, agent):
    """What an agent itself has of a step, worlds first."""
    found = {name: value[:, agent] for name, value in step.conduct.items() if value.ndim == 2}
    found |= {"money": step.money[:, agent], "done": step.done}
    for name, group in society.groups.items():
        if group.citizens and group.agents.start <= agent < group.agents.stop:
            place = agent - group.agents.start
            found |= {"reward": step.reward[name][:, place], "seen": step.observation[name][:, place]}
    return found


def check_agents(game, parameter, values, worlds, steps=14):
    """Each agent fares as in a society in which all have its value; whether the values matter."""
    societies = [
        Society(with_value(game, parameter, v), num_worlds=worlds, seed=3) for v in (values, *values)
    ]
    rng, whose, matters = np.random.default_rng(1), readers(game, parameter), False
    for _ in range(steps):
        actions = shared_actions(societies, rng)
        unequal, *equal = (society.step(actions) for society in societies)
        for agent, reads in enumerate(whose):
            ours, alone = (own(s, societies[0], agent) for s in (unequal, equal[reads]))
            for name, value in alone.items():
                assert np.allclose(ours[name], value, 1e-6 if name == "seen" else 1e-12, 1e-12), (name, agent)
            other = own(equal[whose[agent - 1]], societies[0], agent)
            matters |= any(not np.allclose(alone[name], other[name]) for name in ("reward", "money"))
    return matters


# ---------------------------------------------------------------- formulas that hold several agents' values


def catchability(game, q, play):
    stock, effort = 100.0, play["effort"]
    total = sum(q[i] * effort[i] for i in range(3))
    return [q[i] * effort[i] * min(stock, stock / total) - 0.2 * effort[i] for i in range(3)]


def _holdup(a, s, i):
    n, pairs = len(i), len(i) // 2
    money = []
    for me in range(n):
        you = (me + pairs) % n
        out = [(1 - s[k]) * a[k] * i[k] for k in (me, you)]
        gain = a[me] * i[me] + a[you] * i[you] - sum(out)
        money.append(out[0] + 0.5 * gain - 0.5 * i[me] ** 2)
    return money


def marginal_return(game, a, play):
    return _holdup(a, [1.0] * len(a), play["investment"])


def specificity(game, s, play):
    return _holdup([1.0] * len(s), s, play["investment"])


def speed(game, s, play):
    made = [s[i] if play["unsafe"][i] else 1.0 for i in range(3)]
    return [6.0 * made[i] / sum(made) - (1.0 - play["unsafe"][i]) for i in range(3)]


def climate_endowment(game, e, play):
    given = [min(play["contribution"][i], e[i]) for i in range(3)]
    return [e[i] - given[i] if sum(given) >= game.target else 0.0 for i in range(3)]


def irrigation_endowment(game, e, play):
    given = [min(play["contribution"][i], e[i]) for i in range(3)]
    labour = sum(given) ** 2.0
    water, money = 30.0 + 70.0 * labour / (labour + 25.0**2.0), []
    for i in range(3):
        taken = min(play["water"][i], water)
        water -= taken
        money.append(e[i] - given[i] + 3.0 * taken - 0.05 * taken**2)
    return money


def fame(game, b, play):
    x = play["provocation"]
    weight, mean = [b[i] + x[i] for i in range(3)], sum(x) / 3
    hours = 100.0 * (1.0 - 0.5 * (1.0 - mean / 10.0) ** 2)
    return [hours * weight[i] / sum(weight) - x[i] for i in range(3)]


def _exchange(game, play, phi=(0.5,) * 3, theta=(1.0,) * 3, m=(1.0,) * 3, sigma=(1.0,) * 3):
    """Utility in money of what each holds after the fight, without any trade."""
    (e, a), p, n = ([game.endowments, game.weights]), game.prices, range(3)
    e, a = [e[i % 2] for i in n], [a[i % 2] for i in n]
    worth = [sum(e[i][g] * p[g] for g in (0, 1)) for i in n]
    force = [(theta[i] * play["fight"][i] * worth[i]) ** m[i] for i in n]
    spared = [[(1.0 - play["fight"][i]) * e[i][g] for g in (0, 1)] for i in n]
    prey = [sum((1.0 - phi[i]) * spared[i][g] for i in n) for g in (0, 1)]
    money = []
    for i in n:
        x = [phi[i] * spared[i][g] + force[i] / sum(force) * prey[g] for g in (0, 1)]
        if sigma[i] == 1.0:
            utility = math.prod((x[g] / a[i][g]) ** a[i][g] for g in (0, 1))
            index = math.prod(p[g] ** a[i][g] for g in (0, 1))
        else:
            power = 1.0 - 1.0 / sigma[i]
            utility = sum(a[i][g] ** (1.0 - power) * x[g] ** power for g in (0, 1)) ** (1.0 / power)
            index = sum(a[i][g] * p[g] ** (1.0 - sigma[i]) for g in (0, 1)) ** (1.0 / (1.0 - sigma[i]))
        money.append(index * utility)
    return money


def production(game, play, e=(1.0,) * 3, d=(13.0,) * 3):
    q = play["output"]
    price = max(20.0 - sum(q), 0.0)
    damage = sum(d[i] * e[i] * q[i] for i in range(3))
    return [q[i] * (price - 2.0 - 0.5 * q[i]) - 0.3 * damage / 3 for i in range(3)]


def public_goods_endowment(game, e, play):
    given = [min(play["contribution"][i], e[i]) for i in range(3)]
    return [e[i] - given[i] + 0.4 * sum(given) for i in range(3)]


FORMULAS = {
    ("fishery-v0", "catchability"): catchability,
    ("holdup-v0", "marginal_return"): marginal_return,
    ("holdup-v0", "specificity"): specificity,
    ("ai_race-v0", "speed"): speed,
    ("climate_risk-v0", "endowment"): climate_endowment,
    ("irrigation-v0", "endowment"): irrigation_endowment,
    ("attention-v0", "fame"): fame,
    ("exchange-v0", "property_rights"): lambda game, v, play: _exchange(game, play, phi=v),
    ("exchange-v0", "strength"): lambda game, v, play: _exchange(game, play, theta=v),
    ("exchange-v0", "decisiveness"): lambda game, v, play: _exchange(game, play, m=v),
    ("exchange-v0", "substitution"): lambda game, v, play: _exchange(game, play, sigma=v),
    ("production-v0", "emission_intensity"): lambda game, v, play: production(game, play, e=v),
    ("production-v0", "marginal_damage"): lambda game, v, play: production(game, play, d=v),
    ("public_goods-v0", "endowment"): public_goods_endowment,
}
MORE = {"climate_risk-v0": {"rounds": 1, "endowment": 5.0, "target": 5.0}, "ai_race-v0": {"sampled": False}}
OUTSIDERS = ("ai_race-v0", "public_damage")  # concerns nobody who plays, see below
DILEMMAS = [
    pytest.param(name, parameter, id=f"{name} {parameter}")
    for name in registry.DILEMMAS
    for parameter, values in registry.dilemma_class(name).several().items()
    if values.agents
]


@pytest.mark.parametrize(("name", "parameter"), DILEMMAS)
def test_a_value_per_agent_reaches_it(name, parameter):
    game = continuous(dilemma(name))
    n = sum(game.groups.values())
    values = spread(value_of(game, parameter), n)
    game = replace(game, **MORE.get(name, {}))
    if (name, parameter) not in FORMULAS:
        assert check_agents(game, parameter, values, worlds=n) != ((name, parameter) == OUTSIDERS)
        return
    game = replace(with_value(game, parameter, values), **{parameter: values})
    society = Society(game, num_worlds=n, seed=1)
    actions = shared_actions([society], np.random.default_rng(0))
    if name == "exchange-v0":
        actions["citizens"][..., 1:] = 0.0
    play = society.columns.split(actions)["dilemma"]
    step = society.step(actions)
    for world in range(n):
        expected = FORMULAS[name, parameter](game, values, {key: v[world] for key, v in play.items()})
        assert step.money[world] == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("name", "parameter"), DILEMMAS)
def test_values_per_agent_and_world_are_those_of_each_world(name, parameter):
    game = continuous(dilemma(name))
    n = sum(game.groups.values())
    table = np.array([np.roll(spread(value_of(game, parameter), n), k) for k in range(n)])
    if not type(game).several()[parameter].worlds:
        with pytest.raises(InvalidParameter, match=rf"(?s){parameter} is .*alike in all worlds$"):
            with_value(game, parameter, table)
        return
    together = Society(with_value(game, parameter, table), num_worlds=n, seed=2)
    alone = [
        Society(with_value(game, parameter, tuple(row)), seed=together.seeds[b : b + 1])
        for b, row in enumerate(table.tolist())
    ]
    rng = np.random.default_rng(3)
    for _ in range(8):
        actions = shared_actions([together], rng)
        whole = together.step(actions)
        for b, single in enumerate(alone):
            part = single.step({group: a[b : b + 1] for group, a in actions.items()})
            for group in together.groups:
                assert np.allclose(part.reward[group][0], whole.reward[group][b], 1e-12, 1e-12)
                assert np.array_equal(part.observation[group][0], whole.observation[group][b])


def test_damage_to_outsiders_is_that_of_each_who_does_it():
    race = make("ai_race-v0", steps=1, risk=0.5, public_damage=(1.0, 20.0, 300.0))
    step = Society(race).step({"citizens": np.array([[[0.0], [1.0], [1.0]]])})
    assert step.welfare[0] == pytest.approx(step.money.sum() - 0.5 * 320.0)
    firms = make("production-v0", num_agents=3, emission_intensity=(1, 2, 3), marginal_damage=(4, 5, 6))
    step = Society(replace(firms, levels=None)).step({"citizens": np.array([[[1.0], [2.0], [3.0]]])})
    assert step.welfare[0] == pytest.approx(step.money.sum() + 0.5 * 6.0**2 - (4 + 20 + 54))


# ---------------------------------------------------------------- harm done to unequal others

# Where not to act is an act of the game, and nothing comes later.
HARMS = [("appropriation-v0", {}), ("holdup-v0", {}), ("irrigation-v0", {}), ("exchange-v0", {})] + [
    ("public_goods-v0", {"technology": technology})
    for technology in ("linear", "threshold", "best-shot", "weakest-link", "club")
]


@pytest.mark.parametrize(("name", "more"), HARMS, ids=str)
def test_harm_is_what_unequal_others_lose(name, more):
    game = continuous(dilemma(name, **more))
    n = sum(game.groups.values())
    names = [p for p, values in type(game).several().items() if values.agents and p != "substitution"]
    game = replace(game, **{p: np.roll(spread(value_of(game, p), n), k)[None] for k, p in enumerate(names)})
    society = Society(game, num_worlds=n)
    actions = shared_actions([society], np.random.default_rng(4))
    if name == "exchange-v0":
        actions["citizens"][..., 1:] = 0.0
    play = society.columns.split(actions)["dilemma"]
    rng, state = society._dilemma_rng, society.state
    following, outcome = game.step(state, play, rng)
    harm = game.harm(state, play, outcome, following)

    def money(played):
        if name != "exchange-v0":
            return game.step(state, played, rng)[1].money
        return game.fight(played["fight"]) @ game.prices  # harm is of goods at competitive prices

    for agent in range(n):
        idle = {key: value.copy() for key, value in play.items()}
        for value in idle.values():
            value[:, agent] = 0.0
        lost = money(idle) - money(play)
        assert harm[:, agent] == pytest.approx(lost.sum(axis=1) - lost[:, agent], abs=1e-9)


def test_harm_of_unequal_firms_and_drivers():
    firms = make(
        "production-v0", num_agents=3, emission_intensity=(1.0, 2.0, 3.0), marginal_damage=(4.0, 5.0, 6.0)
    )
    output = {"output": np.array([[1.0, 2.0, 3.0]])}
    society = Society(firms)
    following, outcome = firms.step(society.state, output, society._dilemma_rng)
    assert firms.harm(society.state, output, outcome, following).tolist() == [[4.0, 20.0, 54.0]]
    drivers = make("routing-v0", num_agents=3, value_of_time=(1.0, 2.0, 4.0))
    society = Society(drivers)
    route = {"route": np.array([[1.0, 1.0, 1.0]])}  # the time is the share on it
    following, outcome = drivers.step(society.state, route, society._dilemma_rng)
    assert drivers.harm(society.state, route, outcome, following) == pytest.approx(
        np.array([[6.0, 5.0, 3.0]]) / 3
    )


# ---------------------------------------------------------------- institutions

INSTITUTIONS = [
    pytest.param(name, parameter, id=f"{name} {parameter}")
    for name in registry.INSTITUTIONS
    for parameter in varied(registry.institution_class(name))
    if parameter != "monitor.cost"  # paid by the treasury, see below
    and ("." in parameter or registry.institution_class(name).several()[parameter].agents)
]


def by_payer(step, n):
    """What each citizen paid, by purpose `(B, N)`, and what was found out about it."""
    found = {}
    for entry in step.ledger.entries:
        if entry.amount.ndim == 2 and entry.amount.shape[1] == n:
            key = f"{entry.institution} {entry.purpose}"
            found[key] = found.get(key, 0.0) + entry.amount
    found |= {name: v for name, v in step.conduct.items() if v.shape[1:] == (n,)}
    return found


@pytest.mark.parametrize(("name", "parameter"), INSTITUTIONS)
def test_a_value_per_citizen_reaches_it(name, parameter):
    game, stack = home(name)
    part = next(p for p in stack if p.id == name)
    n = sum(game.groups.values())
    values = spread(value_of(part, parameter), n)
    societies = [
        Society(game, [with_value(p, parameter, v) if p is part else p for p in stack], num_worlds=n, seed=3)
        for v in (values, *values)
    ]
    rng, matters = np.random.default_rng(1), False
    for _ in range(20):  # each play from the same state: who catches less leaves more
        actions = shared_actions(societies, rng)
        for society in societies:
            society.reset(int(rng.integers(100)) if society is societies[0] else societies[0].seeds)
        unequal, *equal = (society.step(actions) for society in societies)
        found = by_payer(unequal, n)
        for agent in range(n):
            alone, other = by_payer(equal[agent], n), by_payer(equal[agent - 1], n)
            for key in found.keys() | alone.keys():
                ours, theirs = (them.get(key, np.zeros((n, n)))[:, agent] for them in (found, alone))
                assert np.allclose(ours, theirs, 1e-12, 1e-12), (key, agent)
                matters |= not np.allclose(theirs, other.get(key, np.zeros((n, n)))[:, agent])
    assert matters


@pytest.mark.parametrize("worlds", [1, 3, 4])
def test_an_inspection_costs_what_that_of_its_citizen_does(worlds):
    for agent, cost in enumerate((1.0, 2.0, 4.0)):
        coverage = tuple(float(other == agent) for other in range(3))
        monitor = Monitor(coverage=coverage, cost=(1.0, 2.0, 4.0))
        tax = institution("taxation", base="extraction", revenue="treasury", monitor=monitor)
        society = Society(make("fishery-v0", num_agents=3), [tax], num_worlds=worlds)
        step = society.step({"citizens": np.full((worlds, 3, 1), 5.0)})
        assert step.ledger.burnt.tolist() == [cost] * worlds


@pytest.mark.parametrize("targets", ["one", "each"])
@pytest.mark.parametrize("worlds", [1, 3, 4])
def test_who_punishes_bears_its_own_cost(worlds, targets):
    """`(1, N)` against `(B, actor, target)`: it was the target's."""
    peers = institution("peer-sanctions", cost=(1.0, 2.0, 3.0), fine=0.0, targets=targets)
    society = Society(make("fishery-v0", num_agents=3), [peers], num_worlds=worlds)
    actions = society.columns.null_actions(worlds)
    names = [action.name for _, action in society.groups["citizens"].actions]
    amount = names.index("sanction_1" if targets == "each" else "sanction_points")
    actions["citizens"][:, 0, amount] = 2.0  # of the first, for the next in turn
    assert society.step(actions).ledger.net.tolist() == [[-2.0, 0.0, 0.0]] * worlds
    actions = society.columns.null_actions(worlds)
    actions["citizens"][:, 2, amount] = 1.0
    assert society.step(actions).ledger.net.tolist() == [[0.0, 0.0, -3.0]] * worlds
