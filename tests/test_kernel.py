"""The compiled arithmetic of the learner against its definition in PyTorch."""

import numpy as np
import pytest
import torch

from commonweal import Society, institution, make
from commonweal.agents import kernel
from commonweal.agents.ppo import PPO, PPOConfig

LEARNERS = {
    "levels": (make("fishery-v0"), [], PPOConfig(rollout=40)),
    "continuous and choices, relu": (
        make("fishery-v0", effort_levels=None), [institution("peer-sanctions")],
        PPOConfig(activation="relu", rollout=40, minibatches=2),
    ),
    "masks, several columns, one policy for all": (
        make("public_goods-v0", levels=None), [institution("contract")],
        PPOConfig(hidden=(24, 16, 8), sharing="shared", rollout=60, minibatches=1),
    ),
}  # fmt: skip


@pytest.fixture(params=LEARNERS, name="team")
def trained_team(request):
    """A group after one update, at some distance from the policy that acted."""
    dilemma, stack, config = LEARNERS[request.param]
    learner = PPO(Society(dilemma, stack, num_worlds=8), config, replicates=2, seed=0)
    learner.train(1)
    learner.updates += 1
    team = learner.teams["citizens"]
    with torch.no_grad():
        advantage, target = team.assess(*learner._rollout())
        team.theta += 0.05 * torch.randn(team.theta.shape, generator=torch.Generator().manual_seed(1))
    return team, advantage.flatten(1), target.flatten(1)


def batch_of(team, advantage, target):
    def flat(steps):
        return steps.transpose(0, 1).flatten(1, 2)

    batch = {
        "observation": team.scale(flat(team.observation[:-1])), "raw": flat(team.raw),
        "log_prob": flat(team.log_prob), "advantage": advantage / advantage.std(),
        "target": target / target.std(),
    }  # fmt: skip
    return batch | ({} if team.mask is None else {"mask": flat(team.mask)})


def test_the_gradient_is_that_of_the_loss(team):
    team, advantage, target = team
    batch = batch_of(team, advantage, target)
    order = np.random.default_rng(0).permuted(np.tile(np.arange(target.shape[1]), (2, 1)), axis=1)
    rows = np.ascontiguousarray(order[:, : 2 * target.shape[1] // 3])
    assert rows.shape[1] != kernel.BLOCK
    found, told = team.gradient(batch, rows, 0.01)
    team.kernel = None
    exact, exactly = team.gradient(batch, rows, 0.01)
    assert exact.abs().max() > 0.01
    assert (found - exact).abs().max() < 1e-5 * exact.abs().max()
    assert torch.allclose(told, exactly, atol=1e-5)


def test_acting_is_sampling_from_the_heads(team):
    team, _, _ = team
    t, log_std = 3, team.actors().log_std.unsqueeze(1)
    allowed = None if team.mask is None else team.mask[t]
    raw, log_prob = torch.empty_like(team.raw[t]), torch.empty_like(team.log_prob[t])
    theta = team.theta.detach()
    team.kernel.act(theta, team.observation[t], team.scale, team.noise[t], allowed, raw, log_prob)
    output = team.actor(team.actors().theta, team.scale(team.observation[t]))
    assert torch.allclose(raw, team.heads.sample(output, log_std, team.noise[t], allowed), atol=1e-5)
    expected, _ = team.heads.evaluate(output, log_std, raw, allowed)
    assert torch.allclose(log_prob, expected, atol=1e-5)


def test_what_the_mask_forbids_is_never_played(team):
    team, _, _ = team
    if team.mask is None:
        return
    for place, discrete, column in zip(team.heads.places, team.heads.discrete, range(99), strict=False):
        if discrete:
            chosen = team.raw[..., column].long().unsqueeze(-1)
            assert team.mask[..., place].gather(-1, chosen).all()


def test_the_elementary_functions():
    x = np.linspace(-100.0, 0.0, 40_001, dtype=np.float32)
    y = np.empty_like(x)
    kernel._exp(x, y)
    seen = x > -87.0
    error = np.abs(y[seen] / np.exp(x[seen].astype(np.float64)) - 1.0)
    assert (error < 1.2e-7 * (1.0 + np.abs(x[seen]))).all()
    assert (y[~seen] == 0.0).all()
    z = np.linspace(-20.0, 20.0, 40_001, dtype=np.float32)
    worst = max(abs(float(kernel._tanh(v)) - np.tanh(float(v))) for v in z[::40])
    assert worst < 5e-7


def test_threads_do_not_change_what_is_learnt():
    before = torch.get_num_threads()

    def learnt(threads):
        torch.set_num_threads(threads)
        config = PPOConfig(sharing="shared", rollout=128, minibatches=1)
        society = Society(make("fishery-v0"), num_worlds=8)
        return PPO(society, config, replicates=2, seed=3).train(1024).teams["citizens"].theta.detach()

    try:
        assert torch.equal(learnt(1), learnt(2))
    finally:
        torch.set_num_threads(before)
