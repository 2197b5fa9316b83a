"""Employment: contracts against theory, every deviation by playing it, several tasks and principals."""

import numpy as np
import pytest

from commonweal import Society, institution, make
from commonweal.agents.scripted import scripted
from commonweal.envs.contracting import Employer
from commonweal.envs.employment import Employment, EmploymentState
from commonweal.envs.one_state import Fixed
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate

NODES, CHANCES = np.polynomial.hermite_e.hermegauss(60)
CHANCES = CHANCES / CHANCES.sum()
FREE = {"wage_levels": None, "slope_levels": None, "effort_levels": None}


def employment(**parameters) -> Employment:
    found = make("employment-v0", **parameters)
    assert isinstance(found, Employment)
    return found


def expected(game, state, play, worlds):
    """Expected utility `(B, N)` of one play with one measured task."""
    total = 0.0
    for shock, chance in zip(NODES, CHANCES, strict=True):
        following, outcome = game.step(state, play, Fixed(worlds, float(shock), "test"))
        total = total + chance * game.utility(following, outcome.money)
    return total


def standing(game, wage, slope):
    """Worlds in which the terms `wage (B, F)`, `slope (B, F)` stand."""
    worlds = len(wage)
    nothing = np.zeros((worlds, game.num_workers))
    return EmploymentState(np.ones((worlds, 1)), wage, slope[:, :, None], nothing, nothing)


def strategies(game, yardstick):
    """Physical values that the yardstick's principals offer, and the answer of workers to any terms."""
    society = Society(game)
    offered = yardstick.rule({"output": np.zeros((1, game.groups["principals"], 1))}, None)
    spaces = {a.name: a.space for a in game.actions()}
    values = {
        n: v * (spaces[n].step or 1.0) + (spaces[n].low if spaces[n].levels else 0.0)
        for n, v in offered.items()
    }

    def answer(state):
        seen = {n: np.broadcast_to(v, (len(state.wage), v.shape[1])) for n, v in game.observe(state).items()}
        part = society.groups["workers"].agents
        own = {"wage": seen["wage"], "slope_1": seen["slope_1"]}
        own |= {n: seen[n][:, part] for n in ("risk_aversion", "effort_cost")}
        entries = yardstick.rule({n: v[:, :, None] for n, v in own.items()}, None)
        return {
            n: v * (spaces[n].step if n != "accept" and spaces[n].levels else 1.0) for n, v in entries.items()
        }

    return values, answer


def test_theory():
    checks = list(Employment.theory())
    assert len(checks) >= 8
    for check in checks:
        assert check.passed, check


@pytest.mark.parametrize("share", [1, 2])
def test_no_offer_pays_a_principal_more(share):
    """Every wage and slope of one principal, the others and the worker's answer as in equilibrium."""
    game = employment(
        num_workers=2, principals_per_worker=share, risk_aversion=(1.0,) * 2 * share + (1.0, 0.5)
    )
    found = game.references()
    selfish = found.others.get("contracts", found.selfish)  # several may also make no acceptable offer
    terms, answer = strategies(game, selfish)
    wages, slopes = np.linspace(-1, 1, 21), np.linspace(0, 1, 11)
    for p in range(2 * share):
        wage, slope = (np.repeat(terms[n], 1 + 21 * 11, axis=0) for n in ("wage", "slope_1"))
        wage[1:, p], slope[1:, p] = np.repeat(wages, 11), np.tile(slopes, 21)
        state = standing(game, wage, slope)
        play = {**answer(state), "wage": wage, "slope_1": slope}
        # Profit is linear in the shock, so that its mean is the profit at shock zero.
        _, outcome = game.step(state, play, Fixed(len(wage), 0.0, "test"))
        assert outcome.money[:, p].max() <= outcome.money[0, p] + 1e-9
    assert selfish.epsilon < 1e-9
    assert selfish.kind == "enumeration"


def test_no_effort_pays_a_worker_more_and_refusing_pays_no_more():
    game = employment(num_workers=2)
    terms, answer = strategies(game, game.references().selfish)
    efforts = np.linspace(0, 2, 21)
    one = standing(game, terms["wage"], terms["slope_1"])
    own = expected(game, one, {**answer(one), **terms}, 1)[0, 2]
    worlds = 2 * len(efforts)
    state = standing(game, *(np.repeat(terms[n], worlds, axis=0) for n in ("wage", "slope_1")))
    play = {n: np.repeat(v, worlds, axis=0) for n, v in {**answer(one), **terms}.items()}
    play["effort_1"][:, 0], play["accept"][:, 0] = np.tile(efforts, 2), np.repeat([0.0, 1.0], 21)
    tried = expected(game, state, play, worlds)[:, 2]
    assert tried.max() <= own + 1e-9
    assert own == pytest.approx(0.0, abs=1e-9)  # held to its outside option
    assert efforts[tried[21:].argmax()] == pytest.approx(0.5)  # a = slope / c


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"principals_per_worker": 2},
        {"risk_aversion": (0.0,) * 4 + (0.5, 1.0, 1.0, 2.0), "outside_option": 0.1},
        {"benefit": (1.0, 1.0), "intrinsic": 1.0, "rivalry": 0.5, **FREE},
    ],
)
def test_playing_the_rules_gives_their_welfare(parameters):
    game = employment(**parameters)
    found = game.references()
    society = Society(game, num_worlds=2000)
    for yardstick in (found.selfish, found.planner, *found.others.values()):
        welfare = evaluate(society, scripted(society, yardstick), seed=3).welfare
        assert abs(welfare.mean() - yardstick.welfare) < 4 * welfare.std() / np.sqrt(2000) + 1e-4
    assert found.selfish.welfare < found.planner.welfare


def test_no_constant_play_beats_the_planner():
    game, rng = employment(num_workers=1, **FREE), np.random.default_rng(0)
    planner = game.references().planner.welfare / 10
    draws = 3000
    wage, slope = rng.uniform(-1, 1, (draws, 1)), rng.uniform(0, 1, (draws, 1))
    play = {
        "wage": wage,
        "slope_1": slope,
        "accept": np.ones((draws, 1)),
        "effort_1": rng.uniform(0, 2, (draws, 1)),
    }
    best = expected(game, standing(game, wage, slope), play, draws).sum(axis=1).max()
    assert 0.9 * planner < best < planner


def test_the_mechanism_needs_risk_and_aversion():
    for off in ({"risk_aversion": 0.0}, {"noise": (0.0,)}):
        found = employment(**off, **FREE, max_wage=2.0).references()
        assert found.selfish.welfare == pytest.approx(found.planner.welfare)
    gaps = [employment(risk_aversion=r, **FREE).references().gap for r in (0.5, 1.0, 2.0)]
    assert gaps[0] < gaps[1] < gaps[2]


def test_rivalry_with_a_task_that_is_not_measured_lowers_the_slope():
    def slope(**parameters):
        return (
            employment(intrinsic=1.0, max_effort=4.0, **parameters, **FREE)
            .references()
            .selfish.detail["slope"]
        )

    alone, beside = slope(benefit=(1.0,)), slope(benefit=(1.0, 1.0))
    rivals = [slope(benefit=(1.0, 1.0), rivalry=k) for k in (0.3, 0.5, 0.7)]
    assert alone == pytest.approx(0.5)
    assert beside == pytest.approx(0.5)  # without rivalry the other task does not matter
    assert 0.5 > rivals[0] > rivals[1] > rivals[2] > 0.0
    # Rivals so close that the other task is better given up: a corner, and no closed form.
    with pytest.raises(NotExact, match="edge"):
        slope(benefit=(1.0, 1.0), rivalry=0.9)
    # Both measured: (I + r C Sigma)^-1 b.
    both = slope(benefit=(1.0, 1.0), noise=(1.0, 2.0), rivalry=0.5)
    cost = np.array([[1.0, 0.5], [0.5, 1.0]])
    expected_slope = np.linalg.solve(np.eye(2) + cost @ np.diag([1.0, 2.0]), np.ones(2))
    assert both == pytest.approx(expected_slope[0], abs=1e-9)


def test_principals_who_share_the_benefit_offer_weaker_incentives():
    one, *more = (employment(principals_per_worker=p, **FREE).references() for p in (1, 2, 3))
    found = [one.selfish, *(f.others["contracts"] for f in more)]
    assert [f.detail["slope"] for f in found] == pytest.approx([1 / 2, 1 / 3, 1 / 4])
    assert found[0].welfare > found[1].welfare > found[2].welfare
    # That nobody makes an acceptable offer is an equilibrium of two principals, not of one.
    for levels in ({}, FREE):
        alone = Employer(employment(**levels), 1.0, 1.0, 0.0).no_contract()
        assert alone is not None
        assert alone.gain == pytest.approx(0.25)
        shared = employment(principals_per_worker=2, **levels).references()
        assert shared.selfish.epsilon == 0.0
        assert shared.selfish.welfare == 0.0
        assert shared.others["contracts"].welfare > 8.0


def test_the_planner_on_levels_pays_by_slopes_where_no_wage_fits():
    """Wages of -1, 0 or 1 alone bring 0.0205; all joint plays were tried."""
    coarse = employment(num_workers=1, risk_aversion=4, effort_levels=8, wage_levels=3, rounds=2)
    assert coarse.references().planner.welfare == pytest.approx(0.4073, abs=5e-5)


def test_nobody_is_employed_at_a_loss():
    for levels in ({}, FREE):
        found = employment(outside_option=0.8, **levels).references()
        assert found.selfish.welfare == pytest.approx(11 * 4 * 0.8)
        assert found.selfish.epsilon == 0.0


def test_two_rounds_by_hand():
    game = employment(num_workers=1, rounds=3)
    start = game.initial(Fixed(1, None, "test"))
    offer = {"wage": np.full((1, 1), 0.1), "slope_1": np.full((1, 1), 0.5)}
    work = {"accept": np.ones((1, 1)), "effort_1": np.full((1, 1), 0.4)}
    state, outcome = game.step(start, {**offer, **work}, Fixed(1, 1.0, "test"))
    assert (outcome.money == 0).all()  # no terms stood yet
    following, outcome = game.step(state, {**offer, **work}, Fixed(1, 1.0, "test"))
    # Output 0.4 + 1; pay 0.1 + 0.5 * 1.4 = 0.8; profit 0.6; toil 0.08.
    assert outcome.money[0] == pytest.approx([0.6, 0.8])
    reward = game.utility(following, outcome.money)[0]
    assert reward == pytest.approx([0.6, 1 - np.exp(-0.72)])


def test_a_cap_on_incentive_pay_binds_principals_alone():
    society = Society(make("employment-v0"), [institution("quota", base="slope", limit=0.2)], seed=1)
    actions = society.columns.null_actions(1)
    actions["principals"][:, :, 1] = 10
    actions["workers"][:, :, 1] = 20
    step = society.step(actions)
    assert np.allclose(step.conduct["slope"], [[0.2] * 4 + [0.0] * 4])
    assert np.allclose(society.state.slope, 0.2)


def test_insurance_is_worth_something():
    """A tax on pay shared by all lowers risk: with the same acts, W is larger than without."""
    acts, means = {}, []
    for stack in ([], [institution("taxation", base="income", rate=0.5, revenue="citizens")]):
        society = Society(make("employment-v0", rounds=2), stack, num_worlds=4000, seed=2)
        acts = society.columns.null_actions(4000)
        acts["principals"][..., 0], acts["principals"][..., 1] = 10, 10  # no wage, slope one
        acts["workers"][..., 0], acts["workers"][..., 1] = 1, 10
        society.step(acts)
        means.append(society.step(acts).welfare.mean())
    assert means[1] > means[0] + 0.1


def test_refusals():
    with pytest.raises(InvalidParameter, match="noise"):
        employment(noise=(1.0, 1.0))
    with pytest.raises(InvalidParameter, match="rivalry"):
        employment(rivalry=1.0)
    with pytest.raises(NotExact, match="all or none"):
        employment(wage_levels=None).references()
    with pytest.raises(NotExact, match="cells"):
        employment(benefit=(1.0,) * 3, noise=(1.0,) * 3).references()
    with pytest.raises(NotExact, match="slopes"):
        employment(benefit=(5.0,), **FREE).references()
