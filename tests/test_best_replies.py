"""Equilibria of games of one round by best replies."""

import numpy as np
import pytest

from commonweal.envs.best_replies import best_reply, largest_gain, polish, settle, zoomed_gain

OPTIONS = np.array([[0.0], [1.0]])


def dilemma(acts):
    """Prisoner's dilemma: 1 defects."""
    own, other = acts[..., 0], acts[..., ::-1, 0]
    return 2.0 * (1 - other) + own


def pennies(acts):
    """The first wants equal sides, the second unequal ones."""
    same = acts[..., 0, 0] == acts[..., 1, 0]
    return np.stack([same, ~same], axis=-1).astype(float)


def duopoly(acts):
    """Cournot's with a = 1, b = 1 and no cost: 1/3 each."""
    return acts[..., 0] * (1.0 - acts[..., 0].sum(axis=-1, keepdims=True))


def test_a_dominant_act_is_found():
    acts, gain = settle(dilemma, np.zeros((2, 1)), OPTIONS)
    assert acts.tolist() == [[1], [1]]
    assert gain == 0.0
    assert largest_gain(dilemma, np.zeros((2, 1)), OPTIONS) == 1.0
    assert best_reply(dilemma, np.zeros((2, 1)), 1, OPTIONS)[0].tolist() == [1.0]


def test_where_replies_cycle_the_gain_is_told():
    assert settle(pennies, np.zeros((2, 1)), OPTIONS)[1] == 1.0


def test_an_interior_equilibrium_is_polished():
    grid = np.linspace(0, 1, 11)[:, None]
    near, gain = settle(duopoly, np.full((2, 1), 0.9), grid)
    assert gain == 0.0
    acts = polish(duopoly, near, np.ones((2, 1), bool))
    assert acts == pytest.approx(np.full((2, 1), 1 / 3), abs=1e-9)
    assert zoomed_gain(duopoly, acts, np.zeros(1), np.ones(1), 11) < 1e-12
    # From 0.3 each the best reply is 0.35, which gains (0.05)^2.
    off = zoomed_gain(duopoly, np.full((2, 1), 0.3), np.zeros(1), np.ones(1), 11)
    assert off == pytest.approx(0.0025)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_each_agents_payoffs_have_their_own_unit_and_zero(unit):
    """The second agent's payoffs are a millionth of a millionth of the first's, or have a million added."""

    def moved(acts):
        return dilemma(acts) * np.array([1.0, 1e-12]) * unit + np.array([1e6 * unit, 0.0])

    acts, gain = settle(moved, np.zeros((2, 1)), OPTIONS)
    assert acts.tolist() == [[1], [1]]
    assert gain == 0.0
    assert best_reply(moved, np.zeros((2, 1)), 1, OPTIONS)[1] == pytest.approx(1e-12 * unit)
