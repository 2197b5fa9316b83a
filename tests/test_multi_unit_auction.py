"""Several units: payments by hand, truth under VCG, demand reduction under a uniform price."""

import itertools

import numpy as np
import pytest

from commonweal import Society, make
from commonweal.agents.scripted import scripted
from commonweal.envs.multi_unit_auction import MultiUnitAuction, MultiUnitState, misreporting_gain
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate
from commonweal.random import Streams, world_seeds


def auction(**parameters) -> MultiUnitAuction:
    found = make("multi_unit_auction-v0", **parameters)
    assert isinstance(found, MultiUnitAuction)
    return found


def sell(bids, **parameters):
    bids = np.array([bids], float)
    game = auction(num_agents=bids.shape[1], demand=bids.shape[2], highest_value=10.0, **parameters)
    won, payment = game.sell(bids, Streams(world_seeds(0, 1), 0))
    return won[0].tolist(), payment[0].tolist()


@pytest.mark.parametrize(
    ("pricing", "payment"), [("uniform", [10, 0, 5]), ("vcg", [9, 0, 4]), ("discriminatory", [17, 0, 6])]
)
def test_payments_by_hand(pricing, payment):
    # Three units go to 9, 8 and 6; the highest rejected bid is the third bidder's own 5. Without the
    # first bidder 5 and 4 would have won, too, without the third 4.
    assert sell([[9, 8], [4, 3], [6, 5]], pricing=pricing, units=3) == ([2, 0, 1], payment)


def test_a_bidder_sets_the_price_of_its_own_units_under_a_uniform_price_only():
    assert sell([[9, 7], [8, 1]], pricing="uniform", units=2) == ([1, 1], [7, 7])
    assert sell([[9, 7], [8, 1]], pricing="vcg", units=2) == ([1, 1], [1, 7])


def test_bids_count_in_falling_order_and_gains_are_the_first_units():
    game = auction(highest_value=10.0, pricing="vcg")
    state = MultiUnitState(np.zeros((1, 1)), np.array([[[9.0, 6.0], [5.0, 4.0]]]))
    play = {"bid_1": np.array([[6.0, 5.0]]), "bid_2": np.array([[9.0, 4.0]])}
    _, outcome = game.step(state, play, Streams(world_seeds(0, 1), 0))
    assert outcome.conduct["won"].tolist() == [[2, 0]]
    assert outcome.money.tolist() == [[15 - 9, 0]]
    assert outcome.outside.tolist() == [9]


def test_equal_bids_win_by_lot():
    game = auction(num_agents=3, demand=2, units=2)
    won, _ = game.sell(np.full((30_000, 3, 2), 0.5), Streams(world_seeds(0, 30_000), 0))
    assert (won.sum(axis=1) == 2).all()
    assert won.mean(axis=0) == pytest.approx(np.full(3, 2 / 3), abs=0.02)
    assert (won == 2).mean() == pytest.approx(1 / 15, abs=0.005)
    assert game._by_lot() == pytest.approx(3 * (8 / 15 * 2 / 3 + 1 / 15 * 1.0))


def test_vcg_payments_are_the_externality_and_never_run_a_deficit():
    rng = np.random.default_rng(0)
    for n, demand, units in ((2, 2, 2), (3, 2, 4), (4, 3, 5), (2, 3, 5)):
        game = auction(num_agents=n, demand=demand, units=units, pricing="vcg")
        bid = -np.sort(-rng.random((300, n, demand)), axis=2)
        won, payment = game.sell(bid, Streams(world_seeds(0, 300), 0))
        assert (payment >= 0).all()
        for i in range(n):
            rest = np.delete(bid, i, axis=1).reshape(300, -1)
            without = -np.sort(-rest, axis=1)[:, :units].sum(axis=1)
            have = (bid * (np.arange(demand) < won[..., None]))[:, np.arange(n) != i].sum(axis=(1, 2))
            assert payment[:, i] == pytest.approx(without - have)
        assert (payment <= (bid * (np.arange(demand) < won[..., None])).sum(axis=2) + 1e-12).all()


@pytest.mark.parametrize(("demand", "units"), [(2, 2), (2, 3), (2, 1)])
def test_truth_is_dominant_under_vcg_and_not_under_a_uniform_price(demand, units):
    grid = np.linspace(0, 1, 9)
    assert misreporting_gain(auction(units=units, demand=demand, pricing="vcg"), grid) < 1e-12
    if units > 1:
        assert misreporting_gain(auction(units=units, demand=demand), grid) > 0.3


def test_truth_is_dominant_under_vcg_among_three():
    """All misreports of two units, against random bids of two rivals."""
    game, grid = auction(num_agents=3, units=3, pricing="vcg"), np.linspace(0, 1, 11)
    reports = np.array([(a, b) for a, b in itertools.product(grid, grid) if a >= b])
    rng = np.random.default_rng(1)
    for _ in range(100):
        bid = np.repeat(-np.sort(-rng.random((1, 3, 2)), axis=2), len(reports) + 1, axis=0)
        value = bid[0, 0].copy()
        bid[1:, 0] = reports
        won, payment = game.sell(bid, Streams(np.zeros(len(bid), np.uint64), 0))
        profit = np.append(0.0, np.cumsum(value))[won[:, 0].astype(int)] - payment[:, 0]
        assert profit.max() <= profit[0] + 1e-12


@pytest.mark.parametrize("n", [2, 3])
def test_demand_reduction_is_an_equilibrium_under_a_uniform_price(n):
    """All pairs of bids of one bidder with given values, played against the law of the others' values."""
    game, grid, draws = auction(num_agents=n, units=n), np.linspace(0, 1, 11), 2000
    others = np.zeros((draws, n - 1, 2))
    others[..., 0] = np.sqrt(np.random.default_rng(0).random((draws, n - 1)))  # the larger of two values
    if n == 2:
        others[:, 0, 0] = np.sqrt((np.arange(draws) + 0.5) / draws)
    rng = Streams(world_seeds(0, draws), 0)
    outcomes = {}
    for first, second in itertools.product(range(11), range(11)):
        if first >= second:
            own = np.broadcast_to(grid[[first, second]], (draws, 1, 2))
            won, payment = game.sell(np.concatenate([own, others], axis=1), rng)
            outcomes[first, second] = won[:, 0].astype(int), payment[:, 0]
    for value in ((10, 10), (9, 8), (5, 5), (7, 1), (2, 2)):
        worth = np.append(0.0, np.cumsum(grid[list(value)]))
        profit = {bids: (worth[won] - paid).mean() for bids, (won, paid) in outcomes.items()}
        reduced = profit[value[0], 0]
        assert max(profit.values()) <= reduced + (1e-3 if n == 2 else 0.03)  # the error of the draws
        assert profit[value] < reduced - 0.01  # true bids pay less


def test_four_bidders_would_not_reduce_demand_so_far():
    assert (auction(num_agents=3, units=3).reduction_gain(np.array([0.5, 1.0])) == 0).all()
    assert auction(num_agents=4, units=4).reduction_gain(np.ones(1))[0] > 0.05
    with pytest.raises(NotExact, match="2 or 3 bidders"):
        auction(num_agents=4, units=4).references()


@pytest.mark.parametrize(
    "parameters", [{}, {"pricing": "vcg", "num_agents": 3, "units": 4}, {"num_agents": 3, "units": 3}]
)
def test_welfare_of_the_references_is_that_of_play(parameters):
    game = auction(**parameters)
    found = game.references()
    society = Society(game, num_worlds=3000)
    for stick in (found.planner, found.selfish):
        welfare = evaluate(society, scripted(society, stick), seed=2).welfare
        assert abs(welfare.mean() - stick.welfare) < 4 * welfare.std() / np.sqrt(3000)


def test_the_uniform_price_makes_the_dilemma():
    """Under VCG nothing is lost, under a uniform price a fifteenth of a unit's highest value each time."""
    uniform, vcg = auction().references(), auction(pricing="vcg").references()
    assert uniform.gap == pytest.approx(10 / 15)
    assert uniform.gap > 0.3 * uniform.payoff_range
    assert vcg.gap == 0.0
    assert np.isnan(vcg.efficiency(vcg.selfish.welfare))
    assert auction().is_dilemma


def test_nobody_does_better_than_the_highest_values():
    game, rng = auction(num_agents=3, units=3), np.random.default_rng(0)
    society = Society(game, num_worlds=2000)
    for _ in range(5):
        value = society.state.value
        best = -np.sort(-value.reshape(2000, -1), axis=1)[:, :3].sum(axis=1)
        assert (society.step({"bidders": rng.random((2000, 3, 2))}).welfare <= best + 1e-12).all()


def test_bidders_may_differ():
    game = auction(highest_value=(1.0, 3.0), pricing="vcg")
    value = game.initial(Streams(world_seeds(0, 2000), 0)).value
    assert value.max(axis=(0, 2)) == pytest.approx([1.0, 3.0], abs=0.01)
    assert (np.diff(value, axis=2) <= 0).all()
    society = Society(game, num_worlds=2000)
    won = society.step({"bidders": society.state.value / 1.0}).conduct["won"].mean(axis=0)
    assert won[1] > 2 * won[0]
    with pytest.raises(NotExact, match="alike"):
        game.references()


def test_theory():
    for check in MultiUnitAuction.theory():
        assert check.passed, check


def test_refusals():
    with pytest.raises(InvalidParameter, match="vcg"):
        auction(pricing="dutch")
    with pytest.raises(InvalidParameter, match="units"):
        auction(units=5)
    with pytest.raises(NotExact, match="discriminatory"):
        auction(pricing="discriminatory").references()
    with pytest.raises(NotExact, match="continuous"):
        auction(bid_levels=11).references()
    with pytest.raises(NotExact, match="as many units"):
        auction(units=1).references()
