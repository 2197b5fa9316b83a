"""What theory says of each institution, by exact computation on a small game."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonweal import Society, institution, make
from commonweal.call_auction import clear
from commonweal.monitor import Monitor
from commonweal.random import Streams, world_seeds


def index(society, group, column):
    return [action.name for _, action in society.groups[group].actions].index(column)


def payoff_of_first(dilemma, stack, column, own, others, prepare=None, **state):
    """Reward of citizen 0 for each of `own (K,)` when all others play `others` in `column`."""
    own = np.atleast_1d(np.asarray(own, float))
    society = Society(dilemma, stack, num_worlds=len(own))
    for address, value in state.items():
        name, _, parameter = address.partition("__")
        setattr(society.states[name], parameter, np.full((len(own), 1), value))
    if society.agenda.staged:
        while society.agenda.names[society.memory.stage[0]][0] != "play":
            society.step(prepare(society) if prepare else society.columns.null_actions(len(own)))
        for address, value in state.items():
            name, _, parameter = address.partition("__")
            setattr(society.states[name], parameter, np.full((len(own), 1), value))
    actions = society.columns.null_actions(len(own))
    k = index(society, "citizens", column)
    actions["citizens"][:, :, k] = others
    actions["citizens"][:, 0, k] = own
    return society.step(actions)


GRID = np.linspace(0.0, 20.0, 41)


def best_reply(dilemma, stack, column, others, grid=GRID, **options):
    step = payoff_of_first(dilemma, stack, column, grid, others, **options)
    return grid[step.reward["citizens"][:, 0].argmax()]


# --------------------------------------------------------------------------------- taxation


def test_the_corrective_tax_restores_the_optimum_of_the_common_pool():
    pool = make("appropriation-v0", levels=None)
    rate = pool.references().facts["corrective tax per token"]
    assert rate == pytest.approx(7.875)
    tax = institution("taxation", base="extraction", rate=rate)
    grid = np.linspace(0, 25, 2501)
    assert best_reply(pool, [tax], "tokens", 4.5, grid) == pytest.approx(4.5, abs=0.01)
    assert best_reply(pool, [], "tokens", 8.0, grid) == pytest.approx(8.0, abs=0.01)
    assert best_reply(pool, [], "tokens", 4.5, grid) > 13


def test_a_rebate_that_includes_the_payer_dilutes_the_tax_by_one_nth():
    pool = make("appropriation-v0", levels=None)
    grid = np.linspace(0, 25, 2501)
    diluted = institution("taxation", base="extraction", rate=7.875, revenue="citizens")
    assert best_reply(pool, [diluted], "tokens", 4.5, grid) > 5.5
    scaled = institution("taxation", base="extraction", rate=7.875 / (1 - 1 / 8), revenue="citizens")
    assert best_reply(pool, [scaled], "tokens", 4.5, grid) == pytest.approx(4.5, abs=0.01)


def test_a_tax_on_harm_at_rate_one_makes_each_bear_the_loss_it_imposes():
    pool = make("appropriation-v0", levels=None)
    # To the treasury: the others' harm depends on my tokens too, and a rebate of their tax would
    # reward me for raising it.
    tax = institution("taxation", base="harm", rate=1.0, revenue="treasury")
    grid = np.linspace(0, 25, 2501)
    assert best_reply(pool, [tax], "tokens", 4.5, grid) == pytest.approx(4.5, abs=0.01)


def test_administration_burns_its_share():
    tax = institution("taxation", base="extraction", rate=0.5, administration=0.2, revenue="treasury")
    step = payoff_of_first(make("appropriation-v0"), [tax], "tokens", [10.0], 10.0)
    assert np.allclose(step.ledger.burnt, 0.2 * 0.5 * 80)
    assert np.allclose(step.ledger.treasury, 0.8 * 0.5 * 80)


def test_the_rate_in_force_is_seen():
    society = Society(make("appropriation-v0"), [institution("taxation", base="extraction", rate=0.7)])
    place = society.groups["citizens"].signal_slice("tax_rate")
    assert np.allclose(society.observation["citizens"][..., place], 0.7)


def test_income_tax_announces_rates_and_base():
    stack = [institution("income-tax", cutoffs=(0.0, 5.0), rates=(0.2, 0.5), days=3)]
    society = Society(make("labour-v0"), stack)
    group = society.groups["citizens"]
    actions = {"citizens": np.full((1, 4, 1), 10.0)}
    step = society.step(actions)
    see = step.observation["citizens"][0]
    assert np.allclose(see[:, group.signal_slice("income_tax_rates")], [0.2, 0.5])
    assert np.allclose(see[:, group.signal_slice("income_tax_base")].ravel(), [1, 2, 3, 5])


# --------------------------------------------------------------------------------- monitor


def test_readings_are_unbiased_and_scaled_by_coverage():
    monitor = Monitor(coverage=0.4, noise=0.5, cost=2.0)
    rng = Streams(world_seeds(0, 20_000), 0)
    reading, cost = monitor.observe(np.full((20_000, 2), 3.0), rng)
    assert reading.mean() == pytest.approx(0.4 * 3.0, rel=0.02)
    assert (reading == 0).mean() == pytest.approx(0.6, abs=0.01)
    assert cost.mean() == pytest.approx(0.4 * 2 * 2.0, rel=0.03)
    framed, _ = Monitor(false_positives=1.0).observe(np.array([[4.0, 0.0]]), Streams(world_seeds(0, 1), 0))
    assert framed.tolist() == [[2.0, 2.0]]


# --------------------------------------------------------------------------------- quota


def test_a_fined_quota_holds_once_the_fine_exceeds_the_private_gain():
    pool = make("appropriation-v0", levels=None)
    grid = np.linspace(0, 25, 2501)
    # At 4.5 each the next own token brings 23 - 0.25 * (36 + 4.5) - 5 = 7.875.
    for fine, expected in ((7.0, False), (8.0, True)):
        quota = institution("quota", limit=4.5, enforcement="fined", fine=fine)
        holds = best_reply(pool, [quota], "tokens", 4.5, grid) == pytest.approx(4.5, abs=0.011)
        assert holds == expected


def test_an_impossible_quota_caps_conduct_and_is_seen():
    step = payoff_of_first(make("fishery-v0"), [institution("quota", limit=1.5)], "effort", [10.0], 10.0)
    assert np.allclose(step.conduct["extraction"], 1.5)
    assert np.allclose(step.observation["citizens"][..., -1], 1.5)


# --------------------------------------------------------------------------------- sanctions


def test_a_fifth_of_a_point_per_token_deters_at_one_to_three():
    game = make("public_goods-v0")
    sanction = institution("peer-sanctions", base="contribution", stage="respond", max_points=10)
    society = Society(game, [sanction], num_worlds=2)
    actions = society.columns.null_actions(2)
    actions["citizens"][:, :, 0] = 20
    actions["citizens"][0, 0, 0] = 0  # world 0: agent 0 rides free
    gain = np.diff(society.step(actions).reward["citizens"][::-1, 0]).item()
    assert gain == pytest.approx(12.0)
    for points, deterred in ((1, False), (2, True)):  # from each of two others: 2 or 4 points in all
        punished = society.columns.null_actions(2)
        for actor in (1, 2):
            punished["citizens"][0, actor, 1] = 4 - actor - 1  # counts on from the punisher: reaches 0
            punished["citizens"][0, actor, 2] = points
        loss = -society.step(punished).ledger.net[0, 0]
        assert (loss >= gain - 1e-9) == deterred
        society.step(actions)


# --------------------------------------------------------------------------------- contracts


@pytest.mark.parametrize(("transfer", "contributes"), [(0.59, False), (0.61, True)])
def test_contract_threshold_is_one_minus_the_marginal_return(transfer, contributes):
    game = make("public_goods-v0", levels=None)
    reply = best_reply(game, [institution("contract")], "contribution", 7.0, contract__force=transfer)
    assert reply == (20.0 if contributes else 0.0)


def test_a_charging_contract_takes_from_who_does_it():
    pool = make("appropriation-v0", levels=None)
    charge = institution("contract", base="extraction", direction="charge", max_transfer=10.0)
    grid = np.linspace(0, 25, 2501)
    reply = best_reply(pool, [charge], "tokens", 4.5, grid, contract__force=7.875)
    assert reply == pytest.approx(4.5, abs=0.01)


# --------------------------------------------------------------------------------- mediator


@pytest.mark.parametrize(("marginal_return", "equilibrium"), [(0.4, True), (0.2, False)])
def test_full_commitment_is_an_equilibrium_iff_n_m_exceeds_one(marginal_return, equilibrium):
    game = make("public_goods-v0", marginal_return=marginal_return)
    worth = []
    for first in (1.0, 0.0):
        society = Society(game, [institution("mediator")])
        commit = society.columns.null_actions(1)
        commit["citizens"][0, :, 1] = [first, 1, 1, 1]
        society.step(commit)
        members = society.groups["mediator"].signal_slice("mediator_members")
        everybody = society.observation["mediator"][0, 0, members].all()
        play = society.columns.null_actions(1)
        play["mediator"][:] = 20.0 if everybody else 0.0  # contributes only if all have committed
        worth.append(society.step(play).reward["citizens"][0, 0])
    assert (worth[0] > worth[1]) == equilibrium


# --------------------------------------------------------------------------------- permits


@given(
    st.lists(
        st.tuples(st.floats(0, 5), st.floats(0, 3), st.floats(0, 3), st.booleans()), min_size=2, max_size=7
    )
)
@settings(max_examples=200, deadline=None)
def test_the_permit_market_conserves_permits_and_respects_limits(orders):
    limit, demand, supply = (np.array([[o[k] for o in orders]]) for k in range(3))
    buys = np.array([[o[3] for o in orders]])
    demand, supply = demand * buys, supply * ~buys
    price, bought, sold = clear(limit, demand, supply)
    assert bought.sum() == pytest.approx(sold.sum(), abs=1e-9)
    assert (bought <= demand + 1e-12).all()
    assert (sold <= supply + 1e-12).all()
    assert (limit[bought > 0] >= price.item() - 1e-12).all()
    assert (limit[sold > 0] <= price.item() + 1e-12).all()
    # Nobody is left who would still trade with somebody at the price.
    eager_buy = ((demand - bought > 1e-9) & (limit > price)).any()
    eager_sell = ((supply - sold > 1e-9) & (limit < price)).any()
    assert not (eager_buy and eager_sell)


# --------------------------------------------------------------------------------- voting and rights


@given(st.lists(st.lists(st.integers(0, 10), min_size=5, max_size=5), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_no_sequence_of_votes_passes_the_rights(ballots):
    stack = [
        institution("taxation", base="extraction", rate=0.2),
        institution("vote", on="tax.rate", every=1),
        institution("rights", parameter="tax.rate", low=0.15, high=0.65),
    ]
    society = Society(make("fishery-v0"), stack)
    for ballot in ballots:
        actions = society.columns.null_actions(1)
        actions["citizens"][0, :, 1] = ballot
        society.step(actions)
        rate = society.states["tax"].rate.item()
        assert rate == pytest.approx(np.clip(sorted(ballot)[2] / 10, 0.15, 0.65))
        society.step(society.columns.null_actions(1))


def test_other_voting_rules_and_what_was_decided_is_seen():
    for rule, expected in (("mean", 0.3), ("random-dictator", None)):
        stack = [institution("taxation"), institution("vote", rule=rule)]
        society = Society(make("fishery-v0"), stack, seed=3)
        actions = society.columns.null_actions(1)
        actions["citizens"][0, :, 1] = [0, 0, 1, 4, 10]
        society.step(actions)
        decided = society.states["vote"].decided.item()
        assert decided == pytest.approx(expected) if expected else decided in (0.0, 0.1, 0.4, 1.0)
        place = society.groups["citizens"].signal_slice("vote_decided")
        assert np.allclose(society.observation["citizens"][..., place], decided)


# --------------------------------------------------------------------------------- classification


def test_a_clear_classifier_labels_what_is_above_the_threshold_and_pays_nobody():
    stack = [institution("peer-sanctions"), institution("classifier", threshold=9.5)]
    society = Society(make("appropriation-v0"), stack)
    actions = society.columns.null_actions(1)
    actions["citizens"][0, :, 0] = range(6, 14)
    step = society.step(actions)
    assert step.conduct["classifier_wrongful"].tolist() == [[0, 0, 0, 0, 1, 1, 1, 1]]
    assert (step.ledger.net == 0).all()
    group = society.groups["citizens"]
    labels = step.observation["citizens"][0, 0, group.signal_slice("classifier_labels")]
    assert labels.tolist() == [0, 0, 0, 1, 1, 1, 1]


def test_noise_turns_labels_around_at_its_rate():
    stack = [institution("peer-sanctions"), institution("classifier", threshold=9.5, noise=0.25)]
    society = Society(make("appropriation-v0"), stack, num_worlds=4000)
    step = society.step(society.columns.null_actions(4000))
    assert step.conduct["classifier_wrongful"].mean() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(("punishers", "deterred"), [(0, False), (1, False), (2, True), (3, True)])
def test_deterrence_needs_as_many_punishers_as_make_up_for_the_gain(punishers, deterred):
    """`k h >= g > (k - 1) h`: here the gain is 12, each punisher inflicts 6, so two must join."""
    game = make("public_goods-v0")
    stack = [institution("peer-sanctions", base="contribution", stage="respond", quorum=2)]
    society = Society(game, stack)
    actions = society.columns.null_actions(1)
    actions["citizens"][0, 1:, 0] = 20
    society.step(actions)
    punish = society.columns.null_actions(1)
    for actor in range(1, 1 + punishers):
        punish["citizens"][0, actor, 1:] = [4 - actor - 1, 2]
    loss = -society.step(punish).ledger.net[0, 0]
    assert (loss >= 12) == deterred
    assert loss == (6 * punishers if punishers >= 2 else 0)


# --------------------------------------------------------------------------------- inspection


@pytest.mark.parametrize(("coverage", "pays"), [(0.4, True), (0.6, False)])
def test_evasion_pays_iff_probability_times_fine_is_below_one(coverage, pays):
    """Becker: with twice the evaded tax as fine, evading pays below a detection probability of 1/2."""
    stack = [
        institution("taxation", base="income", rate=0.5, revenue="treasury", concealable=True),
        institution("inspection", coverage=coverage, penalty=2.0),
    ]
    society = Society(make("appropriation-v0"), stack, num_worlds=4000, seed=1)
    actions = society.columns.null_actions(4000)
    actions["citizens"][:, :, index(society, "citizens", "tax_concealed")] = 4
    evading = society.step(actions).reward["citizens"].mean()
    honest = society.step(society.columns.null_actions(4000)).reward["citizens"].mean()
    assert (evading > honest) == pays


def test_the_inspector_sees_the_bribes_it_took():
    stack = [institution("taxation", concealable=True), institution("inspection", coverage=1.0)]
    society = Society(make("appropriation-v0"), stack)
    actions = society.columns.null_actions(1)
    actions["citizens"][0, 2, index(society, "citizens", "tax_concealed")] = 4
    actions["citizens"][0, 2, index(society, "citizens", "inspector_offer")] = 5
    actions["inspector"][:] = 1
    step = society.step(actions)
    bribes = society.groups["inspector"].signal_slice("inspector_bribes")
    assert np.allclose(step.observation["inspector"][0, 0, bribes], [0, 0, 10, 0, 0, 0, 0, 0])
    assert step.reward["inspector"].item() == 11.0
