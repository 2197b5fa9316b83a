"""Trains in two threads, forks, and does in the child what `sys.argv[1]` says; run by `test_fork.py`."""

import multiprocessing
import os
import signal
import sys
import threading

import gymnasium
import torch

import commonweal
from commonweal.agents.ppo import PPO, PPOConfig

LIMIT = 30  # seconds of a child; what waits for ever is killed by then


def population(worlds=256, replicates=2):
    society = commonweal.Society(commonweal.make("fishery-v0"), num_worlds=worlds)
    return society, PPO(society, PPOConfig(rollout=8), replicates=replicates, seed=1)


def fork(work, leave=os._exit):
    """Exit code of a forked process that does `work`."""
    child = os.fork()
    if child == 0:
        signal.alarm(LIMIT)
        work()
        leave(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def use(society, learner):
    """Step, act, evaluate, train on, and train anew: as many threads as there may be."""
    commonweal.evaluate(society, learner.policies())
    learner.train(2 * learner.steps)
    population()[1].train(2_000)


def after():
    society, learner = population()
    learner.train(6_000)
    assert any(thread.name.startswith("kernel") for thread in threading.enumerate())
    torch.rand(500, 500) @ torch.rand(500, 500)
    before = torch.get_num_threads()
    codes = [fork(lambda: use(society, learner)), fork(lambda: use(society, learner), sys.exit)]
    codes.append(fork(lambda: sys.exit(fork(lambda: use(society, learner)))))  # a child's child
    process = multiprocessing.get_context("fork").Process(target=use, args=(society, learner), daemon=True)
    process.start()
    process.join(LIMIT)
    use(society, learner)  # here nothing has changed
    assert torch.get_num_threads() == before == 2
    return [*codes, process.exitcode]


def during():
    """A child that goes on where its parent was, and one of another thread, at any moment."""
    learner, codes = population()[1], []

    def at_an_update(info):
        if not codes:
            codes.append(None)
            codes[0] = fork(lambda: learner.train(10_000))

    learner.train(5_000, on_update=at_an_update)
    training = threading.Thread(target=population()[1].train, args=(20_000,))
    training.start()
    codes += [fork(lambda: use(*population())) for _ in range(3)]
    training.join()
    return codes


def vector():
    """Gymnasium's environments in forked processes, the others in them played by what was trained."""
    _, learner = population(worlds=64, replicates=1)
    learner.train(20_000)
    signal.alarm(2 * LIMIT)
    make = lambda: commonweal.gym_env("fishery-v0", policies=learner.policies())  # noqa: E731
    envs = gymnasium.vector.AsyncVectorEnv([make, make], context="fork")
    envs.reset(seed=1)
    for _ in range(5):
        envs.step(envs.action_space.sample())
    envs.close()
    return [0]


if __name__ == "__main__":
    torch.set_num_threads(2)
    print(globals()[sys.argv[1]]())
