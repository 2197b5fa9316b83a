"""Sealed bids: equilibria, revenue, reserve prices and best responses against theory."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from commonweal import Society, evaluate, make
from commonweal.agents.ppo import PPO, PPOConfig
from commonweal.envs.auction import Auction
from commonweal.envs.interim_bids import best_response_gain, interim
from commonweal.errors import InvalidParameter, NotExact
from commonweal.random import Streams, world_seeds

GRID = np.linspace(0.01, 1.0, 100)
MIDPOINTS = (np.arange(2000) + 0.5) / 2000


def continuous(**parameters):
    return make("auction-v0", bid_levels=None, **parameters)


@pytest.mark.parametrize("n", [2, 5, 9])
def test_first_price_bids_and_revenue(n):
    auction = continuous(num_agents=n, highest_value=3.0)
    assert np.allclose(auction.equilibrium_bid(3 * GRID), 3 * GRID * (n - 1) / n, atol=1e-9)
    facts = auction.references().facts
    assert np.isclose(facts["revenue"], 3 * (n - 1) / (n + 1), atol=1e-12)
    with_reserve = continuous(num_agents=n, reserve=0.5).equilibrium_bid(GRID)
    above = GRID >= 0.5
    assert np.allclose(
        with_reserve[above], (GRID - (GRID**n - 0.5**n) / (n * GRID ** (n - 1)))[above], atol=1e-9
    )
    assert (with_reserve[~above] == 0).all()


def test_all_pay_bids():
    assert np.allclose(
        continuous(num_agents=4, pricing="all-pay").equilibrium_bid(GRID), 0.75 * GRID**4, atol=1e-12
    )


def test_all_pay_entry_pays_the_reserve_if_all_others_stay_out():
    auction = continuous(num_agents=3, pricing="all-pay", reserve=0.2)
    assert np.isclose(auction.entry_value() ** 3, 0.2, atol=1e-12)


@pytest.mark.parametrize("units", [1, 2])
def test_revenue_is_equivalent_and_largest_at_myersons_reserve(units):
    best = {
        p: continuous(pricing=p, units=units).references().facts["best reserve price"]
        for p in ("first-price", "second-price", "all-pay")
    }
    assert best["first-price"] == best["second-price"] == 0.5
    revenue = {
        p: continuous(pricing=p, units=units, reserve=r).references().facts["revenue"]
        for p, r in best.items()
    }
    assert np.ptp(list(revenue.values())) < 1e-12
    for p, r in best.items():
        for other in (0.9 * r, 1.1 * r):
            assert (
                continuous(pricing=p, units=units, reserve=other).references().facts["revenue"] < (revenue[p])
            )
    # Myerson, one unit of two bidders: 5/12 instead of 1/3.
    assert np.isclose(continuous(num_agents=2, reserve=0.5).references().facts["revenue"], 5 / 12)


@pytest.mark.parametrize("pricing", ["first-price", "second-price", "all-pay"])
@pytest.mark.parametrize(("units", "reserve"), [(1, 0.0), (1, 0.3), (2, 0.2)])
def test_nobody_gains_from_leaving_the_equilibrium(pricing, units, reserve):
    auction = continuous(pricing=pricing, units=units, reserve=reserve)
    assert abs(best_response_gain(auction, auction.equilibrium_bid(MIDPOINTS))) < 3e-5
    # The integration sees a gain where there is one.
    if pricing != "second-price":
        assert best_response_gain(auction, 0.5 * auction.equilibrium_bid(MIDPOINTS)) > 5e-3


def test_truth_is_dominant_at_second_price_whatever_the_others_bid():
    auction = make("auction-v0", pricing="second-price", units=2, bid_levels=21)
    rng = np.random.default_rng(0)
    for others in (rng.random(2000), MIDPOINTS**3, np.full(2000, 0.4)):
        tried, wins, payment = interim(auction, np.rint(others * 20) / 20)
        for value in tried:  # values that are levels can be bid exactly
            profit = value * wins - payment
            assert profit.max() - profit[np.searchsorted(tried, value)] < 1e-12


def test_interim_equals_play_with_ties():
    """Exact probabilities of winning and payments against 40,000 auctions with five levels of bids."""
    worlds, rng = 40_000, np.random.default_rng(1)
    for pricing in ("first-price", "second-price", "all-pay"):
        auction = make("auction-v0", pricing=pricing, units=2, bid_levels=5, reserve=0.25, num_agents=4)
        _, wins, payment = interim(auction, np.rint(MIDPOINTS * 4) / 4)
        society = Society(auction, num_worlds=worlds)
        for level in (1, 2, 4):
            bid = np.rint(rng.random((worlds, 4, 1)) * 4)
            bid[:, 0] = level
            step = society.step({"bidders": bid})
            paid = step.conduct["payment"][:, 0]
            value_won = step.conduct["income"][:, 0] + paid
            assert abs(paid.mean() - payment[level]) < 4 * paid.std() / 200 + 1e-12
            assert abs((value_won > 0).mean() - wins[level]) < 0.01


@pytest.mark.parametrize("levels", [None, 101])
def test_welfare_of_the_references_is_that_of_play(levels):
    auction = make("auction-v0", reserve=0.5, bid_levels=levels)
    references = auction.references()
    society = Society(auction, num_worlds=4000, seed=3)
    rng = Streams(world_seeds(0, 4000), 9)
    total = np.zeros(4000)
    for _ in range(auction.rounds):
        seen = society.observation["bidders"].astype(float)
        bid = references.selfish.rule({"value": seen[..., :1], "progress": seen[..., 1:]}, rng)["bid"]
        step = society.step({"bidders": bid[..., None]})
        total += step.welfare
    assert step.terminated.all()
    assert abs(total.mean() - references.selfish.welfare) < 4 * total.std() / np.sqrt(4000)
    assert references.planner.welfare == pytest.approx(10 * 5 / 6)


class Crossed(Streams):
    """Lots that fall on each of two bidders in turn."""

    def uniform(self, *shape):
        turn = np.arange(self.num_worlds)[:, None] % 2
        return (0.25 + 0.5 * turn + 0.5 * np.arange(shape[0])) % 1.0


@pytest.mark.parametrize("pricing", ["first-price", "second-price", "all-pay"])
@pytest.mark.parametrize("seed", range(4))
def test_gain_and_welfare_on_random_levels_are_those_of_play(pricing, seed):
    """Two bidders, all pairs of 150 values; for each value every bid against the other's rule."""
    rng, size = np.random.default_rng(seed), 150
    levels, reserve = int(rng.integers(2, 8)), float(rng.choice([0.0, rng.uniform(0, 0.8)]))
    auction = make("auction-v0", num_agents=2, pricing=pricing, reserve=reserve, bid_levels=levels, rounds=1)
    found = auction.references().selfish
    middle = (np.arange(size) + 0.5) / size
    value = np.stack(np.meshgrid(middle, middle, indexing="ij"), axis=-1).reshape(-1, 2).repeat(2, axis=0)
    worlds, state = (
        Crossed(np.zeros(len(value), np.uint64), 0),
        auction.initial(Streams(world_seeds(0, 1), 0)),
    )
    state = replace(state, round=np.zeros((len(value), 1)), value=value)
    own = found.rule({"value": value[..., None]}, None)["bid"] / (levels - 1)
    _, outcome = auction.step(state, {"bid": own}, worlds)
    assert (outcome.money.sum(axis=1) + outcome.outside).mean() == pytest.approx(found.welfare, abs=0.01)
    tried = []
    for bid in np.linspace(0.0, 1.0, levels):
        play = np.stack([np.full(len(own), bid), own[:, 1]], axis=1)
        money = auction.step(state, {"bid": play}, worlds)[1].money[:, 0]
        tried.append(money.reshape(size, -1).mean(axis=1))
    gain = np.max(tried, axis=0).mean() - outcome.money[:, 0].mean()
    assert gain == pytest.approx(found.epsilon, abs=0.005)


@pytest.mark.parametrize("pricing", ["first-price", "second-price", "all-pay"])
def test_bids_on_two_levels_are_no_equilibrium(pricing):
    found = make("auction-v0", pricing=pricing, bid_levels=2).references().selfish
    assert found.epsilon > 0.1
    assert found.kind == "best known"
    assert make("auction-v0", pricing=pricing).references().selfish.kind == "numerical"


def test_payments_cancel_in_welfare():
    auction = make("auction-v0", pricing="all-pay")
    society = Society(auction, num_worlds=50)
    step = society.step({"bidders": np.full((50, 5, 1), 60.0)})
    won = step.conduct["income"] + step.conduct["payment"]
    assert np.allclose(step.welfare, won.sum(axis=1))
    assert np.allclose(step.conduct["payment"], 0.6)
    assert ((won > 0).sum(axis=1) == 1).all()


def test_no_gap_no_efficiency():
    references = make("auction-v0").references()
    assert np.isnan(references.efficiency(references.planner.welfare))
    assert references.selfish.epsilon < 1e-3


def test_refusals():
    with pytest.raises(InvalidParameter, match="first-price"):
        make("auction-v0", pricing="dutch")
    with pytest.raises(InvalidParameter, match="units"):
        make("auction-v0", units=5)
    with pytest.raises(NotExact, match="alike"):
        make("auction-v0", num_agents=2, highest_value=(1.0, 2.0)).references()


def test_theory():
    checks = list(Auction.theory())
    assert len(checks) == 18
    for check in checks:
        assert check.passed, check


def test_no_play_beats_the_planner_and_a_reserve_wastes():
    auction, rng = make("auction-v0", bid_levels=None), np.random.default_rng(0)
    society = Society(auction, num_worlds=500)
    for _ in range(9):
        best = society.state.value.max(axis=1)
        assert (society.step({"bidders": rng.random((500, 5, 1))}).welfare <= best + 1e-12).all()
    kept = continuous(reserve=0.5).references()
    assert kept.gap == pytest.approx(10 * 5 / 6 * 0.5**6)  # unsold where all values are below one half


@pytest.mark.slow
@pytest.mark.parametrize(("bidders", "steps"), [(2, 60_000), (5, 300_000)])
def test_learners_shade_their_bids(bidders, steps):
    torch.set_num_threads(1)
    replicates, sale = 4, make("auction-v0", num_agents=bidders, bid_levels=None)
    config = PPOConfig(sharing="shared", rollout=64, entropy=0.01)
    learner = PPO(Society(sale, num_worlds=32 * replicates), config, replicates=replicates, seed=1).train(
        60_000
    )
    policies = learner.train(steps).policies(deterministic=True)
    played = evaluate(Society(sale, num_worlds=256 * replicates), policies, seed=5)
    revenue = bidders * played.series["payment"].mean()
    assert revenue == pytest.approx((bidders - 1) / (bidders + 1), rel=0.1)
    seen = np.full((replicates * len(MIDPOINTS), bidders, 2), 0.5, np.float32)
    seen[..., 0] = np.tile(MIDPOINTS, replicates)[:, None]
    bids = policies.act({"bidders": seen})["bidders"][:, 0, 0].reshape(replicates, -1)
    gains = [best_response_gain(sale, one) for one in bids]
    # In equilibrium a bidder expects 1 / (n (n + 1)); bids of low values hardly matter.
    assert np.mean(gains) < 0.05 / (bidders * (bidders + 1))
