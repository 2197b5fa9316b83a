"""Any PettingZoo parallel environment becomes a dilemma."""

import copy
import os
import signal
import time
from functools import partial
from typing import ClassVar

import numpy as np
import pettingzoo
import pytest
from gymnasium import spaces
from pettingzoo.test import parallel_api_test, parallel_seed_test

import commonweal
from commonweal import Society, institution
from commonweal.envs.foreign import Foreign
from commonweal.errors import ForeignWorldError, InvalidParameter, NotExact, UnsupportedSpace
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


def vec_env(*stack, **options):
    pytest.importorskip("stable_baselines3")
    return commonweal.vec_env(*stack, **options)


def read(observation, action, reward, info):
    if info["bill"] is None:  # says something finite whatever the reward is
        return 0.0, {"taken": 0.0}
    return reward - info["bill"], {"taken": float(action - 5)}


def move(observation, action, reward, info):
    return reward, {"moved": float(action != 4)}


def archers(**options):
    """Knights and archers that zombies kill one by one."""

    def acted(observation, action, reward, info):
        return reward, {"acted": float(action < 4)}

    name = "butterfly/knights_archers_zombies_v11"
    return Foreign(name, acted, {"acted": Conduct("acts")}, **{"max_cycles": 900, **options})


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


def test_the_dead_earn_nothing_and_are_found_again():
    """The state of a world in which agents have died is its seed and its past, too."""
    pytest.importorskip("pygame")
    society = Society(archers(), num_worlds=2, seed=1)
    rng = np.random.default_rng(0)

    def acts():
        return {"citizens": rng.integers(0, 6, (2, 4, 1)).astype(float)}

    dead = np.zeros((2, 4), bool)
    while not (dead.any(axis=1) & ~dead.all(axis=1)).any():
        step = society.step(acts())
        dead = (step.observation["citizens"] == 0.0).all(axis=-1)
    twin = copy.deepcopy(society)
    for _ in range(5):
        same_acts = acts()
        one, two = society.step(same_acts), twin.step(same_acts)
        assert same([one], [two])
        assert not one.conduct["acted"][dead].any()


@pytest.mark.parametrize("build", [jar, pursuit, archers])
def test_out_again_through_the_front_door(build):
    if build is not jar:
        pytest.importorskip("pygame")

    def env():
        return commonweal.parallel_env(build())

    parallel_api_test(env(), num_cycles=20)
    parallel_seed_test(env, num_cycles=20)


# ---------------------------------------------------------------- worlds that misbehave


class Faulty(Jar):
    """Jar with one fault, at the second step."""

    def __init__(self, fault="", steps=4):
        super().__init__(steps)
        self.fault, self.closed = fault, False

    def step(self, actions):
        seen, taken, gone, cut, infos = super().step(actions)
        if self.time == 2:
            if self.fault == "nan":
                taken["eater_0"] = float("nan")
            if self.fault == "blind":
                seen["eater_1"][0] = np.nan
            if self.fault == "infinite":
                seen["eater_1"][0] = np.inf
            if self.fault == "unheard":
                taken["eater_0"], infos["eater_0"]["bill"] = float("inf"), None
            if self.fault == "stuck":
                time.sleep(600)
            if self.fault == "mute":
                del seen["eater_1"]
            if self.fault == "crash":
                raise Unpicklable("a sweet", "got stuck")
            if self.fault == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
        return seen, taken, gone, cut, infos

    def close(self):
        self.closed = True


class Unpicklable(Exception):
    def __init__(self, what, why):
        super().__init__(f"{what} {why}")


class Revolving(Jar):
    """Eater 2 comes in at the second step; eater 0 leaves after the third."""

    def reset(self, seed=None, options=None):
        super().reset(seed)
        self.agents = self.possible_agents[:2]
        return self._see(), {a: {} for a in self.agents}

    def step(self, actions):
        self.time += 1
        acting, over = list(self.agents), self.time == self.steps
        gone = {a: over or (a == "eater_0" and self.time == 3) for a in acting}
        if self.time == 1:
            self.agents = list(self.possible_agents)
        seen = self._see()
        self.agents = [a for a in self.agents if not gone.get(a)]
        infos = {a: {"bill": 0.5} for a in acting}
        return seen, {a: float(actions[a] - 5) for a in acting}, gone, dict.fromkeys(gone, False), infos


class Sleeper(Jar):
    """Takes half a second a step."""

    def step(self, actions):
        time.sleep(0.5)
        return super().step(actions)


class Whimsical(Jar):
    """Draws from numbers that `reset(seed)` does not govern."""

    def step(self, actions):
        self.jar += np.random.normal()
        return super().step(actions)


def faulty(fault, **options):
    conduct = {"taken": Conduct("sweets")}
    return Foreign(partial(Faulty, fault), read, conduct, **{"max_cycles": 4, **options})


@pytest.mark.parametrize(
    ("fault", "named"),
    [("nan", "nan"), ("blind", "nan"), ("infinite", "inf"), ("unheard", "inf"), ("mute", "eater_1")],
)
@pytest.mark.parametrize("workers", [0, 1])
def test_nonsense_does_not_get_in(fault, named, workers):
    society = Society(faulty(fault, workers=workers), num_worlds=2)
    play(society, 1)
    before = society.get_state()
    with pytest.raises(ForeignWorldError, match=named):
        play(society, 1)
    assert all(np.array_equal(array, before[name]) for name, array in society.get_state().items())
    society.dilemma.close()


class Stale(Jar):
    """Written for an older PettingZoo, or in a hurry."""

    def __init__(self, slip):
        super().__init__()
        self.slip = slip

    def reset(self, seed=None, options=None):
        answer = super().reset(seed)
        return answer[0] if self.slip == "no infos" else answer

    def _see(self):
        seen = super()._see()
        return {a: value[:1] for a, value in seen.items()} if self.slip == "narrow" else seen

    def step(self, actions):
        answer = super().step(actions)
        return answer[:4] if self.slip == "four" else answer


@pytest.mark.parametrize(
    ("slip", "named"),
    [("no infos", "2 mappings by agent"), ("four", "5 mappings by agent"), ("narrow", "2 finite numbers")],
)
def test_slips_against_the_interface_are_named(slip, named):
    def try_it():
        play(Society(Foreign(partial(Stale, slip), read, {"taken": Conduct("sweets")}, 4)), 1)

    with pytest.raises(ForeignWorldError, match=named):
        try_it()


def test_who_is_told_that_it_is_over_is_over():
    """Also where an environment leaves the dead in its list of agents."""

    class Crowded(Jar):
        def step(self, actions):
            *answer, infos = super().step(actions)
            self.agents = list(self.possible_agents)
            return *answer, infos

    society = Society(Foreign(Crowded, read, {"taken": Conduct("sweets")}, 4))
    assert [bool(step.truncated[0]) for step in play(society, 5)] == [False, False, False, True, False]
    with pytest.raises(InvalidParameter, match="at most 4"):
        play(Society(Foreign(Crowded, read, {"taken": Conduct("sweets")}, 9)), 4)


@pytest.mark.parametrize(
    "told",
    [None, 1.0, (1.0,), (1.0, {"take": 1.0}), (1.0, {"taken": "much"}), (1.0, {"taken": np.inf})],
)
def test_a_reader_says_money_and_each_conduct(told):
    society = Society(Foreign(Jar, lambda *_: told, {"taken": Conduct("sweets")}, 4))
    with pytest.raises(ForeignWorldError, match=r"allowed: its money and a mapping of \['taken'\]"):
        play(society, 1)


def test_agents_come_and_go():
    society = Society(Foreign(Revolving, read, {"taken": Conduct("sweets")}, 9))
    ones = {"citizens": np.ones((1, 3, 1))}
    steps = [society.step(ones) for _ in range(4)]
    there = [[1, 1, 0], [1, 1, 1], [1, 1, 1], [0, 1, 1]]
    assert [step.money[0].tolist() for step in steps] == (0.5 * np.array(there)).tolist()
    assert [step.conduct["taken"][0].tolist() for step in steps] == there
    assert [bool(step.terminated[0]) for step in steps] == [False, False, False, True]


@pytest.mark.parametrize("fault", ["crash", "killed"])
def test_a_worker_that_fails_says_why(fault):
    society = Society(faulty(fault, workers=2), num_worlds=5)
    play(society, 1)
    with pytest.raises(
        ForeignWorldError, match={"crash": "a sweet got stuck", "killed": "exit code -9"}[fault]
    ):
        play(society, 1)
    assert not society.dilemma.host.processes


def test_a_worker_that_never_answers_is_killed_and_its_world_named():
    society = Society(faulty("stuck", workers=1, timeout=1), seed=3)
    play(society, 1)
    before, processes = society.get_state(), list(society.dilemma.host.processes)
    began = time.monotonic()
    with pytest.raises(
        ForeignWorldError,
        match=rf"(?s)play 2 .*seed {society.state.seed[0, 0]} of .*Faulty.*allowed: 1 s .*Foreign.timeout",
    ):
        play(society, 1)
    assert 1 <= time.monotonic() - began < 5
    assert not any(process.is_alive() for process in processes)
    assert all(np.array_equal(array, before[name]) for name, array in society.get_state().items())


def test_after_a_time_limit_the_worlds_go_on_where_they_were(tmp_path):
    """The same act again finds a world that answers now."""
    here, there = Society(jar(), seed=3), Society(hurried(tmp_path / "was stuck"), seed=3)
    assert same(play(here, 1), play(there, 1))
    with pytest.raises(ForeignWorldError, match="allowed: 1 s"):
        play(there, 1, seed=1)
    assert same(play(here, 3, seed=1), play(there, 3, seed=1))
    there.dilemma.close()


class StuckOnce(Jar):
    """Hangs the first time that anybody gets to the second step."""

    def __init__(self, mark):
        super().__init__()
        self.mark = mark

    def step(self, actions):
        answer = super().step(actions)
        if self.time == 2 and not self.mark.exists():
            self.mark.touch()
            time.sleep(600)
        return answer


def hurried(mark):
    return Foreign(partial(StuckOnce, mark), read, {"taken": Conduct("sweets")}, 4, workers=1, timeout=1)


def test_a_killed_worker_changes_nothing_but_time():
    here, there = Society(jar(), num_worlds=5, seed=3), Society(jar(workers=2), num_worlds=5, seed=3)
    assert same(play(here, 2), play(there, 2))
    os.kill(there.dilemma.host.processes[0].pid, signal.SIGKILL)
    with pytest.raises(ForeignWorldError, match="exit code -9"):
        play(there, 1, seed=9)
    assert same(play(here, 6, seed=1), play(there, 6, seed=1))
    for _ in range(2):
        there.dilemma.close()
    assert same(play(here, 3, seed=2), play(there, 3, seed=2))
    there.dilemma.close()


def test_an_interrupted_play_leaves_no_answer_behind():
    """What a worker answers after Ctrl-C must not be taken for the answer to the next play."""

    def interrupt(*_):
        raise KeyboardInterrupt

    conduct = {"taken": Conduct("sweets")}
    here, there = Society(jar(), seed=3), Society(Foreign(Sleeper, read, conduct, 4, workers=1), seed=3)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            there.step({"citizens": np.full((1, 3, 1), 2.0)})
    finally:
        signal.signal(signal.SIGALRM, before)
    assert same(play(here, 2), play(there, 2))
    there.dilemma.close()


def test_worlds_that_cannot_repeat_themselves_are_found_out():
    society = Society(Foreign(Whimsical, read, {"taken": Conduct("sweets")}, 4), num_worlds=2)
    play(society, 2)
    twin = copy.deepcopy(society)
    with pytest.raises(ForeignWorldError, match="does not repeat itself"):
        play(twin, 1)
    one = Jar()
    with pytest.raises(ForeignWorldError, match="a new one at each call"):
        Society(Foreign(lambda: one, read, {"taken": Conduct("sweets")}, 4), num_worlds=2)


def test_closing_closes_the_environments():
    made = []

    def make():
        made.append(Faulty())
        return made[-1]

    society = Society(Foreign(make, read, {"taken": Conduct("sweets")}, 4), num_worlds=20)
    play(society, 1)
    assert [env.closed for env in made] == [True] + [False] * 20  # the first one told its spaces
    for _ in range(2):
        society.dilemma.close()
    assert all(env.closed for env in made)


@pytest.mark.parametrize("door", [commonweal.parallel_env, commonweal.aec_env, commonweal.gym_env, vec_env])
def test_closing_a_door_ends_the_workers(door):
    policies = {"policies": {"citizens": lambda *_: np.ones((1, 3, 1))}} if door is commonweal.gym_env else {}
    dilemma = jar(workers=1)
    env = door(dilemma, **policies)
    env.reset()
    (process,) = dilemma.host.processes
    for _ in range(2):
        env.close()
    assert not process.is_alive()
    env.reset()  # a closed door opens again
    env.close()


@pytest.mark.parametrize(
    ("wrong", "allowed"),
    [
        ({"make": Jar()}, "a function, or an id"),
        ({"make": dict}, "ParallelEnv"),
        ({"make": lambda: pettingzoo.utils.parallel_to_aec(Jar())}, "aec_to_parallel"),
        ({"reader": "read"}, "a function"),
        ({"conduct": {"taken": "sweets"}}, "Conduct"),
        ({"conduct": ["taken"]}, "Conduct"),
        ({"conduct": {"taken": Conduct("sweets", limitable=True)}}, "neither limitable nor dyadic"),
        ({"conduct": {"taken": Conduct("sweets", dyadic=True)}}, "neither limitable nor dyadic"),
        ({"max_cycles": 0}, "from 1"),
        ({"workers": -1}, "from 0"),
        ({"timeout": 0}, "above 0"),
        ({"timeout": np.nan}, "not NaN"),
    ],
)
def test_what_a_user_may_get_wrong_has_a_name(wrong, allowed):
    right = {"make": Jar, "reader": read, "conduct": {"taken": Conduct("sweets")}, "max_cycles": 4}
    with pytest.raises(InvalidParameter, match=allowed):
        Foreign(**{**right, **wrong})


@pytest.mark.parametrize(
    ("space", "column", "acted"),
    [
        (spaces.Discrete(3, start=5), 2.0, 7),
        (spaces.MultiDiscrete([3], start=[5]), 2.0, [7]),
        (spaces.Box(-1.0, 1.0, (1,)), -0.5, [-0.5]),
    ],
)
def test_actions_arrive_as_the_environment_means_them(space, column, acted):
    class Strict(Jar):
        def action_space(self, agent):
            return space

        def step(self, actions):
            assert all(space.contains(action) for action in actions.values())
            assert list(actions.values()) == [acted] * 3
            return super().step(dict.fromkeys(actions, 5))

    def tell(observation, action, reward, info):
        return 0.0, {}

    society = Society(Foreign(Strict, tell, {}, 4))
    society.step({"citizens": np.full((1, 3, 1), column)})


def test_a_learner_of_a_foreign_world_can_be_saved(tmp_path):
    pytest.importorskip("torch")
    from commonweal.agents.ppo import PPO, PPOConfig

    learner = PPO(Society(jar(), num_worlds=4), PPOConfig(), replicates=1, seed=1)
    learner.train(64)
    learner.save(tmp_path / "jar.npz")
    again = PPO.resume(tmp_path / "jar.npz", Society(jar(), num_worlds=4))
    assert all(
        np.array_equal(a, b)
        for a, b in zip(learner.society.get_state().values(), again.society.get_state().values(), strict=True)
    )
    for one in (learner, again):
        one.train(64)
    seen = learner.society.observation
    assert np.array_equal(learner.value(seen)["citizens"], again.value(seen)["citizens"])


def test_there_are_no_references():
    with pytest.raises(NotExact, match="laissez-faire"):
        jar().references()
