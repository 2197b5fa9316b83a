"""The public goods family: equilibria against enumeration of every profile, payoffs by hand."""

from itertools import product

import numpy as np
import pytest

from commonweal import institution, make
from commonweal.agents.best_response import best_response_gain
from commonweal.agents.scripted import scripted
from commonweal.envs.normal_form import equilibria, payoffs, pure_equilibria
from commonweal.envs.one_state import Fixed
from commonweal.envs.public_goods import PublicGoods
from commonweal.envs.repeated import RoundState
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate
from commonweal.society import Society
from tests import battery

EQUAL = {"num_agents": 3, "endowment": 4.0, "levels": 5, "rounds": 1}
UNEQUAL = {**EQUAL, "endowment": (4.0, 2.0, 1.0)}
SMALL = {
    "linear": {},
    "linear, strong": {"marginal_return": (1.2, 0.4, 0.1)},
    "threshold": {"technology": "threshold", "threshold": 6.0, "marginal_return": 0.5},
    "threshold, refund": {"technology": "threshold", "threshold": 6.0, "marginal_return": 0.5, "refund": 1.0},
    "threshold, dear": {"technology": "threshold", "threshold": 6.0, "marginal_return": 0.3},
    "threshold, cheap": {"technology": "threshold", "threshold": 1.5, "marginal_return": 1.2},
    "best shot": {"technology": "best-shot", "marginal_return": 0.5},
    "best shot, strong": {"technology": "best-shot", "marginal_return": (1.5, 1.1, 0.9)},
    "weakest link": {"technology": "weakest-link", "marginal_return": 2.0},
    "weakest link, weak": {"technology": "weakest-link", "marginal_return": (2.0, 0.9, 2.0)},
    "club": {"technology": "club", "marginal_return": 0.9, "fee": 2.0, "crowding": 0.2},
    "club, uncrowded": {"technology": "club", "marginal_return": 0.7, "fee": 1.0},
    "club, rich": {"technology": "club", "marginal_return": (1.4, 0.8, 0.6), "fee": 1.0, "crowding": 0.1},
    "club, crowded": {"technology": "club", "marginal_return": (1.4, 0.8, 0.6), "fee": 1.0, "crowding": 0.4},
}
cases = pytest.mark.parametrize("name", SMALL)
presets = pytest.mark.parametrize("preset", [None, *PublicGoods.presets])


def played(game, contributions):
    """Payoffs `(B, N)` of one round, by `step`."""
    contributions = np.asarray(contributions, float)
    worlds = len(contributions)
    state = RoundState(np.zeros((worlds, 1)))
    return game.step(state, {"contribution": contributions}, Fixed(worlds, None, "test"))[1].money


def every_equilibrium(game):
    """W of each profile of levels, and which of them no agent gains by leaving."""
    n, levels = game.num_agents, np.linspace(0.0, np.max(game.endowment), game.levels)
    profiles = np.array(list(product(levels, repeat=n)))
    payoff = played(game, profiles).reshape(*[len(levels)] * n, n)
    stable = np.ones(payoff.shape[:-1], bool)
    for i in range(n):
        stable &= payoff[..., i] >= payoff[..., i].max(axis=i, keepdims=True) - 1e-9
    return payoff.sum(axis=-1), stable


@cases
@pytest.mark.parametrize("agents", [EQUAL, UNEQUAL], ids=["equal", "unequal"])
def test_worst_and_best_equilibrium_and_optimum_by_enumeration(name, agents):
    game = make("public_goods-v0", **{**agents, **SMALL[name]})
    welfare, stable = every_equilibrium(game)
    if not stable.any():  # a member whom others join leaves for a club of its own, and so on
        assert name == "club, crowded"
        with pytest.raises(NotExact, match="no pure equilibrium"):
            game.references()
        return
    found = game.references()
    several = (found.selfish, *found.others.values())
    assert found.planner.welfare == pytest.approx(welfare.max())
    assert max(y.welfare for y in several if "volunteer" not in y.selection) == pytest.approx(
        welfare[stable].max()
    )
    mixed = any(word in found.selfish.selection for word in ("volunteer", "on levels"))
    worst = welfare[stable].min()
    assert found.selfish.welfare <= worst + 1e-9 if mixed else found.selfish.welfare == pytest.approx(worst)
    assert found.selfish.epsilon <= 1e-9


def distinct(game):
    """Payoffs of all profiles of levels that an agent has, `(A_1, ..., A_N, N)`, by `step`."""
    levels, most = np.linspace(0.0, np.max(game.endowment), game.levels), np.ravel(game.endowment)
    own = [levels[levels <= most[i % most.size] + 1e-9] for i in range(game.num_agents)]
    profiles = np.stack(np.meshgrid(*own, indexing="ij"), axis=-1)
    return played(game, profiles.reshape(-1, game.num_agents)).reshape(profiles.shape)


def drawn(rng):
    """A small game with m at, beside and away from 1 and 1 / N, and few levels."""
    n, levels = int(rng.integers(1, 4)), int(rng.integers(2, 5))
    most = rng.integers(1, levels, n)
    most[rng.integers(n)] = levels - 1
    most = np.full(n, levels - 1) if rng.random() < 0.4 else most
    shares = (0.0, 0.3, 0.5, 1.0 / n, 1.0 / n - 1e-3, 1.0, 1.001, 1.2, 1.5, 2.0, 3.0)
    m = np.full(n, rng.choice(shares)) if rng.random() < 0.5 else rng.choice(shares, n)
    return {
        "num_agents": n, "levels": levels, "rounds": 1,
        "endowment": tuple(most * float(rng.choice([0.1, 1.0, 2.5]))), "marginal_return": tuple(m),
        "technology": str(rng.choice(["linear", "threshold", "best-shot", "weakest-link", "club"])),
        "threshold": float(rng.choice([0.5, 1.0, 1.7, 2.5, 4.0, 9.0])),
        "refund": float(rng.choice([0.0, 0.5, 1.0])), "fee": float(rng.choice([0.5, 1.0, 2.5])),
        "crowding": float(rng.choice([0.0, 0.1, 0.4, 1.0])),
    }  # fmt: skip


def check_drawn_games(rng, number):
    for _ in range(number):
        game = make("public_goods-v0", **drawn(rng))
        table = distinct(game)
        total, pure = table.sum(axis=-1), pure_equilibria(table)
        try:
            found = game.references()
        except NotExact:
            assert not pure
            continue
        assert found.planner.welfare == pytest.approx(total.max(), abs=1e-9)
        several = (found.selfish, *found.others.values())
        assert all(y.epsilon <= 1e-9 for y in several)
        if pure:
            assert found.selfish.welfare <= min(total[cell] for cell in pure) + 1e-9
            assert max(y.welfare for y in several) >= max(total[cell] for cell in pure) - 1e-9
        every = equilibria(table)
        if every.kind != "best known":
            worst = payoffs(table, every.laws[0]).sum()
            assert found.selfish.kind != "best known"
            assert found.selfish.welfare == pytest.approx(worst, abs=2e-6 * max(np.ptp(total), 1.0))
        elif found.selfish.kind == "best known":
            assert "not searched" in found.selfish.selection


def test_drawn_games_with_mixed_equilibria_by_enumeration():
    check_drawn_games(np.random.default_rng(0), 60)


@pytest.mark.slow
def test_many_drawn_games_with_mixed_equilibria_by_enumeration():
    check_drawn_games(np.random.default_rng(1), 800)


@pytest.mark.parametrize("levels", [2, 5, None])
def test_unequal_volunteers_mix(levels):
    """Best shot: two who have two and three units for a unit; the other gives with 1/3 and with 1/2."""
    shot = {"technology": "best-shot", "num_agents": 3, "endowment": 4.0, "rounds": 1, "levels": levels}
    found = make("public_goods-v0", **shot, marginal_return=(2.0, 3.0, 0.5)).references().selfish
    assert found.rule.probability == pytest.approx([2 / 3, 1 / 2, 0.0])
    # Each volunteer has what giving brings, 2 e and 3 e; the third e and, in 5 of 6, half of the good.
    assert found.welfare == pytest.approx(8.0 + 12.0 + 4.0 + 0.5 * 4.0 * 5.0 / 6.0)
    assert found.kind == "enumeration"
    # By play: against all draws of the others no contribution is better.
    worlds = np.array(list(product((0.0, 4.0), (0.0, 4.0))))
    for i in range(3):
        others = np.delete(found.rule.probability, i)
        chance = np.prod(np.where(worlds > 0, others, 1 - others), axis=1)
        game = make("public_goods-v0", **shot, marginal_return=(2.0, 3.0, 0.5))
        value = [
            chance @ played(game, np.insert(worlds, i, own, axis=1))[:, i] for own in np.linspace(0, 4, 9)
        ]
        used = found.rule.probability[i]
        assert max(value) == pytest.approx(used * value[-1] + (1 - used) * value[0])


def test_what_is_too_large_to_be_searched_is_best_known():
    dear = {"technology": "threshold", "num_agents": 6, "threshold": 4.0, "marginal_return": 1.5}
    found = (
        make("public_goods-v0", **dear, endowment=(20.0, 20.0, 20.0, 20.0, 10.0, 3.0)).references().selfish
    )
    assert found.kind == "best known"
    assert "mixed equilibria were not searched" in found.selection
    assert (
        make("public_goods-v0", technology="threshold", threshold=30.0).references().selfish.kind
        == "closed form"
    )


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_the_unit_of_money_changes_nothing(unit):
    for more in SMALL.values():
        game = {**UNEQUAL, **more}
        scaled = {
            k: tuple(unit * x for x in v) if isinstance(v, tuple) else unit * v
            for k, v in game.items() if k in ("endowment", "threshold", "fee")
        }  # fmt: skip
        try:
            plain = make("public_goods-v0", **game).references()
        except NotExact:
            continue
        found = make("public_goods-v0", **{**game, "fee": unit * 10.0, "threshold": unit * 40.0, **scaled})
        found = found.references()
        assert found.selfish.welfare == pytest.approx(unit * plain.selfish.welfare, rel=1e-6)
        assert found.planner.welfare == pytest.approx(unit * plain.planner.welfare)
        assert list(found.others) == list(plain.others)


def test_endowments_on_levels_but_for_rounding_are_on_levels():
    found = make(
        "public_goods-v0",
        endowment=(1.0, 0.3, 0.7, 0.6),
        levels=11,
        technology="weakest-link",
        marginal_return=2.0,
    ).references()
    assert found.planner.welfare == pytest.approx(10 * (2.6 + 4 * 0.3))


def test_a_weakest_link_has_one_equilibrium_a_level_and_a_best_shot_one_a_provider():
    weakest = make("public_goods-v0", **EQUAL, **SMALL["weakest link"])
    assert every_equilibrium(weakest)[1].sum() == 5
    shot = make("public_goods-v0", **EQUAL, technology="best-shot", marginal_return=1.5)
    assert every_equilibrium(shot)[1].sum() == 3
    assert shot.references().others["one provides"].welfare == pytest.approx(26.0)


def test_with_a_refund_more_ways_of_failing_are_stable():
    fail = {}
    for refund in (0.0, 1.0):
        game = make("public_goods-v0", **EQUAL, **{**SMALL["threshold"], "refund": refund})
        welfare, stable = every_equilibrium(game)
        fail[refund] = (stable & np.isclose(welfare, 12.0)).sum()
    assert fail[0.0] == 1 < fail[1.0]


@pytest.mark.parametrize("refund", [0.0, 1.0])
def test_continuous_contributions_have_the_same_references(refund):
    for name, more in SMALL.items():
        if "strong" in name or "club, " in name or "cheap" in name:
            continue  # a threshold between two levels, or unequal agents
        levels = make("public_goods-v0", **{**EQUAL, **more, "refund": refund}).references()
        smooth = make("public_goods-v0", **{**EQUAL, **more, "refund": refund, "levels": None}).references()
        assert smooth.planner.welfare == pytest.approx(levels.planner.welfare)
        assert smooth.selfish.welfare == pytest.approx(levels.selfish.welfare)


@presets
def test_no_contribution_on_a_fine_grid_beats_the_equilibrium(preset):
    game = make("public_goods-v0", preset=preset, levels=None, rounds=1)
    found = game.references()
    for one in (found.selfish, *found.others.values()):
        if "volunteer" in one.selection:
            continue
        profile = np.broadcast_to(np.asarray(one.rule.values["contribution"]), (1, game.num_agents))
        for i in range(game.num_agents):
            tried = np.repeat(profile, 4001, axis=0)
            tried[:, i] = np.linspace(0.0, np.max(game.endowment), 4001)
            assert played(game, tried)[:, i].max() <= played(game, profile)[0, i] + 1e-9


def test_the_volunteers_do_not_care_what_they_give():
    game = make("public_goods-v0", preset="best_shot", rounds=1)
    rule = game.references().selfish.rule
    worlds = np.array(list(product((0.0, 20.0), repeat=3)))
    others = rule.probability[1:]
    chance = np.prod(np.where(worlds > 0, others, 1 - others), axis=1)
    for own in np.arange(21.0):
        profile = np.column_stack([np.full(8, own), worlds])
        assert (chance * played(game, profile)[:, 0]).sum() == pytest.approx(30.0)


@presets
def test_simulating_a_rule_gives_its_welfare(preset):
    game = make("public_goods-v0", preset=preset)
    found = game.references()
    society = Society(game, num_worlds=2000)
    for one in (found.selfish, found.planner, *found.others.values()):
        welfare = evaluate(society, scripted(society, one), seed=3).welfare
        assert welfare.mean() == pytest.approx(one.welfare, abs=1e-6 + 4 * welfare.std() / 2000**0.5)


@presets
def test_the_planner_is_not_beaten_by_chance(preset):
    game = make("public_goods-v0", preset=preset, rounds=1)
    rng = np.random.default_rng(0)
    tried = np.rint(rng.random((20_000, game.num_agents)) ** rng.uniform(0.05, 4, (20_000, 1)) * 20)
    tried = np.minimum(tried / 20 * np.max(game.endowment), game.endowment)
    assert played(game, tried).sum(axis=1).max() <= game.references().planner.welfare + 1e-9


@pytest.mark.parametrize(
    ("parameters", "given", "payoff"),
    [
        ({}, [20, 10, 0, 0], [12, 22, 32, 32]),
        ({"marginal_return": (0.5, 0.1, 0, 0)}, [20, 10, 0, 0], [15, 13, 20, 20]),
        ({"technology": "threshold"}, [20, 10, 9, 0], [0, 10, 11, 20]),
        ({"technology": "threshold", "refund": 0.5}, [20, 10, 9, 0], [10, 15, 15.5, 20]),
        ({"technology": "threshold"}, [20, 10, 10, 0], [16, 26, 26, 36]),
        ({"technology": "best-shot"}, [20, 10, 0, 0], [8, 18, 28, 28]),
        ({"technology": "weakest-link"}, [20, 10, 5, 5], [2, 12, 17, 17]),
        ({"technology": "club", "crowding": 0.25}, [20, 10, 9, 0], [9, 19, 20, 20]),
    ],
)
def test_a_round_by_hand(parameters, given, payoff):
    assert np.allclose(played(make("public_goods-v0", **parameters), [given]), [payoff])


def test_worlds_may_differ():
    game = make("public_goods-v0", technology="threshold", threshold=np.array([40.0, 30.0]))
    assert played(game, [[10.0] * 4, [10.0, 10.0, 10.0, 0.0]]).tolist() == [[26.0] * 4, [22.0] * 3 + [32.0]]
    game = make("public_goods-v0", marginal_return=np.array([0.4, 0.5]))
    assert played(game, [[20.0] * 4] * 2).tolist() == [[32.0] * 4, [40.0] * 4]


@presets
def test_no_agent_gains_by_its_best_reply_through_the_society(preset):
    game = make("public_goods-v0", preset=preset, num_agents=3, endowment=20.0, threshold=30.0, levels=5)
    found, society = game.references(), Society(game)
    for one in (found.selfish, *found.others.values()):
        assert best_response_gain(society, scripted(society, one)).max() < 1e-9


def test_the_technology_makes_the_game():
    """Were returns switched to the linear ones, these dilemmas would lose their equilibria."""
    for preset in ("provision_point", "minimum_effort"):
        game = make("public_goods-v0", preset=preset)
        assert any(y.welfare == game.references().planner.welfare for y in game.references().others.values())
        linear = make("public_goods-v0", preset=preset, technology="linear", marginal_return=0.4)
        assert not linear.references().others
        assert linear.references().gap > 0
    private = make("public_goods-v0", marginal_return=0.2)  # N m < 1: nothing is public enough
    assert private.references().gap == 0


@presets
def test_harm_is_what_the_others_lose(preset):
    game = make("public_goods-v0", preset=preset)
    rng = np.random.default_rng(1)
    given = np.minimum(rng.integers(0, 7, (50, game.num_agents)) / 6 * np.max(game.endowment), game.endowment)
    state, random = RoundState(np.zeros((50, 1))), Fixed(50, None, "test")
    following, outcome = game.step(state, {"contribution": given}, random)
    harm = game.harm(state, {"contribution": given}, outcome, following)
    if game.technology == "linear":
        assert np.allclose(harm, -0.4 * (game.num_agents - 1) * given)
    for i in range(game.num_agents):
        idle = given.copy()
        idle[:, i] = 0.0
        assert np.allclose(harm[:, i], np.delete(played(game, idle) - outcome.money, i, axis=1).sum(axis=1))


@pytest.mark.parametrize("preset", PublicGoods.presets)
def test_every_preset_passes_the_battery(preset, tmp_path):
    game = make("public_goods-v0", preset=preset)
    top = float(np.max(game.endowment))
    for stack in ([], [institution("taxation", base="harm", rate=1.0)],
                  [institution("mediator", high=top)]):  # fmt: skip
        battery.check_batch_equals_single_worlds(game, stack)
        battery.check_observations_stay_in_range_and_finite(game, stack)
        battery.check_ledger_and_declared_properties(game, stack)
        battery.check_json_and_restore(game, stack, tmp_path)


def test_theory():
    assert [check.name for check in PublicGoods.theory() if not check.passed] == []


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"technology": "weakest_link"}, "weakest-link"),
        ({"refund": 1.5}, "from 0 to 1"),
        ({"threshold": 0.0}, "above 0"),
        ({"endowment": (1.0, -1.0, 1.0, 1.0)}, "endowment"),
        ({"num_agents": 0}, "num_agents"),
        ({"levels": 1}, "2 to 10000"),
    ],
)
def test_bad_parameters_are_named(parameters, told):
    with pytest.raises(InvalidParameter, match=told):
        make("public_goods-v0", **parameters).references()


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"marginal_return": np.array([0.4, 0.5])}, "one world"),
        ({"technology": "threshold", "threshold": np.array([1.0, 2.0])}, "threshold"),
        ({"technology": "threshold", "endowment": (10.0, 2.5, 2.0, 2.0), "levels": 11}, "between"),
        ({"technology": "club", "num_agents": 20, "endowment": tuple(range(10, 30))}, "clubs"),
    ],
)
def test_what_the_theory_does_not_cover_is_said(parameters, told):
    if parameters.get("technology") == "club":
        parameters = {**parameters, "levels": None, "endowment": tuple(float(x) for x in range(10, 30))}
    with pytest.raises(NotExact, match=told):
        make("public_goods-v0", **parameters).references()
