"""Nobody gets more than the planner: what payments can do to W, and what is a cost in it."""

import numpy as np
import pytest

from commonweal import Society, institution, make
from commonweal.errors import InvalidParameter


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
