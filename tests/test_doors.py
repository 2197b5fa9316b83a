"""The doors: stable-baselines3, SuperSuit, Gymnasium. RLlib and TorchRL: test_rl_libraries."""

import copy

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

import commonweal
from commonweal.errors import InvalidAction, InvalidParameter, UnknownName

# Written out, so that hand-computed numbers do not hang on the defaults.
SEA = {
    "num_agents": 5, "growth": 0.5, "capacity": 100.0, "catchability": 0.01, "price": 1.0, "cost": 0.2,
    "max_effort": 20.0, "effort_levels": 11, "noise": 0.0, "collapse": 0.0, "initial_stock": 1.0,
}  # fmt: skip
SANCTIONS = [{"id": "peer-sanctions"}]
RESPOND = [{"id": "peer-sanctions", "stage": "respond"}]


def three(observation, mask):
    """Everyone plays index 3 in the first column and nothing else."""
    actions = np.zeros((len(observation), 5, 1))
    actions[..., 0] = 3
    return actions


def waiting(columns):
    """A policy of the null act."""
    return lambda observation, mask: np.zeros((*observation.shape[:2], columns))


# ---------------------------------------------------------------- Gymnasium


@pytest.mark.parametrize("learner", [0, 4])
@pytest.mark.parametrize("face", [{}, {"continuous": True}, {"effort_levels": None}])
@pytest.mark.filterwarnings("ignore:.*Box action space:UserWarning")
def test_gymnasium_checks_one_learner(learner, face):
    env = commonweal.gym_env("fishery-v0", learner=learner, policies={"citizens": three}, **face)
    check_env(env, skip_render_check=True)


def test_gymnasium_pictures():
    env = commonweal.gym_env("fishery-v0", policies={"citizens": three}, render_mode="rgb_array")
    env.reset(seed=0)
    env.step(1)
    frame = env.render()
    env.close()
    assert frame.dtype == np.uint8
    assert frame.shape[2] == 3


def test_the_learner_acts_for_itself_alone():
    env = commonweal.gym_env("fishery-v0", learner=2, policies={"citizens": three}, time_limit=2, **SEA)
    env.reset(seed=0)
    _, reward, terminated, truncated, _ = env.step(10)
    assert env.transition.conduct["effort"][0].tolist() == [6, 6, 20, 6, 6]
    assert reward == pytest.approx(env.transition.reward["citizens"][0, 2])
    assert (terminated, truncated) == (False, False)
    assert env.step(10)[2:4] == (False, True)
    with pytest.raises(InvalidAction, match="reset"):
        env.step(10)


def test_an_object_that_acts_for_all_serves_too():
    class Everyone:
        def act(self, observation, mask=None):
            return {"citizens": three(observation["citizens"], mask)}

    env = commonweal.gym_env("fishery-v0", policies=Everyone(), **SEA)
    env.reset(seed=0)
    env.step(0)
    assert env.transition.conduct["effort"][0].tolist() == [0, 6, 6, 6, 6]


def test_who_must_act_is_named():
    with pytest.raises(InvalidParameter, match="sellers"):
        commonweal.gym_env("double_auction-v0", group="buyers", policies={"buyers": waiting(1)})
    with pytest.raises(InvalidParameter, match="citizens"):
        commonweal.gym_env("fishery-v0")
    with pytest.raises(UnknownName, match="citizens"):
        commonweal.gym_env("fishery-v0", policies={"citizen": three})
    with pytest.raises(InvalidParameter, match="0 to 4"):
        commonweal.gym_env("fishery-v0", learner=5, policies={"citizens": three})
    alone = commonweal.gym_env("fishery-v0", **{**SEA, "num_agents": 1})
    alone.reset(seed=0)
    assert alone.step(2)[1] == pytest.approx(0.01 * 4 * 100 - 0.2 * 4)


# ---------------------------------------------------------------- stable-baselines3: our VecEnv

sb3 = pytest.importorskip("stable_baselines3")


def test_slots_are_agents_world_by_world():
    env = commonweal.vec_env("fishery-v0", num_worlds=3, **SEA)
    env.seed(0)
    env.reset()
    actions = np.arange(15) % 11
    _, reward, done, infos = env.step(actions)
    assert env.num_envs == 15
    assert env.transition.conduct["effort"].tolist() == (2.0 * actions).reshape(3, 5).tolist()
    assert reward == pytest.approx(env.transition.reward["citizens"].ravel())
    assert not done.any()
    assert infos == [{}] * 15


def test_time_limits_are_marked_and_keep_the_last_observation():
    env = commonweal.vec_env("fishery-v0", num_worlds=2, time_limit=3, **SEA)
    env.seed(0)
    env.reset()
    for _ in range(2):
        seen, *_ = env.step(np.full(10, 2))
    last, _, done, infos = env.step(np.full(10, 2))
    assert done.all()
    assert all(info["TimeLimit.truncated"] for info in infos)
    # The final stock went on falling; what is returned is already the new episode at capacity.
    assert last == pytest.approx(100.0)
    assert all(info["terminal_observation"][0] < seen[0, 0] for info in infos)


def test_the_end_of_the_world_is_no_time_limit():
    env = commonweal.vec_env("fishery-v0", num_worlds=2, **{**SEA, "collapse": 0.3})
    env.reset()
    for _ in range(20):
        _, _, done, infos = env.step(np.full(10, 10))
        if done.any():
            break
    assert done.all()
    assert [info["TimeLimit.truncated"] for info in infos] == [False] * 10
    assert all(info["terminal_observation"] == 0.0 for info in infos)


def test_seeds_repeat_and_their_absence_does_not():
    def first(seed):
        env = commonweal.vec_env("fishery-v0", noise=0.3)
        if seed is not None:
            env.seed(seed)
        env.reset()
        return env.step(np.ones(5))[0]

    assert np.array_equal(first(1), first(1))
    assert not np.array_equal(first(1), first(2))
    assert not np.array_equal(first(None), first(None))


def test_other_groups_act_by_policies():
    with pytest.raises(InvalidParameter, match="buyers"):
        commonweal.vec_env("double_auction-v0")
    with pytest.raises(InvalidParameter, match="sellers"):
        commonweal.vec_env("double_auction-v0", group="buyers")
    probe = commonweal.parallel_env("double_auction-v0", continuous=True).society.groups["sellers"]
    env = commonweal.vec_env(
        "double_auction-v0",
        group="buyers",
        num_worlds=2,
        continuous=True,
        policies={"sellers": waiting(len(probe.actions))},
    )
    env.reset()
    assert env.num_envs == 2 * env.society.groups["buyers"].size
    observation, *_ = env.step(np.stack([env.action_space.sample() for _ in range(env.num_envs)]))
    assert observation.shape == (env.num_envs, env.society.groups["buyers"].observation_size)


def test_masks_for_maskable_learners():
    env = commonweal.vec_env("fishery-v0", RESPOND, num_worlds=2)
    env.reset()
    masks = np.stack(env.env_method("action_masks"))
    assert masks.shape == (10, env.action_space.nvec.sum())
    assert masks[:, :11].all()
    assert (masks[:, 11:].sum(axis=1) == len(env.action_space.nvec) - 1).all()
    assert env.has_attr("action_masks")
    free = commonweal.vec_env("fishery-v0")
    assert np.stack(free.env_method("action_masks", indices=[0, 3])).tolist() == [[True] * 11] * 2


LEARNERS = {
    "PPO": lambda env: sb3.PPO("MlpPolicy", env, n_steps=16, batch_size=80, seed=0, device="cpu"),
    "A2C": lambda env: sb3.A2C("MlpPolicy", env, seed=0, device="cpu"),
    "DQN": lambda env: sb3.DQN("MlpPolicy", env, learning_starts=50, seed=0, device="cpu"),
}


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("stack", [[], SANCTIONS, RESPOND], ids=["none", "sanctions", "respond"])
def test_stable_baselines3_trains(learner, stack):
    env = commonweal.vec_env(
        "fishery-v0", stack, num_worlds=2, time_limit=12, discrete=learner == "DQN", effort_levels=5
    )
    model = LEARNERS[learner](env)
    before = [p.detach().clone() for p in model.policy.parameters()]
    model.learn(480)
    assert any((p != q).any() for p, q in zip(model.policy.parameters(), before, strict=True))
    action, _ = model.predict(env.reset())
    assert len(action) == env.num_envs


def test_stable_baselines3_bootstraps_through_the_time_limit():
    """Reward 1 for ever, cut after two steps, nothing to tell the steps apart: the value is
    1 / (1 - gamma) = 5. Learnt as the world's end it would be (1 + 1.8) / 2 = 1.4.
    """
    gamma = 0.8
    # A public good for nobody: what is kept is the reward, 0 or 1.
    lonely = {"num_agents": 1, "marginal_return": 0.0, "endowment": 1.0, "levels": 2, "rounds": 10**6}
    env = commonweal.vec_env("public_goods-v0", num_worlds=16, time_limit=2, **lonely)
    model = sb3.PPO(
        "MlpPolicy", env, gamma=gamma, gae_lambda=0.95, n_steps=16, batch_size=256, learning_rate=3e-3,
        ent_coef=0.0, n_epochs=20, seed=0, device="cpu",
    )  # fmt: skip
    model.learn(256 * 30)
    observation, _ = model.policy.obs_to_tensor(env.reset())
    value = model.policy.predict_values(observation).detach().numpy()
    assert value.mean() == pytest.approx(1.0 / (1.0 - gamma), rel=0.1)


# ---------------------------------------------------------------- the same, through other libraries


def test_the_unchanged_supersuit_pipeline():
    supersuit = pytest.importorskip("supersuit")
    env = supersuit.pettingzoo_env_to_vec_env_v1(
        commonweal.parallel_env("fishery-v0", SANCTIONS, time_limit=10)
    )
    env = supersuit.concat_vec_envs_v1(env, 4, num_cpus=1, base_class="stable_baselines3")
    model = sb3.PPO("MlpPolicy", env, n_steps=16, batch_size=80, seed=None, device="cpu")
    model.learn(640)
    assert model.num_timesteps == 640
    env.reset()
    for _ in range(10):
        _, _, done, infos = env.step(np.zeros((20, 3), int))
    assert done.all()
    assert all("terminal_observation" in info for info in infos)


def test_a_copied_environment_is_on_its_own():
    """SuperSuit and Ray copy environments through cloudpickle."""
    env = commonweal.parallel_env("fishery-v0", SANCTIONS, noise=0.3)
    env.reset(seed=0)
    twin = copy.deepcopy(env)
    acts = dict.fromkeys(env.agents, np.array([4, 1, 1]))
    first, second = env.step(acts), twin.step(acts)
    assert all(np.array_equal(first[0][agent], second[0][agent]) for agent in first[0])
    assert env.society.memory.plays[0] == twin.society.memory.plays[0] == 1
    env.step(acts)
    assert twin.society.memory.plays[0] == 1


def test_boxes_for_learners_that_know_no_other():
    env = commonweal.vec_env("fishery-v0", SANCTIONS, continuous=True, **SEA)
    assert env.action_space == spaces.Box(0.0, 1.0, (3,), np.float32)
    env.reset()
    env.step(np.ones((5, 3), np.float32))
    assert env.transition.conduct["effort"].tolist() == [[20.0] * 5]
