"""The great fish war learnt from experience, against Levhari and Mirman's closed forms.

`pytest tests/test_ppo_fish_war.py -s` prints every replicate.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from commonweal.agents.ppo import PPO
from commonweal.envs.fish_war import FishWar
from commonweal.society import Society

torch.set_num_threads(1)
ELASTICITY, DISCOUNT, REPLICATES = 0.5, 0.9, 10
SAVING = ELASTICITY * DISCOUNT
# Log stocks: the grid of the exact best response, and the visited part of it, where shares are read.
GRID = np.linspace(-4.0, 0.0, 401)
VISITED = (GRID > -2.0) & (GRID < -0.4)


def learnt_shares(num_agents: int, worlds: int, steps: int) -> np.ndarray:
    """Shares that the trained agents choose at each stock of the grid, `(R, grid, n)`."""
    society = Society(FishWar(num_agents=num_agents), num_worlds=worlds * REPLICATES)
    learner = PPO(society, replicates=REPLICATES, seed=1).train(steps)
    stocks = np.tile(GRID[:, None, None], (REPLICATES, num_agents, 1)).astype(np.float32)
    actions = learner.policies(deterministic=True).act({"citizens": stocks})["citizens"]
    return actions.reshape(REPLICATES, len(GRID), num_agents)


def value(share: np.ndarray, others: np.ndarray, best: bool) -> np.ndarray:
    """Discounted utility on the grid of playing `share`, or of the best response, to `others`."""
    options = np.linspace(0.005, 0.99, 400)[:, None] if best else share[None, :]
    left = 1.0 - others - options
    following = ELASTICITY * (GRID + np.log(np.maximum(left, 1e-12)))
    utility = np.where(left > 1e-9, np.log(options) + GRID, -1e9)
    found = np.zeros_like(GRID)
    for _ in range(200):
        found = (utility + DISCOUNT * np.interp(following, GRID, found)).max(axis=0)
    return found


def deviation_gain(shares: np.ndarray) -> np.ndarray:
    """Exact gain `(n,)` of each agent of one replicate, from the initial stock 0.45."""
    start, gains = np.log(0.45), []
    for agent in range(shares.shape[1]):
        others = np.delete(shares, agent, axis=1).sum(axis=1)
        gain = value(shares[:, agent], others, True) - value(shares[:, agent], others, False)
        gains.append(np.interp(start, GRID, gain))
    return np.array(gains)


def test_deviation_gain_is_nil_at_the_equilibrium_and_known_elsewhere() -> None:
    equilibrium = (1 - SAVING) / (2 * (1 - SAVING) + SAVING)
    assert deviation_gain(np.full((len(GRID), 2), equilibrium)).max() < 1e-3
    # Constant shares: V(s) = [ln s + ab / (1 - ab) ln(1 - S - s)] / (1 - b) + const.
    other, own = 0.275, 0.275
    best = (1 - SAVING) * (1 - other)
    exact = (np.log(best / own) + SAVING / (1 - SAVING) * np.log((1 - other - best) / (1 - other - own))) / (
        1 - DISCOUNT
    )
    assert deviation_gain(np.full((len(GRID), 2), own)).max() == pytest.approx(exact, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("num_agents", [2, 3])
def test_selfish_agents_learn_the_markov_perfect_equilibrium(num_agents) -> None:
    equilibrium = (1 - SAVING) / (num_agents * (1 - SAVING) + SAVING)
    planner = (1 - SAVING) / num_agents
    shares = learnt_shares(num_agents, worlds=32, steps=400_000)
    found = shares[:, VISITED].mean(axis=(1, 2))
    gains = np.array([deviation_gain(replicate).max() for replicate in shares])
    print(f"\nn={num_agents} equilibrium {equilibrium:.4f} planner {planner:.4f}")
    print("shares", np.round(found, 4), "gains", np.round(gains, 4))
    assert found.mean() == pytest.approx(equilibrium, rel=0.1)
    assert gains.mean() <= 0.02
    close = np.abs(found - equilibrium) <= 0.1 * equilibrium
    nearer = np.abs(found - equilibrium) < np.abs(found - planner)
    assert (close & nearer & (gains <= 0.02)).mean() >= 0.9


def test_one_agent_alone_learns_the_planner() -> None:
    shares = learnt_shares(1, worlds=16, steps=100_000)
    found, planner = shares[:, VISITED].mean(axis=(1, 2)), 1 - SAVING
    print(f"\nn=1 planner {planner:.4f} shares", np.round(found, 4))
    assert found.mean() == pytest.approx(planner, rel=0.05)
    assert (np.abs(found - planner) <= 0.05 * planner).mean() >= 0.9
