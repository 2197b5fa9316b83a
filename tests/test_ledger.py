"""Every payment has a payer and a payee: the ledger balances under any stack."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonweal import Society
from commonweal.ledger import Ledger
from tests.strategies import dilemmas, random_actions, stacks


@given(dilemmas, stacks, st.sampled_from([np.inf, 0.0, 2.0]), st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_ledger_balances_at_every_step_of_any_stack(dilemma, stack, credit, seed):
    society = Society(dilemma, stack, num_worlds=3, seed=seed, credit=credit, time_limit=4)
    rng = np.random.default_rng(seed)
    for _ in range(9):
        wealth = society.memory.wealth.copy()
        step = society.step(random_actions(society, rng))
        ledger = step.ledger
        scale = max(1.0, max((np.abs(e.amount).max() for e in ledger.entries), default=0.0))
        assert ledger.imbalance() <= 1e-9 * scale
        assert all(np.isfinite(e.amount).all() and (e.amount >= 0).all() for e in ledger.entries)
        assert (ledger.shortfall >= -1e-12).all()
        if credit == np.inf and dilemma.subsistence is None:
            assert (ledger.shortfall == 0).all()
        running = ~step.done
        change = step.ledger.net.copy()
        change[:, : step.money.shape[1]] += step.money
        assert np.allclose((society.memory.wealth - wealth)[running], change[running])


@given(stacks, st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_nobody_pays_more_than_wealth_and_credit(stack, seed):
    from commonweal import make

    society = Society(make("fishery-v0", cost=0.0), stack, num_worlds=4, credit=1.0, time_limit=50)
    rng = np.random.default_rng(seed)
    for _ in range(20):
        society.step(random_actions(society, rng))
        # Nothing is lost by fishing here, so payments alone could take wealth below the credit.
        assert society.memory.wealth.min() >= -1.0 - 1e-9


def test_revenue_to_the_others_does_not_return_to_the_payer():
    ledger = Ledger(1, 3, 3)
    ledger.collect(np.array([[6.0, 0.0, 3.0]]), "others")
    assert np.allclose(ledger.net, [[-6 + 1.5, 3 + 1.5, -3 + 3.0]])
    diluted = Ledger(1, 3, 3)
    diluted.collect(np.array([[6.0, 0.0, 0.0]]), "citizens")
    assert np.allclose(diluted.net, [[-4.0, 2.0, 2.0]])


def test_transfers_are_scaled_down_to_what_can_be_paid():
    ledger = Ledger(1, 2, 2, funds=np.array([[2.0, 5.0]]))
    paid = ledger.transfer(np.array([[[0.0, 8.0], [0.0, 0.0]]]))
    assert paid[0, 0, 1] == 2.0
    assert ledger.shortfall.tolist() == [[6.0, 0.0]]
    assert ledger.imbalance() == 0.0


def test_unknown_payee_is_refused():
    with pytest.raises(ValueError, match="payee is 'nobody'"):
        Ledger(1, 2, 2).collect(np.ones((1, 2)), "nobody")


def test_income_of_the_play_can_be_taxed_in_it():
    from commonweal import institution, make

    tax = institution("taxation", base="income", rate=0.5, revenue="treasury")
    society = Society(make("fishery-v0"), [tax], credit=0.0)
    step = society.step({"citizens": np.full((1, 5, 1), 2.0)})
    assert np.allclose(step.ledger.treasury, 0.5 * step.money.sum())
    assert (step.ledger.shortfall == 0).all()
