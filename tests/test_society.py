"""The step loop: resets, horizon, stages, governed parameters, save and restore."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from commonweal import Society, institution, make
from commonweal.errors import (
    CorruptCheckpoint,
    IncompatibleInstitution,
    InvalidAction,
    InvalidParameter,
    UnknownName,
)
from commonweal.institutions.base import Institution
from tests.strategies import random_actions

SANCTIONS = institution("peer-sanctions")
RESPOND = institution("peer-sanctions", stage="respond", cost=1.0, fine=3.0)
STACKS = [
    [],
    [institution("laissez-faire")],
    [institution("taxation", base="extraction", rate=0.4, monitor={"coverage": 0.5, "noise": 0.2})],
    [institution("quota", limit=2.0), SANCTIONS],
    [RESPOND, institution("taxation", base="harm", rate=1.0)],
]


def play(society, steps, seed=0):
    rng = np.random.default_rng(seed)
    return [society.step(random_actions(society, rng)) for _ in range(steps)]


def test_time_limit_truncates_and_keeps_the_final_observation():
    society = Society(make("fishery-v0"), num_worlds=2, time_limit=3)
    first = society.reset()["citizens"].copy()
    steps = play(society, 3)
    assert [s.truncated.all() for s in steps] == [False, False, True]
    assert not any(s.terminated.any() for s in steps)
    assert steps[0].final_observation is None
    assert (steps[2].observation["citizens"] == first).all()
    assert (steps[2].final_observation["citizens"] != first).any()
    assert (society.memory.plays == 0).all()


def test_only_the_world_that_ended_restarts():
    fishery = make("fishery-v0", collapse=0.3, num_agents=2, max_effort=50.0)
    society = Society(fishery, num_worlds=2)
    actions = np.zeros((2, 2, 1))
    actions[1] = 10
    for _ in range(10):
        step = society.step({"citizens": actions})
        if step.terminated.any():
            break
    assert step.terminated.tolist() == [False, True]
    assert society.memory.plays[0] > 0
    assert society.memory.plays[1] == 0
    assert society.state.stock[1, 0] == 100.0
    assert society.memory.episode.tolist() == [0, 1]


def test_respond_stage_advances_neither_dilemma_nor_discount():
    society = Society(make("fishery-v0", num_agents=3), [RESPOND], time_limit=2)
    actions = society.columns.null_actions(1)
    actions["citizens"][:, :, 0] = 5
    actions["citizens"][:, 0, 1:] = [1, 2]  # agent 0 gives two points to agent 2
    one = society.step(actions)
    stock = society.state.stock.copy()
    assert one.discount[0] == 0.95
    assert (one.ledger.net == 0).all()  # points given out of stage do not count
    two = society.step(actions)
    assert two.discount[0] == 1.0
    assert (society.state.stock == stock).all()
    assert two.ledger.net.tolist() == [[-2.0, 0.0, -6.0]]
    assert two.conduct["sanction"][0, 0].tolist() == [0.0, 0.0, 2.0]
    assert two.reward["citizens"].tolist() == [[-2.0, 0.0, -6.0]]
    society.step(actions)
    assert society.step(actions).truncated[0]  # the limit counts plays; the last response happens


def test_masks_open_only_the_columns_of_the_stage():
    society = Society(make("fishery-v0", num_agents=3), [RESPOND])
    group = society.groups["citizens"]
    effort, target, points = group.mask_slices
    mask = society.mask["citizens"]
    assert mask[..., effort].all()
    assert mask[..., points].sum() == group.size  # only zero points
    mask = society.step(society.columns.null_actions(1)).mask["citizens"]
    assert mask[..., points].all()
    assert mask[..., target].all()
    assert mask[..., effort].sum() == group.size


def test_sanctions_with_the_next_play_see_what_was_done():
    society = Society(make("fishery-v0", num_agents=3), [SANCTIONS])
    actions = society.columns.null_actions(1)
    actions["citizens"][0, 1, 0] = 10
    step = society.step(actions)
    seen = society.groups["citizens"].signal_slice("others_extraction")
    caught = step.conduct["extraction"][0, 1]
    assert np.allclose(step.observation["citizens"][0, 0, seen], [caught, 0.0])
    assert np.allclose(step.observation["citizens"][0, 2, seen], [0.0, caught])


@pytest.mark.parametrize("stack", STACKS, ids=str)
def test_batch_equals_single_worlds(stack):
    fishery = make("fishery-v0", noise=0.2, num_agents=3, collapse=0.05)
    batch = Society(fishery, stack, num_worlds=4, seed=11, time_limit=7)
    rng = np.random.default_rng(1)
    singles = [Society(fishery, stack, seed=batch.seeds[b : b + 1], time_limit=7) for b in range(4)]
    for _ in range(20):
        actions = random_actions(batch, rng)
        whole = batch.step(actions)
        for b, single in enumerate(singles):
            part = single.step({name: a[b : b + 1] for name, a in actions.items()})
            assert np.array_equal(part.observation["citizens"][0], whole.observation["citizens"][b])
            assert np.array_equal(part.reward["citizens"][0], whole.reward["citizens"][b])
            assert part.done[0] == whole.done[b]


@pytest.mark.parametrize("stack", STACKS, ids=str)
def test_save_and_load_in_mid_episode(stack, tmp_path):
    society = Society(make("fishery-v0", noise=0.1), stack, num_worlds=3, seed=5, time_limit=9)
    play(society, 5)
    society.save(str(tmp_path / "society.npz"))
    other = Society.load(str(tmp_path / "society.npz"))
    assert repr(other) == repr(society)
    for one, two in zip(play(society, 12, 3), play(other, 12, 3), strict=True):
        assert np.array_equal(one.observation["citizens"], two.observation["citizens"])
        assert np.array_equal(one.reward["citizens"], two.reward["citizens"])


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "society.npz"
    society = Society(make("fishery-v0"))
    society.save(str(path))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CorruptCheckpoint):
        Society.load(str(path))
    before = society.get_state()
    with pytest.raises(CorruptCheckpoint, match=r"dilemma\.stock"):
        society.set_state({**before, "dilemma.stock": np.zeros((9, 1))})
    assert all(np.array_equal(before[k], v) for k, v in society.get_state().items())


def test_parameters_per_world_and_per_agent():
    rates = np.array([0.0, 0.5])
    tax = institution("taxation", base="extraction", rate=rates, revenue="treasury")
    fishery = make("fishery-v0", num_agents=3, growth=np.array([0.5, 0.2]), cost=(0.1, 0.2, 0.3))
    society = Society(fishery, [tax], num_worlds=2, time_limit=2)
    actions = np.full((2, 3, 1), 4.0)
    step = society.step({"citizens": actions})
    assert step.ledger.treasury[0] == 0.0
    assert np.isclose(step.ledger.treasury[1], 0.5 * step.conduct["extraction"][1].sum())
    assert np.allclose(np.diff(step.money, axis=1), -0.1 * step.conduct["effort"][:, :1])
    step = society.step({"citizens": actions})
    assert step.done.all()
    assert np.array_equal(society.states["tax"].rate[:, 0], rates)
    again = Society.from_dict(society.to_dict())
    assert repr(again) == repr(society)
    with pytest.raises(IncompatibleInstitution, match="3 worlds"):
        Society(make("fishery-v0"), [tax], num_worlds=3)


@dataclass(frozen=True, eq=False, repr=False)
class Decree(Institution):
    """Writes the tax rate of every step: a minimal governor."""

    id: ClassVar[str] = "decree"
    rate: float = 0.9

    @property
    def governs(self):
        return ("tax.rate",)

    def govern(self, state, turn):
        return {"tax.rate": np.where(turn.plays[:, None] == 1, np.nan, self.rate)}


@dataclass(frozen=True, eq=False, repr=False)
class Floor(Institution):
    """A constitutional limit on the tax rate."""

    id: ClassVar[str] = "floor"

    @property
    def limits(self):
        return {"tax.rate": (0.0, 0.25)}


def test_constitutional_limits_clamp_initial_and_governed_parameters():
    tax = institution("taxation", base="extraction", rate=0.1)
    society = Society(make("fishery-v0"), [tax, Decree()])
    with pytest.raises(IncompatibleInstitution, match=r"tax\.rate"):
        Society(make("fishery-v0"), [Decree()])
    limited = Society(make("fishery-v0"), [institution("taxation", base="extraction", rate=0.8), Floor()])
    assert limited.states["tax"].rate.item() == 0.25
    play(society, 1)
    assert society.states["tax"].rate.item() == 0.9
    bound = Society(make("fishery-v0"), [tax, Decree(), Floor()])
    assert bound.states["tax"].rate.item() == 0.1
    play(bound, 1)
    assert bound.states["tax"].rate.item() == 0.25
    play(bound, 1)  # NaN leaves the rate as it is
    assert bound.states["tax"].rate.item() == 0.25


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ({}, "no actions of group"),
        ({"citizens": np.zeros((1, 5))}, "shape"),
        ({"citizens": np.zeros((1, 4, 1))}, r"allowed: \(1, 5, 1\)"),
        ({"citizens": np.full((1, 5, 1), np.nan)}, "effort is nan"),
        ({"citizens": np.full((1, 5, 1), 11.0)}, "allowed: whole numbers 0 to 10"),
        ({"citizens": np.full((1, 5, 1), 0.5)}, "allowed: whole numbers"),
        ({"citizens": np.full((1, 5, 1), -1.0)}, "effort is -1"),
    ],
)
def test_bad_actions_change_nothing(actions, message):
    society = Society(make("fishery-v0"))
    play(society, 2)
    before = society.get_state()
    with pytest.raises(InvalidAction, match=message):
        society.step(actions)
    assert all(np.array_equal(before[k], v) for k, v in society.get_state().items())


def test_a_part_that_fails_in_the_middle_of_a_step_changes_nothing():
    class Fault(Exception):
        pass

    @dataclass(frozen=True, eq=False, repr=False)
    class Faulty(Institution):
        id: ClassVar[str] = "faulty"
        fails: ClassVar[bool] = False

        def settle(self, state, turn):
            if self.fails:
                raise Fault
            return state

    stack = [institution("taxation", base="extraction", name="tax"), institution("vote", on="tax.rate")]
    society = Society(make("fishery-v0"), [*stack, Faulty()], num_worlds=2)
    play(society, 5)
    for seed in range(2):  # in the middle of a vote, and of a play
        before = society.get_state()
        Faulty.fails = True
        with pytest.raises(Fault):
            play(society, 1, seed=seed)
        after = society.get_state()
        assert all(np.array_equal(before[name], after[name]) for name in before)
        Faulty.fails = False
        play(society, 1)


def test_unfit_stacks_are_refused_with_the_reason():
    fishery = make("fishery-v0")
    with pytest.raises(IncompatibleInstitution, match="needs the conduct 'pollution'"):
        Society(fishery, [institution("taxation", base="pollution")])
    with pytest.raises(IncompatibleInstitution, match="cannot be limited"):
        Society(fishery, [institution("quota", base="income")])
    with pytest.raises(IncompatibleInstitution, match="both own"):
        Society(fishery, [institution("quota"), institution("quota", name="second")])
    with pytest.raises(IncompatibleInstitution, match="named 'tax'"):
        Society(fishery, [institution("taxation"), institution("taxation")])
    with pytest.raises(InvalidParameter, match="from 0 to 1"):
        Society(fishery, [institution("taxation", base="income", rate=1.5)])
    with pytest.raises(UnknownName, match="did you mean 'fishery-v0'"):
        make("fishry-v0")
    with pytest.raises(UnknownName, match="did you mean 'growth'"):
        make("fishery-v0", grwth=0.2)
    with pytest.raises(InvalidParameter, match="capacity"):
        make("fishery-v0", capacity=-1.0)
    with pytest.raises(InvalidParameter, match="NaN"):
        make("fishery-v0", growth=float("nan"))


def test_repr_shows_the_stack():
    society = Society(make("fishery-v0"), [institution("quota", limit=2.0), SANCTIONS], num_worlds=8)
    assert repr(society) == "Society<PeerSanctions()<Quota(limit=2.0)<Fishery()>>>(num_worlds=8)"


def test_nobody_votes_an_ad_valorem_tax_above_one():
    fishery, high = make("fishery-v0"), institution("vote", high=3.0)
    with pytest.raises(IncompatibleInstitution, match=r"allowed: within \(0\.0, 1\.0\)"):
        Society(fishery, [institution("taxation", base="income"), high])
    Society(fishery, [institution("taxation", base="extraction"), high])
    floor = institution("rights", low=2.0)
    with pytest.raises(IncompatibleInstitution, match=r"within \(0\.0, 1\.0\)"):
        Society(fishery, [institution("taxation", base="income"), floor])


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"id": "peer-sanctions", "name": "extraction"}, "conduct 'extraction', which is shown already"),
        ({"id": "mediator", "base": "extraction", "name": "citizens"}, "officials named 'citizens'"),
        ({"id": "quota", "name": "a.b"}, "without a dot"),
        ({"id": "quota", "name": "dilemma"}, "named 'dilemma'"),
    ],
)
def test_names_that_would_hide_others_are_refused(part, says):
    part = dict(part)
    with pytest.raises(IncompatibleInstitution, match=says):
        Society(make("fishery-v0"), [institution(part.pop("id"), **part)])


@pytest.mark.parametrize(
    "options",
    [
        {"num_worlds": 0}, {"num_worlds": 1.5}, {"num_worlds": "2"}, {"time_limit": 0},
        {"time_limit": np.nan}, {"credit": np.nan}, {"credit": -1.0}, {"endowment": np.inf},
        {"treasury_weight": np.nan}, {"autoreset": "no"}, {"seed": -1}, {"seed": 0.5}, {"seed": "x"},
        {"seed": np.array([0.5])}, {"seed": np.array([1, 2])}, {"seed": np.array([-1])},
    ],
)  # fmt: skip
def test_bad_options_are_named(options):
    with pytest.raises(InvalidParameter, match=f"{next(iter(options))}.*allowed: "):
        Society(make("fishery-v0"), **options)


@pytest.mark.parametrize("institutions", [SANCTIONS, "peer-sanctions", None, {SANCTIONS}])
def test_institutions_come_in_a_list(institutions):
    with pytest.raises(InvalidParameter, match=r"institutions.*allowed: a list"):
        Society(make("fishery-v0"), institutions)


def test_too_many_or_too_few_worlds_and_unknown_groups_are_refused():
    society = Society(make("fishery-v0"), num_worlds=2)
    for worlds in (0, 1, 3):
        with pytest.raises(InvalidAction, match=r"allowed: \(2, 5, 1\)"):
            society.step({"citizens": np.zeros((worlds, 5, 1))})
    with pytest.raises(InvalidAction, match="allowed: a mapping with the groups"):
        society.step({"citizens": np.zeros((2, 5, 1)), "planners": np.zeros((2, 1, 1))})
