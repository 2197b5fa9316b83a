"""The great fish war against its closed forms, and these against an independent numerical solution."""

import itertools

import numpy as np
import pytest

from commonweal import institution, make
from commonweal.agents.best_response import best_response_gain
from commonweal.agents.scripted import Constant, scripted
from commonweal.envs.fish_war import FishWar
from commonweal.envs.one_state import Fixed
from commonweal.errors import NotExact
from commonweal.evaluation import evaluate
from commonweal.society import Society


def war(**parameters) -> FishWar:
    found = make("fish_war-v0", **parameters)
    assert isinstance(found, FishWar)
    return found


@pytest.mark.parametrize(("n", "share", "stock"), [(2, 0.3548387, 0.2903226), (5, 0.171875, 0.140625)])
def test_published_shares_and_stocks(n, share, stock):
    found = war(num_agents=n).references()
    assert found.selfish.detail["share"] == pytest.approx(share, abs=1e-6)
    assert found.selfish.detail["steady stock"] == pytest.approx(stock, abs=1e-6)
    assert found.planner.detail["share"] * n == pytest.approx(0.55)
    assert found.planner.detail["steady stock"] == pytest.approx(0.45)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_the_closed_form_of_w_is_what_play_yields(n):
    dilemma = war(num_agents=n, initial_stock=0.2, elasticity=0.7)
    society = Society(dilemma)
    found = dilemma.references()
    for yardstick in (found.selfish, found.planner):
        welfare = evaluate(society, scripted(society, yardstick)).welfare[0]
        assert welfare == pytest.approx(yardstick.welfare, abs=1e-9)


@pytest.mark.parametrize("n", [2, 3])
def test_the_best_reply_by_an_independent_value_iteration(n):
    """A plain value iteration over the log stock, written without the package's solver."""
    dilemma = war(num_agents=n)
    others = (n - 1) * dilemma.markov_perfect_share()
    grid = np.linspace(-5.0, 0.0, 801)
    own = np.linspace(dilemma.min_share, dilemma.cap / n, 1201)
    following = 0.5 * (grid[:, None] + np.log(1.0 - others - own))
    now, value = np.log(own) + grid[:, None], np.zeros(801)
    for _ in range(160):
        value = (now + 0.9 * np.interp(following, grid, value)).max(axis=1)
    best = own[(now + 0.9 * np.interp(following, grid, value)).argmax(axis=1)]
    # Below, the table ends; above, the reply is the equilibrium share itself at every stock.
    assert best[grid > -3.0] == pytest.approx(dilemma.markov_perfect_share(), abs=0.01)


@pytest.mark.parametrize("shares", [(0.2, 0.4), (0.1, 0.1), (0.3, 0.45)])
def test_the_gain_of_deviating_in_closed_form_and_by_dynamic_programming(shares):
    dilemma = war()

    class Fixed_:
        def act(self, observation, mask=None):
            seen = observation["citizens"]
            return {"citizens": np.tile(np.array(shares)[None, :, None], (len(seen), 1, 1))}

    numerical = best_response_gain(Society(dilemma), Fixed_())[0]
    assert numerical == pytest.approx(dilemma.deviation_gain(np.array(shares)), abs=2e-4)
    assert numerical.max() > 0.01


def test_one_country_alone_is_the_planner():
    found = war(num_agents=1).references()
    assert found.gap == pytest.approx(0.0, abs=1e-12)
    assert np.isnan(found.efficiency(found.planner.welfare))


def test_on_levels_equilibria_are_exact_and_may_be_unequal():
    """No country gains, though a share nearest to theory's is none of an equilibrium: one catches less."""
    exact = war(num_agents=3).references().selfish
    assert (exact.kind, exact.epsilon) == ("closed form", pytest.approx(0.0, abs=1e-12))
    game = war(num_agents=4, share_levels=3, elasticity=0.3, discount=0.95)
    found = game.references().selfish
    assert found.welfare == pytest.approx(-192.4651, abs=1e-4)
    assert (found.kind, found.epsilon) == ("enumeration", pytest.approx(0.0, abs=1e-9))
    assert sorted(found.rule.entry) == [1, 2, 2, 2]
    assert game._shares()[1:] == pytest.approx([0.12625, 0.2475])
    equal = np.full(4, 0.2475)
    assert game.deviation_gain(equal).max() > 1.0


def test_harm_is_the_others_share_of_the_planners_loss():
    dilemma = war(num_agents=3)
    state, rng = dilemma.state_at(np.array([-0.7])), Fixed(1, None, "test")
    share = np.array([[0.1, 0.2, 0.3]])
    following, outcome = dilemma.step(state, {"share": share}, rng)
    harm = dilemma.harm(state, {"share": share}, outcome, following)
    for i in range(3):
        least = share.copy()
        least[0, i] = dilemma.min_share
        spared, _ = dilemma.step(state, {"share": least}, rng)
        loss = np.log(spared.stock / following.stock)[0, 0] * 3 / (1 - 0.45)
        assert harm[0, i] == pytest.approx(0.9 * 2 / 3 * loss)


def test_per_world_elasticities_have_no_references():
    with pytest.raises(NotExact, match="scalars"):
        war(elasticity=np.array([0.3, 0.5])).references()


def test_constant_play_may_be_named():
    society = Society(war())
    level = war().planner_share()
    welfare = evaluate(society, Constant(society, share=level)).welfare[0]
    assert welfare == pytest.approx(war().references().planner.welfare)


@pytest.mark.parametrize(("num_agents", "share_levels"), [(2, 3), (2, 11), (3, 3)])
def test_no_shares_on_levels_are_better_than_the_planners(num_agents, share_levels):
    war = FishWar(num_agents=num_agents, share_levels=share_levels, elasticity=0.3)
    planner = war.references().planner
    profiles = itertools.product(war._shares(), repeat=num_agents)
    best = max(war.value(np.array(shares)).sum() for shares in profiles)
    planned = war._planned()
    assert war.value(planned).sum() == pytest.approx(best)
    assert len(set(planned)) == 2  # unequal shares: no equal level is as good
    society = Society(war, num_worlds=1)
    welfare = evaluate(society, scripted(society, planner)).welfare[0]
    assert welfare == pytest.approx(planner.welfare, abs=1e-9)


def test_who_is_charged_fish_worth_the_harm_catches_what_the_planner_wants():
    """c (1 - exp(-harm)) fish cost ln c as much as the others lose; harm itself, in fish, takes the catch."""
    game = FishWar(num_agents=3)
    planned, tried = game.planner_share(), np.linspace(0.01, 0.3, 2901)
    shares = np.full((len(tried), 3), planned)
    shares[:, 0] = tried
    step = Society(game, [institution("taxation", base="harm", rate=0.0)], num_worlds=len(tried)).step(
        {"citizens": shares[..., None]}
    )
    harm, catch = step.conduct["harm"][:, 0], step.conduct["extraction"][:, 0]
    left = np.log(catch - catch * (1.0 - np.exp(-harm)))
    assert np.allclose(left, np.log(catch) - harm)
    # The same in every year: harm does not depend on the stock.
    value = np.array([game.value(row)[0] for row in shares]) - harm / (1.0 - game.discount)
    assert tried[value.argmax()] == pytest.approx(planned, abs=1e-4)
    assert (harm > catch)[tried > 0.05].all()
