"""Nobody gets more than the planner: what payments can do to W, and what is a cost in it."""

import numpy as np
import pytest

from commonweal import Society, institution, make
from commonweal.agents.scripted import Constant, scripted
from commonweal.errors import InvalidParameter
from commonweal.evaluation import evaluate


def alone(game):
    """What each does by itself, as an action array `(1, N, 1)`."""
    seen = {"progress": np.zeros((1, game.num_agents))}
    return game.references().selfish.rule(seen, None)["labour"][..., None]


def episode(game, stack, act, **options):
    """W of one episode in which all repeat `act`, and its last transition."""
    society = Society(game, stack, **options)
    welfare, done = 0.0, False
    while not done:
        step = society.step({"citizens": act})
        welfare, done = welfare + float(step.welfare[0]), bool(step.done[0])
    return welfare, step


# --------------------------------------------------------------------------------- money that is nobody's


@pytest.mark.parametrize("risk_aversion", [0.23, 1.0, 3.0])
def test_a_tax_to_the_treasury_is_worth_what_its_return_to_the_citizens_is(risk_aversion):
    """Nobody reacts here, so both move the same money; before, the treasury's was worth more."""
    game = make("labour-v0", levels=None, risk_aversion=risk_aversion)
    found, act = game.references(), alone(game)
    for rate in (0.2, 0.5, 0.9, 1.0):
        kept, _ = episode(game, [institution("taxation", rate=rate, revenue="treasury")], act)
        shared, _ = episode(game, [institution("taxation", rate=rate, revenue="citizens")], act)
        assert kept <= found.planner.welfare
        if rate < 1.0:  # there, nobody but the others' share keeps anybody from starving
            assert kept == pytest.approx(shared, rel=1e-9)


def test_a_tax_of_a_thousand_reaches_what_everything_shared_is_worth():
    game = make("labour-v0", levels=None)
    act = alone(game)
    income = float((act[0, :, 0] * np.array(game.skill)).sum())
    for revenue in ("treasury", "citizens"):
        tax = institution("taxation", base="labour", rate=1_000.0, revenue=revenue)
        welfare, step = episode(game, [tax], act)
        assert welfare <= game.references().planner.welfare
        # What is due and not there is no money of anybody.
        paid = step.ledger.entries[0].amount
        assert float(paid.sum()) == pytest.approx(income, rel=1e-6)
        assert np.allclose(paid + step.ledger.shortfall, 1_000.0 * act[..., 0])
        equal = game.consumption_utility(np.full(4, income / 4)) - game.labour_cost(act[0, :, 0])
        assert welfare == pytest.approx(10 * equal.sum(), abs=1e-4)


def test_evasion_pays_only_where_becker_says_so():
    """Coverage 0.4 times a fine of 3 is above 1: evading costs on average."""
    stack = [
        institution("taxation", rate=0.5, revenue="treasury", concealable=True),
        institution("inspection", coverage=0.4, penalty=3.0),
    ]
    game = make("labour-v0", risk_aversion=0.0)
    society = Society(game, stack, num_worlds=4_000, seed=1)
    columns = [action.name for _, action in society.groups["citizens"].actions]
    honest = society.columns.null_actions(4_000)
    honest["citizens"][..., columns.index("labour")] = 10
    evading = {name: array.copy() for name, array in honest.items()}
    evading["citizens"][..., columns.index("tax_concealed")] = 4
    gain = society.step(evading).reward["citizens"] - society.step(honest).reward["citizens"]
    # Evaded is half the income w l; expected: (1 - 0.4 * 3) of it.
    expected = (1.0 - 0.4 * 3.0) * 0.5 * np.array([1.0, 2.0, 3.0, 5.0])
    assert gain.mean(axis=0) == pytest.approx(expected, abs=0.3)
    assert (gain.mean(axis=0) < 0).all()


def test_what_the_poor_cannot_pay_is_a_shortfall():
    game = make("labour-v0")
    levy = institution("taxation", base="labour", rate=1.5, revenue="treasury")
    step = Society(game, [levy]).step({"citizens": np.full((1, 4, 1), 10.0)})
    assert step.ledger.shortfall[0] == pytest.approx([0.5, 0, 0, 0], abs=1e-5)
    assert step.reward["citizens"][0, 0] == pytest.approx(game.consumption_utility(1e-6) - 1 / 3)


def test_after_a_play_what_is_left_of_it_can_be_paid_and_no_more():
    game = make("labour-v0", levels=None)
    punish = institution("peer-sanctions", base="labour", cost=0.04, fine=1.0, stage="respond")
    society = Society(game, [punish], num_worlds=2)
    columns = [action.name for _, action in society.groups["citizens"].actions]
    for _ in range(2):  # nothing of a round is left to the next
        work = society.columns.null_actions(2)
        work["citizens"][..., columns.index("labour")] = [[1.0], [0.1]]
        society.step(work)
        points = society.columns.null_actions(2)
        points["citizens"][:, 0, columns.index("sanction_points")] = 2.0
        ledger = society.step(points).ledger
        # The first pays 0.04 a point, the next in line is fined 1 a point; they have 1 and 2, or a tenth.
        assert ledger.net[0] == pytest.approx([-0.08, -2.0, 0, 0], abs=1e-5)
        assert ledger.net[1] == pytest.approx([-0.08, -0.2, 0, 0], abs=1e-5)
        assert ledger.shortfall[1] == pytest.approx([0.0, 1.8, 0, 0], abs=1e-5)


@pytest.mark.parametrize("weight", [-0.1, 1.1, 2.0])
def test_no_weight_makes_revenue_worth_more_than_money(weight):
    with pytest.raises(InvalidParameter, match="treasury_weight"):
        Society(make("fishery-v0"), treasury_weight=weight)


def test_what_the_treasury_pays_out_counts_in_full_at_every_weight():
    """Half of what is collected is lost; a deficit is not halved, or spending would create money."""
    looked = {"cost": 1.0}
    for rate, worth in ((0.0, -4.0), (1.0, 0.5 * (40.0 - 4.0) - 40.0)):
        tax = institution("taxation", base="extraction", rate=rate, revenue="treasury", monitor=looked)
        society = Society(make("appropriation-v0", num_agents=4), [tax], treasury_weight=0.5)
        step = society.step({"citizens": np.full((1, 4, 1), 10.0)})
        assert step.welfare[0] - step.money.sum() == pytest.approx(worth)


# --------------------------------------------------------------------------------- costs


def bribed(wage, offer, accepts):
    """One play of four appropriators who hide everything from an inspector who always looks."""
    stack = [
        institution("taxation", base="income", rate=0.5, revenue="treasury", concealable=True),
        institution("inspection", coverage=1.0, wage=wage),
    ]
    society = Society(make("appropriation-v0", num_agents=4), stack)
    columns = [action.name for _, action in society.groups["citizens"].actions]
    actions = society.columns.null_actions(1)
    actions["citizens"][..., columns.index("tax_concealed")] = 4
    actions["citizens"][..., columns.index("inspector_offer")] = offer
    actions["inspector"][:] = accepts
    return society.step(actions)


@pytest.mark.parametrize("wage", [0.0, 1.0, 5.0])
def test_a_wage_is_a_cost_and_a_bribe_is_none(wage):
    """An inspector's time would bring its wage elsewhere; a bribe only moves money."""
    free = float(bribed(0.0, 0, 0).money.sum())
    for offer, accepts in ((0, 0), (3, 0), (3, 1)):
        step = bribed(wage, offer, accepts)
        assert step.ledger.cost[0] == wage
        assert step.welfare[0] + step.ledger.cost[0] == pytest.approx(free)
        assert step.reward["inspector"][0, 0] == pytest.approx(wage + 4 * 2.0 * offer * accepts)
    assert "costless" not in institution("inspection").properties


def test_results_show_the_wages_as_cost_of_enforcement():
    stack = [institution("taxation", concealable=True), institution("inspection", wage=3.0)]
    society = Society(make("appropriation-v0", rounds=5), stack, num_worlds=2)
    result = evaluate(society, Constant(society, tokens=4.0))
    assert result.enforcement_cost == pytest.approx([15.0, 15.0])


# --------------------------------------------------------------------------------- what levels leave uneven


def test_who_shares_the_catch_equally_beats_the_planner_on_levels_and_not_its_bound():
    """Two countries catch one level and two the next; a full tax, shared by all, evens that out."""
    game = make("fish_war-v0", num_agents=4, share_levels=4)
    found = game.references()
    assert len(set(found.planner.rule.entry)) == 2
    society = Society(game, [institution("income-tax", rates=(1.0,))])
    shared = evaluate(society, scripted(society, found.planner)).welfare[0]
    assert found.planner.welfare + 0.01 < shared <= found.bound


def test_the_bound_of_the_fish_war_is_what_backward_induction_finds():
    """Shares on a fine grid; the value of k years is linear in the logarithm of the stock."""
    game = make("fish_war-v0", num_agents=3, discount=0.7)
    shares = np.linspace(3 * game.min_share, game.cap, 20_001)
    slope, constant = 0.0, 0.0
    for _ in range(game.time_limit):
        worth = 3 * np.log(shares / 3) + 0.7 * slope * 0.5 * np.log1p(-shares)
        slope, constant = 3 + 0.7 * 0.5 * slope, float(worth.max()) + 0.7 * constant
    assert game.references().bound == pytest.approx(slope * np.log(0.45) + constant, abs=1e-6)


def test_the_bound_of_a_worker_on_levels_is_the_surplus_of_the_best_effort():
    """Efforts of 2 k / 7 at a cost of a^2 / 2: the best is worth 0.4898, whatever is paid."""
    game = make("employment-v0", num_workers=1, risk_aversion=4, effort_levels=8, wage_levels=3, rounds=2)
    effort = 2.0 * np.arange(8) / 7.0
    assert game.references().bound == pytest.approx((effort - effort**2 / 2).max())
    game = make("moral_hazard-v0", risk_aversion=2.0, outside_option=0.1, rounds=3)
    assert game.references().bound == pytest.approx(4 * (0.1 + 2 * (0.8 - 0.27)))
