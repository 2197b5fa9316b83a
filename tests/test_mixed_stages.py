"""Worlds in different stages at once: random stacks in a batch are what each world is alone."""

import numpy as np
import pytest

from commonweal import Society, institution, make
from commonweal.errors import CommonwealError, IncompatibleInstitution
from tests.strategies import random_actions

PERIODS = (None, 1, 2, 3)


def random_stack(rng):
    """One to four institutions in an order that can work; some do not fit together."""

    def pick(*options):
        return options[rng.integers(len(options))]

    monitor = {"coverage": 0.5, "noise": 0.2, "cost": 0.1}
    parts = [
        {"id": "taxation", "base": pick("extraction", "harm"), "rate": rng.random(), "monitor": monitor,
         "revenue": pick("others", "citizens", "treasury"), "concealable": pick(True, False)},
        {"id": "vote", "every": pick(*PERIODS), "rule": pick("median", "mean", "random-dictator")},
        {"id": "contract", "base": "extraction", "every": pick(*PERIODS),
         "direction": pick("reward", "charge")},
        {"id": "mediator", "base": "extraction", "high": 5.0, "every": pick(1, 2, 3),
         "objective": pick("naive", "constrained")},
        {"id": "peer-sanctions", "stage": pick("play", "respond"), "targets": pick("one", "each"),
         "quorum": pick(1, 2), "fine_unit": pick("money", "income")},
        {"id": "classifier", "noise": 0.2, "duty": pick("", "sanction")},
        {"id": "tradable-quotas"},
        {"id": "quota", "enforcement": pick("fined", "impossible")},
        {"id": "inspection"},
        {"id": "income-tax", "days": pick(1, 2, 3), "cutoffs": (0.0, 1.0), "rates": (0.1, 0.5)},
        {"id": "rights", "high": 0.3},
    ]  # fmt: skip
    kept = sorted(rng.permutation(len(parts))[: rng.integers(1, 5)])
    return [institution(parts[i].pop("id"), **parts[i]) for i in kept]


def found(seed):
    """A society of three worlds that end at different times, and its worlds alone."""
    rng = np.random.default_rng(seed)
    fishery = make("fishery-v0", noise=0.3, collapse=0.25, num_agents=3, max_effort=rng.choice([10.0, 40.0]))
    while True:
        options = {
            "time_limit": rng.integers(2, 7), "credit": rng.choice([np.inf, 0.0, 2.0]),
            "endowment": rng.choice([0.0, 3.0]),
        }  # fmt: skip
        stack = random_stack(rng)
        try:
            batch = Society(fishery, stack, num_worlds=3, seed=seed, **options)
        except CommonwealError:
            continue
        return rng, batch, [Society(fishery, stack, seed=batch.seeds[b : b + 1], **options) for b in range(3)]


def check_world(b, whole, part, groups):
    assert part.terminated[0] == whole.terminated[b]
    assert part.truncated[0] == whole.truncated[b]
    assert part.discount[0] == whole.discount[b]
    assert part.welfare[0] == whole.welfare[b]
    assert np.array_equal(part.ledger.net[0], whole.ledger.net[b])
    assert np.array_equal(part.ledger.shortfall[0], whole.ledger.shortfall[b])
    for name in groups:
        assert np.array_equal(part.reward[name][0], whole.reward[name][b])
        assert np.array_equal(part.observation[name][0], whole.observation[name][b])
        assert (part.mask is None) == (whole.mask is None)
        assert part.mask is None or np.array_equal(part.mask[name][0], whole.mask[name][b])
        assert not whole.done[b] or np.array_equal(
            part.final_observation[name][0], whole.final_observation[name][b]
        )
    for name, value in whole.conduct.items():  # what nobody could do in a world's stage is 0 there
        assert np.array_equal(value[b], part.conduct[name][0] if name in part.conduct else 0.0 * value[b]), (
            name
        )


def check_nobody_pays_what_it_lacks(society, wealth, step):
    money = np.zeros_like(wealth)
    money[:, : step.money.shape[1]] = step.money
    lowest = np.minimum(-society.credit, np.minimum(wealth, wealth + money))
    assert (wealth + money + step.ledger.net >= lowest - 1e-9).all()
    assert (step.ledger.shortfall >= 0).all()
    assert step.ledger.imbalance() < 1e-9


@pytest.mark.parametrize("seed", range(20))
def test_a_batch_is_its_worlds_and_a_copy_goes_on_alike(seed):
    rng, batch, alone = found(seed)
    for time in range(20):
        actions = random_actions(batch, rng)
        copy = Society.from_dict(batch.to_dict(), seed=1)
        copy.set_state(batch.get_state())
        wealth = batch.memory.wealth.copy()
        whole = batch.step(actions)
        check_nobody_pays_what_it_lacks(batch, wealth, whole)
        if time % 5 == 0:
            copy.step(actions)
            kept = copy.get_state()
            for name, array in batch.get_state().items():
                assert np.array_equal(array, kept[name], equal_nan=array.dtype.kind == "f"), name
        for b, world in enumerate(alone):
            part = world.step({name: array[b : b + 1] for name, array in actions.items()})
            check_world(b, whole, part, batch.groups)


def test_a_duty_cannot_be_to_sanction_after_the_judgement():
    stack = [institution("peer-sanctions", stage="respond"), institution("classifier", duty="sanction")]
    with pytest.raises(IncompatibleInstitution, match="not of a later stage"):
        Society(make("fishery-v0"), stack)
