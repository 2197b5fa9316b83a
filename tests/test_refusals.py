"""Contradictory stacks and absurd values: what is given and what is allowed, by name."""

import numpy as np
import pytest

from commonweal import Society, institution, make, registry
from commonweal.errors import IncompatibleInstitution, InvalidParameter, NotExact, UnknownName
from commonweal.monitor import Monitor
from commonweal.solvers import equilibrium

TAX = {"id": "taxation", "base": "extraction"}
SANCTIONS = {"id": "peer-sanctions"}


@pytest.mark.parametrize(
    ("stack", "says"),
    [
        ([{"id": "quota"}, {"id": "tradable-quotas"}], "both own the access right 'extraction'"),
        ([TAX, {"id": "vote"}, {"id": "vote", "name": "second"}], "vote and second both govern 'tax.rate'"),
        ([TAX, {"id": "vote", "on": "taxx.rate"}], "did you mean 'tax.rate'"),
        ([TAX, {"id": "vote", "on": "vote.low"}], r"'vote.low'.*\(allowed: tax.rate\)"),
        ([{"id": "vote"}], r"'tax.rate' \(allowed: none\)"),
        ([TAX, {"id": "vote", "low": -1.0}], "within"),
        ([TAX, {"id": "rights", "high": 0.2}, {"id": "rights", "low": 0.5, "name": "floor"}], "within"),
        ([{"id": "inspection"}], "needs the conduct 'tax_evaded'"),
        ([{**TAX, "concealable": True}, {"id": "inspection", "name": "citizens"}], "named already"),
        ([SANCTIONS, {"id": "inspection", "evaded": "sanction"}], "'sanction' of fishery-v0 is not"),
        ([SANCTIONS, {"id": "quota", "base": "sanction", "enforcement": "fined"}], "is not; allowed: extr"),
        ([SANCTIONS, {"id": "taxation", "base": "sanction"}], r"needs \(B, N\) conduct"),
        ([SANCTIONS, {"id": "peer-sanctions", "base": "sanction", "name": "second"}], "is not; allowed"),
        ([SANCTIONS, {"id": "classifier", "duty": "extraction"}], "dyadic conduct.*allowed: sanction"),
        ([{**SANCTIONS, "stage": "respond"}, {"id": "classifier", "duty": "sanction"}], "later stage"),
        ([{"id": "classifier"}], "nobody able to sanction"),
        ([TAX, TAX], "two parts of this society are named 'tax'"),
    ],
    ids=range(17),
)
def test_stacks_that_contradict_themselves(stack, says):
    parts = [registry.institution_from(plain) for plain in stack]
    with pytest.raises(IncompatibleInstitution, match=says):
        Society(make("fishery-v0"), parts)


def test_one_institution_in_two_societies_is_two():
    tax = registry.institution_from({**TAX, "rate": 0.5})
    one, two = (Society(make("fishery-v0"), [tax]) for _ in range(2))
    one.states["tax"].rate[...] = 0.0
    assert two.states["tax"].rate.item() == 0.5


@pytest.mark.parametrize(
    "value",
    [np.array([np.inf], np.float16), np.array([np.nan], np.float16),
     np.ma.masked_array([0.1], [True]), np.array([True]),
     np.array([1j]), np.array([0.1], object), [True], ["0.3"], [], [[]], range(5), {0.3}, 10**400, [10**400]],
    ids=repr,
)  # fmt: skip
def test_numbers_that_are_none(value):
    for refused in (
        lambda: institution("taxation", base="extraction", rate=value),
        lambda: make("fishery-v0", price=value),
    ):
        with pytest.raises(InvalidParameter, match=r"(?s)(rate|price) .*allowed: "):
            refused()


def test_half_precision_is_a_number_too():
    tax = institution("taxation", base="extraction", rate=np.array([0.25, 0.5], np.float16))
    assert tax.rate.tolist() == [[0.25], [0.5]]


def test_more_levels_than_a_mask_can_hold():
    tax = registry.institution_from(TAX)
    with pytest.raises(InvalidParameter, match="levels is 1000000000; allowed: None or 2 to 10000"):
        Society(make("fishery-v0"), [tax, institution("vote", levels=10**9)])


@pytest.mark.parametrize(
    "plain", [None, 3, [], "taxation", {}, {"rate": 0.1}, {"id": "taxation", 3: 4}], ids=repr
)
def test_descriptions_without_an_id(plain):
    for build in (registry.institution_from, registry.dilemma_from):
        with pytest.raises(InvalidParameter, match="allowed: a table of an id and its parameters"):
            build(plain)


@pytest.mark.parametrize("preset", [3, [], "hallibut"])
def test_presets_without_a_name(preset):
    with pytest.raises(UnknownName, match=r"allowed: fin_whale, halibut"):
        make("fishery-v0", preset)


@pytest.mark.parametrize("coverage", [np.array([0.1, 0.2, 0.3]), (0.1, 0.2, 0.3)], ids=["worlds", "agents"])
def test_a_monitor_for_other_worlds_or_agents(coverage):
    tax = institution("taxation", base="extraction", monitor=Monitor(coverage=coverage))
    with pytest.raises(IncompatibleInstitution, match=r"Taxation\.monitor\.coverage has shape .*allowed: "):
        Society(make("fishery-v0"), [tax], num_worlds=2)


def test_a_monitor_per_agent_is_no_symmetric_game():
    tax = institution("taxation", base="extraction", monitor=Monitor(coverage=(0.1, 0.2)))
    with pytest.raises(NotExact, match=r"monitor\.coverage has 2 values"):
        equilibrium(Society(make("fishery-v0", num_agents=2), [tax]))
