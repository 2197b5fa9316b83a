"""Eight unlike stacks on one core: batch, ledger, JSON, save and restore, and hand-computed rounds."""

import json

import numpy as np
import pytest

from commonweal import Society, institution, make
from commonweal.errors import IncompatibleInstitution
from tests.strategies import random_actions

FEHR_GAECHTER_2000 = (0, 1, 2, 4, 6, 9, 12, 16, 20, 25, 30)
STACKS = {
    "labour, brackets": (
        make("labour-v0"),
        [institution("income-tax", cutoffs=(0.0, 5.0), rates=(0.2, 0.5), days=2)],
    ),
    "fishery, voted tax, rights": (
        make("fishery-v0"),
        [
            institution("taxation", base="extraction", rate=0.1),
            institution("vote", on="tax.rate", rule="median", every=3),
            institution("rights", parameter="tax.rate", high=0.3),
        ],
    ),
    "fishery, tradable quotas": (
        make("fishery-v0"),
        [institution("tradable-quotas", allocation=2.0, levels=None)],
    ),
    "public good, contract": (make("public_goods-v0"), [institution("contract")]),
    "public good, punishment": (
        make("public_goods-v0"),
        [
            institution(
                "peer-sanctions", base="contribution", stage="respond", targets="each", max_points=10,
                cost_table=FEHR_GAECHTER_2000, fine=0.1, fine_unit="income",
            )
        ],
    ),
    "appropriation, classifier, quorum, duty": (
        make("appropriation-v0", num_agents=4),
        [
            institution("peer-sanctions", quorum=2),
            institution("classifier", threshold=5.0, noise=0.1, duty="sanction"),
        ],
    ),
    "public good, mediator": (make("public_goods-v0"), [institution("mediator", objective="constrained")]),
    "double auction, tax, inspector": (
        make("double_auction-v0"),
        [
            institution("taxation", base="turnover", revenue="treasury", concealable=True),
            institution("inspection"),
        ],
    ),
}  # fmt: skip
each_stack = pytest.mark.parametrize(("dilemma", "stack"), STACKS.values(), ids=STACKS.keys())


def society_of(name, **options):
    dilemma, stack = STACKS[name]
    return Society(dilemma, stack, **options)


def entry(society, group, column):
    return [action.name for _, action in society.groups[group].actions].index(column)


def acting(society, **columns):
    """Null actions with `group__column=value` set; a value is one per agent or one for all."""
    actions = society.columns.null_actions(society.num_worlds)
    for key, value in columns.items():
        group, column = key.split("__")
        actions[group][..., entry(society, group, column)] = value
    return actions


def seen(society, group, column):
    place = society.groups[group].signal_slice(column)
    return society.observation[group][0, :, place]


@each_stack
def test_batch_equals_single_worlds_and_the_ledger_balances(dilemma, stack):
    batch = Society(dilemma, stack, num_worlds=3, seed=4)
    singles = [Society(dilemma, stack, seed=batch.seeds[b : b + 1]) for b in range(3)]
    rng = np.random.default_rng(2)
    ended = 0
    for _ in range(70):
        actions = random_actions(batch, rng)
        whole = batch.step(actions)
        assert whole.ledger.imbalance() < 1e-9
        ended += whole.done.sum()
        for b, single in enumerate(singles):
            part = single.step({name: a[b : b + 1] for name, a in actions.items()})
            for group in batch.groups:
                assert np.array_equal(part.observation[group][0], whole.observation[group][b])
                assert np.array_equal(part.reward[group][0], whole.reward[group][b])
            assert part.done[0] == whole.done[b]
    assert ended or dilemma.time_limit


@each_stack
def test_worlds_reset_one_by_one(dilemma, stack):
    society = Society(dilemma, stack, num_worlds=2, seed=1)
    rng = np.random.default_rng(0)
    for _ in range(3):
        society.step(random_actions(society, rng))
    society._restart(np.array([False, True]))
    fresh = Society(dilemma, stack, num_worlds=2, seed=1)
    fresh.age = society.age
    fresh._restart(np.array([True, True]))
    one, other = society.get_state(), fresh.get_state()
    for name, array in one.items():
        if name.startswith(("dilemma.", "institution.")):
            assert np.array_equal(array[1], other[name][1], equal_nan=True), name


@each_stack
def test_json_and_restore(dilemma, stack, tmp_path):
    society = Society(dilemma, stack, num_worlds=2, seed=8)
    rng = np.random.default_rng(0)
    for _ in range(5):
        society.step(random_actions(society, rng))
    plain = json.loads(json.dumps(society.to_dict(), allow_nan=False))
    assert repr(Society.from_dict(plain)) == repr(society)
    society.save(str(tmp_path / "s.npz"))
    other = Society.load(str(tmp_path / "s.npz"))
    actions = random_actions(society, rng)
    one, two = society.step(actions), other.step(actions)
    for group in society.groups:
        assert np.array_equal(one.reward[group], two.reward[group])
        assert np.array_equal(one.observation[group], two.observation[group])


def test_brackets_tax_the_income_of_a_period_and_share_it():
    society = society_of("labour, brackets")
    work = acting(society, citizens__labour=10)  # one unit of labour: incomes 1, 2, 3, 5
    first = society.step(work)
    assert (first.ledger.net == 0).all()  # the first tax day comes after two periods
    second = society.step(work)
    # Incomes of two periods 2, 4, 6, 10: 20% up to 5 and 50% above.
    due = np.array([0.4, 0.8, 1.0 + 0.5, 1.0 + 2.5])
    assert np.allclose(second.ledger.net[0], due.mean() - due)
    utility = ((np.array([1.0, 2, 3, 5]) + due.mean() - due) ** 0.77 - 1) / 0.77 - 1 / 3
    assert np.allclose(second.reward["citizens"][0], utility)


def test_the_median_vote_sets_the_tax_within_the_rights():
    society = society_of("fishery, voted tax, rights")
    low = society.step(acting(society, citizens__vote_ballot=[0, 1, 2, 9, 10]))  # median 0.2
    assert low.discount[0] == 1.0
    assert seen(society, "citizens", "tax_rate") == pytest.approx(0.2)
    fish = acting(society, citizens__effort=5)
    step = society.step(fish)
    caught = step.conduct["extraction"][0]
    assert np.allclose(step.ledger.net, 0.0)  # equal catches: what each pays returns from the others
    paid = next(e.amount for e in step.ledger.entries if e.purpose == "tax")
    assert np.allclose(paid, 0.2 * caught)
    society.step(fish)
    society.step(fish)
    assert society.agenda.names[society.memory.stage[0]][0] == "deliberate"
    society.step(acting(society, citizens__vote_ballot=10))  # all want 1.0
    assert society.states["vote"].decided.item() == 1.0
    assert society.states["tax"].rate.item() == 0.3


def test_permits_clear_at_one_price_and_bind_the_catch():
    society = society_of("fishery, tradable quotas")
    # Two would buy two each at up to 0.9, one sells two at 0.3 or more: buyers bid the price up to 0.9.
    orders = acting(
        society,
        citizens__effort=10,
        citizens__permit_price=[0.9, 0.9, 0.3, 0.0, 0.0],
        citizens__permit_quantity=[2.0, 2.0, -2.0, 0.0, 0.0],
    )
    step = society.step(orders)
    assert np.allclose(step.conduct["extraction"], 2.0)  # full effort, but two permits each
    assert np.allclose(society.states["permit"].holding, [[3.0, 3.0, 0.0, 2.0, 2.0]])
    price = society.states["permit"].price.item()
    assert price == pytest.approx(0.9)
    assert np.allclose(step.ledger.net, [[-0.9, -0.9, 1.8, 0.0, 0.0]])
    step = society.step(acting(society, citizens__effort=10))
    assert np.allclose(step.conduct["extraction"], [[3.0, 3.0, 0.0, 2.0, 2.0]])


def test_a_contract_needs_every_signature():
    society = society_of("public good, contract", seed=3)
    proposer = int(society.states["contract"].proposer.item())
    offers = np.full(4, 10)
    offers[proposer] = 6
    society.step(acting(society, citizens__contract_offer=offers))
    assert seen(society, "citizens", "contract_offered") == pytest.approx(0.6)
    society.step(acting(society, citizens__contract_sign=1))
    step = society.step(acting(society, citizens__contribution=[20, 0, 0, 0]))
    # The contributor gets 0.6 a unit, 0.2 from each other; the good pays 0.4 a unit to each.
    assert np.allclose(step.ledger.net, [[12.0, -4.0, -4.0, -4.0]])
    assert np.allclose(step.reward["citizens"], [[8 + 12, 28 - 4, 28 - 4, 28 - 4]])
    society.reset(3)
    society.step(acting(society, citizens__contract_offer=offers))
    society.step(acting(society, citizens__contract_sign=[1, 1, 0, 1]))
    assert society.states["contract"].force.item() == 0.0
    assert (society.step(acting(society, citizens__contribution=20)).ledger.net == 0).all()


def test_punishment_after_the_convex_table_takes_shares_of_income():
    society = society_of("public good, punishment")
    one = society.step(acting(society, citizens__contribution=[20, 20, 20, 0]))
    assert np.allclose(one.reward["citizens"], [[24, 24, 24, 44]])
    respond = society.columns.null_actions(1)
    points = [entry(society, "citizens", f"sanction_{k}") for k in (1, 2, 3)]
    respond["citizens"][0, 0, points[2]] = 3  # agent 0 to agent 3: costs 4
    respond["citizens"][0, 1, points[1]] = 5  # agent 1 to agent 3: costs 9
    two = society.step(respond)
    assert np.allclose(two.ledger.net, [[-4, -9, 0, -0.8 * 44]])
    respond["citizens"][0, 0, points[2]] = 10
    respond["citizens"][0, 1, points[1]] = 10
    society.step(acting(society, citizens__contribution=[20, 20, 20, 0]))
    assert np.allclose(society.step(respond).ledger.net, [[-30, -30, 0, -44]])  # never more than all
    for _ in range(8):
        society.step(acting(society))
        last = society.step(acting(society))
    assert last.terminated[0]  # ten rounds, and the last is answered too


def test_a_fine_bites_from_the_quorum_on_and_failing_to_enforce_is_wrongful():
    society = Society(
        make("appropriation-v0", num_agents=4),
        [
            institution("peer-sanctions", quorum=2),
            institution("classifier", threshold=5.0, duty="sanction"),
        ],
    )
    first = society.step(acting(society, citizens__tokens=[10, 5, 5, 5]))
    assert first.conduct["classifier_wrongful"].tolist() == [[1, 0, 0, 0]]
    assert (first.ledger.net == 0).all()
    assert seen(society, "citizens", "classifier_own_label").ravel().tolist() == [1, 0, 0, 0]
    # Agents 1 and 2 punish agent 0 by one point each (targets count from the punisher onwards).
    step = society.step(
        acting(society, citizens__tokens=5, citizens__sanction_target=[0, 2, 1, 0],
               citizens__sanction_points=[0, 1, 1, 0])
    )  # fmt: skip
    assert np.allclose(step.ledger.net, [[-6, -1, -1, 0]])
    # Agent 3 failed to enforce; agent 0 had nobody else to enforce against.
    assert step.conduct["classifier_wrongful"].tolist() == [[0, 0, 0, 1]]
    # One punisher alone pays and achieves nothing.
    step = society.step(
        acting(society, citizens__tokens=5, citizens__sanction_target=[2, 0, 0, 0],
               citizens__sanction_points=[1, 0, 0, 0])
    )  # fmt: skip
    assert np.allclose(step.ledger.net, [[-1, 0, 0, 0]])
    assert step.conduct["classifier_wrongful"].tolist() == [[0, 1, 1, 0]]
    with pytest.raises(IncompatibleInstitution, match="nobody able to sanction"):
        Society(make("appropriation-v0"), [institution("classifier")])


def test_the_mediator_plays_for_its_members_only():
    society = society_of("public good, mediator")
    society.step(acting(society, citizens__mediator_commit=[1, 1, 0, 0]))
    step = society.step(acting(society, citizens__contribution=[0, 0, 5, 0], mediator__mediator_amount=20))
    assert step.conduct["contribution"].tolist() == [[20, 20, 5, 0]]
    assert step.conduct["mediator_member"].tolist() == [[1, 1, 0, 0]]
    payoff = np.array([18.0, 18.0, 33.0, 38.0])
    assert np.allclose(step.reward["citizens"][0], payoff)
    # Constrained: the members' 36, less what a member lacks to the best outsider, 20.
    assert np.allclose(step.reward["mediator"], 36.0 - 20.0)
    naive = Society(make("public_goods-v0"), [institution("mediator")])
    naive.step(acting(naive, citizens__mediator_commit=[1, 1, 0, 0]))
    step = naive.step(acting(naive, citizens__contribution=[0, 0, 5, 0], mediator__mediator_amount=20))
    assert np.allclose(step.reward["mediator"], 36.0)
    assert np.allclose(step.ledger.net, 0.0)


def test_trade_tax_evasion_fine_and_bribe():
    society = Society(
        make("double_auction-v0", num_buyers=1, num_sellers=1, values=(100.0,), costs=(40.0,)),
        [
            institution("taxation", base="turnover", rate=0.1, revenue="treasury", concealable=True),
            institution("inspection", coverage=1.0, penalty=2.0, wage=1.0),
        ],
        seed=0,
    )
    trade = acting(society, buyers__quote=1, buyers__price=35, sellers__quote=1, sellers__price=35)  # at 70
    buyer_hides = {"buyers__tax_concealed": 4, "buyers__inspector_offer": 3}
    step = society.step({g: np.maximum(a, acting(society, **buyer_hides)[g]) for g, a in trade.items()})
    assert step.conduct["turnover"].tolist() == [[70, 70]]
    assert step.money.tolist() == [[30, 30]]
    # The buyer hid all, was found out, and its bribe was refused: twice the evaded 7 as a fine.
    assert np.allclose(step.ledger.net, [[-14, -7, 1]])
    assert np.allclose(step.ledger.treasury, 14 + 7 - 1)
    society.reset(0)
    taking = acting(society, inspector__inspector_accepts=1, **buyer_hides)
    step = society.step({g: np.maximum(a, taking[g]) for g, a in trade.items()})
    assert np.allclose(step.ledger.net, [[-6, -7, 1 + 6]])
    assert np.allclose(step.reward["inspector"], 7.0)
    assert np.allclose(step.conduct["inspector_bribe"], [[6, 0]])


def test_the_book_has_price_time_priority():
    society = Society(
        make("double_auction-v0", num_buyers=2, num_sellers=2, values=(90, 80), costs=(10, 20), steps=9)
    )
    society.step(acting(society, sellers__quote=1, sellers__price=[30, 20]))  # asks of 60 and 40
    assert seen(society, "buyers", "best_ask")[0, 0] == 40.0
    step = society.step(acting(society, buyers__quote=[1, 0], buyers__price=[35, 0]))  # bids 70
    assert step.conduct["turnover"].tolist() == [[40, 0, 0, 40]]  # at the standing, better price
    society.step(acting(society, buyers__quote=[0, 1], buyers__price=[0, 25]))  # stands at 50
    step = society.step(acting(society, sellers__quote=[1, 0], sellers__price=[10, 0]))
    assert step.conduct["turnover"].tolist() == [[0, 50, 50, 0]]
    assert step.money.tolist() == [[0, 30, 40, 0]]
    assert (society.state.left == 0).all()
