"""Dilemmas at, beside and beyond the special cases of their formulas: no line jumps, none is out of order."""

import numpy as np
import pytest

from commonweal import make
from commonweal.envs.walras import Economy
from commonweal.errors import InvalidParameter

BESIDE_ONE = [np.nextafter(1.0, 0.0), np.nextafter(1.0, 2.0), 1.0 + 1e-15, 1.0 - 1e-12, 1.0 + 1e-9]
BESIDE_ZERO = [5e-324, 1e-300, 1e-18, 1e-12, 1e-9]


def lines(name, **parameters):
    """W of all yardsticks of a dilemma, selfish and planner first."""
    found = make(name, **parameters).references()
    return [found.selfish, found.planner, *found.corrective.values(), *found.others.values()]


def assert_continuous(name, parameter, special, beside, tolerance=1e-7, **parameters):
    """The lines beside a special case are those at it, up to how far beside it is."""
    at = [stick.welfare for stick in lines(name, **{parameter: special}, **parameters)]
    assert at[0] <= at[1] + 1e-9
    for value in beside:
        found = [stick.welfare for stick in lines(name, **{parameter: value}, **parameters)]
        assert found[0] <= found[1] + 1e-9 * abs(found[1]), value
        assert found == pytest.approx(at, rel=tolerance), value


@pytest.mark.parametrize("aversion", [np.nextafter(1.0, 2.0), 1.0 + 1e-15, 1.0 - 1e-12])
def test_labour_beside_the_logarithm(aversion):
    money = np.array([[0.5, 2.0, 3.0, 1e-6]])
    utility = make("labour-v0", risk_aversion=aversion).consumption_utility(money)
    assert utility == pytest.approx(np.log(money), rel=1e-10)


@pytest.mark.parametrize("levels", [31, None])
def test_lines_of_labour_do_not_jump(levels):
    assert_continuous("labour-v0", "risk_aversion", 1.0, BESIDE_ONE[:3], levels=levels)
    assert_continuous("labour-v0", "risk_aversion", 0.0, BESIDE_ZERO[:3], levels=levels)


@pytest.mark.parametrize("levels", [5, None])
def test_lines_of_exchange_do_not_jump_at_cobb_douglas(levels):
    assert_continuous("exchange-v0", "substitution", 1.0, BESIDE_ONE, 1e-6, levels=levels)


def test_an_economy_of_some_at_one_and_some_beside_it():
    endowment, weight = np.array([[3.0, 1.0], [1.0, 3.0], [2.0, 5.0]]), np.array([[0.3, 0.7]] * 3)
    at = Economy(endowment, weight, np.ones(3))
    price = np.array([0.4, 1.0])
    for value in BESIDE_ONE:
        near = Economy(endowment, weight, np.array([1.0, value, value]))
        assert near.utility(endowment) == pytest.approx(at.utility(endowment), rel=1e-8)
        assert near.price_index(price) == pytest.approx(at.price_index(price), rel=1e-8)
        income = at.income(price)
        assert near.demand(price, income) == pytest.approx(at.demand(price, income), rel=1e-8)
        assert near.equilibrium() == pytest.approx(at.equilibrium(), rel=1e-8)


def test_complements_and_substitutes_without_bound():
    bundle, weight = np.array([[3.0, 1.0], [1.0, 0.0]]), np.array([[0.25, 0.75]] * 2)
    complements = Economy(bundle, weight, np.full(2, 1e-12))
    assert complements.utility(bundle) == pytest.approx([4.0 / 3.0, 0.0])
    substitutes = Economy(bundle, weight, np.full(2, 1e12))
    assert substitutes.utility(bundle) == pytest.approx([4.0, 1.0])
    for economy in (complements, substitutes):
        price = np.array([1.0 + 1e-9, 1.0])
        demand = economy.demand(price, np.ones(2))
        assert demand @ price == pytest.approx(np.ones(2), rel=1e-3)
        assert np.isfinite(economy.price_index(price)).all()


@pytest.mark.parametrize("sigma", [1e-12, 1e-3, 0.2, 1e3, 1e12])
def test_exchange_pays_finite_rewards_or_is_refused(sigma):
    for endowments in (((3.0, 1.0), (1.0, 3.0)), ((5.0, 1.0), (1.0, 3.0)), ((4.0, 0.0), (0.0, 0.5))):
        try:
            game = make("exchange-v0", substitution=sigma, endowments=endowments)
        except InvalidParameter as error:
            assert "competitive prices" in str(error)
            continue
        acts = np.random.default_rng(0).uniform([0.0, -1.0], 1.0, (50, 4, 2))
        assert np.isfinite(game.payoff(acts)).all()
        assert game.payoff(acts).sum(axis=1).max() <= game.wealth.sum() * (1 + 1e-9)


def test_employment_without_and_with_hardly_any_aversion():
    assert_continuous("employment-v0", "risk_aversion", 0.0, BESIDE_ZERO, num_workers=1)
    assert_continuous("moral_hazard-v0", "risk_aversion", 0.0, BESIDE_ZERO, num_workers=1)


@pytest.mark.parametrize("name", ["public_goods-v0", "matrix-v0", "employment-v0", "screening-v0"])
def test_a_discount_beside_one_counts_all_rounds(name):
    assert_continuous(name, "discount", 1.0, [np.nextafter(1.0, 0.0), 1.0 - 1e-15, 1.0 - 1e-12, 1.0 - 1e-10])


def test_a_discount_that_leaves_hardly_any_future():
    # Terms that bind in the second round are worth one discount, however small: it cancels in the ratio.
    for name in ("employment-v0", "moral_hazard-v0"):
        near, far = (
            lines(name, num_workers=1, outside_option=0.0, discount=d)[1].welfare / d for d in (1e-3, 1e-17)
        )
        assert far == pytest.approx(near, rel=2e-3)


@pytest.mark.parametrize("parameters", [{"strength": 100.0, "decisiveness": 200.0}, {"decisiveness": 1e12},
                                        {"strength": 1e-12, "decisiveness": 150.0}])  # fmt: skip
def test_contests_that_decide_all(parameters):
    game = make("exchange-v0", property_rights=0.0, **parameters)
    fight = np.array([[0.5, 0.4, 0.0, 0.1], [0.0, 1e-9, 0.0, 0.0], [0.5] * 4, [0.0] * 4])
    won = game.contest(fight)
    assert won[:3] == pytest.approx(np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0.25] * 4]), abs=1e-12)
    assert np.isnan(won[3]).all()
    held, goods = game.fight(fight), game.economy.endowment
    assert held.sum(axis=1) == pytest.approx(((1.0 - fight)[..., None] * goods).sum(axis=1))
    assert held[3] == pytest.approx(goods)


def test_a_canal_with_a_step_of_any_steepness():
    for steepness in (150.0, 1e3, 1e12):
        game = make("irrigation-v0", half_labour=25.0, steepness=steepness, base_flow=0.0)
        assert game.delivered(np.array([0.0, 20.0, 25.0, 30.0])) == pytest.approx([0.0, 0.0, 50.0, 100.0])


def test_harm_of_attention_where_hardly_anybody_is_famous():
    for fame, others in ((2.0, 0.0), (1e-9, 0.0), (1e-12, 1e-9), (1e-12, 3e-12)):
        game = make("attention-v0", fame=fame, dullness=0.0, wear=0.0, reader_harm=0.0)
        state, provocation = game.state_at(np.ones(1)), np.array([[10.0, others, others, others]])
        following, outcome = game.step(state, {"provocation": provocation}, None)
        harm = game.harm(state, {"provocation": provocation}, outcome, following)
        rivals = 3.0 * (fame + others)
        share = [rivals / (rivals + fame + provoked) for provoked in (0.0, 10.0)]
        assert harm[0, 0] == pytest.approx(100.0 * (share[0] - share[1]), rel=1e-13)


def test_the_golden_rule_of_who_does_not_care_for_the_future():
    found = [make("fishery-v0", discount=d).facts()["golden_rule_stock"] for d in (0.0, 1e-12, 1e-9, 1e-6)]
    assert found == pytest.approx([20.0] * 4, rel=1e-5)  # c / (p q), the bionomic stock
