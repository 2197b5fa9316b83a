"""The double auction: the book by hand, schedules, the competitive equilibrium, zero-intelligence traders."""

import dataclasses
import json

import numpy as np
import pytest

from commonweal import Society, make
from commonweal.agents.scripted import Scripted, scripted
from commonweal.envs.double_auction import DoubleAuction
from commonweal.envs.normal_form import pure_equilibria
from commonweal.envs.traders import simulate, zero_intelligence
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate
from commonweal.random import Streams, world_seeds

SCHEDULES = {
    "num_buyers": 2,
    "num_sellers": 2,
    "values": ((180.0, 120.0, 60.0), (150.0, 90.0)),
    "costs": ((20.0, 80.0), (50.0, 110.0, 140.0)),
}


def market(**parameters) -> DoubleAuction:
    found = make("double_auction-v0", **parameters)
    assert isinstance(found, DoubleAuction)
    return found


def play(dilemma, steps, seed=0):
    """Play `(quote, price)` rows; returns the states and outcomes."""
    rng = Streams(world_seeds(seed, 1), 0)
    state, found = dilemma.initial(rng), []
    for number, (quote, price) in enumerate(steps):
        acts = {"quote": np.array([quote], float), "price": np.array([price], float)}
        state, outcome = dilemma.step(state, acts, rng.begin(number, 0))
        found.append((state, outcome))
    return found


def test_units_are_traded_in_order_one_quoted_at_a_time():
    dilemma = market(**SCHEDULES, price_levels=None)
    assert dilemma.observe(dilemma.initial(Streams(world_seeds(0, 1), 0)))["reservation"].tolist() == [
        [180, 150, 20, 50]
    ]
    first, second, third = play(
        dilemma,
        [
            ([0, 0, 1, 0], [0, 0, 100, 0]),  # seller 0 stands at 100 with its first unit
            ([1, 0, 0, 0], [130, 0, 0, 0]),  # buyer 0 takes it at 100
            ([1, 0, 1, 0], [85, 0, 85, 0]),  # their second units, worth 120 and costing 80
        ],
    )
    assert np.isnan(first[1].money).sum() == 0
    assert second[1].money.tolist() == [[80, 0, 80, 0]]
    assert dilemma.observe(second[0])["reservation"].tolist() == [[120, 150, 80, 50]]
    assert second[0].left.tolist() == [[2, 2, 1, 3]]
    assert third[1].money.tolist() == [[35, 0, 5, 0]]
    assert third[0].left.tolist() == [[1, 2, 0, 3]]
    assert dilemma.observe(third[0])["reservation"].tolist() == [[60, 150, 0, 50]]


def test_the_earlier_of_equal_prices_trades_first_and_a_new_quote_loses_its_place():
    dilemma = market(num_buyers=1, num_sellers=2, values=((200, 200),), costs=(0, 0), price_levels=None)
    seller = [([0, 1, 0], [0, 50, 0]), ([0, 0, 1], [0, 0, 50])]
    taken = play(dilemma, [*seller, ([1, 0, 0], [90, 0, 0])])[-1][1]
    assert taken.conduct["trade"].tolist() == [[1, 1, 0]]
    renewed = play(dilemma, [*seller, seller[0], ([1, 0, 0], [90, 0, 0])])[-1][1]
    assert renewed.conduct["trade"].tolist() == [[1, 0, 1]]


def test_resampling_cancels_all_quotes_after_a_trade():
    steps = [([0, 1, 1], [0, 40, 60]), ([1, 0, 0], [90, 0, 0]), ([1, 0, 0], [90, 0, 0])]
    for resampling in (False, True):
        dilemma = market(
            num_buyers=1, num_sellers=2, values=((200, 200),), costs=(0, 0), price_levels=None,
            resampling=resampling,
        )  # fmt: skip
        *_, (_, second), (state, third) = play(dilemma, steps)
        assert second.conduct["turnover"].tolist() == [[40, 40, 0]]
        assert third.conduct["trade"].sum() == (0 if resampling else 2)
        assert state.left[0].tolist() == ([1, 0, 1] if resampling else [0, 0, 0])


def test_competitive_equilibrium_of_schedules():
    dilemma = market(**SCHEDULES)
    # Values 180 150 120 90 60 against costs 20 50 80 110 140: three units, 160 + 100 + 40.
    facts = dilemma.references().facts
    assert dilemma.surplus == 300.0
    assert (facts["lowest competitive price"], facts["highest competitive price"]) == (90.0, 110.0)
    assert dilemma.competitive.traded.sum(axis=1).tolist() == [2, 1, 2, 1]


@pytest.mark.parametrize("parameters", [{}, SCHEDULES, {"price_levels": None}, {"preset": "linear"}])
def test_the_rules_bring_their_welfare(parameters):
    dilemma = market(**parameters)
    found = dilemma.references()
    society = Society(dilemma, num_worlds=20)
    for stick in (found.planner, found.selfish, found.others["competitive"]):
        assert evaluate(society, scripted(society, stick), seed=1).welfare == pytest.approx(stick.welfare)
    for welfare in (0.0, 0.3 * found.planner.welfare, found.planner.welfare):
        assert found.efficiency(welfare) == pytest.approx(dilemma.allocative_efficiency(welfare))


@pytest.mark.parametrize("parameters", [{}, SCHEDULES])
def test_no_other_quotes_beat_the_competitive_price(parameters):
    """3000 plans of one trader, drawn at random for every step, against others who quote that price."""
    dilemma, plans = market(**parameters, steps=6), 3000
    found, n = dilemma.references(), len(dilemma.units)
    rng = np.random.default_rng(0)
    stick = found.others["competitive"]
    alone = evaluate(Society(dilemma), scripted(Society(dilemma), stick), seed=1).returns[0]
    rule = stick.rule
    for agent in range(n):
        own = {
            "quote": rng.random((6, plans)) < 0.7,
            "price": rng.integers(0, dilemma.price_levels, (6, plans)),
        }
        clock, buyers = iter(range(6)), dilemma.num_buyers
        at, group = (agent, 0) if agent < buyers else (agent - buyers, 1)

        def deviant(observed, streams, clock=clock, own=own, at=at, group=group):
            acts = dict(rule(observed, streams))
            if (observed["side"][0, 0, 0] < 0) == bool(group):
                now = next(clock)
                acts["quote"][:, at], acts["price"][:, at] = own["quote"][now], own["price"][now]
            return acts

        society = Society(dilemma, num_worlds=plans)
        gained = evaluate(society, Scripted(society, deviant), seed=1).returns[:, agent]
        assert gained.max() <= alone[agent] + stick.epsilon + 1e-9
        assert gained.min() < alone[agent]  # some plans are worse: quotes matter


def test_nobody_gains_by_quoting_alone():
    dilemma = market(steps=1)
    quotes = np.zeros((101, 8))
    quotes[:, 0] = 1.0
    acts = {"quote": quotes, "price": np.repeat(np.linspace(0, 200, 101)[:, None], 8, axis=1)}
    rng = Streams(world_seeds(0, 101), 0)
    assert (dilemma.step(dilemma.initial(rng), acts, rng)[1].money == 0).all()


def test_a_grid_without_a_competitive_price_has_an_epsilon():
    # The only competitive prices are between 95 and 105; levels are 0, 66.7, 133.3 and 200.
    parameters = {"num_buyers": 2, "num_sellers": 2, "values": (105, 70), "costs": (95, 130)}
    coarse = market(**parameters, price_levels=4).references().others["competitive"]
    # Whichever side has to trade at a loss of 28.3 would rather not.
    assert coarse.epsilon == pytest.approx(200 / 3 - 95 + 2 * (95 - 200 / 3))
    assert coarse.kind == "best known"
    assert "no equilibrium" in coarse.selection
    fine = market(**parameters).references().others["competitive"]
    assert fine.epsilon == 0.0
    assert fine.kind == "closed form"


@pytest.mark.parametrize("levels", [2, 3, 5, 101, None])
def test_zero_is_the_worst_equilibrium_on_any_levels(levels):
    found = market(price_levels=levels).references()
    assert (found.selfish.welfare, found.selfish.epsilon, found.selfish.kind) == (0.0, 0.0, "closed form")
    for other in found.others.values():
        assert other.welfare >= found.selfish.welfare
        assert (other.kind == "best known") == (other.epsilon > 0.0)
    if levels == 2:
        assert found.others["competitive"].epsilon == pytest.approx(70.0)


def every_quote(dilemma):
    """Payoffs `(A, ..., A, N)` of a market of one step: each waits or quotes a level; mean over arrivals."""
    n, levels = len(dilemma.units), dilemma.price_levels
    profiles = np.indices((levels + 1,) * n).reshape(n, -1).T
    seeds = 40
    rng = Streams(world_seeds(0, seeds * len(profiles)), 0)
    acts = np.repeat(profiles, seeds, axis=0)
    price = np.maximum(acts - 1, 0) * (dilemma.ceiling / (levels - 1))
    money = dilemma.step(dilemma.initial(rng), {"quote": (acts > 0) * 1.0, "price": price}, rng)[1].money
    return money.reshape(len(profiles), seeds, n).mean(axis=1).reshape(*(levels + 1,) * n, n)


@pytest.mark.parametrize("seed", range(6))
def test_no_pure_equilibrium_of_a_step_is_worse_than_nothing(seed):
    rng = np.random.default_rng(seed)
    buyers, sellers = rng.integers(1, 3, 2)
    dilemma = market(
        num_buyers=int(buyers), num_sellers=int(sellers), steps=1, price_levels=int(rng.integers(2, 5)),
        values=tuple(rng.integers(0, 201, buyers) * 1.0), costs=tuple(rng.integers(0, 201, sellers) * 1.0),
    )  # fmt: skip
    table, found = every_quote(dilemma), dilemma.references()
    welfare = [table[cell].sum() for cell in pure_equilibria(table)]
    assert min(welfare) == pytest.approx(found.selfish.welfare)
    assert table.sum(axis=-1).max() <= found.planner.welfare + 1e-9
    assert (0,) * len(dilemma.units) in pure_equilibria(table)


def test_no_play_beats_the_planner():
    dilemma = market(**SCHEDULES)
    rng = np.random.default_rng(0)
    society = Society(dilemma, num_worlds=2000)

    def anything(observed, streams):
        shape = observed["side"].shape[:2]
        return {"quote": rng.random(shape) < 0.8, "price": rng.integers(0, 101, shape)}

    assert evaluate(society, Scripted(society, anything)).welfare.max() <= dilemma.surplus + 1e-9


def test_zero_intelligence():
    """The budget constraint alone makes the market efficient; without it all units change hands."""
    dilemma = market(preset="linear")
    bound, free = (
        dilemma.allocative_efficiency(simulate(dilemma, constrained, 300)) for constrained in (True, False)
    )
    assert bound.mean() > 0.9
    assert bound.mean() - free.mean() > 0.3
    everything = dilemma.schedule[:12, 0].sum() - dilemma.schedule[12:, 0].sum()
    assert free == pytest.approx(everything / dilemma.surplus)


def test_one_trader_at_a_time_reproduces_the_toy_book():
    """.957 (sd .041): a trader drawn at random quotes if that improves on the best quote."""
    markets, quotes = 200, 4000
    dilemma = dataclasses.replace(market(preset="linear"), steps=quotes)
    rng, nature = np.random.default_rng(0), Streams(world_seeds(0, markets), 0)
    state, total, world = dilemma.initial(nature), np.zeros(markets), np.arange(markets)
    for step in range(quotes):
        seen = dilemma.observe(state)
        agent, draw = rng.integers(24, size=markets), rng.random(markets)
        worth, buys = seen["reservation"][world, agent], agent < 12
        price = np.where(buys, worth * draw, worth + (200 - worth) * draw)
        improves = np.where(buys, price > seen["best_bid"][:, 0], price < seen["best_ask"][:, 0])
        acts = {"quote": np.zeros((markets, 24)), "price": np.zeros((markets, 24))}
        acts["quote"][world, agent], acts["price"][world, agent] = improves, price
        state, outcome = dilemma.step(state, acts, nature.begin(step, 0))
        total += outcome.money.sum(axis=1)
        if (state.left[:, :12] * dilemma.schedule[:12, 0]).max() == 0:
            break
    share = dilemma.allocative_efficiency(total)
    assert abs(share.mean() - 0.957) < 3 * share.std() / np.sqrt(markets) + 5e-4
    assert abs(share.std() - 0.041) < 0.01


@pytest.mark.parametrize("levels", [None, 101, 7])
def test_budget_constrained_traders_never_lose(levels):
    dilemma = market(**SCHEDULES, price_levels=levels)
    society = Society(dilemma, num_worlds=200)
    agents = Scripted(society, zero_intelligence(dilemma))
    observation = society.reset(0)
    for _ in range(dilemma.steps):
        step = society.step(agents.act(observation))
        assert step.conduct["income"].min() >= -1e-4  # prices seen are in single precision
        observation = step.observation
    assert step.terminated.all()


def test_theory():
    for check in DoubleAuction.theory():
        assert check.passed, check


def test_schedules_go_to_json_and_back():
    society = Society(market(**SCHEDULES), num_worlds=2)
    again = Society.from_dict(json.loads(json.dumps(society.to_dict())))
    assert repr(again) == repr(society)
    assert again.dilemma.surplus == society.dilemma.surplus == 300.0


def test_refusals():
    with pytest.raises(InvalidParameter, match="falling"):
        market(num_buyers=1, values=((50.0, 60.0),))
    with pytest.raises(InvalidParameter, match="rising"):
        market(num_sellers=1, costs=((60.0, 50.0),))
    with pytest.raises(InvalidParameter, match=r"entries of DoubleAuction\.values"):
        market(values=(100.0,))
    with pytest.raises(InvalidParameter, match="0 to 200"):
        market(num_buyers=1, values=(300.0,))
    with pytest.raises(NotExact, match="at least 3"):
        market(**SCHEDULES, steps=2).references()
    with pytest.raises(NotExact, match="discount"):
        market(**SCHEDULES, discount=0.9).references()
