"""The collective-risk dilemma: every sequence of one player's contributions tried, planner by enumeration."""

from itertools import product

import numpy as np
import pytest

from commonweal import make
from commonweal.agents.scripted import scripted
from commonweal.envs.climate_risk import ClimateRisk, ClimateState
from commonweal.envs.normal_form import equilibria, payoffs
from commonweal.envs.pledges import OnPath
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate
from commonweal.random import Streams, world_seeds
from commonweal.society import Society

SMALL = {"num_agents": 3, "rounds": 3, "endowment": 12.0, "target": 18.0}
UNEQUAL = {"num_agents": 3, "rounds": 3, "endowment": (12.0, 12.0, 4.0), "target": 16.0}


def game(**parameters) -> ClimateRisk:
    found = make("climate_risk-v0", **parameters)
    assert isinstance(found, ClimateRisk)
    return found


def expected(dilemma, rule, given, agents):
    """Expected payoffs `(B, N)`; `agents` give `given (B, rounds, len(agents))`, the others by `rule`."""
    worlds = len(given)
    rng = Streams(world_seeds(0, worlds), 0)
    state = dilemma.initial(rng)
    step = dilemma.most / (dilemma.levels - 1) if dilemma.levels else 1.0
    for t in range(dilemma.rounds):
        observed = {k: np.float32(v)[..., None] for k, v in dilemma.observe(state).items()}
        play = np.array(rule(observed, rng)["contribution"] * step)
        play[:, agents] = given[:, t]
        state, outcome = dilemma.step(state, {"contribution": play}, rng.begin(t, 0))
    assert outcome.terminated.all()
    return state.account * np.where(state.fund >= dilemma.target - 1e-9, 1.0, 1.0 - dilemma.risk)


@pytest.mark.parametrize("risk", [0.9, 0.5, 0.1])
def test_the_best_of_all_sequences_of_one_player_gains_epsilon(risk):
    dilemma = game(risk=risk)
    sequences = np.array(list(product((0.0, 2.0, 4.0), repeat=10)))[:, :, None]
    found = dilemma.references()
    fair = dilemma.yardstick(dilemma.pledges().path(np.full(6, 20.0)), "")
    # Both are equilibria under high risk, only doing nothing under low risk.
    assert (fair.epsilon < 1e-9) == (risk >= 0.5)
    for one in (found.selfish, fair, *found.others.values()):
        gains = []
        for agent in (0, 3, 5) if np.ptp(one.rule.path[0]) else (0,):
            followed = expected(dilemma, one.rule, one.rule.path[None, :, [agent]], [agent])[0, agent]
            best = expected(dilemma, one.rule, sequences, [agent])[:, agent].max()
            gains.append(best - followed)
        assert max(gains) == pytest.approx(one.epsilon, abs=1e-9)
    assert found.selfish.epsilon == 0.0


@pytest.mark.parametrize("risk", [0.9, 0.5, 0.1])
@pytest.mark.parametrize("parameters", [SMALL, UNEQUAL], ids=["equal", "unequal"])
def test_planner_and_worst_outcome_by_enumeration(parameters, risk):
    dilemma = game(**parameters, risk=risk)
    joint = np.array(list(product((0.0, 2.0, 4.0), repeat=9))).reshape(-1, 3, 3)
    welfare = expected(dilemma, OnPath(dilemma.pledges(), np.zeros((3, 3))), joint, [0, 1, 2]).sum(axis=1)
    found = dilemma.references()
    assert found.planner.welfare == pytest.approx(welfare.max())
    assert found.selfish.welfare == pytest.approx(
        (1 - risk) * np.sum(np.broadcast_to(dilemma.endowment, (1, 3)))
    )
    for one in found.others.values():
        assert one.welfare == pytest.approx(expected(dilemma, one.rule, one.rule.path[None], [0, 1, 2]).sum())


def test_one_round_by_enumeration_mixed_equilibria_included():
    rng = np.random.default_rng(0)
    for _ in range(60):
        n, levels, most = int(rng.integers(1, 4)), int(rng.integers(2, 5)), float(rng.choice([0.3, 2.0, 4.0]))
        step = most / (levels - 1)
        account = rng.integers(1, 7, n) * step
        risk = rng.choice([0.0, 0.1, 0.5, 0.9, 1.0], n)
        dilemma = game(
            num_agents=n, rounds=1, levels=levels, most=most, endowment=tuple(account), risk=tuple(risk),
            target=float(rng.choice([0.7, 1.0, 2.6])) * most,
        )  # fmt: skip
        own = [np.arange(levels) * step for _ in range(n)]
        own = [gifts[gifts <= a + 1e-9] for gifts, a in zip(own, account, strict=True)]
        profiles = np.stack(np.meshgrid(*own, indexing="ij"), axis=-1)
        met = profiles.sum(axis=-1, keepdims=True) >= dilemma.target - 1e-9
        table = (account - profiles) * np.where(met, 1.0, 1.0 - risk)
        found, every = dilemma.references(), equilibria(table)
        worst = payoffs(table, every.laws[0]).sum()
        assert found.planner.welfare == pytest.approx(table.sum(axis=-1).max())
        if found.selfish.kind == "best known":
            assert "mixed equilibria" in found.selfish.selection
            assert found.selfish.welfare >= worst - 1e-6
        elif every.kind != "best known":
            assert found.selfish.welfare == pytest.approx(worst, abs=1e-5)


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_the_unit_of_money_changes_nothing(unit):
    for risk in (0.9, 0.5, 0.1):
        plain = game(**UNEQUAL, risk=risk).references()
        money = {
            "endowment": tuple(unit * x for x in UNEQUAL["endowment"]),
            "target": unit * 16.0,
            "most": unit * 4.0,
        }
        found = game(**{**UNEQUAL, **money}, risk=risk).references()
        assert found.selfish.welfare == pytest.approx(unit * plain.selfish.welfare)
        assert list(found.others) == list(plain.others)
        assert found.selfish.detail["subgame perfect"] == plain.selfish.detail["subgame perfect"]


def test_nobody_can_be_made_to_bear_more_than_the_risk():
    """No path with a total above p e is an equilibrium, whatever its timing."""
    dilemma = game(**SMALL, risk=0.5)
    for totals in ([8.0, 6.0, 4.0], [6.0, 6.0, 6.0]):
        for late in (False, True):
            path = dilemma.pledges().path(np.array(totals), late)
            assert path.sum() == 18.0
            assert (path <= 4.0).all()
            epsilon = dilemma.yardstick(path, "").epsilon
            assert epsilon == pytest.approx(max(max(totals) - 0.5 * 12.0, 0.0))
            smooth = game(**SMALL, risk=0.5, levels=None)
            assert smooth.yardstick(path, "").epsilon == pytest.approx(epsilon)


@pytest.mark.parametrize("risk", [0.9, 0.6, 0.4])
def test_subgame_perfection_after_every_history(risk):
    """All histories of three players that keep the fund on the path; then every departure."""
    dilemma = game(**{**SMALL, "target": 24.0, "num_agents": 4, "rounds": 3}, risk=risk)
    path = dilemma.pledges().path(np.full(4, 6.0))
    sound = True
    for t in range(3):
        rounds = [r for r in product((0.0, 2.0, 4.0), repeat=4) if sum(r) == path[0].sum()]
        for history in product(rounds, repeat=t):
            account = 12.0 - np.sum(history, axis=0) if t else np.full(4, 12.0)
            follow = account[0] - path[t:, 0].sum()
            for gift in (0.0, 4.0):
                fund = path[:t].sum() + path[t, 1:].sum() + gift
                alone = 4.0 * (2 - t)
                sound &= t == 2 or 24.0 - fund > alone
                kept = (account[0] - gift) * (1.0 if fund >= 24.0 else 1.0 - risk)
                sound &= follow >= kept - 1e-9
    assert sound == dilemma.pledges().perfect(path)
    assert sound == (risk >= 0.5)


def test_one_alone_who_can_meet_the_target_ends_the_perfection_of_idleness():
    alone = game(num_agents=2, rounds=3, endowment=12.0, target=8.0)
    idle = alone.yardstick(np.zeros((3, 2)), "")
    assert idle.epsilon == pytest.approx(4.0 - 0.1 * 12.0)  # gives 8, keeps 4
    assert alone.references().selfish.welfare == alone.references().planner.welfare == 16.0
    assert not alone.pledges().perfect(np.zeros((3, 2)))
    once = game(num_agents=2, rounds=1, target=4.0)
    assert not once.pledges().perfect(np.zeros((1, 2)))


def test_the_lone_player_is_the_planner_where_it_chooses():
    found = game().references()
    assert found.efficiency(found.planner.welfare) == 1.0
    assert found.gap == pytest.approx(120.0 - 24.0)
    assert found.selfish.detail["subgame perfect"] == 1.0
    assert found.others["equal shares"].detail["subgame perfect"] == 1.0


@pytest.mark.parametrize("parameters", [{}, {"levels": None}, {"risk": 0.1}, {"discount": 0.9},
                                        {"endowment": (40.0, 40.0, 40.0, 20.0, 20.0, 20.0)}])  # fmt: skip
def test_simulating_a_rule_gives_its_welfare(parameters):
    dilemma = game(**parameters)
    found = dilemma.references()
    society = Society(dilemma, num_worlds=4000)
    for one in (found.selfish, found.planner, *found.others.values()):
        welfare = evaluate(society, scripted(society, one), seed=2).welfare
        assert welfare.mean() == pytest.approx(one.welfare, abs=1e-4 + 4 * welfare.std() / 4000**0.5)


def test_the_risk_makes_the_dilemma():
    for parameters in ({"risk": 0.0}, {"risk": 0.1}, {"target": 1000.0}):
        found = game(**parameters).references()
        assert found.gap == 0.0
        assert not found.others
    assert game().references().gap > 0.0


def test_unequal_players_share_by_what_they_would_lose():
    dilemma = game(endowment=(40.0, 40.0, 40.0, 16.0, 16.0, 16.0))
    found = dilemma.references()
    shares = found.others["equal shares"].rule.path.sum(axis=0)
    assert shares.tolist() == [26.0, 26.0, 26.0, 14.0, 14.0, 14.0]
    assert found.others["equal shares"].epsilon == 0.0
    other = game(risk=(0.9, 0.9, 0.9, 0.9, 0.9, 0.0)).references()
    assert other.others["equal shares"].rule.path.sum(axis=0)[5] == 0.0
    assert other.selfish.welfare == pytest.approx(5 * 4.0 + 40.0)


def test_rounds_by_hand():
    dilemma = game(num_agents=2, rounds=2, endowment=5.0, target=8.0, risk=1.0)
    rng = Streams(world_seeds(0, 1), 0)
    one, first = dilemma.step(dilemma.initial(rng), {"contribution": np.array([[4.0, 2.0]])}, rng)
    assert first.money.tolist() == [[0.0, 0.0]]
    assert not first.terminated[0]
    two, last = dilemma.step(one, {"contribution": np.array([[4.0, 0.0]])}, rng)  # one euro is left
    assert last.conduct["contribution"].tolist() == [[1.0, 0.0]]
    assert two.fund.tolist() == [[7.0]]
    assert last.money.tolist() == [[0.0, 0.0]]
    assert last.terminated[0]
    _, met = dilemma.step(one, {"contribution": np.array([[0.0, 2.0]])}, rng)
    assert met.money.tolist() == [[1.0, 1.0]]


def test_one_throw_of_dice_decides_for_all_and_as_often_as_it_should():
    dilemma = game(risk=0.3)
    worlds = 20_000
    state = ClimateState(np.full((worlds, 1), 9.0), np.zeros((worlds, 1)), np.full((worlds, 6), 40.0))
    rng = Streams(world_seeds(1, worlds), 0)
    money = dilemma.step(state, {"contribution": np.zeros((worlds, 6))}, rng)[1].money
    assert (money == money[:, :1]).all()
    assert (money[:, 0] == 0).mean() == pytest.approx(0.3, abs=0.015)


def test_theory():
    assert [check.name for check in ClimateRisk.theory() if not check.passed] == []


@pytest.mark.parametrize(
    ("parameters", "told"),
    [({"risk": 1.1}, "from 0 to 1"), ({"target": 0.0}, "above 0"), ({"endowment": -1.0}, "endowment")],
)
def test_bad_parameters_are_named(parameters, told):
    with pytest.raises(InvalidParameter, match=told):
        game(**parameters)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [({"risk": np.array([0.1, 0.9])}, "one world"), ({"endowment": 35.0}, "multiples"),
     ({"target": np.array([1.0, 2.0])}, "one target")],
)  # fmt: skip
def test_what_the_theory_does_not_cover_is_said(parameters, told):
    with pytest.raises(NotExact, match=told):
        game(**parameters).references()
