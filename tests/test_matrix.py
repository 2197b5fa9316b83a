"""Games in normal form: equilibria against brute force and a second library, repetition, memory, harm."""

import itertools
import math

import numpy as np
import pytest

from commonweal import Society, institution, make
from commonweal.agents.scripted import Scripted, scripted
from commonweal.envs.matrix import Matrix, two_by_two
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate
from commonweal.random import Streams, world_seeds


def random_game(seed, players=2, acts=3, **options):
    return Matrix(np.random.default_rng(seed).normal(size=(*[acts] * players, players)), **options)


def act(*rows):
    return {"citizens": np.array(rows, float)[:, :, None]}


def test_theory():
    missed = [check.name for check in Matrix.theory() if not check.passed]
    assert missed == []


VOLUNTEERS = [
    [2.0 - act if any(cell) else 0.0 for act in cell] for cell in itertools.product(range(2), repeat=3)
]


@pytest.mark.parametrize(
    ("table", "worst"),
    [
        ([[(0, 2), (1, 0)], [(1, 0), (1, 2)]], 2.0),  # degenerate: ((1/2, 1/2), (0, 1))
        ([[(0, 2), (1, 2)], [(5, 1), (0, 0)]], 17.0 / 6.0),  # ((1, 0), (1/6, 5/6))
        (np.reshape(VOLUNTEERS, (2, 2, 2, 3)), 3.0),  # all volunteer with probability 1 - sqrt(1/2)
    ],
)
def test_the_selfish_line_is_the_worst_equilibrium_mixed_ones_included(table, worst):
    found = Matrix(np.array(table, float), rounds=1).references()
    assert found.selfish.welfare == pytest.approx(worst)
    assert found.selfish.epsilon == 0.0
    assert found.selfish.kind in ("enumeration", "numerical")
    assert min(other.welfare for other in found.others.values()) >= worst - 1e-9
    played = Matrix(np.array(table, float), rounds=1).played_gain()
    assert played == pytest.approx(0.0, abs=1e-12)


def test_what_was_not_searched_is_said():
    many = np.zeros((2,) * 7 + (7,))
    for cell in itertools.product(range(2), repeat=7):
        many[cell] = 2.0 * any(cell) - np.array(cell)
    found = Matrix(many, rounds=1).references().selfish
    assert found.kind == "best known"
    assert "other mixed ones were not searched" in found.selection
    assert found.welfare == pytest.approx(7.0)  # all who might volunteer are as well off as if they did
    found = random_game(3, players=3).references().selfish
    assert found.kind == "best known"
    assert "mixed ones were not searched" in found.selection


@pytest.mark.parametrize(("unit", "zero"), [(1e-9, 0.0), (1e9, 0.0), (1.0, 1e6), (1e9, 1e6), (1e-3, -1e3)])
def test_neither_the_unit_nor_the_zero_of_a_players_payoffs_matters(unit, zero):
    games = [Matrix(), *(make("matrix-v0", preset=name) for name in Matrix.presets), random_game(1, acts=4)]
    games += [Matrix(np.random.default_rng(seed).integers(0, 4, (3, 3, 2))) for seed in range(10)]
    games += [Matrix(np.reshape(VOLUNTEERS, (2, 2, 2, 3)))]
    for game in games:
        moved = game.table.copy()
        moved[..., 0] = unit * (moved[..., 0] + zero)
        again = Matrix(moved)
        assert again.references().selfish.epsilon <= 1e-9 * game.weight * unit
        kept = sorted(np.round(np.concatenate(laws), 6).tolist() for laws in game.equilibria.laws)
        others = sorted(np.round(np.concatenate(laws), 6).tolist() for laws in again.equilibria.laws)
        if game.num_agents == 2:
            assert kept == others
        assert again.equilibria.kind == game.equilibria.kind


@pytest.mark.parametrize("preset", Matrix.presets)
def test_no_deviation_from_any_equilibrium_pays_when_played(preset):
    game = make("matrix-v0", preset=preset, rounds=4)
    found = game.references()
    for stick in (found.selfish, *found.others.values()):
        law = stick.rule.law
        for player, fixed in itertools.product(range(2), range(2)):
            # All cells that the other can draw, played, weighed by its law.
            society = Society(game, num_worlds=2)
            rows = np.empty((2, 2))
            rows[:, player], rows[:, 1 - player] = fixed, (0, 1)
            earned = law[1 - player] @ society.step(act(*rows)).reward["citizens"][:, player]
            assert 4 * earned <= stick.detail[f"payoff of player {player}"] * 4 + 1e-9
        assert stick.epsilon == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("preset", Matrix.presets)
def test_playing_a_rule_gives_its_welfare(preset):
    for options in ({}, {"rounds": None, "discount": 0.8}):
        game = make("matrix-v0", preset=preset, **options)
        society = Society(game, num_worlds=2000)
        found = game.references()
        for stick in (found.selfish, found.planner, *found.others.values()):
            welfare = evaluate(society, scripted(society, stick), seed=1).welfare
            assert abs(welfare.mean() - stick.welfare) <= 4 * welfare.std() / math.sqrt(2000) + 1e-6


def test_a_rule_tells_its_probabilities():
    game = make("matrix-v0", preset="battle_of_the_sexes")
    law = game.references().selfish.rule.probabilities({"progress": np.zeros((5, 2, 1))})["act"]
    assert law.shape == (5, 2, 2)
    assert np.allclose(law[3], [[2 / 3, 1 / 3], [1 / 3, 2 / 3]])


def test_no_play_beats_the_planner():
    for seed in range(5):
        game = random_game(seed, acts=4, rounds=5)
        best = game.references().planner.welfare
        society = Society(game, num_worlds=4096)
        acts = np.random.default_rng(seed).integers(4, size=(5, 4096, 2)).astype(float)
        total = sum(society.step({"citizens": a[:, :, None]}).welfare for a in acts)
        assert total.max() <= best + 1e-9


def test_the_temptation_makes_it_a_dilemma():
    assert Matrix().references().gap == pytest.approx(40.0)
    tame = Matrix(two_by_two(both=3.0, alone=2.0, against=2.5, neither=1.0))  # T < R and P < S
    assert tame.references().gap == 0.0
    assert math.isnan(tame.references().efficiency(10.0))


def test_a_round_by_hand_and_what_is_seen_of_it():
    society = Society(Matrix(), num_worlds=2)
    assert society.observation["citizens"][0].tolist() == [[0, 0, 0, 0, 0]] * 2
    step = society.step(act([0, 1], [1, 1]))
    assert step.reward["citizens"].tolist() == [[0, 5], [1, 1]]
    assert step.observation["citizens"][0] == pytest.approx(np.array([[0.1, 1, 0, 0, 1], [0.1, 0, 1, 1, 0]]))
    for _ in range(8):
        assert not society.step(act([0, 0], [0, 0])).done.any()
    assert society.step(act([0, 0], [0, 0])).terminated.all()


def test_the_next_player_is_shown_first():
    society = Society(random_game(0, players=3), num_worlds=1)
    seen = society.step(act([0, 1, 2])).observation["citizens"][0, 1, 1:]
    assert seen.reshape(3, 3).argmax(axis=1).tolist() == [1, 2, 0]  # own, then player 2, then player 0


def trigger(observed, rng):
    """Cooperate until somebody, oneself included, has defected."""
    return {"act": np.maximum(observed["own_last"][..., 1], observed["others_last"][..., 1])}


@pytest.mark.parametrize(("discount", "sustained"), [(0.45, False), (0.55, True)])
def test_the_threat_of_reversion_sustains_cooperation_from_its_discount_on(discount, sustained):
    game = Matrix(rounds=None, discount=discount)
    assert game.references().facts["reversion_discount"] == pytest.approx(0.5)
    society = Society(game, num_worlds=1, time_limit=200)
    kept = evaluate(society, Scripted(society, trigger)).returns[0, 0]

    def betray(observed, rng):
        found = trigger(observed, rng)["act"]
        first = observed["own_last"].sum(axis=-1) == 0
        found[:, 0] = np.where(first[:, 0], 1.0, found[:, 0])
        return {"act": found}

    broken = evaluate(society, Scripted(society, betray)).returns[0, 0]
    assert kept == pytest.approx(3 / (1 - discount))
    assert (kept >= broken) == sustained


def test_without_end_it_is_truncated_and_not_terminated():
    society = Society(Matrix(rounds=None, discount=0.9))
    assert society.time_limit == 44
    for _ in range(43):
        assert not society.step(act([0, 0])).done[0]
    last = society.step(act([0, 0]))
    assert last.truncated[0]
    assert not last.terminated[0]


def test_harm_is_what_the_others_would_have_had_more():
    game = random_game(3, players=3)
    cells = np.array(list(itertools.product(range(3), repeat=3)), float)
    state, outcome = game.step(start(game, 27), {"act": cells}, None)
    harm = game.harm(None, {"act": cells}, outcome, state)
    for row, cell in enumerate(cells.astype(int)):
        for i in range(3):
            spared = list(cell)
            spared[i] = 0
            lost = np.delete(game.table[tuple(spared)] - game.table[tuple(cell)], i).sum()
            assert harm[row, i] == pytest.approx(lost)
    assert harm[0] == pytest.approx(0.0)


def start(game, worlds):
    return game.initial(Streams(world_seeds(0, worlds), 0))


@pytest.mark.parametrize("seed", range(5))
def test_a_tax_on_harm_makes_the_planners_cell_an_equilibrium(seed):
    game = random_game(seed, players=3)
    best = np.array(np.unravel_index(game.table.sum(axis=-1).argmax(), (3, 3, 3)), float)
    for i in range(3):
        # Paid by hand, negative harm too: a tax collects positive parts only.
        rows = np.tile(best, (3, 1))
        rows[:, i] = range(3)
        state, outcome = game.step(start(game, 3), {"act": rows}, None)
        net = outcome.money[:, i] - game.harm(None, {"act": rows}, outcome, state)[:, i]
        assert net[int(best[i])] >= net.max() - 1e-9


def test_a_tax_on_defection_makes_cooperation_dominant():
    def best(rate, other):
        society = Society(Matrix(), [institution("taxation", base="act", rate=rate)], num_worlds=2)
        return society.step(act([0, other], [1, other])).reward["citizens"][:, 0].argmax()

    # Defecting brings 2 more against a cooperator and 1 more against a defector.
    assert [best(0.9, other) for other in (0, 1)] == [1, 1]
    assert [best(1.5, other) for other in (0, 1)] == [1, 0]
    assert [best(2.1, other) for other in (0, 1)] == [0, 0]


def test_limit_takes_the_nearest_allowed_act():
    game = random_game(0)
    play = {"act": np.array([[0.0, 2.0]])}
    assert game.limit(None, play, {"act": (0.0, 1.5)})["act"].tolist() == [[0, 1]]
    assert game.limit(None, play, {"act": (0.5, 9.0)})["act"].tolist() == [[1, 2]]


def test_bad_parameters():
    for table in (((1, 2), (3,)), np.zeros((2, 2, 3)), np.zeros((2, 3, 2)), np.zeros((1, 1, 2)), "none"):
        with pytest.raises(InvalidParameter, match=r"Matrix.payoffs"):
            Matrix(table)
    with pytest.raises(InvalidParameter, match="finite"):
        Matrix(two_by_two(math.inf, 0, 0, 0))
    with pytest.raises(InvalidParameter, match=r"Matrix.labels"):
        Matrix(labels=("only one",))
    with pytest.raises(InvalidParameter, match="discount"):
        Matrix(rounds=None)
    with pytest.raises(InvalidParameter, match="rounds"):
        Matrix(rounds=0)


def test_three_players_without_a_pure_equilibrium_mix():
    pennies = np.zeros((2, 2, 2, 3))  # each wants to differ from the next
    for cell in itertools.product(range(2), repeat=3):
        pennies[cell] = [cell[0] != cell[1], cell[1] != cell[2], cell[2] != cell[0]]
    found = Matrix(pennies, rounds=1).references().selfish
    assert found.welfare == pytest.approx(1.5)
    assert found.kind == "numerical"


def test_where_no_equilibrium_is_found_it_is_said():
    cycle = np.zeros((3, 3, 3, 3))  # the first two play rock, paper, scissors; the third wants them to agree
    for cell in itertools.product(range(3), repeat=3):
        win = (cell[0] - cell[1]) % 3
        cycle[cell] = [win == 1, win == 2, 0.5 * (cell[2] == cell[0]) + 0.1 * cell[2]]
    with pytest.raises(NotExact, match="no equilibrium found: all pure ones; mixed ones were not searched"):
        Matrix(cycle).references()
