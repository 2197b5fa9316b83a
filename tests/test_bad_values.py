"""Seeds, counts and choices that are none: refused by name at every door, before anything changes."""

import numpy as np
import pytest

import commonweal
from commonweal import Society, evaluate, make
from commonweal.agents.scripted import Scripted, scripted
from commonweal.benchmarks import statistics
from commonweal.benchmarks.runner import run_study
from commonweal.benchmarks.suite import Learner, Study
from commonweal.benchmarks.suite_file import load, parse
from commonweal.errors import CommonwealError
from commonweal.random import world_seeds

FISHERY = make("fishery-v0")
SOCIETY = Society(FISHERY)


def rule(observed, rng):
    return {"effort": np.zeros(next(iter(observed.values())).shape[:2])}


OTHERS = Scripted(SOCIETY, rule)
NO_SEED = [-1, 1.5, "5", True, np.nan, np.inf, [1], np.array([1.5]), -(10**30), b"x", object()]
SEEDS = {
    "Society": lambda v: Society(FISHERY, seed=v),
    "from_dict": lambda v: Society.from_dict(SOCIETY.to_dict(), v),
    "reset": lambda v: SOCIETY.reset(v),
    "evaluate": lambda v: evaluate(SOCIETY, OTHERS, seed=v),
    "world_seeds": lambda v: world_seeds(v, 2),
    "Scripted": lambda v: Scripted(SOCIETY, rule, v),
    "scripted": lambda v: scripted(SOCIETY, make("labour-v0").references().selfish, v),
    "reseed": lambda v: OTHERS.reseed(v),
    "parallel_env": lambda v: commonweal.parallel_env("fishery-v0").reset(seed=v),
    "aec_env": lambda v: commonweal.aec_env("fishery-v0").reset(seed=v),
    "gym_env": lambda v: commonweal.gym_env("fishery-v0", policies=OTHERS).reset(seed=v),
    "vec_env": lambda v: commonweal.vec_env("fishery-v0").seed(v),
    "bootstrap": lambda v: statistics.bootstrap(np.ones((3, 2)), seed=v),
    "estimate": lambda v: statistics.estimate([1.0, 2.0], seed=v),
    "paired_difference": lambda v: statistics.paired_difference([1.0, 2.0], [2.0, 1.0], seed=v),
    "study": lambda v: Study(seed=v),
}
NO_COUNT = [0, -1, 1.5, "5", True, np.nan, np.inf, [1], None, b"x"]
COUNTS = {
    "num_worlds": lambda v: Society(FISHERY, num_worlds=v),
    "time_limit": lambda v: Society(FISHERY, time_limit=v if v is not None else 0),
    "max_cycles": lambda v: commonweal.parallel_env("fishery-v0", max_cycles=v if v is not None else 0),
    "worlds of vec_env": lambda v: commonweal.vec_env("fishery-v0", num_worlds=v),
    "repetitions": lambda v: statistics.bootstrap(np.ones((3, 2)), repetitions=v),
    "replicates": lambda v: Study(replicates=v),
    "evaluation_worlds": lambda v: Study(evaluation_worlds=v),
    "steps": lambda v: Learner(steps=v),
    "worlds": lambda v: Learner(worlds=v),
    "workers": lambda v: run_study(None, "/nowhere/at/all", workers=v),
}
NO_SWITCH = [1, 0, "yes", None, [True], np.nan]
SWITCHES = {
    "autoreset": lambda v: Society(FISHERY, autoreset=v),
    "continuous": lambda v: commonweal.parallel_env("fishery-v0", continuous=v),
    "discrete": lambda v: commonweal.vec_env("fishery-v0", discrete=v),
}
OTHER = {
    "group": (lambda v: commonweal.vec_env("fishery-v0", group=v), [[1], np.array([1]), 3, ""]),
    "group of gym_env": (lambda v: commonweal.gym_env("fishery-v0", policies=OTHERS, group=v), [[1], 3, ""]),
    "level": (lambda v: statistics.estimate([1.0, 2.0], level=v), [0, 1, "5", None, [0.5], np.nan, True]),
    "runs": (lambda v: statistics.estimate(v), [1, "5", None, [[1], [2, 3]], ["a"], b"x", [], object()]),
    "scores": (lambda v: statistics.interquartile_mean(v), [1, [1.0], "5", None, [["a"]], object()]),
    "pairs": (lambda v: statistics.probability_of_improvement(v, v), [1, [1.0], "5", None, [["a"]]]),
    "profile": (lambda v: statistics.performance_profile(v, [0.5]), [1, [1.0], "5", None, [["a"]]]),
    "ppo": (lambda v: Learner(ppo=v), [1, None, "x", [1]]),
    "suite": (load, [1, None, b"x", [1]]),
    "text": (parse, [1, None, b"x", [1]]),
}
CASES = [
    pytest.param(door, value, id=f"{name} {value!r:.20}")
    for doors, values in ((SEEDS, NO_SEED), (COUNTS, NO_COUNT), (SWITCHES, NO_SWITCH))
    for name, door in doors.items()
    for value in values
] + [
    pytest.param(door, value, id=f"{name} {value!r:.20}")
    for name, (door, values) in OTHER.items()
    for value in values
]


@pytest.mark.parametrize(("door", "value"), CASES)
def test_what_is_none_is_refused_by_name(door, value):
    with pytest.raises(CommonwealError, match=r"(?s)allowed: |line 1"):
        door(value)


@pytest.mark.parametrize("seed", [0, 1, np.int8(3), np.uint64(2**64 - 1), 10**30])
@pytest.mark.parametrize("door", SEEDS.values(), ids=SEEDS)
def test_every_whole_number_is_a_seed(door, seed):
    if door is not SEEDS["study"]:
        door(seed)


def test_a_refused_seed_changes_nothing():
    env = commonweal.gym_env("fishery-v0", policies=OTHERS)
    env.reset(seed=3)
    before = env.society.get_state()
    with pytest.raises(CommonwealError):
        env.reset(seed=-1)
    assert all(np.array_equal(before[name], array) for name, array in env.society.get_state().items())
