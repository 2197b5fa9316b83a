"""The compiled arithmetic of the learner against its definition in PyTorch."""

import numpy as np
import pytest
import torch

from commonweal import Society, institution, make
from commonweal.agents import compiled, kernel
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
    "one policy for all, who see the same": (
        make("fishery-v0"), [], PPOConfig(sharing="shared", rollout=80, minibatches=1)
    ),
    "one policy for all, who see the same and may do other things": (
        make("fishery-v0"), [institution("peer-sanctions", stage="respond")],
        PPOConfig(sharing="shared", rollout=60, minibatches=1),
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
    steps = target.shape[1] // team.layout.members
    order = np.random.default_rng(0).permuted(np.tile(np.arange(steps), (2, 1)), axis=1)
    order = order[:, : 2 * steps // 3, None] * team.layout.members
    rows = (order + np.arange(team.layout.members)).reshape(2, -1)
    found, told = team.gradient(batch, rows, 0.01)
    team.kernel = None
    exact, exactly = team.gradient(batch, rows, 0.01)
    assert exact.abs().max() > 0.01
    assert (found.sum(dim=1) - exact.sum(dim=1)).abs().max() < 1e-5 * exact.abs().max()
    assert torch.allclose(told, exactly, atol=1e-5)


def test_samples_of_any_length_and_order(team):
    """Blocks and parts end anywhere: runs of equal observations are cut in the middle."""
    team, advantage, target = team
    batch = batch_of(team, advantage, target)
    if team.mask is not None:  # equal observations under different masks are different
        forbidden = torch.rand(batch["mask"].shape, generator=torch.Generator().manual_seed(2)) < 0.3
        for column, (place, discrete) in enumerate(zip(team.heads.places, team.heads.discrete, strict=True)):
            if discrete:
                forbidden[..., place].scatter_(2, batch["raw"][..., column].long().unsqueeze(2), False)
        batch["mask"] = batch["mask"] & ~forbidden
    fast = team.kernel
    for size in (1, 7, kernel.BLOCK + 1, 2 * kernel.TASK + 3):
        rows = np.random.default_rng(size).integers(target.shape[1], size=(2, size))
        team.kernel = fast
        found, told = team.gradient(batch, rows, 0.01)
        team.kernel = None
        exact, exactly = team.gradient(batch, rows, 0.01)
        assert (found.sum(dim=1) - exact.sum(dim=1)).abs().max() < 2e-5 * exact.abs().max()
        assert torch.allclose(told, exactly, atol=1e-4)


def test_descent_is_adam(team):
    team, advantage, target = team
    batch, fast = batch_of(team, advantage, target), team.kernel
    everyone = range(team.layout.agents)
    team.train_only(everyone if team.layout.members > 1 else [1, 3])
    start, live, moved = team.theta.detach().clone(), team.live, []
    gradients = [
        team.gradient(batch, np.arange(size)[None].repeat(2, axis=0) % target.shape[1], 0.01)[0].clone()
        for size in (40, 2000)
    ]
    assert gradients[1].shape[1] == 2
    for chosen in (fast, None):
        team.train_only(everyone if team.layout.members > 1 else [1, 3])  # the optimiser starts anew
        team.theta.detach().copy_(start)
        team.kernel = chosen
        for gradient in gradients:
            team._step(gradient.clone(), 0.01)
        moved.append(team.theta.detach().clone())
    assert (moved[0] - start).abs().max() > 0.005
    assert torch.allclose(moved[0], moved[1], atol=1e-6)
    assert torch.equal(moved[0][live[:, 0] == 0], start[live[:, 0] == 0])


def test_acting_is_sampling_from_the_heads(team):
    team, _, _ = team
    t, log_std = 3, team.actors().log_std.unsqueeze(1)
    allowed = None if team.mask is None else team.mask[t].clone()
    seen = team.observation[t].clone()
    mask = None if allowed is None else team.layout.unfold(allowed).numpy()
    actions = team.kernel.act(t, team.layout.unfold(seen).numpy(), mask)
    raw, log_prob = team.raw[t], team.log_prob[t]
    assert torch.equal(team.observation[t], seen)
    output = team.actor(team.actors().theta, team.scale(seen))
    assert torch.allclose(raw, team.heads.sample(output, log_std, team.noise[t], allowed), atol=1e-5)
    expected, _ = team.heads.evaluate(output, log_std, raw, allowed)
    assert torch.allclose(log_prob, expected, atol=1e-5)
    physical = team.layout.unfold(team.heads.physical(raw)).numpy()
    assert np.allclose(actions, physical, rtol=1e-12, atol=1e-12)


def test_agents_who_see_the_same_cost_no_more_than_one(monkeypatch):
    """The networks are asked once for all agents of a world who share a policy and its observation."""
    asked = []
    original = kernel.forward
    monkeypatch.setattr(kernel, "forward", lambda *a: asked.append(a[-1]) or original(*a))
    society = Society(make("fishery-v0"), num_worlds=4)
    learner = PPO(society, PPOConfig(sharing="shared", rollout=8), seed=0)
    team = learner.teams["citizens"]
    learner.updates = 1
    learner._rollout()
    asked.clear()
    bound, filled = team.kernel._read, team.kernel._filled
    actions = np.empty((4, 5, 1))
    kernel._act.py_func(
        0, 1, 7, bound[0], team.kernel.actor, False, 5, society.observation["citizens"], *bound[1:],
        team.kernel.columns, False, team.kernel.anything.numpy(), team.kernel.low, team.kernel.high,
        *filled, actions,
    )  # fmt: skip
    assert len(asked) == 1
    assert asked[0] <= 4


def test_what_the_mask_forbids_is_never_played(team):
    team, _, _ = team
    if team.mask is None:
        return
    for place, discrete, column in zip(team.heads.places, team.heads.discrete, range(99), strict=False):
        if discrete:
            chosen = team.raw[..., column].long().unsqueeze(-1)
            assert team.mask[..., place].gather(-1, chosen).all()


def test_the_elementary_functions():
    x = np.linspace(-100.0, 88.0, 40_001, dtype=np.float32)
    y = np.empty_like(x)
    compiled.exp(x, y)
    seen = x > -87.0
    error = np.abs(y[seen] / np.exp(x[seen].astype(np.float64)) - 1.0)
    assert (error < 1.2e-7 * (1.0 + np.abs(x[seen]))).all()
    assert (y[~seen] == 0.0).all()
    z = np.linspace(-20.0, 20.0, 40_001, dtype=np.float32)
    worst = max(abs(float(compiled.tanh(v)) - np.tanh(float(v))) for v in z[::40])
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


@pytest.mark.parametrize("sharing", ["shared", "independent"])
def test_a_learner_without_the_kernel_learns_the_same(sharing):
    """What a GPU runs, on a CPU: sampling, values, loss and Adam in PyTorch."""

    def learnt(compiled_too):
        config = PPOConfig(sharing=sharing, rollout=16, minibatches=2, hidden=(8,))
        stack = [institution("peer-sanctions", stage="respond")]
        learner = PPO(Society(make("fishery-v0", effort_levels=None), stack, num_worlds=4), config, seed=3)
        team = learner.teams["citizens"]
        if not compiled_too:
            team.kernel = None
        learner.train(64)
        return team.theta.detach(), team.raw, learner.society.get_state()

    fast, slow = learnt(True), learnt(False)
    assert torch.allclose(fast[1], slow[1], atol=1e-4)
    assert torch.allclose(fast[0], slow[0], atol=2e-3)
    assert all(np.allclose(fast[2][name], slow[2][name], atol=1e-3) for name in fast[2])
