"""Stages without a play: what is counted, felt, drawn and paid there."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from commonweal import Society, evaluate, institution, make, parallel_env
from commonweal.agents.scripted import Random, Scripted
from commonweal.benchmarks.cell import run_cell
from commonweal.benchmarks.store import TABLES, read_rows
from commonweal.benchmarks.suite import Learner, Study, Suite
from commonweal.compatibility import matrix
from commonweal.errors import CommonwealError, CorruptCheckpoint, InvalidAction
from commonweal.institutions.base import Institution
from commonweal.ledger import Ledger, shares
from commonweal.registry import describe
from commonweal.spaces import Action, Choice, Conduct, Real
from tests.strategies import random_actions

STAGED = {
    "vote": {"every": 1},
    "contract": {},
    "mediator": {},
    "peer-sanctions": {"stage": "respond"},
}


def test_a_play_is_told_not_guessed_from_the_discount():
    society = Society(make("public_goods-v0"), [institution("contract")], num_worlds=3)
    result = evaluate(society, Random(society, 1))
    assert (result.length == 10).all()
    assert {len(values) for values in result.series.values()} == {10}


@pytest.mark.parametrize("discount", [0.0, 0.5, 1.0])
def test_length_and_series_at_every_discount(discount):
    game = make("public_goods-v0", rounds=4, discount=discount)
    society = Society(
        game, [institution("peer-sanctions", base="contribution", stage="respond")], num_worlds=2
    )
    result = evaluate(society, Random(society, 1))
    assert (result.length == 4).all()
    assert result.series["progress"][:, 0] == pytest.approx([0, 0.25, 0.5, 0.75])
    # Points are given in the stage after the play, and stand in the row of that play.
    assert (result.series["sanction"] > 0).any(axis=1).all()


def staged_stacks():
    for dilemma, fits in matrix().items():
        for name, changes in STAGED.items():
            stack, _ = fits[name]
            if stack is None:
                continue
            plain = [describe(part) for part in stack]
            plain[-1] |= changes
            yield pytest.param(dilemma, plain, id=f"{dilemma}-{name}")


@pytest.mark.parametrize(("dilemma", "stack"), staged_stacks())
def test_every_staged_institution_goes_through_a_whole_cell(dilemma, stack, tmp_path):
    learner = Learner(64, 2, 32, {"rollout": 8, "minibatches": 1, "epochs": 1, "hidden": (8,)})
    study = Study(replicates=2, seed=1, evaluation_worlds=2)
    suite = Suite(study, learner, {dilemma: make(dilemma)}, {"staged": tuple(stack)})
    cell = suite.cell(dilemma, "staged", lambda _: None)
    run_cell(cell, tmp_path, None, lambda *news: None)
    rows = {name: read_rows(tmp_path / f"{name}.parquet") for name in TABLES}
    assert len(rows["results"]) == 2
    for row in rows["results"]:
        assert row["episode_length"] >= 1.0
        assert np.isfinite(row["welfare"])
    assert max(row["play"] for row in rows["series"]) + 1 == np.ceil(
        max(row["episode_length"] for row in rows["results"])
    )


# ---------------------------------------------------------------------- utility


def test_votes_change_nothing_in_a_fish_war_without_a_tax():
    dilemma = make("fish_war-v0")
    planner = dilemma.references().planner
    stack = [
        institution("taxation", base="extraction", rate=0.0),
        institution("vote", every=1, high=1e-9, levels=None),
        institution("peer-sanctions", stage="respond"),
    ]
    society = Society(dilemma, stack, num_worlds=2)
    welfare = evaluate(society, Scripted(society, planner.rule, 1)).welfare
    assert dilemma.references().efficiency(welfare) == pytest.approx(1.0, abs=1e-6)


@dataclass(frozen=True, eq=False, repr=False)
class Fee(Institution):
    """Whoever will pays a fee, or is given one where it is negative, in a stage."""

    id: ClassVar[str] = "fee"

    stage: str = "deliberate"
    fee: float = 0.1

    def actions(self, charter):
        return [Action("pay", Choice(("no", "yes")), stage=self.stage)]

    def _pay(self, turn):
        if self.fee > 0:
            turn.ledger.collect(self.fee * turn.actions["pay"], "burnt", "fee")
        else:
            turn.ledger.grant(-self.fee * turn.actions["pay"], "gift")

    def deliberate(self, state, turn):
        self._pay(turn)
        return state

    def settle(self, state, turn):
        if turn.stage == self.stage:
            self._pay(turn)
        return state

    @property
    def period(self):
        return 1


def paying(society, who):
    """Everybody takes the middle of its columns; `who` pay."""
    entries = {}
    for name, group in society.groups.items():
        array = np.zeros((society.num_worlds, group.size, len(group.actions)))
        for k, (_, action) in enumerate(group.actions):
            middle = 0.5 * (group.low[k] + group.high[k])
            array[..., k] = np.rint(middle) if group.discrete[k] else middle
            if action.name == "pay":
                array[..., k] = who
        entries[name] = array
    return entries


def round_of(dilemma, fee, who):
    """Sum over a round's steps of the rewards `(N,)` and of W, and the last transition."""
    society = Society(dilemma, [fee], num_worlds=1)
    total, welfare = 0.0, 0.0
    for _ in range(2):
        step = society.step(paying(society, who))
        total = total + step.reward["citizens"][0]
        welfare += step.welfare[0]
    return total, welfare, step


@pytest.mark.parametrize("amount", [0.01, -0.01])
@pytest.mark.parametrize("stage", ["deliberate", "respond"])
@pytest.mark.parametrize("name", ["fish_war-v0", "labour-v0", "forest-v0", "public_goods-v0"])
def test_a_payment_outside_the_play_is_felt_once(name, stage, amount):
    dilemma = make(name)
    fee, who = Fee(stage=stage, fee=amount), np.array([1.0] + [0.0] * (dilemma.num_agents - 1))
    free, free_welfare, played = round_of(dilemma, fee, 0.0)
    paid, paid_welfare, _ = round_of(dilemma, fee, who)
    # As if it were paid with the play itself.
    alone = Society(dilemma, [])
    play = {"citizens": paying(Society(dilemma, [fee]), who)["citizens"][..., : len(dilemma.actions())]}
    step = alone.step(play)
    utility = dilemma.utility(alone.state, step.money)
    if dilemma.subsistence is not None and stage == "deliberate":
        amount = min(amount, 0.0)  # nothing is there yet from which to pay
    less = dilemma.utility(alone.state, step.money - amount * who)
    assert free == pytest.approx(utility[0])
    assert paid == pytest.approx(less[0])
    after = less  # what counts in W: a gift of the treasury is the citizens' money in the end
    if amount < 0.0:
        has = step.money - amount * who
        spare = np.full_like(has, 1.0) if dilemma.subsistence is None else has - dilemma.subsistence
        after = dilemma.utility(alone.state, has + shares(np.array([amount]), spare))
    assert paid_welfare - free_welfare == pytest.approx((after - utility).sum(), abs=1e-9)
    assert played.played.all() == (stage == "deliberate")


def test_a_payment_to_money_lovers_is_felt_in_its_stage():
    society = Society(make("public_goods-v0"), [Fee(stage="respond", fee=0.5)])
    society.step(paying(society, 1.0))
    step = society.step(paying(society, 1.0))
    assert step.reward["citizens"] == pytest.approx(-0.5)
    assert step.welfare == pytest.approx(-0.5 * society.dilemma.num_agents)


def test_a_round_of_utility_survives_saving(tmp_path):
    """Saved between a play and the response, what is paid then is felt as without saving."""
    dilemma, fee = make("fish_war-v0"), institution("peer-sanctions", stage="respond", fine=0.001, cost=0.0)
    societies = Society(dilemma, [fee], num_worlds=2, seed=3), Society(dilemma, [fee], num_worlds=2, seed=9)
    rng = np.random.default_rng(0)
    first, second = random_actions(societies[0], rng), random_actions(societies[0], rng)
    societies[0].step(first)
    societies[1].set_state(societies[0].get_state())
    steps = [society.step(second) for society in societies]
    assert (steps[0].reward["citizens"] == steps[1].reward["citizens"]).all()
    assert (steps[0].reward["citizens"] < 0).any()


# ---------------------------------------------------------------------- hooks


@dataclass(frozen=True, eq=False, repr=False)
class Everywhere(Institution):
    """Draws and pays in every hook that may."""

    id: ClassVar[str] = "everywhere"

    draws: int = 1
    name: str = "everywhere"

    def actions(self, charter):
        return [Action(f"{self.name}_say", Real(0.0, 1.0), stage="deliberate")]

    def _use(self, turn, purpose):
        for _ in range(self.draws):
            turn.rng.normal(3)
        if self.draws:
            turn.ledger.collect(np.ones(turn.present.shape), "burnt", purpose)

    def deliberate(self, state, turn):
        self._use(turn, "deliberate")
        return state

    def govern(self, state, turn):
        self._use(turn, "govern")
        return {}

    def permit(self, state, turn):
        self._use(turn, "permit")
        return {}

    def settle(self, state, turn):
        self._use(turn, "settle")
        return state


def test_hooks_that_draw_shift_nobody_elses_numbers():
    dilemma = make("fishery-v0", noise=0.3)
    noisy = institution("taxation", base="extraction", monitor={"noise": 0.5})
    seen = []
    for draws in (0, 1, 7):
        stack = [noisy, Everywhere(draws=draws), Everywhere(draws=draws, name="second")]
        society = Society(dilemma, stack, num_worlds=4, seed=5)
        payments = []
        for _ in range(6):
            step = society.step(paying(society, 0.0))
            payments += [e.amount for e in step.ledger.entries if e.institution == "tax"]
        seen.append((society.state.stock, np.array(payments)))
    for stock, payments in seen[1:]:
        assert (stock == seen[0][0]).all()
        assert (payments == seen[0][1]).all()


def test_what_a_hook_pays_is_booked_under_its_name():
    stack = [institution("taxation", base="extraction"), Everywhere(), Everywhere(name="second")]
    society = Society(make("fishery-v0"), stack)
    entries = [e for _ in range(2) for e in society.step(paying(society, 0.0)).ledger.entries]
    booked = [(e.institution, e.purpose) for e in entries]
    both = ("everywhere", "second")
    deliberation = [(name, hook) for hook in ("deliberate", "govern") for name in both]
    play = [(name, hook) for hook in ("govern", "permit") for name in both]
    assert booked == [*deliberation, *play, ("tax", "tax"), *((name, "settle") for name in both)]


def test_hooks_pay_only_in_the_worlds_of_their_stage():
    """One world has ended and deliberates anew, the other plays on: each pays what it would alone."""
    dilemma = make("fishery-v0")
    stack = [Everywhere()]
    society = Society(dilemma, stack, num_worlds=2, seed=1, time_limit=3)
    state = society.get_state()
    state["society.plays"][0], state["society.stage"][0] = 2, 1  # world 0 is over after its next play
    society.set_state(state)
    mixed = False
    for _ in range(6):
        stages = society.memory.stage.copy()
        step = society.step(paying(society, 0.0))
        mixed |= stages[0] != stages[1]
        hooks = np.where(stages == 0, 2, 3)  # deliberate, govern; govern, permit, settle
        assert (step.ledger.burnt == hooks * dilemma.num_agents).all()
    assert mixed


# ---------------------------------------------------------------------- who is there


@dataclass
class Banned:
    """Who is out, `(B, N)`."""

    out: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class Ban(Institution):
    """The first `number` citizens are not there."""

    id: ClassVar[str] = "ban"

    number: int = 1

    def initial(self, charter, rng):
        out = np.zeros((rng.num_worlds, charter.num_citizens))
        out[:, : self.number] = 1.0
        return Banned(out)

    def excluded(self, state):
        return state.out > 0.5


@pytest.mark.parametrize("revenue", ["others", "citizens"])
def test_who_is_not_there_neither_pays_nor_receives(revenue):
    """Four pay 5 x 0.5 each; with the fifth suspended its share goes to the three others, not to it."""
    tax = institution("taxation", base="contribution", rate=0.5, revenue=revenue)
    society = Society(make("public_goods-v0", num_agents=5), [Ban(), tax])
    actions = {"citizens": np.full((1, 5, 1), 5.0)}
    step = society.step(actions)
    assert (step.conduct["contribution"][0] == [0, 5, 5, 5, 5]).all()
    assert step.ledger.net[0] == pytest.approx(0.0)  # equals tax each other
    assert step.ledger.imbalance() == 0.0
    # One payer: three others share.
    actions["citizens"][0, 2:] = 0.0
    step = society.step(actions)
    due = 2.5
    expected = (
        [0, -due, due / 3, due / 3, due / 3] if revenue == "others" else [0, -0.75 * due, *[due / 4] * 3]
    )
    assert step.ledger.net[0] == pytest.approx(expected)


def test_nobody_pays_where_nobody_is_there_to_receive():
    tax = institution("taxation", base="contribution", rate=0.5)
    society = Society(make("public_goods-v0", num_agents=3), [Ban(number=2), tax])
    step = society.step({"citizens": np.full((1, 3, 1), 5.0)})
    assert (step.ledger.net == 0).all()
    assert step.ledger.imbalance() == 0.0


def test_the_absent_do_not_punish_vote_or_sign():
    punish = institution("peer-sanctions", base="contribution", cost=1.0, fine=3.0, targets="each")
    society = Society(make("public_goods-v0", num_agents=3), [punish, Ban()])
    step = society.step({"citizens": np.full((1, 3, 3), 1.0)})
    # Citizen 0 gives no points; the points given to it cost those who gave them, and take nothing.
    assert (step.conduct["sanction"][0, 0] == 0).all()
    assert step.ledger.net[0] == pytest.approx([0.0, -2 - 3, -2 - 3])
    tax = institution("taxation", base="contribution", rate=0.0)
    for rule, decided in (("median", 0.5), ("mean", 0.75)):
        vote = institution("vote", rule=rule, levels=None)
        society = Society(make("public_goods-v0", num_agents=3), [tax, vote, Ban()])
        ballots = np.zeros((1, 3, 2))
        ballots[0, :, 1] = [0.0, 0.5, 1.0]
        society.step({"citizens": ballots})
        assert society.states["tax"].rate == pytest.approx(decided)
    contract = institution("contract", levels=None)
    society = Society(make("public_goods-v0", num_agents=3), [contract, Ban()], seed=2)
    for _ in range(2):
        actions = {"citizens": np.full((1, 3, 3), 1.0)}
        society.step(actions)
    proposer = int(society.states["contract"].proposer[0, 0])
    assert society.states["contract"].force[0, 0] == (0.0 if proposer == 0 else 1.0)


def test_who_cannot_pay_for_punishing_does_not_punish():
    """Nobody's punishment is subsidised: with a credit of 2, three points at 1 each are not given."""
    punish = institution("peer-sanctions", base="contribution", cost=1.0, fine=3.0, targets="each")
    society = Society(make("public_goods-v0", num_agents=3, marginal_return=0.0), [punish], credit=2.0)
    actions = {"citizens": np.zeros((1, 3, 3))}
    actions["citizens"][..., 0] = 20.0  # all is given and nothing comes back
    actions["citizens"][0, 0, 1:] = [0, 3]
    actions["citizens"][0, 1, 1:] = [2, 0]
    step = society.step(actions)
    assert step.conduct["sanction"][0].tolist() == [[0, 0, 0], [0, 0, 2], [0, 0, 0]]
    assert step.ledger.net[0].tolist() == [0, -2, -2]


def test_a_rule_may_pay_the_absent():
    ledger = Ledger(1, 3, 3, present=np.array([[False, True, True]]))
    ledger.grant(np.ones((1, 3)), "alms", absent=True)
    ledger.collect(np.ones((1, 3)), "others", "all pay all", absent=True)
    assert ledger.net[0] == pytest.approx([1.0, 1.0, 1.0])
    ledger.grant(np.ones((1, 3)), "wage")
    assert ledger.net[0] == pytest.approx([1.0, 2.0, 2.0])
    between = np.zeros((1, 3, 3))
    between[0, 0, 1] = between[0, 1, 2] = between[0, 1, 0] = 1.0
    ledger.transfer(between, "gift")
    assert ledger.net[0] == pytest.approx([1.0, 1.0, 3.0])
    assert ledger.imbalance() == 0.0


# ---------------------------------------------------------------------- all or nothing


class Broken(Exception):
    """A user's mistake."""


@pytest.mark.parametrize(
    "part", ["announce", "reward", "excluded", "utility", "observe", "initial", "settle"]
)
@pytest.mark.parametrize("call", ["step", "reset", "set_state"])
def test_a_call_in_which_a_part_fails_changes_nothing(part, call, monkeypatch):
    @dataclass(frozen=True, eq=False, repr=False)
    class Fragile(Institution):
        id: ClassVar[str] = "fragile"

        def initial(self, charter, rng):
            return Banned(rng.uniform(charter.num_citizens))

        def settle(self, state, turn):
            return Banned(turn.rng.uniform(state.out.shape[1]))

        def announce(self, state, charter):
            return {}

        def reward(self, state, utility, turn):
            return {}

        def excluded(self, state):
            return state.out > 0.9

    society = Society(make("fishery-v0", noise=0.2), [Fragile()], num_worlds=3, seed=1, time_limit=2)
    actions = paying(society, 0.0)
    society.step(actions)
    other = Society(make("fishery-v0", noise=0.2), [Fragile()], num_worlds=3, seed=1, time_limit=2)
    other.step(actions)
    before, seen, mask = society.get_state(), society.observation, society.mask
    elsewhere = {name: np.array(array) for name, array in before.items()}
    elsewhere["society.plays"][:] = 0

    def fail(*_):
        raise Broken

    owner = type(society.dilemma) if part in ("utility", "observe") else Fragile
    calls = {
        "step": lambda: society.step(actions),
        "reset": lambda: society.reset(7),
        "set_state": lambda: society.set_state(elsewhere),
    }
    with monkeypatch.context() as patch:
        patch.setattr(owner, part, fail)
        if part in {
            "reset": ("utility", "reward", "settle"),
            "set_state": ("utility", "reward", "settle", "initial"),
        }.get(call, ()):
            return  # is not called there
        with pytest.raises(CorruptCheckpoint if call == "set_state" else Broken):
            calls[call]()
    after = society.get_state()
    assert all((after[name] == before[name]).all() for name in before)
    assert society.observation is seen
    assert society.mask is mask
    for _ in range(3):  # and it goes on as if nothing had been asked
        ours, theirs = society.step(actions), other.step(actions)
        assert all((ours.observation[g] == theirs.observation[g]).all() for g in ours.observation)
        assert (ours.welfare == theirs.welfare).all()


def test_a_payment_in_reward_is_refused():
    @dataclass(frozen=True, eq=False, repr=False)
    class Late(Institution):
        id: ClassVar[str] = "late"

        def reward(self, state, utility, turn):
            turn.ledger.collect(np.ones_like(utility), "burnt", "too late")
            return {}

    society = Society(make("fishery-v0"), [Late()])
    with pytest.raises(CommonwealError, match="too late"):
        society.step(paying(society, 0.0))


# ---------------------------------------------------------------------- doors


@pytest.mark.parametrize("name", STAGED)
def test_max_cycles_counts_steps(name):
    dilemma = make("public_goods-v0")
    stack = matrix()["public_goods-v0"][name][0]
    stack = [
        *stack[:-1],
        institution(name, **{k: v for k, v in describe(stack[-1]).items() if k != "id"} | STAGED[name]),
    ]
    env = parallel_env(dilemma, stack, max_cycles=5)
    env.reset(seed=1)
    steps, truncated = 0, {}
    while env.agents:
        *_, truncated, _ = env.step({agent: env.action_space(agent).sample() for agent in env.agents})
        steps += 1
    assert steps == 5
    assert all(truncated.values())


def test_nobody_left_brings_empty_mappings():
    env = parallel_env("fishery-v0", max_cycles=1)
    with pytest.raises(InvalidAction, match="reset"):
        env.step({})
    env.reset(seed=1)
    env.step({agent: env.action_space(agent).sample() for agent in env.agents})
    assert env.step({}) == ({}, {}, {}, {}, {})
    with pytest.raises(InvalidAction, match="reset"):
        env.step({"citizen_0": 0})


def test_conduct_of_deliberation_is_shown():
    """What is said before the play stands beside what is done in worlds that play in the same step."""

    @dataclass(frozen=True, eq=False, repr=False)
    class Talk(Institution):
        id: ClassVar[str] = "talk"

        def actions(self, charter):
            return [Action("talk", Real(0.0, 1.0), stage="deliberate")]

        def conducts(self, charter):
            return {"said": Conduct("words", stage="deliberate")}

        def deliberate(self, state, turn):
            turn.conduct["said"] = turn.actions["talk"]
            return state

    society = Society(make("fishery-v0"), [Talk()], num_worlds=2, time_limit=3)
    state = society.get_state()
    state["society.plays"][0], state["society.stage"][0] = 2, 1
    society.set_state(state)
    stages, shown = [], []
    for _ in range(5):
        stages.append(society.memory.stage.copy())
        conduct = society.step(paying(society, 0.0)).conduct
        shown.append(conduct.get("said", np.zeros((2, 1)))[:, 0])
    assert ((np.array(stages) == 0) == (np.array(shown) > 0)).all()
