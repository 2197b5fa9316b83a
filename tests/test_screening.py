"""Screening: the menu against a numerical optimiser, against all menus, and by playing every choice."""

import numpy as np
import pytest
from scipy.optimize import minimize

from commonweal import Society, institution, make
from commonweal.agents.scripted import scripted
from commonweal.envs.screening import COLUMNS, Screening, ScreeningState
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate
from commonweal.random import Streams, world_seeds

FREE = {"quantity_levels": None, "price_levels": None}


def screening(**parameters) -> Screening:
    found = make("screening-v0", **parameters)
    assert isinstance(found, Screening)
    return found


def profits(game, menus, tastes, chances):
    """A seller's expected profit `(G,)` from menus `(G, 4)`, played with buyers who try all items."""
    total = np.zeros(len(menus))
    rng = Streams(world_seeds(0, len(menus)), 0)
    nothing = {name: np.zeros((len(menus), 1)) for name in COLUMNS}
    for taste, chance in zip(tastes, chances, strict=True):
        state = ScreeningState(np.ones((len(menus), 1)), menus[:, None, :], np.full((len(menus), 1), taste))
        money = np.stack(
            [
                game.step(state, {**nothing, "item": np.full((len(menus), 1), float(k))}, rng)[1].money
                for k in range(3)
            ]
        )
        best = money[:, :, 1] >= money[:, :, 1].max(axis=0) - 1e-7
        total += chance * np.where(best, money[:, :, 0], -np.inf).max(axis=0)
    return total


def test_theory():
    for check in Screening.theory():
        assert check.passed, check


@pytest.mark.parametrize(
    ("low", "high", "share", "cost"), [(1.0, 1.5, 0.5, 1.0), (1.0, 1.3, 0.2, 0.8), (0.6, 1.4, 0.7, 1.0)]
)
def test_the_menu_is_that_of_a_numerical_optimiser(low, high, share, cost):
    """Profit maximised under the two types' participation and incentive constraints (SLSQP)."""
    game = screening(low_taste=low, high_taste=high, share_high=share, cost=cost, max_price=5.0, **FREE)
    menu = game.best_menu((low, high, share, cost))

    def lost(m):
        return -((1 - share) * (m[1] - 0.5 * cost * m[0] ** 2) + share * (m[3] - 0.5 * cost * m[2] ** 2))

    limits = [
        {"type": "ineq", "fun": lambda m: low * m[0] - m[1]},
        {"type": "ineq", "fun": lambda m: high * m[2] - m[3]},
        {"type": "ineq", "fun": lambda m: low * m[0] - m[1] - (low * m[2] - m[3])},
        {"type": "ineq", "fun": lambda m: high * m[2] - m[3] - (high * m[0] - m[1])},
    ]
    found = minimize(
        lost, [0.5, 0.1, 1.0, 0.5], bounds=[(0, 5)] * 4, constraints=limits, options={"ftol": 1e-14}
    )
    assert found.success
    assert -found.fun == pytest.approx(-lost(menu), abs=1e-6)
    assert np.allclose(found.x, menu, atol=1e-3)
    # Played, the menu earns as much, and random menus nearby and far do not earn more.
    rng = np.random.default_rng(0)
    tried = np.concatenate(
        [menu[None], rng.uniform(0, 2.2, (4000, 4)), menu + rng.normal(0, 0.03, (4000, 4))]
    )
    earned = profits(game, np.maximum(tried, 0.0), (low, high), (1 - share, share))
    assert earned[0] == pytest.approx(-lost(menu), abs=1e-9)
    assert earned.argmax() == 0


def test_no_menu_on_the_levels_earns_more():
    game = screening(num_sellers=1)
    menus = game._menus()
    earned = profits(game, menus, (1.0, 1.5), (0.5, 0.5))
    own = profits(game, game.best_menu((1.0, 1.5, 0.5, 1.0))[None], (1.0, 1.5), (0.5, 0.5))[0]
    assert len(menus) == 117 * 118 / 2
    assert own == pytest.approx(earned.max())


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        FREE,
        {"share_high": (0.0,) * 4 + (0.2, 0.4, 0.6, 0.9), "cost": (1.0, 1.2, 0.9, 1.0) + (1.0,) * 4, **FREE},
        {"share_high": 0.3},
    ],
)
def test_the_rules_are_worth_what_is_said(parameters):
    game = screening(**parameters)
    found = game.references()
    society = Society(game, num_worlds=3000)
    for yardstick in (found.selfish, found.planner):
        welfare = evaluate(society, scripted(society, yardstick), seed=3).welfare
        assert abs(welfare.mean() - yardstick.welfare) <= 4 * welfare.std() / np.sqrt(3000) + 1e-4
    assert found.selfish.welfare < found.planner.welfare


def test_known_tastes_waste_nothing_and_no_distortion_at_the_top():
    assert screening(low_taste=1.5, **FREE).references().gap == pytest.approx(0.0)
    for share in (0.0, 1.0):
        assert screening(share_high=share, **FREE).references().gap == pytest.approx(0.0)
    low = [screening(share_high=s, **FREE).references().selfish.detail for s in (0.1, 0.3, 0.5, 0.7)]
    assert [d["high quantity"] for d in low] == pytest.approx([1.5] * 4)
    quantities = [d["low quantity"] for d in low]
    assert quantities == sorted(quantities, reverse=True)
    assert quantities[-1] == 0.0


def test_a_sale_by_hand():
    game = screening(num_sellers=1)
    state = ScreeningState(np.ones((1, 1)), np.array([[[0.5, 0.5, 1.5, 2.0]]]), np.full((1, 1), 1.5))
    play = {name: np.ones((1, 1)) for name in COLUMNS} | {"item": np.full((1, 1), 2.0)}
    following, outcome = game.step(state, play, Streams(world_seeds(0, 1), 0))
    assert outcome.money[0] == pytest.approx([2.0 - 1.125, 0.25])
    assert following.menu.tolist() == [[[1.0, 1.0, 1.0, 1.0]]]


def test_a_cap_on_prices_binds_what_is_posted():
    society = Society(make("screening-v0"), [institution("quota", base="price", limit=0.5)], num_worlds=2)
    actions = society.columns.null_actions(2)
    actions["sellers"][..., 1] = 12
    society.step(actions)
    assert (society.state.menu[..., 1] == 0.5).all()
    assert (society.state.menu[..., 3] == 0.0).all()


def test_refusals():
    with pytest.raises(InvalidParameter, match="high_taste"):
        screening(high_taste=0.5)
    with pytest.raises(NotExact, match="both or neither"):
        screening(price_levels=None).references()
    with pytest.raises(NotExact, match="menus"):
        screening(quantity_levels=50, price_levels=50).references()
    with pytest.raises(NotExact, match="menu would"):
        screening(high_taste=4.0, **FREE).references()
