"""Selfish routing: every profile of a few drivers played, Pigou, Braess, tolls."""

import itertools
import math

import numpy as np
import pytest

from commonweal import Society, institution, make
from commonweal.agents.scripted import scripted
from commonweal.envs.routing import Routing
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate
from commonweal.random import Streams


def profiles(game):
    """Every profile `(P, N)`, and what each driver earns in it when played, `(P, N)`."""
    options = range(len(game.routes))
    route = np.array(list(itertools.product(options, repeat=game.num_agents)), float)
    return route, play(game, route).money


def play(game, route, stack=()):
    return Society(game, list(stack), num_worlds=len(route)).step({"citizens": route[:, :, None]})


def equilibria(game, earned, route):
    """Which profiles `(P,)` are Nash equilibria: every deviation of every driver is another profile."""
    kinds, n = len(game.routes), game.num_agents
    cube = earned.reshape(*[kinds] * n, n)
    stable = np.ones([kinds] * n, bool)
    for i in range(n):
        stable &= cube[..., i] >= cube[..., i].max(axis=i, keepdims=True) - 1e-9
    return stable.reshape(-1)


def random_network(seed, n=4):
    rng = np.random.default_rng(seed)
    latency = tuple(tuple(row) for row in rng.integers(0, 3, size=(4, 3)).astype(float))
    value = tuple(rng.uniform(0.5, 2.0, n))
    return Routing(
        num_agents=n, routes=((0, 1), (2,), (1, 3)), latency=latency, value_of_time=value, rounds=1
    )


def test_theory():
    assert [check.name for check in Routing.theory() if not check.passed] == []


@pytest.mark.parametrize("seed", range(12))
def test_yardsticks_are_those_of_trying_every_profile(seed):
    game = random_network(seed)
    route, earned = profiles(game)
    total, found = earned.sum(axis=1), game.references()
    stable = equilibria(game, earned, route)
    assert found.planner.welfare == pytest.approx(total.max())
    assert found.selfish.welfare == pytest.approx(total[stable].min())
    assert found.selfish.epsilon == pytest.approx(0.0, abs=1e-9)
    assert found.payoff_range == pytest.approx(np.ptp(total))
    counts = {tuple((row == r).sum() for r in range(3)) for row in route[stable]}
    assert found.facts["equilibria"] == len(counts)


@pytest.mark.parametrize("preset", Routing.presets)
def test_eight_drivers_by_trying_every_profile(preset):
    game = make("routing-v0", preset=preset, rounds=1)
    route, earned = profiles(game)
    found, stable = game.references(), equilibria(game, earned, route)
    assert found.selfish.welfare == pytest.approx(earned.sum(axis=1)[stable].min())
    assert found.planner.welfare == pytest.approx(earned.sum(axis=1).max())
    assert found.facts["price_of_anarchy"] == pytest.approx(4 / 3)


@pytest.mark.parametrize("preset", Routing.presets)
def test_playing_a_rule_gives_its_welfare(preset):
    game = make("routing-v0", preset=preset, discount=0.9)
    society, found = Society(game, num_worlds=1), game.references()
    for stick in (found.selfish, found.planner, *found.others.values()):
        assert evaluate(society, scripted(society, stick)).welfare[0] == pytest.approx(stick.welfare)


def test_every_move_changes_rosenthals_potential_by_what_it_saves():
    game = random_network(5)
    game = Routing(num_agents=4, routes=game.routes, latency=game.latency, rounds=1)
    route, earned = profiles(game)

    def potential(row):
        count = np.array([(row == r).sum() for r in range(3)])
        load = (count @ game.network.incidence).astype(int)
        return sum(
            sum(np.polyval(game.latency[e][::-1], k / 4) for k in range(1, load[e] + 1)) for e in range(4)
        )

    value = np.array([potential(row) for row in route]).reshape(3, 3, 3, 3)
    time = -earned.reshape(3, 3, 3, 3, 4)
    for i in range(4):
        a, b = (np.diff(x, axis=i) for x in (value, time[..., i]))
        assert a == pytest.approx(b)


def test_two_days_by_hand():
    society = Society(Routing(num_agents=4, rounds=2))
    step = society.step({"citizens": np.array([[[0], [1], [1], [1]]], float)})
    assert step.reward["citizens"][0].tolist() == [-1, -0.75, -0.75, -0.75]
    assert step.conduct["travel_time"][0].tolist() == [1, 0.75, 0.75, 0.75]
    assert step.observation["citizens"][0, 2].tolist() == [0.5, 0.25, 0.75]
    assert not step.done[0]
    assert society.step({"citizens": np.ones((1, 4, 1))}).terminated[0]


def test_time_is_money_at_each_drivers_own_value():
    game = Routing(num_agents=4, value_of_time=(1.0, 2.0, 3.0, 4.0))
    step = play(game, np.array([[0.0, 0, 1, 1]]))
    assert step.reward["citizens"][0].tolist() == [-1, -2, -1.5, -2]
    # The planner keeps the fast road for those in a hurry.
    best = game.references().planner.rule({"progress": np.zeros((1, 4, 1))}, None)["route"]
    assert best.tolist() == [[0, 0, 1, 1]]


def test_without_congestion_there_is_no_dilemma():
    assert Routing(latency=((1.0,), (0.5,))).references().gap == pytest.approx(0.0)
    assert Routing().references().gap == pytest.approx(10 * 2.0)


@pytest.mark.parametrize("seed", range(4))
def test_harm_is_the_money_that_others_lose_because_one_did_not_stay_at_home(seed):
    game = random_network(seed)
    route = np.random.default_rng(seed).integers(0, 3, size=(20, 4)).astype(float)
    state = game.state_at(np.zeros(20))
    rng = Streams(np.zeros(20, np.uint64), 0)
    following, outcome = game.step(state, {"route": route}, rng)
    harm = game.harm(state, {"route": route}, outcome, following)
    for world, i in itertools.product(range(20), range(4)):
        # Fewer drivers have the same shares of N: a driver at home is on a road of its own.
        home = {"routes": (*game.routes, (4,)), "latency": (*game.latency, (0.0,))}
        roomy = Routing(num_agents=4, value_of_time=game.value_of_time, **home)
        row = route[world : world + 1].copy()
        row[0, i] = 3
        alone = play(roomy, row).money[0]
        assert harm[world, i] == pytest.approx(np.delete(alone - outcome.money[world], i).sum())


@pytest.mark.parametrize("seed", range(6))
def test_a_tax_on_harm_makes_the_optimum_an_equilibrium(seed):
    game = random_network(seed)
    route, earned = profiles(game)
    tax = institution("taxation", base="harm", rate=1.0, revenue="treasury")
    net = play(game, route, [tax]).reward["citizens"]
    best = earned.sum(axis=1) >= earned.sum(axis=1).max() - 1e-9
    assert equilibria(game, net, route)[best].all()


def test_a_toll_on_the_narrow_road_leaves_the_optimum_as_the_only_equilibrium():
    game = Routing(rounds=1)
    route, _ = profiles(game)
    for rate, counts in ((0.0, {7, 8}), (0.45, {4})):
        toll = institution("taxation", base="route", rate=rate, revenue="treasury")
        net = play(game, route, [toll]).reward["citizens"]
        assert set(route[equilibria(game, net, route)].sum(axis=1).tolist()) == counts


def test_closing_the_shortcut_helps_everybody():
    game = make("routing-v0", preset="braess", rounds=1)
    rush = np.full((1, 8), 2.0)
    assert play(game, rush).money[0].tolist() == [-2.0] * 8
    closed = [institution("quota", base="route", limit=1.0)]
    half = np.repeat([[0.0, 1.0]], 4, axis=0).reshape(1, 8)
    assert play(game, half, closed).money[0].tolist() == [-1.5] * 8
    tried = np.tile(half, (3, 1))
    tried[:, 0] = range(3)
    assert play(game, tried, closed).money[:, 0].tolist() == [-1.5, -1.625, -1.625]
    assert play(game, tried).money[:, 0].argmax() == 2  # open, the shortcut pays
    assert play(game, rush, closed).conduct["route"].max() == 1


def test_bad_parameters():
    for options, what in (
        ({"routes": ((0,),)}, "two routes"),
        ({"routes": ((0,), (2,))}, "edges"),
        ({"routes": ((0, 0), (1,))}, "different edges"),
        ({"latency": ((1.0,), (-1.0,))}, "latency"),
        ({"latency": ((1.0,), ())}, "constant"),
        ({"value_of_time": 0.0}, "value_of_time"),
        ({"num_agents": 0}, "num_agents"),
    ):
        with pytest.raises(InvalidParameter, match=what):
            Routing(**options)
    with pytest.raises(NotExact, match="ways"):
        Routing(
            num_agents=200, routes=tuple((e,) for e in range(5)), latency=tuple((1.0,) for _ in range(5))
        ).references()
    with pytest.raises(NotExact, match="worlds"):
        Routing(value_of_time=np.array([1.0, 2.0])).references()


def test_a_route_may_be_a_json_list():
    game = make("routing-v0", preset="braess")
    again = Routing.from_dict({**game.to_dict(), "routes": [[0, 1], [2, 3], [0, 4, 3]]})
    assert repr(again) == repr(game)
    assert math.isclose(again.references().planner.welfare, game.references().planner.welfare)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_equilibria_do_not_depend_on_the_unit_of_time(unit):
    """Ties stay ties and differences stay differences: three ways alike, for seven drivers."""
    times = np.array([0.1, 0.7 / 3, 1.1 / 7])
    one, other = (
        make(
            "routing-v0", num_agents=7, routes=((0,), (1,), (2,)),
            latency=(tuple((size * times).tolist()),) * 3,
        ).references()
        for size in (1.0, unit)
    )  # fmt: skip
    assert one.facts["equilibria"] == other.facts["equilibria"] == 3.0
    assert other.selfish.welfare == pytest.approx(unit * one.selfish.welfare, rel=1e-9)
