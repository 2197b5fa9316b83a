"""The learner: known values, replicates that cannot meet, resuming, heads and masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from commonweal.agents.heads import Heads
from commonweal.agents.population import Layout, Stack
from commonweal.agents.ppo import PPO, PPOConfig
from commonweal.agents.team import generalised_advantages
from commonweal.columns import Group
from commonweal.envs.base import Dilemma, Outcome
from commonweal.envs.fish_war import FishWar
from commonweal.envs.fishery import Fishery
from commonweal.errors import CorruptCheckpoint, InvalidParameter, UnknownName
from commonweal.evaluation import evaluate
from commonweal.institutions.taxation import Taxation
from commonweal.random import world_seeds
from commonweal.society import Society
from commonweal.spaces import Action, Choice, Conduct, Real, Signal

torch.set_num_threads(1)
SMALL = PPOConfig(hidden=(8,), rollout=16, epochs=2, minibatches=2)


@dataclass
class Elapsed:
    round: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class Stipend(Dilemma):
    """Pays 1 to who says yes, each play; the world ends after `lasts` plays, or never (0)."""

    id: ClassVar[str] = "stipend-test"
    conducts: ClassVar[dict[str, Conduct]] = {"income": Conduct("money")}
    lasts: int = 0
    num_agents: int = 1
    discount: float = 0.9

    @property
    def time_limit(self):
        return 5

    def actions(self):
        return [Action("say", Choice(("no", "yes")))]

    def signals(self):
        return [Signal("round", "", 0.0, 5.0)]

    def initial(self, rng):
        return Elapsed(np.zeros((rng.num_worlds, 1)))

    def observe(self, state):
        return {"round": state.round * (self.lasts > 0)}

    def step(self, state, play, rng):
        passed = state.round + 1.0
        ended = passed[:, 0] >= self.lasts if self.lasts else None
        return Elapsed(passed), Outcome(play["say"], {"income": play["say"]}, ended)


def learnt_value(lasts: int) -> float:
    config = PPOConfig(hidden=(16, 16), rollout=32, learning_rate=1e-2)
    learner = PPO(Society(Stipend(lasts=lasts), num_worlds=16), config, replicates=2, seed=3)
    learner.train(60_000)
    start = {"citizens": np.zeros((2, 1, 1), np.float32)}
    assert learner.policies(deterministic=True).act(start)["citizens"].min() == 1.0
    return float(learner.value(start)["citizens"].mean())


def test_time_limit_is_not_learnt_as_the_end_of_the_world() -> None:
    assert learnt_value(lasts=0) == pytest.approx(1.0 / (1.0 - 0.9), rel=0.05)


def test_end_of_the_world_is_learnt() -> None:
    assert learnt_value(lasts=5) == pytest.approx((1.0 - 0.9**5) / (1.0 - 0.9), rel=0.05)


def test_advantages_against_a_hand_computed_episode() -> None:
    # Reward 1, 2, 3; the second step is truncated (bootstraps 5, sums no later error), the third
    # terminates (no bootstrap). Values 0.5; discount 0.9, lambda 0.8.
    def row(*numbers: float) -> torch.Tensor:
        return torch.tensor(numbers).view(1, 3, 1)

    got = generalised_advantages(
        row(1, 2, 3), row(0.5, 0.5, 0.5), row(0.5, 5.0, 7.0), row(0.9, 0.9, 0.9),
        row(0, 0, 1).bool(), row(0, 1, 1).bool(), 0.8,
    ).flatten()  # fmt: skip
    second = 2 + 0.9 * 5.0 - 0.5
    first = 1 + 0.9 * 0.5 - 0.5 + 0.9 * 0.8 * second
    np.testing.assert_allclose(got, [first, second, 2.5], rtol=1e-6)


# ---------------------------------------------------------------------- replicates


def fishery(replicates: int, **parameters) -> Society:
    return Society(Fishery(num_agents=3, **parameters), [Taxation(rate=0.2)], num_worlds=4 * replicates)


@pytest.mark.parametrize("sharing", ["independent", "shared"])
def test_replicates_do_not_influence_each_other(sharing) -> None:
    config = PPOConfig(hidden=(8,), rollout=16, sharing=sharing)
    seeds = world_seeds(7, 3)
    other = seeds.copy()
    other[1] += np.uint64(1)
    thetas = []
    for given in (seeds, other):
        learner = PPO(fishery(3, noise=0.1), config, replicates=3, seed=given).train(5 * 64)
        thetas.append(learner.teams["citizens"].theta.detach().view(3, -1))
    assert torch.equal(thetas[0][0], thetas[1][0])
    assert torch.equal(thetas[0][2], thetas[1][2])
    assert not torch.allclose(thetas[0][1], thetas[1][1])


@pytest.mark.parametrize("dilemma", [Fishery(num_agents=3, noise=0.1), FishWar(num_agents=2)])
def test_a_replicate_is_the_same_alone_and_among_others(dilemma) -> None:
    together = PPO(Society(dilemma, num_worlds=12), SMALL, replicates=3, seed=7).train(5 * 64)
    alone = PPO(Society(dilemma, num_worlds=4), SMALL, replicates=1, seed=7).train(5 * 64)
    policies = dilemma.num_agents
    first = together.teams["citizens"].theta[:policies]
    torch.testing.assert_close(first, alone.teams["citizens"].theta, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(together.seeds[:1], alone.seeds)
    np.testing.assert_array_equal(together.society.seeds[:4], alone.society.seeds)


def test_clipping_is_per_policy() -> None:
    # A huge reward in one replicate must not shrink the others' steps: their weights stay as they are.
    price = np.repeat([1.0, 1.0, 1.0], 4)
    dear = np.repeat([1.0, 1e6, 1.0], 4)
    thetas = [
        PPO(fishery(3, price=p), SMALL, replicates=3, seed=7).train(5 * 64).teams["citizens"].theta
        for p in (price, dear)
    ]
    assert torch.equal(thetas[0][:3], thetas[1][:3])
    assert not torch.equal(thetas[0][3:6], thetas[1][3:6])


def test_frozen_agents_stay_as_they_are_to_the_bit() -> None:
    learner = PPO(fishery(2), SMALL, replicates=2, seed=7).train(4 * 64)
    obs = {"citizens": np.random.default_rng(0).uniform(20, 90, (8, 3, 2)).astype(np.float32)}
    before = learner.policies().probabilities(obs)["citizens"][0]
    fresh = PPO(fishery(2), SMALL, replicates=2, seed=8).copy_policies(learner)
    np.testing.assert_array_equal(fresh.policies().probabilities(obs)["citizens"][0], before)
    fresh.train_only({"citizens": [1]}).train(4 * 64)
    after = fresh.policies().probabilities(obs)["citizens"][0]
    np.testing.assert_array_equal(after[:, [0, 2]], before[:, [0, 2]])
    assert np.abs(after[:, 1] - before[:, 1]).max() > 1e-4


# ---------------------------------------------------------------------- checkpoints


def test_resuming_equals_never_having_stopped(tmp_path) -> None:
    total = 10 * 64
    straight = PPO(fishery(2, noise=0.1), SMALL, replicates=2, seed=5).train(total)
    stopped = PPO(fishery(2, noise=0.1), SMALL, replicates=2, seed=5)
    stopped.train(4 * 64, schedule=total, checkpoint=tmp_path / "half.npz", checkpoint_every=2)
    resumed = PPO.resume(tmp_path / "half.npz").train(total - 4 * 64)
    assert resumed.steps == straight.steps == total
    assert resumed.updates == straight.updates
    assert torch.equal(resumed.teams["citizens"].theta, straight.teams["citizens"].theta)
    np.testing.assert_array_equal(resumed.welfare, straight.welfare)
    for name, array in straight.society.get_state().items():
        np.testing.assert_array_equal(resumed.society.get_state()[name], array)
    np.load(tmp_path / "half.npz", allow_pickle=False)


def test_a_damaged_or_foreign_checkpoint_has_a_name(tmp_path) -> None:
    path = tmp_path / "c.npz"
    PPO(fishery(1), SMALL, seed=5).train(64, checkpoint=path)
    whole = path.read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    torch.save({"format": "other"}, tmp_path / "foreign.npz")
    for name in ("cut.npz", "foreign.npz"):
        with pytest.raises(CorruptCheckpoint, match=name):
            PPO.resume(tmp_path / name)
    for worlds, agents, price in ((4, 4, 1.0), (8, 5, 1.0), (4, 5, 2.0)):
        other, twin = (Society(Fishery(num_agents=agents, price=price), num_worlds=worlds) for _ in range(2))
        other.step({"citizens": np.full((worlds, agents, 1), 3.0)})
        twin.set_state(other.get_state())
        with pytest.raises(CorruptCheckpoint):
            PPO.resume(path, other)
        for name, array in twin.get_state().items():
            np.testing.assert_array_equal(other.get_state()[name], array)
        np.testing.assert_array_equal(other.observation["citizens"], twin.observation["citizens"])
    with pytest.raises(FileNotFoundError):
        PPO.resume(tmp_path / "none.npz")


def test_curves_are_written_where_asked(tmp_path) -> None:
    seen = []
    PPO(fishery(2), SMALL, replicates=2).train(3 * 64, log_dir=tmp_path / "logs", on_update=seen.append)
    assert list((tmp_path / "logs").glob("events*"))
    assert [info["steps"] for info in seen] == [64, 128, 192]
    for key in ("welfare", "reward/citizens", "entropy/citizens", "approx_kl/citizens"):
        assert seen[-1][key].shape == (2,)


def test_reported_welfare_is_that_of_evaluation() -> None:
    # A dilemma without noise and policies that hardly differ from frozen ones (a tiny learning rate).
    config = PPOConfig(hidden=(8,), rollout=90, learning_rate=1e-12)
    learner = PPO(fishery(2), config, replicates=2, seed=5).train(2 * 90 * 4)
    found = evaluate(fishery(40), learner.policies(), seed=1).welfare.reshape(2, -1)
    standard_error = found.std(axis=1) * np.sqrt(1 / 80 + 1 / 4)
    assert (np.abs(learner.welfare - found.mean(axis=1)) < 4 * standard_error).all()


# ---------------------------------------------------------------------- heads, layout, networks


def mixed_group() -> Group:
    actions = [
        Action("a", Choice(("x", "y", "z"))),
        Action("b", Real(-1.0, 3.0)),
        Action("c", Real(0, 1, levels=4)),
    ]
    return Group("citizens", slice(0, 2), True, tuple(("dilemma", a) for a in actions), ())


def test_mixed_heads_against_torch_distributions() -> None:
    heads, generator = Heads(mixed_group()), torch.Generator().manual_seed(0)
    output = torch.randn(5, 400, 8, generator=generator)
    log_std = torch.randn(5, 1, 1, generator=generator) * 0.3
    mask = torch.rand(5, 400, 8, generator=generator) < 0.5
    mask[..., [0, 4]] = True  # something is always allowed
    uniform = torch.rand(5, 400, 3, generator=generator)
    raw = heads.sample(output, log_std, heads.noise(uniform), mask)
    log_prob, entropy = heads.evaluate(output, log_std, raw, mask)
    logits = output.masked_fill(~mask, -torch.inf)
    first, last = (
        torch.distributions.Categorical(logits=logits[..., place]) for place in (slice(0, 3), slice(4, 8))
    )
    middle = torch.distributions.Normal(output[..., 3], log_std.exp().squeeze(-1))
    live = mask[..., 3]
    expected = first.log_prob(raw[..., 0]) + last.log_prob(raw[..., 2]) + live * middle.log_prob(raw[..., 1])
    torch.testing.assert_close(log_prob, expected, rtol=1e-4, atol=1e-5)
    probabilities = torch.where(mask[..., :3], first.probs, 0.0)
    entropies = -(probabilities * probabilities.clamp_min(1e-30).log()).sum(-1)
    probabilities = last.probs
    entropies = entropies - (probabilities * probabilities.clamp_min(1e-30).log()).sum(-1)
    torch.testing.assert_close(entropy, entropies + live * middle.entropy(), rtol=1e-4, atol=1e-5)
    assert mask[..., :3].gather(-1, raw[..., :1].long()).all()
    assert mask[..., 4:].gather(-1, raw[..., 2:].long()).all()
    physical = heads.physical(raw)
    torch.testing.assert_close(physical[..., 1], -1.0 + 4.0 * torch.sigmoid(raw[..., 1].double()))
    assert physical[..., 1].min() >= -1.0
    assert physical[..., 1].max() <= 3.0


def test_samples_follow_their_distribution_at_the_ends_too() -> None:
    heads, count = Heads(mixed_group()), 200_000
    output = torch.zeros(1, count, 8)
    output[..., :3] = torch.tensor([0.1, 0.2, 0.7]).log()
    uniform = torch.rand(1, count, 3, generator=torch.Generator().manual_seed(1))
    uniform[0, 0], uniform[0, 1] = 0.0, 1.0  # float32 rounds 1 - 1e-9 to 1
    raw = heads.sample(output, torch.zeros(1, 1, 1), heads.noise(uniform))
    frequency = torch.bincount(raw[0, :, 0].long(), minlength=3) / count
    np.testing.assert_allclose(frequency, [0.1, 0.2, 0.7], atol=0.005)
    assert raw[..., 1].isfinite().all()
    assert abs(float(raw[..., 1].std()) - 1.0) < 0.01
    assert raw[..., 2].max() == 3


def test_staged_societies_train_within_their_masks() -> None:
    from commonweal.institutions.sanctions import PeerSanctions

    society = Society(Fishery(num_agents=3), [PeerSanctions(stage="respond")], num_worlds=4)
    learner = PPO(society, SMALL, replicates=2).train(3 * 32)
    assert society.mask is not None
    actions = learner.policies().act(society.observation, society.mask)
    kept = society.columns.only_allowed(actions, society.mask)
    for index, discrete in enumerate(society.groups["citizens"].discrete):
        if discrete:
            np.testing.assert_array_equal(actions["citizens"][..., index], kept["citizens"][..., index])
    assert learner.teams["citizens"].theta.isfinite().all()


@pytest.mark.parametrize("sharing", ["independent", "shared"])
def test_layout_goes_there_and_back(sharing) -> None:
    layout, x = Layout(2, 3, sharing), torch.arange(8 * 3 * 2).view(8, 3, 2)
    folded = layout.fold(x)
    assert folded.shape == ((6, 4, 2) if sharing == "independent" else (2, 12, 2))
    assert torch.equal(layout.unfold(folded), x)
    if sharing == "independent":
        assert torch.equal(folded[4], x[4:, 1])  # replicate 1, agent 1
    else:
        assert torch.equal(folded[1], x[4:].flatten(0, 1))


def test_stack_is_the_textbook_network() -> None:
    stack = Stack((3, 8, 4), "tanh", gain=1.0)
    theta = stack.initial(torch.randn(5, stack.num_parameters, generator=torch.Generator().manual_seed(0)))
    theta = theta + 0.1
    x = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(1))
    (w1, b1), (w2, b2) = stack.layers(theta)
    for p in range(5):
        expected = torch.tanh(x[p] @ w1[p] + b1[p]) @ w2[p] + b2[p]
        torch.testing.assert_close(stack(theta, x)[p], expected, rtol=1e-5, atol=1e-6)


def test_initial_weights_are_orthogonal() -> None:
    stack = Stack((3, 8, 4), "tanh", gain=0.01)
    theta = stack.initial(torch.randn(5, stack.num_parameters, generator=torch.Generator().manual_seed(0)))
    (w1, _), (w2, _) = stack.layers(theta)
    torch.testing.assert_close(w1 @ w1.mT, 2.0 * torch.eye(3).expand(5, 3, 3), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(w2.mT @ w2, 1e-4 * torch.eye(4).expand(5, 4, 4), rtol=1e-4, atol=1e-8)


def test_gradient_of_the_fast_tanh() -> None:
    stack = Stack((2, 3, 2), "tanh", gain=1.0)
    theta = torch.randn(2, stack.num_parameters, dtype=torch.float64, requires_grad=True)
    x = torch.randn(2, 4, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda t: stack(t, x), (theta,))


# ---------------------------------------------------------------------- faces of the learner


def test_policies_act_on_other_numbers_of_worlds_and_on_one_replicate() -> None:
    learner = PPO(fishery(3), SMALL, replicates=3, seed=2).train(2 * 64)
    rows = np.linspace(20, 90, 3)
    obs = (
        np.stack(np.broadcast_arrays(rows[:, None], 0.2), -1)
        .astype(np.float32)[:, None]
        .repeat(3, 1)[:, :, 0]
    )
    everyone = learner.policies(True).probabilities({"citizens": obs})["citizens"][0]
    assert everyone.shape == (3, 3, 11)
    np.testing.assert_allclose(everyone.sum(-1), 1.0, atol=1e-6)
    second = learner.policies(True, replicate=1).probabilities({"citizens": obs[1:2]})["citizens"][0]
    np.testing.assert_allclose(second, everyone[1:2], atol=1e-6)
    likeliest = learner.policies(True).act({"citizens": obs})["citizens"][..., 0]
    np.testing.assert_array_equal(likeliest, everyone.argmax(-1))


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="multiple of replicates"):
        PPO(Society(Fishery(), num_worlds=7), replicates=2)
    with pytest.raises(InvalidParameter, match="learning_rate"):
        PPOConfig(learning_rate=0.0)
    with pytest.raises(InvalidParameter, match="sharing"):
        PPOConfig(sharing="some")  # type: ignore[arg-type]
    learner = PPO(Society(Fishery(), num_worlds=2), PPOConfig(sharing="shared"))
    with pytest.raises(InvalidParameter, match="trainable"):
        learner.train_only({"citizens": [0]})
    with pytest.raises(UnknownName, match="citizens"):
        learner.train_only({"citizen": [0]})
