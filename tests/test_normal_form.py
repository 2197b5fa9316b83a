"""Equilibria of games in normal form against enumeration in fractions, nashpy, and closed forms."""

import itertools
import math
import warnings
from fractions import Fraction

import numpy as np
import pytest

from commonweal.envs.bimatrix import extreme_equilibria
from commonweal.envs.normal_form import deviation_gains, equilibria, payoffs, pure_equilibria, undominated
from commonweal.envs.two_acts import alike_equilibria, worst_equilibrium
from commonweal.errors import NotExact

BY_HAND = np.array([[(0, 2), (1, 0)], [(1, 0), (1, 2)]], float)


def welfare(table, laws):
    return float(payoffs(table, list(laws)).sum())


# ------------------------------------------------------------------ two players


def solved(matrix, right):
    """The solution of linear equations in fractions; None: not one."""
    rows = [[Fraction(x) for x in (*row, value)] for row, value in zip(matrix, right, strict=True)]
    for column in range(len(rows)):
        pivot = next((r for r in range(column, len(rows)) if rows[r][column]), None)
        if pivot is None:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [x / rows[column][column] for x in rows[column]]
        for r in range(len(rows)):
            if r != column and rows[r][column]:
                rows[r] = [x - rows[r][column] * y for x, y in zip(rows[r], rows[column], strict=True)]
    return [row[-1] for row in rows]


def basic_laws(earned):
    """Every basic solution of `law @ earned <= v`: all choices of inequalities that bind, tried."""
    acts, replies = earned.shape
    binding = [[*(int(a == b) for b in range(acts)), 0] for a in range(acts)]
    binding += [[*(-earned[:, r]), 1] for r in range(replies)]
    found = set()
    for chosen in itertools.combinations(binding, acts):
        law = solved([*chosen, [1] * acts + [0]], [0] * acts + [1])
        if law and min(law[:acts]) >= 0 and max(earned.T @ law[:acts]) == law[acts]:
            found.add(tuple(law[:acts]))
    return found


def every_extreme_equilibrium(table):
    first, second = (np.array([[Fraction(int(v)) for v in row] for row in table[..., i]]) for i in (0, 1))
    found = set()
    for x, y in itertools.product(basic_laws(second), basic_laws(first.T)):
        rows, columns = first @ np.array(y), np.array(x) @ second
        if all(r == max(rows) for r, p in zip(rows, x, strict=True) if p) and all(
            c == max(columns) for c, p in zip(columns, y, strict=True) if p
        ):
            found.add((tuple(map(float, x)), tuple(map(float, y))))
    return found


def check_against_fractions(rng, games, most):
    for _ in range(games):
        table = rng.integers(0, rng.integers(2, 6), (*rng.integers(1, most + 1, 2), 2)).astype(float)
        found = extreme_equilibria(table)
        assert {(tuple(x), tuple(y)) for x, y in found} == every_extreme_equilibrium(table)
        assert len(found) == len({(tuple(x), tuple(y)) for x, y in found})


def test_a_degenerate_game_by_hand():
    found = {(tuple(x), tuple(y)) for x, y in extreme_equilibria(BY_HAND)}
    assert found == {((0.0, 1.0), (0.0, 1.0)), ((0.5, 0.5), (0.0, 1.0))}
    assert equilibria(BY_HAND).laws[0][0].tolist() == [0.5, 0.5]
    assert equilibria(BY_HAND).kind == "enumeration"


def test_small_whole_games_are_those_of_fractions():
    check_against_fractions(np.random.default_rng(0), 60, 3)


@pytest.mark.slow
def test_many_whole_games_are_those_of_fractions():
    check_against_fractions(np.random.default_rng(1), 400, 4)


def test_no_equilibrium_of_a_grid_is_worse():
    """All pairs of laws in steps that hold every extreme one: of payoffs 0 to 2, halves and thirds."""
    shares = sorted({Fraction(a, b) for b in (1, 2, 3, 4) for a in range(b + 1)})
    laws = np.array([[float(p), 1.0 - float(p)] for p in shares])
    for cells in np.random.default_rng(2).integers(0, 3, (150, 2, 2, 2)):
        table = cells.astype(float)
        worst = welfare(table, equilibria(table).laws[0])
        pairs = itertools.product(laws, laws)
        stable = [welfare(table, p) for p in pairs if deviation_gains(table, list(p)).max() < 1e-9]
        assert worst == pytest.approx(min(stable))


@pytest.mark.parametrize("seed", range(40))
def test_equilibria_are_those_of_nashpy(seed):
    nashpy = pytest.importorskip("nashpy")
    rng, acts = np.random.default_rng(seed), 2 + seed % 3
    degenerate = seed % 2 == 0
    table = (
        rng.integers(0, 4, (acts, acts, 2)).astype(float) if degenerate else rng.normal(size=(acts, acts, 2))
    )
    game, ours = nashpy.Game(table[..., 0], table[..., 1]), equilibria(table).laws
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of degenerate games
        theirs = list(game.support_enumeration() if degenerate else game.vertex_enumeration())
        theirs += [game.lemke_howson(initial_dropped_label=label) for label in range(2 * acts)]
    theirs = [
        one for one in theirs if len(one[0]) == len(one[1]) == acts and np.isfinite(np.concatenate(one)).all()
    ]
    # On the way of a pivot that fails it may leave what is no law.
    theirs = [
        one for one in theirs if np.concatenate(one).min() > -1e-9 and np.allclose([l.sum() for l in one], 1)
    ]
    theirs = [one for one in theirs if deviation_gains(table, list(one)).max() < 1e-9]
    assert theirs
    assert welfare(table, ours[0]) <= min(welfare(table, one) for one in theirs) + 1e-9
    if not degenerate:

        def same(one, two):
            return all(np.allclose(a, b, atol=1e-6) for a, b in zip(one, two, strict=True))

        assert all(any(same(laws, other) for laws in ours) for other in theirs)
        assert all(any(same(laws, other) for other in theirs) for laws in ours)


def test_a_generic_two_player_game_has_an_odd_number_of_equilibria():
    # Wilson (1971); a missed support would break it.
    for seed in range(60):
        assert len(equilibria(np.random.default_rng(seed).normal(size=(4, 4, 2))).laws) % 2 == 1
    assert len(equilibria(np.random.default_rng(0).normal(size=(9, 9, 2))).laws) % 2 == 1


def test_games_known_in_closed_form():
    coordination = np.repeat(np.eye(6)[..., None], 2, axis=2)
    assert len(extreme_equilibria(coordination)) == 2**6 - 1
    assert welfare(coordination, equilibria(coordination).laws[0]) == pytest.approx(2.0 / 6.0)
    wide = np.zeros((2, 2, 2))
    wide[0, 0], wide[1, 1] = (1e8, 1.0), (1.0, 1e8)  # payoffs of very different size
    assert equilibria(wide).laws[0][0] == pytest.approx([1e8 / (1 + 1e8), 1 / (1 + 1e8)])
    tenths = np.array([[(0.1 + 0.2, 0.0), (0.3, 0.0)], [(0.3, 0.0), (0.1, 0.0)]])
    assert len(pure_equilibria(tenths)) == 3  # 0.1 + 0.2 is 0.3


def test_more_vertices_than_can_be_looked_at_leave_the_pure_equilibria():
    with pytest.raises(NotExact, match="allowed: together 60"):
        extreme_equilibria(np.zeros((31, 30, 2)))
    large = np.random.default_rng(0).normal(size=(31, 31, 2))
    large[0, 0] = 9.0
    found = equilibria(large)
    assert found.kind == "best known"
    assert "mixed ones were not searched" in found.searched


# ------------------------------------------------------------------ more players


def volunteers(n, benefit, cost):
    table = np.zeros((2,) * n + (n,))
    for cell in itertools.product(range(2), repeat=n):
        table[cell] = benefit * any(cell) - cost * np.array(cell)
    return table


@pytest.mark.parametrize("n", [2, 3, 4])
def test_volunteers_mix(n):
    table = volunteers(n, 2.0, 1.0)
    found = equilibria(table)
    assert welfare(table, found.laws[0]) == pytest.approx(n * 1.0)
    assert found.laws[0][0][0] == pytest.approx(0.5 ** (1.0 / (n - 1)))
    assert found.error <= 1e-6 * np.ptp(table.sum(axis=-1))


@pytest.mark.parametrize("n", [3, 7, 10])
def test_volunteers_who_mix_alike(n):
    profiles = alike_equilibria(volunteers(n, 4.0, 1.0))
    assert max(profile.min() for profile in profiles) == pytest.approx(1.0 - 0.25 ** (1.0 / (n - 1)))
    for profile in profiles:
        mixing = profile[(profile > 0.0) & (profile < 1.0)]
        assert mixing == pytest.approx(1.0 - 0.25 ** (1.0 / (len(mixing) - 1)))
    assert alike_equilibria(np.random.default_rng(0).normal(size=(2, 2, 2, 3))) is None


def inner_equilibria(table):
    """Profiles of three players who all mix, by eliminating two probabilities from the three equations."""
    gains = [np.diff(table[..., i], axis=i).squeeze(axis=i) for i in range(3)]
    # gain = a + b p + c q + d p q for the others' probabilities p, q.
    a, b, c, d = (
        [g[0, 0] for g in gains],
        [g[1, 0] - g[0, 0] for g in gains],
        [g[0, 1] - g[0, 0] for g in gains],
        [g[1, 1] - g[1, 0] - g[0, 1] + g[0, 0] for g in gains],
    )
    q1 = np.polynomial.Polynomial([0.0, 1.0])
    above2, below2 = -(a[0] + b[0] * q1), c[0] + d[0] * q1  # the third's probability, from the first's gain
    above0 = -(a[1] * below2 + c[1] * above2)  # the first's, from the second's gain
    below0 = b[1] * below2 + d[1] * above2
    for root in (a[2] * below0 + b[2] * above0 + c[2] * q1 * below0 + d[2] * q1 * above0).roots():
        if abs(root.imag) < 1e-9:
            q = root.real
            profile = np.array([above0(q) / below0(q), q, above2(q) / below2(q)])
            if (profile > 0.0).all() and (profile < 1.0).all():
                yield profile


def every_equilibrium_of_three(table):
    """Equilibria of a generic game of three players with two acts, support by support."""
    laws = [[np.array([1.0 - q, q]) for q in profile] for profile in inner_equilibria(table)]
    for alone, act in itertools.product(range(3), range(2)):
        pair = [i for i in range(3) if i != alone]
        block = np.take(table, act, axis=alone)[..., pair]
        for found in extreme_equilibria(block):
            laws.append([np.eye(2)[act] if i == alone else found[pair.index(i)] for i in range(3)])
    return [one for one in laws if deviation_gains(table, one).max() < 1e-9]


def check_three_players(seeds):
    for seed in seeds:
        table = np.random.default_rng(seed).normal(size=(2, 2, 2, 3))
        found, every = equilibria(table), every_equilibrium_of_three(table)
        assert every
        assert welfare(table, found.laws[0]) == pytest.approx(min(welfare(table, one) for one in every))
        assert deviation_gains(table, found.laws[0]).max() == 0.0
        assert found.kind in ("numerical", "enumeration")


def test_three_players_support_by_support():
    check_three_players(range(12))


@pytest.mark.slow
def test_many_games_of_three_players_support_by_support():
    check_three_players(range(25, 225))


def test_the_bound_holds_where_equilibria_are_many():
    """Whole payoffs from 0 to 2: lines and faces of equilibria; none on a grid is below the bound."""
    grid = np.array(list(itertools.product(np.linspace(0.0, 1.0, 9), repeat=3)))
    for seed in range(6):
        table = np.random.default_rng(seed).integers(0, 3, (2, 2, 2, 3)).astype(float)
        bound = worst_equilibrium(table, table.sum(axis=-1), math.inf).bound
        laws = [[np.array([1.0 - q, q]) for q in profile] for profile in grid]
        stable = [welfare(table, one) for one in laws if deviation_gains(table, one).max() < 1e-9]
        assert bound <= min(stable, default=math.inf) + 1e-9
        found = equilibria(table)
        assert welfare(table, found.laws[0]) <= min(stable, default=math.inf) + 1e-9


def test_pure_equilibria_of_many_players_by_trying_everything():
    for seed in range(10):
        table = np.random.default_rng(seed).normal(size=(3, 3, 3, 3))
        stable = [
            cell
            for cell in itertools.product(range(3), repeat=3)
            if all(
                table[(*cell[:i], k, *cell[i + 1 :])][i] <= table[cell][i] for i in range(3) for k in range(3)
            )
        ]
        assert pure_equilibria(table) == stable


def test_dominance_decides_games_of_any_size():
    table = np.zeros((4,) * 5 + (5,))  # a public good of five players with four contributions
    for cell in itertools.product(range(4), repeat=5):
        table[cell] = 0.4 * sum(cell) - np.array(cell)
    assert [acts.tolist() for acts in undominated(table)] == [[0]] * 5
    found = equilibria(table)
    assert found.kind == "enumeration"
    assert len(found.laws) == 1
    assert welfare(table, found.laws[0]) == 0.0
