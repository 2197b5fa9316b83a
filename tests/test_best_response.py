"""Exact best responses against frozen policies of societies without memory."""

import numpy as np
import pytest

from commonweal import institution, make
from commonweal.agents.best_response import best_response_gain
from commonweal.agents.scripted import Constant, Random, Scripted, scripted
from commonweal.envs.aggregative import multisets
from commonweal.errors import InvalidParameter, NotExact, UnknownName
from commonweal.society import Society

FISHERY = make("fishery-v0", num_agents=3, effort_levels=5, max_effort=16.0)


class Laws:
    """Fixed mixed strategies, one per agent: rows of `(R, N, L)`."""

    def __init__(self, laws):
        self.laws = np.asarray(laws, np.float64)

    def probabilities(self, observation, mask=None):
        worlds = len(observation["citizens"]) // len(self.laws)
        law = np.repeat(self.laws, worlds, axis=0)
        return {"citizens": [law]}


def levels(*chosen):
    return np.eye(5)[list(chosen)]


def brute_force(society, levels_of_all, agent, level):
    """W of one agent's constant level against constants, by playing on: a lower bound of its best reply."""
    entries = np.array(levels_of_all, float)
    entries[agent] = level
    worlds = Society(society.dilemma, society.institutions, num_worlds=1, time_limit=400)
    total, weight = 0.0, 1.0
    for _ in range(300):
        step = worlds.step({"citizens": entries[None, :, None]})
        total, weight = total + weight * step.reward["citizens"][0, agent], weight * 0.95
    return total


@pytest.mark.parametrize("tax", [[], [institution("taxation", base="extraction", rate=0.3)]])
def test_no_constant_reply_does_better(tax):
    society = Society(FISHERY, tax)
    chosen = (4, 2, 3)
    gains = best_response_gain(society, Laws([levels(*chosen)]))
    assert gains.shape == (1, 3)
    for agent in range(3):
        now = brute_force(society, chosen, agent, chosen[agent])
        best = max(brute_force(society, chosen, agent, level) for level in range(5))
        # Interpolation blurs the table a little, so a reply by simulation may be ahead by a hair.
        assert gains[0, agent] >= best - now - 0.05
        assert gains[0, agent] >= 0.0


def test_replicates_are_solved_apart():
    society = Society(FISHERY)
    one, two = levels(4, 2, 3), np.full((3, 5), 0.2)
    both = best_response_gain(society, Laws([one, two]), replicates=2)
    assert both[0] == pytest.approx(best_response_gain(society, Laws([one]))[0])
    assert both[1] == pytest.approx(best_response_gain(society, Laws([two]))[0])


def test_the_equilibrium_leaves_little_and_the_planner_much():
    found, society = FISHERY.references(), Society(FISHERY)
    selfish = best_response_gain(society, scripted(society, found.selfish)).max()
    planned = best_response_gain(society, scripted(society, found.planner)).max()
    assert selfish <= found.selfish.epsilon + 1e-6
    assert planned > 10.0 * max(found.selfish.epsilon, 0.1)


def test_a_quota_is_no_game_of_sums_and_is_still_exact():
    # Levels 0 and 4 of the two others land less under the quota than levels 2 and 2.
    society = Society(FISHERY, [institution("quota", limit=3.0)])
    spread = best_response_gain(society, Laws([levels(0, 0, 4)]))[0, 0]
    even = best_response_gain(society, Laws([levels(0, 2, 2)]))[0, 0]
    assert abs(spread - even) > 1e-3
    now = brute_force(society, (0, 0, 4), 0, 0)
    best = max(brute_force(society, (0, 0, 4), 0, level) for level in range(5))
    assert spread >= best - now - 0.05


def test_multisets_are_a_multinomial():
    others = multisets(4, 3)
    law = others.probabilities([np.array([[0.5, 0.3, 0.2]])] * 3)[0]
    at = [tuple(profile) for profile in others.profiles].index((0, 1, 2))
    assert law[at] == pytest.approx(6 * 0.5 * 0.3 * 0.2)
    assert law.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("stack", "reason"),
    [
        ([institution("peer-sanctions")], "action columns"),
        ([institution("taxation", base="extraction", monitor={"noise": 0.2})], "draws random numbers"),
        ([institution("taxation", base="extraction", rate=np.array([0.1, 0.2]))], "scalars"),
    ],
)
def test_what_a_table_cannot_hold_is_refused(stack, reason):
    society = Society(FISHERY, stack, num_worlds=2)
    with pytest.raises(NotExact, match=reason):
        best_response_gain(society, Laws([levels(1, 1, 1)]))


def test_finite_credit_and_unequal_agents_are_refused():
    with pytest.raises(NotExact, match="credit"):
        best_response_gain(Society(FISHERY, credit=1.0), Laws([levels(1, 1, 1)]))
    unequal = make("fishery-v0", num_agents=3, effort_levels=5, cost=(0.1, 0.2, 0.3))
    with pytest.raises(NotExact, match="scalars"):
        best_response_gain(Society(unequal), Laws([levels(1, 1, 1)]))


def test_random_acts_in_a_continuous_column_are_refused():
    society = Society(make("fish_war-v0"))
    with pytest.raises(NotExact, match="at random"):
        best_response_gain(society, Random(society))


def test_scripted_agents_play_null_in_an_institutions_columns():
    society = Society(FISHERY, [institution("peer-sanctions")], num_worlds=3)
    policies = scripted(society, FISHERY.references().selfish)
    actions = policies.act(society.observation, society.mask)["citizens"]
    null = society.groups["citizens"].null
    assert (actions[..., 1:] == null[1:]).all()
    society.step({"citizens": actions})


def test_scripted_agents_are_seeded():
    society = Society(FISHERY, num_worlds=3)
    first, second, other = (Random(society, seed).act(society.observation) for seed in (1, 1, 2))
    assert (first["citizens"] == second["citizens"]).all()
    assert (first["citizens"] != other["citizens"]).any()


def test_bad_scripts_are_named():
    society = Society(FISHERY)
    with pytest.raises(UnknownName, match="effort"):
        Constant(society, effrot=1)
    with pytest.raises(InvalidParameter, match="0 to 4"):
        Constant(society, effort=5)
    with pytest.raises(NotExact, match="probabilities"):
        best_response_gain(society, Scripted(society, lambda observed, rng: {}))


class Threshold:
    """Every agent takes one level from a stock on, and another below; agent 0 may have numbers of its own."""

    def __init__(self, cut, below, above, own=None):
        self.rules = [own or (cut, below, above), *[(cut, below, above)] * 2]

    def chosen(self, stock):
        return np.stack([np.where(stock >= cut, above, below) for cut, below, above in self.rules], axis=-1)

    def probabilities(self, observation, mask=None):
        return {"citizens": [np.eye(5)[self.chosen(observation["citizens"][:, 0, 0])]]}


def payoff(cut, below, above, own):
    """What agent 0 gets, by playing on: rows of `own (B, 3)` are its cut and levels."""
    society = Society(FISHERY, num_worlds=len(own), time_limit=500)
    total, weight = 0.0, 1.0
    for _ in range(400):
        stock = society.observation["citizens"][:, :, 0]
        levels = np.where(stock >= cut, above, below).astype(float)
        levels[:, 0] = np.where(stock[:, 0] >= own[:, 0], own[:, 2], own[:, 1])
        step = society.step({"citizens": levels[..., None]})
        total, weight = total + weight * step.reward["citizens"][:, 0], weight * FISHERY.discount
    return total


@pytest.mark.parametrize("rule", [(30.3, 1, 4), (57.7, 0, 4), (44.4, 2, 3)])
def test_sharp_policies_are_answered_as_well_as_by_playing(rule):
    """No threshold rule tried by playing gains more, and the gain is that of much finer grids."""
    society = Society(FISHERY)
    gain = best_response_gain(society, Threshold(*rule))[0, 0]
    cuts, levels = np.linspace(5.0, 100.0, 96), range(5)
    tried = np.array([(c, b, a) for c in cuts for b in levels for a in levels])
    now = payoff(*rule, np.array([rule], float))[0]
    assert gain >= payoff(*rule, tried).max() - now - 0.01 * gain


def test_gains_of_sharp_rules_do_not_hang_on_the_grid():
    dilemma = make("fishery-v0")
    selfish = dilemma.references().selfish
    society = Society(dilemma)
    assert best_response_gain(society, scripted(society, selfish)).max() == pytest.approx(
        selfish.epsilon, rel=0.02
    )
