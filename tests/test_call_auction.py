"""Call auctions against a linear programme: volume, gains, prices, and who is rationed."""

import numpy as np
import pytest
from scipy.optimize import linprog

from commonweal import Society, institution, make
from commonweal.call_auction import clear
from commonweal.envs.traders import competitive
from commonweal.random import Streams, world_seeds


def ordered(bids=(), asks=()):
    """`(limit, demand, supply)`, each `(1, N)`, from pairs of a limit and a quantity."""
    limit = np.array([[p for p, _ in (*bids, *asks)]])
    demand = np.array([[q for _, q in bids] + [0.0] * len(asks)])
    supply = np.array([[0.0] * len(bids) + [q for _, q in asks]])
    return limit, demand, supply


def best_trade(limit, demand, supply):
    """Largest gains from trade of one market, and the largest volume that brings them."""
    n = len(limit)
    worth = np.append(limit, -limit)
    balance = np.append(np.ones(n), -np.ones(n))[None]
    bounds = [(0.0, q) for q in (*demand, *supply)]
    gains = -linprog(-worth, A_eq=balance, b_eq=[0.0], bounds=bounds).fun
    volume = -linprog(
        -np.append(np.ones(n), np.zeros(n)), A_ub=-worth[None], b_ub=[1e-9 - gains],
        A_eq=balance, b_eq=[0.0], bounds=bounds,
    ).fun  # fmt: skip
    return gains, volume


def random_orders(rng, markets, size, grid):
    """Orders on one side each; on a coarse grid there are many ties."""
    limit, quantity = rng.random((2, markets, size))
    limit, quantity = (np.ceil(x * grid) / grid if grid else x for x in (limit, quantity))
    buys = rng.random((markets, size)) < 0.5
    return limit, quantity * buys, quantity * ~buys


def test_one_unit_is_asked_for_and_the_higher_of_two_bids_has_it():
    found = clear(*ordered(bids=[(0.5, 1.0), (0.4, 1.0)], asks=[(0.3, 1.0)]))
    assert 0.4 < found.price.item() <= 0.5
    assert found.bought.tolist() == [[1.0, 0.0, 0.0]]
    assert found.sold.tolist() == [[0.0, 0.0, 1.0]]


@pytest.mark.parametrize(
    ("bids", "asks", "price", "bought", "sold"),
    [
        ([(0.9, 2.0)], [(0.1, 2.0)], 0.5, [2.0], [2.0]),  # all is served: the middle of the limits
        ([(0.9, 2.0)], [(0.1, 3.0)], 0.1, [2.0], [2.0]),  # the ask is served in part: its limit
        ([(0.9, 3.0)], [(0.1, 2.0)], 0.9, [2.0], [2.0]),
        ([(0.6, 1.0), (0.6, 3.0)], [(0.2, 2.0)], 0.6, [0.5, 1.5], [2.0]),  # of equals in proportion
        ([(0.8, 1.0), (0.6, 1.0), (0.6, 3.0)], [(0.2, 2.0)], 0.6, [1.0, 0.25, 0.75], [2.0]),
        ([(0.8, 1.0)], [(0.2, 1.0), (0.5, 1.0)], 0.35, [1.0], [1.0, 0.0]),  # no more than the ask left over
        ([(0.5, 1.0)], [(0.5, 1.0)], 0.5, [1.0], [1.0]),
        ([(0.3, 0.1), (0.3, 0.2), (0.2, 1.0)], [(0.1, 0.3)], 0.25, [0.1, 0.2, 0.0], [0.3]),  # .1 + .2 - .3
    ],
)
def test_markets_by_hand(bids, asks, price, bought, sold):
    found = clear(*ordered(bids, asks))
    assert found.price.item() == pytest.approx(price)
    assert found.bought[0, : len(bids)] == pytest.approx(bought)
    assert found.sold[0, len(bids) :] == pytest.approx(sold)


@pytest.mark.parametrize(
    ("bids", "asks"),
    [([], []), ([(0.5, 1.0)], []), ([(0.2, 1.0)], [(0.3, 1.0)]), ([(0.5, 0.0)], [(0.3, 1.0)])],
)
def test_where_nothing_is_traded_there_is_no_price(bids, asks):
    found = clear(*ordered([*bids, (0.1, 0.0)], asks))
    assert np.isnan(found.price).all()
    assert (found.bought == 0.0).all()
    assert (found.sold == 0.0).all()


def check_markets(rng, markets, size, grid):
    limit, demand, supply = random_orders(rng, markets, size, grid)
    found = clear(limit, demand, supply)
    gains = (limit * (found.bought - found.sold)).sum(axis=1)
    volume = found.bought.sum(axis=1)
    for b in range(markets):
        most, largest = best_trade(limit[b], demand[b], supply[b])
        assert gains[b] == pytest.approx(most, abs=1e-7)
        # The programme may trade a little at a loss within its tolerance.
        assert volume[b] == pytest.approx(largest, abs=1e-4)
    assert found.sold.sum(axis=1) == pytest.approx(volume)  # budgets and goods balance
    for quantity, order, side in ((found.bought, demand, 1.0), (found.sold, supply, -1.0)):
        assert (quantity >= 0.0).all()
        assert (quantity <= order + 1e-12).all()
        eager = side * (limit - found.price)  # nan where nothing is traded
        assert not ((quantity > 0.0) & (eager < 0.0)).any()
        # Who would rather trade at the price does; only who is indifferent at its limit is rationed.
        assert np.allclose(np.where(eager > 1e-12, order - quantity, 0.0), 0.0)
        part = (quantity > 1e-9) & (quantity < order - 1e-9)
        assert np.allclose(eager[part], 0.0)
        for b in np.flatnonzero(part.any(axis=1)):
            rationed = (limit[b] == limit[b][part[b]][0]) & (order[b] > 0.0)
            assert np.ptp(quantity[b, rationed] / order[b, rationed]) < 1e-9


@pytest.mark.parametrize("grid", [0, 4, 20])
@pytest.mark.parametrize("size", [1, 2, 5, 12])
def test_random_markets_are_those_of_a_linear_programme(size, grid):
    check_markets(np.random.default_rng(size + grid), 12, size, grid)


@pytest.mark.slow
@pytest.mark.parametrize("grid", [0, 4, 20])
def test_many_random_markets_are_those_of_a_linear_programme(grid):
    for size in range(2, 14):
        check_markets(np.random.default_rng(1000 + size), 80, size, grid)


def test_the_unit_of_money_and_of_goods_and_the_other_worlds_change_nothing():
    limit, demand, supply = random_orders(np.random.default_rng(5), 50, 7, 10)
    whole = clear(limit, demand, supply)
    for b in range(50):
        alone = clear(limit[[b]], demand[[b]], supply[[b]])
        for one, every in zip(alone, whole, strict=True):
            assert np.array_equal(one[0], every[b], equal_nan=True)
    scaled = clear(1e-6 * limit, 1e6 * demand, 1e6 * supply)
    assert np.allclose(scaled.price, 1e-6 * whole.price, equal_nan=True)
    assert np.allclose(scaled.bought, 1e6 * whole.bought)


def test_permits_go_to_who_values_them_most_at_one_price():
    quotas = institution("tradable-quotas", allocation=1.0, levels=None)
    society = Society(make("fishery-v0", num_agents=3), [quotas])
    actions = society.columns.null_actions(1)
    names = [action.name for action in society.groups["citizens"].spaces]
    actions["citizens"][0, :, names.index("permit_price")] = [0.3, 0.5, 0.4]
    actions["citizens"][0, :, names.index("permit_quantity")] = [-1.0, 1.0, 1.0]
    society.step(actions)
    state = society.states["permit"]
    assert state.holding == pytest.approx(np.array([[0.0, 2.0, 1.0]]))
    assert state.price.item() == pytest.approx(0.45)


@pytest.mark.parametrize("credit", [0.0, 0.05, 10.0])
def test_who_cannot_pay_gets_what_it_paid_for(credit):
    quotas = institution("tradable-quotas", allocation=1.0, levels=None)
    society = Society(make("fishery-v0", num_agents=3), [quotas], credit=credit)
    actions = society.columns.null_actions(1)  # no effort: nothing is earned
    names = [action.name for action in society.groups["citizens"].spaces]
    actions["citizens"][0, :, names.index("permit_price")] = [0.3, 0.5, 0.4]
    actions["citizens"][0, :, names.index("permit_quantity")] = [-1.0, 1.0, 1.0]
    step = society.step(actions)
    state, bought = society.states["permit"], min(credit / 0.45, 1.0)
    assert state.holding == pytest.approx(np.array([[1.0 - bought, 1.0 + bought, 1.0]]))
    assert step.ledger.net == pytest.approx(0.45 * bought * np.array([[1.0, -1.0, 0.0]]))
    assert state.price.item() == pytest.approx(0.45 if bought else 0.0)


def test_orders_of_a_thousand_are_cleared():
    limit, demand, supply = random_orders(np.random.default_rng(7), 3, 1024, 50)
    found = clear(limit, demand, supply)
    assert found.bought.sum(axis=1) == pytest.approx(found.sold.sum(axis=1))
    gains = (limit * (found.bought - found.sold)).sum(axis=1)
    assert gains[0] == pytest.approx(best_trade(limit[0], demand[0], supply[0])[0])


@pytest.mark.parametrize("seed", range(20))
def test_the_double_auctions_competitive_equilibrium_is_that_of_a_linear_programme(seed):
    rng = np.random.default_rng(seed)
    buyers, sellers = rng.integers(1, 5, 2)
    values = [tuple(np.sort(rng.integers(0, 21, rng.integers(1, 4)) * 10.0)[::-1]) for _ in range(buyers)]
    costs = [tuple(np.sort(rng.integers(0, 21, rng.integers(1, 4)) * 10.0)) for _ in range(sellers)]
    market = make(
        "double_auction-v0", num_buyers=int(buyers), num_sellers=int(sellers),
        values=tuple(values), costs=tuple(costs),
    )  # fmt: skip
    found = competitive(market)
    bids, asks = ([(unit, 1.0) for row in rows for unit in row] for rows in (values, costs))
    limit, demand, supply = ordered(bids, asks)
    gains, _ = best_trade(limit[0], demand[0], supply[0])
    assert found.surplus == pytest.approx(gains, abs=1e-6)
    cleared = clear(limit, demand, supply)
    assert (limit * (cleared.bought - cleared.sold)).sum() == pytest.approx(found.surplus)
    if found.surplus > 0.0:
        assert found.low - 1e-9 <= cleared.price.item() <= found.high + 1e-9


@pytest.mark.parametrize("pricing", ["uniform", "vcg", "discriminatory"])
def test_a_multi_unit_auction_sells_to_the_highest_bids(pricing):
    rng, worlds = np.random.default_rng(3), 200
    auction = make("multi_unit_auction-v0", num_agents=3, demand=2, units=4, pricing=pricing)
    bid = -np.sort(-np.ceil(rng.random((worlds, 3, 2)) * 5) / 5, axis=2)
    won, payment = auction.sell(bid, Streams(world_seeds(0, worlds), 0))
    taken = (bid * (np.arange(2) < won[..., None])).sum(axis=(1, 2))
    ranked = -np.sort(-bid.reshape(worlds, -1), axis=1)
    assert taken == pytest.approx(ranked[:, :4].sum(axis=1))
    assert (won.sum(axis=1) == 4).all()
    assert (payment <= (bid * (np.arange(2) < won[..., None])).sum(axis=2) + 1e-12).all()
    if pricing == "uniform":
        # The lowest price of a call auction whose only ask is of all units at nothing.
        flat = np.concatenate([bid.reshape(worlds, -1), np.zeros((worlds, 1))], axis=1)
        demand, supply = np.ones_like(flat), np.zeros_like(flat)
        demand[:, -1], supply[:, -1] = 0.0, 4.0
        found = clear(flat, demand, supply)
        assert found.bought[:, :-1].sum(axis=1) == pytest.approx(np.full(worlds, 4.0))
        assert (found.price[:, 0] >= ranked[:, 4] - 1e-12).all()
        assert payment.sum(axis=1) == pytest.approx(4.0 * ranked[:, 4])
