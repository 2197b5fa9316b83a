"""Polluting firms: Cournot, price takers, planner, and the taxes of Pigou and Buchanan."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize

from commonweal import Society, institution, make, solvers
from commonweal.agents.scripted import scripted
from commonweal.envs.production import Production
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate
from commonweal.random import Streams, world_seeds

UNLIKE = {
    "unit_cost": (1.0, 2.0, 4.0, 9.0),
    "cost_slope": (1.0, 0.5, 2.0, 1.0),
    "emission_intensity": (1.0, 0.5, 0.25, 1.5),
}


def production(**parameters) -> Production:
    found = make("production-v0", **parameters)
    assert isinstance(found, Production)
    return found


def test_a_round_by_hand():
    game = production(emission_intensity=(1.0, 0.5, 1.0, 1.0))
    rng = Streams(world_seeds(0, 1), 0)
    _, outcome = game.step(game.initial(rng), {"output": np.array([[4.0, 2.0, 0.0, 0.0]])}, rng)
    # The price is 14: 4 (14 - 2) - 8 and 2 (14 - 2) - 2; consumers gain 6 * 6 / 2, emissions of 5 cost 65.
    assert outcome.money.tolist() == [[40, 22, 0, 0]]
    assert outcome.outside.tolist() == [18 - 65]
    assert outcome.conduct["emission"].tolist() == [[4, 1, 0, 0]]
    assert game.harm(None, {}, outcome, None).tolist() == [[52, 13, 0, 0]]
    glut = production().outside(np.full((1, 4), 6.0))
    assert glut[0] == pytest.approx(20.0**2 / 2 - 13 * 24)
    assert production().profit(np.full((1, 4), 6.0))[0, 0] == pytest.approx(-12 - 18)


@pytest.mark.parametrize("parameters", [{}, UNLIKE, {"levels": None}, {**UNLIKE, "levels": None}])
def test_no_output_beats_cournots(parameters):
    """Every deviation of every firm, played by `step`."""
    game = production(**parameters, rounds=1)
    selfish = game.references().selfish
    tried = np.linspace(0, 6, game.levels or 6001)
    rng = Streams(world_seeds(0, len(tried)), 0)
    nash = np.repeat(selfish.rule.values["output"], len(tried), axis=0)
    state = game.initial(rng)
    now = game.step(state, {"output": nash}, rng)[1].money[0]
    for firm in range(4):
        output = nash.copy()
        output[:, firm] = tried
        best = game.step(state, {"output": output}, rng)[1].money[:, firm].max()
        assert best <= now[firm] + selfish.epsilon + 1e-9
    assert selfish.epsilon < 1e-9


@pytest.mark.parametrize("tax", [-3.0, 0.0, 5.0, 12.0])
def test_cournot_is_known_in_closed_form_for_firms_alike(tax):
    game = production(levels=None, emission_intensity=0.5)
    each = max((20 - 2 - 0.5 * tax) / (1 * 5 + 1), 0)
    assert game.output("Cournot", tax) == pytest.approx(np.full(4, each))
    assert game.output("price takers", tax) == pytest.approx(np.full(4, (20 - 2 - 0.5 * tax) / 5))


def test_price_takers_make_what_pays_best_at_the_going_price():
    game = production(**UNLIKE, levels=None)
    for tax in (0.0, 4.0, 13.0):
        output = game.output("price takers", tax)
        price = 20 - output.sum()
        tried = np.linspace(0, 6, 60_001)
        for i in range(4):
            cost = game.unit_cost[0, i] + tax * game.emission_intensity[0, i]
            profit = tried * (price - cost) - 0.5 * game.cost_slope[0, i] * tried**2
            assert output[i] == pytest.approx(tried[profit.argmax()], abs=2e-4)


@pytest.mark.parametrize("parameters", [{}, UNLIKE, {"marginal_damage": 0.0}, {"marginal_damage": 30.0}])
def test_nothing_beats_the_planner(parameters):
    smooth = production(**parameters, levels=None)
    planned = smooth.references().planner.welfare / smooth.weight
    rng = np.random.default_rng(0)
    tried = rng.random((50_000, 4)) * 6 * rng.random((50_000, 1))
    assert smooth.welfare(tried).max() <= planned + 1e-9
    found = minimize(lambda q: -smooth.welfare(q[None])[0], np.full(4, 1.0), bounds=[(0, 6)] * 4)
    assert -found.fun == pytest.approx(planned, abs=1e-5)
    coarse = production(**parameters, levels=7)
    planner = coarse.references().planner
    every = np.array(list(itertools.product(np.linspace(0, 6, 7), repeat=4)))
    best = coarse.weight * coarse.welfare(every).max()
    assert planner.welfare <= best + 1e-9 <= planner.welfare + planner.error + 1e-6


@pytest.mark.parametrize("parameters", [{}, UNLIKE, {"levels": None}])
def test_the_rules_bring_their_welfare(parameters):
    game = production(**parameters)
    found = game.references()
    society = Society(game)
    for stick in (found.planner, found.selfish):
        assert evaluate(society, scripted(society, stick)).welfare[0] == pytest.approx(stick.welfare)


def test_the_dilemma_is_that_emission_is_free():
    """Cournot's firms make three times what the planner would; without damage they make too little."""
    dirty, clean = production().references(), production(marginal_damage=0.0).references()
    assert dirty.selfish.detail["output"] == 3 * dirty.planner.detail["output"]
    assert dirty.gap > 0.1 * dirty.payoff_range
    assert clean.selfish.detail["output"] < clean.planner.detail["output"]


def test_the_tax_below_marginal_damage_restores_the_planner_among_few():
    """Played through the tax itself: the equilibrium of the society at 12, not at 13, is the planner's."""
    game = production()
    found = game.references()
    for rate in (12.0, 13.0):
        tax = institution("taxation", base="emission", rate=rate, revenue="treasury")
        welfare = solvers.equilibrium(Society(game, [tax])).welfare
        if rate == 12.0:
            assert welfare == pytest.approx(found.planner.welfare)
        else:
            assert welfare < found.planner.welfare - 1.0
    assert found.corrective["emission"].detail["rate"] == pytest.approx(12.0, abs=1e-6)
    assert found.facts["corrective tax among price takers"] == 13.0


def test_a_tax_on_harm_overshoots_where_firms_move_the_price():
    game = production()
    taxed = solvers.equilibrium(Society(game, [institution("taxation", base="harm", rate=1.0)]))
    assert game.references().selfish.welfare < taxed.welfare < game.references().planner.welfare


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_firms_that_bear_damage_take_their_own_part_into_account(share):
    game = production(damage_share=share, levels=None)
    found = game.references()
    assert game.output("Cournot") == pytest.approx(np.full(4, (18 - share * 13 / 4) / 6))
    assert found.selfish.epsilon < 1e-9
    assert found.corrective["emission"].detail["rate"] == pytest.approx(13 - share * 13 / 4 - 1, abs=1e-6)
    assert found.planner.welfare == pytest.approx(production(levels=None).references().planner.welfare)
    takers = game.output("price takers", found.facts["corrective tax among price takers"])
    assert takers == pytest.approx(game.output("planner"))
    # Less damage would do the firms good, too: here it is their own dilemma.
    output = np.array([[3.0] * 4, [1.0] * 4])
    profit, borne = game.profit(output), game.profit(output) - game.payoff(output)
    assert borne[0] == pytest.approx(np.full(4, share * 13 * 12 / 4))
    assert profit[0, 0] == pytest.approx(profit[1, 0])
    rng = Streams(world_seeds(0, 2), 0)
    following, outcome = game.step(game.initial(rng), {"output": output}, rng)
    harm = game.harm(None, {}, outcome, following)
    one = output.copy()
    one[0, 0] = 0.0  # what the others and the citizens would lose less
    less = game.damage(output) - game.damage(one)
    assert harm[0, 0] == pytest.approx(less[0, 0] * (1 - share / 4))


def test_market_power_can_be_the_greater_wrong():
    mild = production(marginal_damage=1.0, num_agents=2, max_output=20.0, levels=None)
    assert mild.corrective_tax() == pytest.approx(1.0 - mild.output("planner")[0], abs=1e-5)
    assert mild.corrective_tax() < 0


def test_one_rate_cannot_mend_unlike_markups():
    found = production(**UNLIKE, levels=None).references()
    corrected = found.corrective["emission"].welfare
    assert found.selfish.welfare < corrected < found.planner.welfare - 1.0
    game = production(**UNLIKE, levels=None)
    rates = np.linspace(-5, 25, 301)
    best = max(game.weight * game.welfare(game.output("Cournot", rate)[None])[0] for rate in rates)
    assert best <= corrected + 1e-9


def test_a_cartel_mends_it_in_part():
    """Firms that maximise the sum of their profits make 2 each: less than Cournot's 3, more than 1."""
    game = production()
    each = np.linspace(0, 6, 31)
    output = np.repeat(each[:, None], 4, axis=1)
    best = game.profit(output).sum(axis=1).argmax()
    assert each[best] == pytest.approx(2.0)
    found, worth = game.references(), game.weight * game.welfare(output)[best]
    assert found.selfish.welfare < worth < found.planner.welfare
    assert found.efficiency(worth) == pytest.approx(0.75)


def test_many_firms_come_near_price_takers():
    share = []
    for n in (2, 8, 32):
        game = production(num_agents=n, cost_slope=0.0, max_output=20.0, levels=None)
        share.append(game.output("Cournot").sum() / game.output("price takers").sum())
    assert share == pytest.approx([2 / 3, 8 / 9, 32 / 33])


def test_limits_on_output_and_emission():
    game = production(emission_intensity=(1.0, 0.5, 0.0, 2.0))
    play = {"output": np.full((1, 4), 5.0)}
    assert game.limit(None, play, {"output": (0.0, 4.0)})["output"].tolist() == [[4, 4, 4, 4]]
    assert game.limit(None, play, {"emission": (0.0, 2.0)})["output"].tolist() == [[2, 4, 5, 1]]


def test_theory():
    for check in Production.theory():
        assert check.passed, check


def test_refusals():
    with pytest.raises(InvalidParameter, match="demand_slope"):
        production(demand_slope=0.0)
    with pytest.raises(InvalidParameter, match="one per world"):
        production(choke_price=(20.0, 20.0, 20.0, 10.0))
    with pytest.raises(NotExact, match="per world"):
        production(marginal_damage=np.array([1.0, 2.0])).references()


def test_no_corrective_rate_where_every_rate_is_as_good():
    """Nobody can sell at a profit, or nothing is emitted: no tax on emission changes anything."""
    for parameters in ({"unit_cost": 25.0}, {"emission_intensity": 0.0}):
        game = production(**parameters)
        assert np.isnan(game.corrective_tax())
        assert not game.references().corrective


def test_where_output_costs_nothing_a_glut_is_an_equilibrium_too():
    """Three can flood the market without the fourth: at the price 0 nobody minds, damage is largest."""
    free = {"unit_cost": 0.0, "cost_slope": 0.0, "max_output": 10.0}
    for levels in (None, 3):
        game = production(**free, levels=levels, rounds=1)
        found = game.references()
        assert found.selfish.welfare == pytest.approx(20.0**2 / 2 - 13 * 40)
        assert found.selfish.epsilon == 0.0
        # A tax is a cost: nobody floods the market under it, and the planner's output is restored.
        assert found.corrective["emission"].welfare > found.selfish.welfare + 300.0
    assert (
        production(**{**free, "max_output": 6.0}, levels=None).references().selfish.detail["output"] == 16.0
    )


def test_continuous_outputs_solve_their_conditions():
    """Against the first-order conditions, firm by firm: bounds bind or the margin is nought."""
    rng = np.random.default_rng(0)
    for conduct, own in (("Cournot", 1.0), ("price takers", 0.0), ("planner", 0.0)):
        for _ in range(50):
            n = int(rng.integers(1, 7))
            cost, slope, emission = rng.uniform((0, 0.1, 0), (25, 3, 2), (n, 3)).T
            game = production(
                num_agents=n, unit_cost=tuple(cost), cost_slope=tuple(slope), levels=None,
                emission_intensity=tuple(emission), damage_share=0.5, demand_slope=0.7,
            )  # fmt: skip
            tax = float(rng.uniform(-5, 15))
            made = game.output(conduct, tax)
            charge = 13.0 if conduct == "planner" else tax + 0.5 * 13 / n
            margin = 20 - 0.7 * made.sum() - cost - charge * emission - (slope + own * 0.7) * made
            assert (margin[made < 6 - 1e-9] <= 1e-9).all()
            assert (margin[made > 1e-9] >= -1e-9).all()
