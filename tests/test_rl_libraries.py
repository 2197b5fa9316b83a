"""RLlib and TorchRL, unchanged. They run where they are installed: `make test-doors`, and CI once."""

import os

import numpy as np
import pytest

import commonweal

SANCTIONS = [{"id": "peer-sanctions"}]
RESPOND = [{"id": "peer-sanctions", "stage": "respond"}]
INSPECTION = [{"id": "taxation", "concealable": True}, {"id": "inspection"}]


# ---------------------------------------------------------------- RLlib


def rllib():
    return pytest.importorskip("ray.rllib.env.wrappers.pettingzoo_env").ParallelPettingZooEnv


def test_rllib_steps_until_the_time_limit():
    env = rllib()(commonweal.parallel_env("fishery-v0", SANCTIONS, time_limit=3))
    observations, _ = env.reset(seed=0)
    assert set(observations) == {f"citizen_{i}" for i in range(5)}
    for play in range(3):
        acts = {agent: env.par_env.action_space(agent).sample() for agent in env.par_env.agents}
        _, rewards, terminated, truncated, _ = env.step(acts)
        assert truncated["__all__"] == (play == 2)
        assert not terminated["__all__"]
        assert rewards == {a: env.par_env.transition.reward["citizens"][0, i] for i, a in enumerate(acts)}


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.setitem(os.environ, "RAY_AUTH_MODE", "disabled")  # a cluster of this process alone
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


def test_rllib_trains_a_shared_policy(cluster):
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.tune.registry import register_env

    wrapper = rllib()
    register_env(
        "fishery", lambda _: wrapper(commonweal.parallel_env("fishery-v0", SANCTIONS, time_limit=20))
    )
    config = (
        PPOConfig()
        .environment("fishery")
        .framework("torch")
        .env_runners(num_env_runners=0)
        .multi_agent(policies={"shared"}, policy_mapping_fn=lambda *_, **__: "shared")
        .training(train_batch_size_per_learner=200, minibatch_size=100, num_epochs=1)
    )
    algorithm = config.build_algo()
    seen = algorithm.train()["env_runners"]
    algorithm.stop()
    assert np.isfinite(seen["episode_return_mean"])
    assert seen["num_module_steps_sampled"]["shared"] == 5 * 200


# ---------------------------------------------------------------- TorchRL


def torchrl(*stack, **options):
    libraries = pytest.importorskip("torchrl.envs.libs.pettingzoo")
    return libraries.PettingZooWrapper(commonweal.parallel_env(*stack, **options))


@pytest.mark.filterwarnings("ignore:PettingZoo in TorchRL is tested:UserWarning")
@pytest.mark.parametrize(
    ("stack", "discrete"),
    [([], False), (SANCTIONS, False), (RESPOND, True)],
    ids=["none", "sanctions", "respond"],
)
def test_torchrl_rolls_out(stack, discrete):
    env = torchrl("fishery-v0", stack, time_limit=3, discrete=discrete)
    from torchrl.envs.utils import check_env_specs

    check_env_specs(env)
    rollout = env.rollout(10)
    stages = 6 if stack is RESPOND else 3
    assert rollout["citizen", "observation"].shape[:2] == (stages, 5)
    assert rollout["next", "truncated"].squeeze(-1).tolist() == [False] * (stages - 1) + [True]
    assert not rollout["next", "terminated"].any()
    assert (rollout["next", "citizen", "reward"] != 0).any()


@pytest.mark.filterwarnings("ignore:PettingZoo in TorchRL is tested:UserWarning")
def test_torchrl_sees_every_group():
    env = torchrl("double_auction-v0", INSPECTION, time_limit=3, continuous=True)
    from torchrl.envs.utils import check_env_specs

    check_env_specs(env)
    society = commonweal.parallel_env("double_auction-v0", INSPECTION, continuous=True).society
    sizes = {name.removesuffix("s"): group.size for name, group in society.groups.items()}
    assert {name: len(members) for name, members in env.group_map.items()} == sizes
