"""Any PettingZoo parallel environment becomes a dilemma."""

import copy
from typing import ClassVar

import numpy as np
import pettingzoo
import pytest
from gymnasium import spaces
from pettingzoo.test import parallel_api_test, parallel_seed_test

import commonweal
from commonweal import Society, institution
from commonweal.envs.foreign import Foreign
from commonweal.errors import InvalidParameter, UnsupportedSpace
from commonweal.spaces import Conduct


class Jar(pettingzoo.ParallelEnv):
    """Three agents take from a jar whose size is drawn at the start; agent 2 leaves after two steps."""

    metadata: ClassVar = {"name": "jar_v0"}
    render_mode = None

    def __init__(self, steps=4):
        self.steps = steps
        self.possible_agents = ["eater_0", "eater_1", "eater_2"]
        self.seen = {a: spaces.Box(-100.0, 100.0, (2, 1), np.float32) for a in self.possible_agents}
        self.acts = {a: spaces.Discrete(3, start=5) for a in self.possible_agents}

    def observation_space(self, agent):
        return self.seen[agent]

    def action_space(self, agent):
        return self.acts[agent]

    def reset(self, seed=None, options=None):
        self.rng = np.random.default_rng(seed)
        self.jar, self.time, self.agents = self.rng.uniform(20, 40), 0, list(self.possible_agents)
        return self._see(), {a: {} for a in self.agents}

    def _see(self):
        return {a: np.array([[self.jar], [self.time]], np.float32) for a in self.agents}

    def step(self, actions):
        self.time += 1
        taken = {a: float(actions[a] - 5) for a in self.agents}
        self.jar += self.rng.normal() - sum(taken.values())
        seen = self._see()
        gone = {a: a == "eater_2" and self.time == 2 for a in self.agents}
        cut = {a: self.time == self.steps for a in self.agents}
        infos = {a: {"bill": 0.5} for a in self.agents}
        self.agents = [a for a in self.agents if not (gone[a] or cut[a])]
        return seen, taken, gone, cut, infos


def read(observation, action, reward, info):
    return reward - info["bill"], {"taken": float(action - 5)}


def move(observation, action, reward, info):
    return reward, {"moved": float(action != 4)}


def jar(**options):
    return Foreign(Jar, read, {"taken": Conduct("sweets")}, **{"max_cycles": 4, **options})


def pursuit(**options):
    return Foreign("sisl/pursuit_v5", move, {"moved": Conduct("steps")}, **{"max_cycles": 8, **options})


def play(society, steps, seed=0):
    rng = np.random.default_rng(seed)
    return [
        society.step({"citizens": rng.integers(0, 3, (society.num_worlds, 3, 1)).astype(float)})
        for _ in range(steps)
    ]


def same(one, two):
    return all(
        np.array_equal(a.observation["citizens"], b.observation["citizens"])
        and np.array_equal(a.reward["citizens"], b.reward["citizens"])
        for a, b in zip(one, two, strict=True)
    )


def test_money_and_conduct_are_what_the_reader_says():
    society = Society(
        jar(), [institution("taxation", base="taken", rate=0.1, revenue="treasury")], num_worlds=2
    )
    step = society.step({"citizens": np.array([[[0.0], [1.0], [2.0]]] * 2)})
    assert step.conduct["taken"].tolist() == [[0, 1, 2]] * 2
    assert step.money.tolist() == [[-0.5, 0.5, 1.5]] * 2
    assert step.reward["citizens"] == pytest.approx(np.array([[-0.5, 0.4, 1.3]] * 2))
    assert step.ledger.treasury == pytest.approx([0.3, 0.3])


def test_worlds_differ_and_repeat_and_do_not_depend_on_the_batch():
    batch = Society(jar(), num_worlds=3, seed=5)
    assert len(np.unique(batch.observation["citizens"][:, 0, 0])) == 3
    alone = Society(jar(), seed=batch.seeds[2:])
    rng = np.random.default_rng(0)
    for _ in range(11):  # several episodes
        acts = rng.integers(0, 3, (3, 3, 1)).astype(float)
        whole, part = batch.step({"citizens": acts}), alone.step({"citizens": acts[2:]})
        assert np.array_equal(whole.observation["citizens"][2], part.observation["citizens"][0])
        assert np.array_equal(whole.reward["citizens"][2], part.reward["citizens"][0])


def test_limits_are_truncations_and_the_leaver_earns_nothing_more():
    society = Society(jar(), num_worlds=2)
    steps = play(society, 4)
    assert [step.truncated.all() for step in steps] == [False, False, False, True]
    assert not any(step.terminated.any() for step in steps)
    assert (steps[1].money[:, 2] != 0).all()
    assert (steps[2].money[:, 2] == 0).all()
    with pytest.raises(InvalidParameter, match="at most 4"):
        play(Society(jar(max_cycles=9)), 4)
    with pytest.raises(InvalidParameter, match="at most 4"):
        play(Society(Foreign(lambda: Jar(9), read, {"taken": Conduct("sweets")}, 4), time_limit=9), 5)


def test_a_world_is_its_seed_and_its_past(tmp_path):
    """Copies and restored states find their way again, though environments change in place."""
    society = Society(jar(), num_worlds=3, seed=1)
    play(society, 2)
    saved = {name: array.copy() for name, array in society.get_state().items()}
    twin = copy.deepcopy(society)
    first = play(society, 6, seed=2)
    assert same(first, play(twin, 6, seed=2))
    society.set_state(saved)
    assert same(first, play(society, 6, seed=2))


def test_stages_do_not_advance_the_foreign_world():
    society = Society(jar(), [institution("peer-sanctions", base="taken", stage="respond")], num_worlds=2)
    still = society.columns.null_actions(2)
    moved = []
    for _ in range(6):
        before = society.state.plays[0, 0]
        society.step(still)
        moved.append(int(society.state.plays[0, 0] - before))
    assert moved == [1, 0, 1, 0, 1, 0]


def test_workers_change_nothing():
    here, there = Society(jar(), num_worlds=5, seed=3), Society(jar(workers=2), num_worlds=5, seed=3)
    assert same(play(here, 9), play(there, 9))
    there.dilemma.host.close()


def test_an_error_in_a_worker_comes_back():
    dilemma = jar(max_cycles=9, workers=1)
    with pytest.raises(InvalidParameter, match="at most 4"):
        play(Society(dilemma), 4)
    dilemma.host.close()
    with pytest.raises(InvalidParameter, match="functions of a module"):
        Society(Foreign(lambda: Jar(), read, {"taken": Conduct("sweets")}, 4, workers=1))


def test_what_columns_cannot_hold_is_refused():
    class Odd(Jar):
        def action_space(self, agent):
            return spaces.Text(3)

    class Unequal(Jar):
        def action_space(self, agent):
            return spaces.Discrete(2 + int(agent[-1]))

    for env, reason in ((Odd, "Text"), (Unequal, "different")):
        with pytest.raises(UnsupportedSpace, match=reason):
            Foreign(env, read, {"taken": Conduct("sweets")}, 4)


def test_one_of_pettingzoos_own():
    pytest.importorskip("pygame")
    society = Society(pursuit(), [institution("taxation", base="moved", rate=0.01)], num_worlds=2, seed=0)
    assert society.groups["citizens"].size == 8
    acts = np.full((2, 8, 1), 4.0)
    acts[:, 0] = 1.0
    step = society.step({"citizens": acts})
    assert step.conduct["moved"].tolist() == [[1] + [0] * 7] * 2
    net = np.array([-0.01] + [0.01 / 7] * 7)
    assert step.reward["citizens"] - step.money == pytest.approx(np.array([net] * 2))


@pytest.mark.parametrize("build", [jar, pursuit])
def test_out_again_through_the_front_door(build):
    if build is pursuit:
        pytest.importorskip("pygame")

    def env():
        return commonweal.parallel_env(build())

    parallel_api_test(env(), num_cycles=20)
    parallel_seed_test(env, num_cycles=20)
