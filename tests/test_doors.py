"""The doors: stable-baselines3, SuperSuit, Gymnasium. RLlib and TorchRL: test_rl_libraries."""

import copy
import os
import pickle
import shutil
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

import commonweal
from commonweal.agents.ppo import PPO, PPOConfig
from commonweal.agents.scripted import Random
from commonweal.errors import InvalidAction, InvalidParameter, UnknownName
from commonweal.interfaces.assembly import assemble
from commonweal.interfaces.gymnasium import LearnerEnv
from commonweal.registry import DILEMMAS

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
vec = pytest.importorskip("stable_baselines3.common.vec_env")


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


@pytest.mark.parametrize("num_cpus", [1, 2])
def test_the_unchanged_supersuit_pipeline(num_cpus):
    supersuit = pytest.importorskip("supersuit")
    env = supersuit.pettingzoo_env_to_vec_env_v1(
        commonweal.parallel_env("fishery-v0", SANCTIONS, time_limit=10)
    )
    env = supersuit.concat_vec_envs_v1(env, 4, num_cpus=num_cpus, base_class="stable_baselines3")
    model = sb3.PPO("MlpPolicy", env, n_steps=16, batch_size=80, seed=None, device="cpu")
    model.learn(640)
    assert model.num_timesteps == 640
    env.reset()
    for _ in range(10):
        _, _, done, infos = env.step(np.zeros((20, 3), int))
    assert done.all()
    assert all("terminal_observation" in info for info in infos)
    env.close()


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


# ---------------------------------------------------------------- officials and several groups

INSPECTION = [{"id": "taxation", "concealable": True}, {"id": "inspection"}]
ONE_GROUP = [
    ("fishery-v0", INSPECTION, "citizens"),
    ("fishery-v0", INSPECTION, "inspector"),
    ("public_goods-v0", ["mediator"], "citizens"),
    ("public_goods-v0", ["mediator"], "mediator"),
    ("double_auction-v0", [], "buyers"),
    ("employment-v0", [], "workers"),
    ("lemons-v0", [], "sellers"),
    ("lemons-v0", INSPECTION, "buyers"),
]


class Watched:
    """Random acts of every group, and what was shown and answered last."""

    def __init__(self, society):
        self.groups = society.groups
        self.reseed(0)

    def reseed(self, seed):
        self.rng = np.random.default_rng(seed)

    def act(self, observation, mask):
        self.shown = dict(observation)
        self.answered = {
            name: self.draw(group, len(observation[name])) for name, group in self.groups.items()
        }
        return self.answered

    def draw(self, group, worlds):
        options = np.array([action.space.size for action in group.spaces])
        share = self.rng.uniform(size=(worlds, group.size, len(options)))
        number = group.low + share * (group.high - group.low)
        return np.where(options > 0, np.floor(share * np.maximum(options, 1)), number)


@pytest.mark.parametrize(("dilemma", "stack", "group"), ONE_GROUP)
def test_the_slots_of_one_group_are_the_society(dilemma, stack, group):
    """Several worlds over several episodes: the others see and do what they should, nothing else moves."""
    twin = assemble(dilemma, stack, {"time_limit": 3}, num_worlds=3)
    others = Watched(twin)
    env = commonweal.vec_env(dilemma, stack, num_worlds=3, time_limit=3, group=group, policies=others)
    env.seed(4)
    twin.reset(4)
    assert np.array_equal(env.reset(), twin.observation[group].reshape(env.num_envs, -1))
    size, ended = env.num_envs // 3, 0
    for _ in range(8):
        seen = twin.observation
        mine = np.stack([env.action_space.sample() for _ in range(env.num_envs)])
        observation, reward, done, infos = env.step(mine)
        assert all(np.array_equal(others.shown[name], seen[name]) for name in seen)
        step = twin.step({**others.answered, group: mine.reshape(3, size, -1).astype(float)})
        assert np.array_equal(observation, step.observation[group].reshape(env.num_envs, -1))
        assert np.allclose(reward, step.reward[group].ravel(), rtol=1e-6)
        assert done.tolist() == np.repeat(step.done, size).tolist()
        for slot in np.flatnonzero(done):
            assert infos[slot]["TimeLimit.truncated"] == step.truncated[slot // size]
            last = step.final_observation[group][slot // size, slot % size]
            assert np.array_equal(infos[slot]["terminal_observation"], last)
        ended += int(step.done.sum())
    assert ended >= 3


def test_a_seeded_reset_restarts_the_noise_of_a_trained_population():
    society = commonweal.Society(commonweal.make("fishery-v0"), num_worlds=2)
    population = PPO(society, PPOConfig(rollout=8), seed=1).policies(replicate=0)
    env = commonweal.gym_env("fishery-v0", policies=population)
    check_env(env, skip_render_check=True)
    seen = []
    for seed in (3, 4, 3):
        env.reset(seed=seed)
        seen.append([float(env.step(5)[0][0]) for _ in range(5)])
    assert seen[0] == seen[2] != seen[1]


@pytest.mark.parametrize(("dilemma", "stack", "group"), ONE_GROUP)
@pytest.mark.filterwarnings("ignore:.*observation.*infinity:UserWarning")
def test_one_learner_among_officials_and_other_groups(dilemma, stack, group):
    twin = assemble(dilemma, stack, {"time_limit": 3}, autoreset=False)
    others = Watched(twin)
    last = twin.groups[group].size - 1
    env = commonweal.gym_env(dilemma, stack, time_limit=3, group=group, learner=last, policies=others)
    check_env(env, skip_render_check=True)
    seen, _ = env.reset(seed=4)
    twin.reset(4)
    assert np.array_equal(seen, twin.observation[group][0, last])
    over = False
    while not over:
        mine = env.action_space.sample()
        seen, reward, terminated, truncated, _ = env.step(mine)
        actions = {name: np.array(answer) for name, answer in others.answered.items()}
        actions[group][0, last] = mine
        step = twin.step(actions)
        assert np.array_equal(seen, step.observation[group][0, last])
        assert reward == step.reward[group][0, last]
        assert (terminated, truncated) == (step.terminated[0], step.truncated[0])
        over = terminated or truncated


@pytest.mark.parametrize("door", [commonweal.gym_env, commonweal.vec_env])
def test_others_that_draw_repeat_with_the_seed(door):
    drawing = Random(assemble("lemons-v0", [], {}), seed=1)
    env = door("lemons-v0", policies=drawing, group="buyers")

    def episode(seed):
        if door is commonweal.gym_env:
            env.reset(seed=seed)
        else:
            if seed is not None:
                env.seed(seed)
            env.reset()
        shown = []
        for _ in range(4):
            env.step(1 if door is commonweal.gym_env else np.ones(4))
            shown.append({name: value.tolist() for name, value in env.transition.conduct.items()})
        return shown

    first, unseeded, again, other = episode(3), episode(None), episode(3), episode(4)
    assert first == again
    assert first != unseeded
    assert first != other


@pytest.mark.parametrize("group", ["citizens", "inspector"])
def test_stable_baselines3_trains_one_group_among_officials(group):
    others = Watched(assemble("fishery-v0", INSPECTION, {}, num_worlds=2))
    env = commonweal.vec_env("fishery-v0", INSPECTION, num_worlds=2, group=group, policies=others)
    model = sb3.PPO("MlpPolicy", env, n_steps=16, batch_size=16, seed=0, device="cpu")
    before = [p.detach().clone() for p in model.policy.parameters()]
    model.learn(32 * env.num_envs)
    assert any((p != q).any() for p, q in zip(model.policy.parameters(), before, strict=True))


def test_an_act_out_of_its_stage_is_the_null_act():
    """Stable-baselines3 knows no masks: whatever it asks for, effort counts in play only."""
    env = commonweal.vec_env("fishery-v0", RESPOND, num_worlds=2, discrete=True, effort_levels=5)
    env.seed(0)
    env.reset()
    most = np.full(10, env.action_space.n - 1)
    for stage in ("play", "respond", "play"):
        env.step(most)
        assert ("effort" in env.transition.conduct and env.transition.conduct["effort"].any()) == (
            stage == "play"
        )
        assert env.transition.discount[0] == (env.society.charter.discount if stage == "play" else 1.0)


# ---------------------------------------------------------------- seeds, copies


def doors(**options):
    """Every door to the same society, as (reset(seed), step) in which all citizens play index 3."""
    parallel = commonweal.parallel_env("fishery-v0", **options)
    turns = commonweal.aec_env("fishery-v0", **options)
    alone = commonweal.gym_env("fishery-v0", policies={"citizens": three}, learner=4, **options)
    made = gymnasium.make("commonweal/fishery-v0", policies={"citizens": three}, learner=4, **options)
    slots = commonweal.vec_env("fishery-v0", **options)
    society = assemble("fishery-v0", [], options)

    def turn():
        for agent in list(turns.agents):
            assert turns.agent_selection == agent
            turns.step(3)
        return turns.observe("citizen_4")

    def reset_turns(seed):
        turns.reset(seed)
        return turns.observe("citizen_4")

    def reset_slots(seed):
        if seed is not None:
            slots.seed(seed)
        return slots.reset()[4]

    return {
        "parallel": (
            lambda seed: parallel.reset(seed)[0]["citizen_4"],
            lambda: parallel.step(dict.fromkeys(parallel.agents, 3))[0]["citizen_4"],
        ),
        "in turns": (reset_turns, turn),
        "gymnasium": (lambda seed: alone.reset(seed=seed)[0], lambda: alone.step(3)[0]),
        "gymnasium.make": (lambda seed: made.reset(seed=seed)[0], lambda: made.step(3)[0]),
        "stable-baselines3": (reset_slots, lambda: slots.step(np.full(5, 3))[0][4]),
        "society": (
            lambda seed: society.reset(seed)["citizens"][0, 4],
            lambda: society.step({"citizens": np.full((1, 5, 1), 3.0)}).observation["citizens"][0, 4],
        ),
    }


def test_a_seed_means_the_same_at_every_door():
    seen = {}
    for name, (reset, step) in doors(noise=0.3, time_limit=5).items():
        seen[name] = [[reset(seed).item(), *(step().item() for _ in range(3))] for seed in (7, None, 7, 8)]
    first, unseeded, again, other = seen["society"]
    assert first == again
    assert first != unseeded
    assert first != other
    assert seen == dict.fromkeys(seen, seen["society"])


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("door", [commonweal.parallel_env, commonweal.gym_env, commonweal.vec_env])
def test_a_copy_goes_on_and_draws_on_its_own(door, copied):
    policies = {"policies": {"citizens": three}} if door is commonweal.gym_env else {}
    env = door("fishery-v0", noise=0.3, render_mode="rgb_array", **policies)
    env.reset()
    first = env.render()
    twin = copied(env)
    assert np.array_equal(twin.render(), first)
    act = {
        commonweal.parallel_env: {f"citizen_{i}": 2 for i in range(5)},
        commonweal.gym_env: 2,
        commonweal.vec_env: np.full(5, 2),
    }[door]
    env.step(act)
    assert np.array_equal(twin.render(), first)
    twin.step(act)
    assert np.array_equal(env.society.observation["citizens"], twin.society.observation["citizens"])
    assert np.array_equal(env.render(), twin.render())
    assert (env.render() != first).any()
    for one in (env, twin, env):
        one.close()


# ---------------------------------------------------------------- what users get wrong


@pytest.mark.parametrize("door", [commonweal.parallel_env, commonweal.gym_env, commonweal.vec_env])
@pytest.mark.parametrize("stack", ["taxation", {"id": "taxation"}, commonweal.institution("taxation"), 3])
def test_a_single_institution_stands_in_a_list(door, stack):
    with pytest.raises(InvalidParameter, match="a list of them"):
        door("fishery-v0", stack)


@pytest.mark.parametrize(
    ("policies", "error", "named"),
    [
        (three, InvalidParameter, "an object with act"),
        ({"citizens": "constant"}, InvalidParameter, "a function of observation and mask"),
        ({"citizens": lambda observation, mask: None}, InvalidAction, r"shape \(1, 5, 1\)"),
        ({"citizens": lambda observation, mask: np.zeros((1, 5))}, InvalidAction, r"shape \(1, 5, 1\)"),
        ({"citizens": lambda observation, mask: [["a"]]}, InvalidAction, r"shape \(1, 5, 1\)"),
        ({"citizens": lambda observation, mask: np.full((1, 5, 1), np.nan)}, InvalidAction, "nan"),
    ],
)
def test_policies_that_do_not_fit_are_named(policies, error, named):
    def try_it():
        env = commonweal.gym_env("fishery-v0", policies=policies)
        env.reset(seed=0)
        env.step(0)

    with pytest.raises(error, match=named):
        try_it()


def test_an_object_that_forgets_a_group_is_named():
    class Forgetful:
        def act(self, observation, mask):
            return {}

    env = commonweal.vec_env("double_auction-v0", group="buyers", policies=Forgetful())
    env.reset()
    with pytest.raises(InvalidAction, match="policy of sellers answers None"):
        env.step(np.zeros((4, 2)))


def test_steps_come_after_a_reset_and_learners_are_numbers():
    env = commonweal.vec_env("fishery-v0")
    with pytest.raises(InvalidAction, match="reset"):
        env.step(np.zeros(5))
    env.reset()
    with pytest.raises(InvalidAction, match="numbers"):
        env.step(np.zeros(4))
    with pytest.raises(InvalidParameter, match="rgb_array"):
        commonweal.vec_env("fishery-v0", render_mode="human")
    with pytest.raises(InvalidParameter, match="learner is '0'"):
        commonweal.gym_env("fishery-v0", policies={"citizens": three}, learner="0")
    parallel = commonweal.parallel_env("fishery-v0")
    parallel.reset(seed=0)
    with pytest.raises(InvalidAction, match="a mapping from"):
        parallel.step([0] * 5)


# ---------------------------------------------------------------- a real window

WINDOW = """
import commonweal, numpy as np
from matplotlib import _pylab_helpers, get_backend
from PIL import ImageGrab

env = commonweal.parallel_env("fishery-v0", ["taxation"], render_mode="human")
assert env.render() is None

def step():
    env.step(dict.fromkeys(env.agents, 3))
    (manager,) = _pylab_helpers.Gcf.get_all_fig_managers()
    widget = manager.canvas.get_tk_widget()
    assert manager.window.winfo_viewable()
    left, top = widget.winfo_rootx(), widget.winfo_rooty()
    drawn = np.asarray(manager.canvas.buffer_rgba())[..., :3]
    box = left, top, left + drawn.shape[1], top + drawn.shape[0]
    return drawn, np.asarray(ImageGrab.grab(box)), manager

env.reset(seed=0)
for _ in range(2):
    drawn, shown, manager = step()
    assert drawn.std() > 10 and (drawn == shown).mean() > 0.99
_pylab_helpers.Gcf.destroy(manager)  # what the window's own button does
env.step(dict.fromkeys(env.agents, 3))  # goes on without it
env.close()
env.reset(seed=0)
step()  # opens a new one
env.close()
env.close()
assert not _pylab_helpers.Gcf.get_all_fig_managers()
print(get_backend())
"""


@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="no virtual display")
def test_a_window_shows_what_is_drawn():
    pytest.importorskip("tkinter")
    command = ["xvfb-run", "-a", "-s", "-screen 0 1400x800x24", sys.executable, "-c", WINDOW]
    done = subprocess.run(command, env={**os.environ, "MPLBACKEND": "tkagg"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["tkagg"]


def test_without_a_display_nothing_is_shown_and_nothing_breaks(monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.delenv("DISPLAY", raising=False)
    pyplot.switch_backend("agg")
    env = commonweal.parallel_env("fishery-v0", render_mode="human")
    env.reset(seed=0)
    env.step(dict.fromkeys(env.agents, 3))
    assert len(pyplot.get_fignums()) == 1
    env.close()
    assert not pyplot.get_fignums()


# ---------------------------------------------------------------- registries and wrappers


def test_gymnasiums_registry_takes_what_gym_env_takes():
    names = [name for name in gymnasium.registry if name.startswith("commonweal/")]
    assert names == [f"commonweal/{dilemma}" for dilemma in DILEMMAS]
    env = gymnasium.make("commonweal/fishery-v0", policies={"citizens": three}, num_agents=5, time_limit=4)
    assert isinstance(env.unwrapped, LearnerEnv)
    check_env(env.unwrapped, skip_render_check=True)
    assert env.unwrapped.society.time_limit == 4
    several = gymnasium.make_vec("commonweal/fishery-v0", 2, policies={"citizens": three}, noise=0.3)
    observation, _ = several.reset(seed=[0, 1])
    observation, *_ = several.step(np.array([3, 3]))
    assert observation[0] != observation[1]
    with pytest.raises(InvalidParameter, match="policy for each"):
        gymnasium.make("commonweal/fishery-v0")


def test_wrappers_of_stable_baselines3():
    """Stacked, normalised and watched; the last observation of an episode is stacked, too."""
    inner = commonweal.vec_env("fishery-v0", num_worlds=2, time_limit=5, **SEA)
    env = vec.VecNormalize(vec.VecFrameStack(vec.VecMonitor(inner), 3), norm_obs=False)
    model = sb3.PPO("MlpPolicy", env, n_steps=10, batch_size=100, seed=0, device="cpu")
    model.learn(200)
    assert {episode["l"] for episode in model.ep_info_buffer} == {5}
    env.reset()
    for _ in range(5):
        *_, infos = env.step(np.full(10, 2))
    assert infos[0]["TimeLimit.truncated"]
    assert infos[0]["terminal_observation"].shape == (3,)
    assert (np.diff(infos[0]["terminal_observation"]) < 0).all()


def test_what_was_shown_stays_as_it_was():
    """Replay buffers keep what they get: no step may write into it."""
    slots = commonweal.vec_env("fishery-v0", num_worlds=2, noise=0.3, time_limit=3)
    parallel = commonweal.parallel_env("fishery-v0", noise=0.3, time_limit=9)
    slots.seed(0)
    shown = [slots.reset()] + [array for _ in range(4) for array in slots.step(np.full(10, 2))[:3]]
    kept = [array.copy() for array in shown]
    slots.step(np.full(10, 2))
    slots.reset()
    assert all(np.array_equal(one, other) for one, other in zip(shown, kept, strict=True))
    seen, _ = parallel.reset(seed=0)
    acts = dict.fromkeys(parallel.agents, 2)
    shown = [seen, parallel.step(acts)[0]]
    kept = copy.deepcopy(shown)
    parallel.step(acts)
    parallel.reset()
    for one, other in zip(shown, kept, strict=True):
        assert all(np.array_equal(one[agent], other[agent]) for agent in one)
