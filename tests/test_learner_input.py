"""What learners are given: refused by name, value and what is allowed, before anything is trained."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from commonweal import Society, evaluate, make, vec_env
from commonweal.agents.best_response import best_response_gain
from commonweal.agents.ppo import PPO, PPOConfig
from commonweal.agents.scripted import Random
from commonweal.envs.base import Outcome
from commonweal.errors import CommonwealError, Diverged, InvalidParameter
from tests.test_ppo import Elapsed, Stipend

SMALL = PPOConfig(hidden=(8,), rollout=16, epochs=2, minibatches=2)


def society(worlds=4):
    return Society(make("fishery-v0", num_agents=2), num_worlds=worlds)


def learner(**options):
    return PPO(society(), SMALL, **options)


# ---------------------------------------------------------------------- train means more


def test_training_twice_trains_twice():
    twice = learner(seed=3).train(640).train(640)
    assert (twice.steps, twice.updates) == (1280, 20)
    once = learner(seed=3).train(640)
    assert not torch.equal(once.teams["citizens"].theta, twice.teams["citizens"].theta)


def test_in_parts_of_one_schedule_is_as_in_one_piece():
    whole, parts = learner(seed=3).train(640), learner(seed=3)
    for steps in (64, 100, 412):  # rounded up to rollouts: 64, 128, 448
        parts.train(steps, schedule=640)
    assert parts.steps == 640
    assert torch.equal(whole.teams["citizens"].theta, parts.teams["citizens"].theta)


def test_the_learning_rate_declines_from_the_first_step_to_the_end_of_the_schedule(monkeypatch):
    seen = []
    monkeypatch.setattr(PPO, "_update", lambda self, share: seen.append(share) or advance(self))

    def advance(trained):
        trained.steps += 64
        return {}

    learner().train(128).train(128)
    assert seen == [1.0, 0.5, 0.5, 0.25]
    seen.clear()
    learner().train(128, schedule=256).train(0).train(64, 256)
    assert seen == [1.0, 0.75, 0.5]


def test_a_schedule_that_ends_too_early_is_refused():
    trained = learner().train(64)
    with pytest.raises(InvalidParameter, match="schedule is 100; allowed: 164 or more"):
        trained.train(100, schedule=100)
    assert trained.steps == 64


def test_what_listens_is_closed_when_training_fails(tmp_path):
    def fail(info):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        learner().train(640, on_update=fail, progress=True)
    learner().train(64, progress=True)  # a bar that were still alive would not let another one begin


# ---------------------------------------------------------------------- arguments

REFUSED = {
    "seed": [-1, 1.5, "1", None, True, np.array([1.5]), np.array([-1]), np.array([1, 2])],
    "replicates": [0, -1, 1.5, "2", None, np.nan, True],
    "device": ["gpu", "cuda:-3", 1.5, "meta:x"],
    "config": [{"rollout": 3}, 3],
    "society": [None, "fishery-v0"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in REFUSED.items() for value in values], ids=str
)
def test_learners_are_built_from_what_fits(name, value):
    given = {"society": society(), "config": SMALL, name: value}
    with pytest.raises(InvalidParameter, match=rf"(?s){name} is .*; allowed: "):
        PPO(given.pop("society"), given.pop("config"), **given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", np.nan), ("learning_rate", 0), ("learning_rate", -1e-3), ("learning_rate", "fast"),
        ("learning_rate", np.inf), ("rollout", 0), ("rollout", 1.5), ("epochs", 0), ("minibatches", 0),
        ("hidden", (0,)), ("hidden", (1.5,)), ("hidden", 8), ("clip", 0), ("clip", np.nan), ("entropy", -1),
        ("entropy", np.nan), ("gae_lambda", 1.1), ("gae_lambda", np.nan), ("target_decay", 1.0),
        ("max_gradient_norm", 0), ("initial_log_std", 100.0), ("initial_log_std", np.nan),
        ("final_learning_rate", -1), ("value_coefficient", np.inf), ("activation", "sine"), ("sharing", 1),
    ],
    ids=str,
)  # fmt: skip
def test_hyperparameters_fit(name, value):
    with pytest.raises(InvalidParameter, match=rf"PPOConfig.{name} is .*; allowed: "):
        PPOConfig(**{name: value})


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"steps": "5"}, "steps is '5'; allowed: 0 or more"),
        ({"steps": -1}, "steps is -1; allowed: 0 or more"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"steps": None}, "steps is None"),
        ({"steps": np.nan}, "steps is nan"),
        ({"steps": np.inf}, "steps is inf"),
        ({"steps": True}, "steps is True"),
        ({"steps": 2**63}, f"steps is {2**63}"),
        ({"steps": 64, "schedule": "long"}, "schedule is 'long'; allowed: 64 or more"),
        ({"steps": 64, "checkpoint_every": 0}, "checkpoint_every is 0; allowed: 1 or more"),
        ({"steps": 64, "checkpoint_every": "often"}, "checkpoint_every is 'often'"),
        ({"steps": 64, "on_update": 3}, "on_update is 3; allowed: None or a function"),
    ],
    ids=str,
)
def test_training_is_told_in_whole_numbers(arguments, named):
    untrained = learner()
    with pytest.raises(InvalidParameter, match=named):
        untrained.train(**arguments)
    assert untrained.updates == 0


def test_whole_numbers_of_any_kind_are_whole_numbers():
    for steps in (64, 64.0, np.int32(64), np.float32(64), np.array(64)):
        assert learner(replicates=np.int64(2), seed=np.uint64(3)).train(steps).steps in (64, 96)


@pytest.mark.parametrize(
    "call",
    [
        lambda trained: trained.policies(replicate=-1),
        lambda trained: trained.policies(replicate=1),
        lambda trained: trained.policies(replicate=0.5),
        lambda trained: trained.policies(seed=-1),
        lambda trained: trained.policies(seed="1"),
        lambda trained: trained.policies().reseed(-1),
        lambda trained: trained.update(np.nan),
        lambda trained: trained.update(2.0),
        lambda trained: Random(society(), seed=-1),
        lambda trained: Random(society()).reseed(-1),
        lambda trained: evaluate(trained, trained.policies()),
        lambda trained: evaluate(society(), None),
        lambda trained: evaluate(society(), trained.policies(), seed=-1),
        lambda trained: best_response_gain(society(1), trained.policies(), 0),
        lambda trained: best_response_gain(society(1), trained.policies(), 1.5),
    ],
)
def test_what_is_asked_of_the_trained_fits(call):
    with pytest.raises(InvalidParameter, match=r"(?s) is .*; allowed: "):
        call(learner())


# ---------------------------------------------------------------------- numbers that are none


def test_weights_that_explode_have_a_name(tmp_path):
    """A not-a-number would choose the first option, which is to cooperate."""
    config = PPOConfig(learning_rate=1e9, rollout=32, hidden=(8,))
    diverging, path = PPO(Society(make("matrix-v0"), num_worlds=8), config, seed=1), tmp_path / "c.npz"
    with pytest.raises(Diverged, match=r"parameters of citizens.*nan; allowed: .*rate is 1e\+09"):
        diverging.train(100_000, checkpoint=path, checkpoint_every=1)
    for again in (
        lambda: diverging.train(256), diverging.policies, lambda: diverging.save(path),
        lambda: PPO(diverging.society, config).copy_policies(diverging).train(256),
    ):  # fmt: skip
        with pytest.raises(Diverged, match=r"not finite|allowed: finite"):
            again()
    before = PPO.resume(path)  # of the last update whose weights were numbers
    assert before.updates == diverging.updates - 1
    assert before.teams["citizens"].theta.isfinite().all()


def test_finite_weights_whose_outputs_are_not():
    trained = learner()
    with torch.no_grad():
        trained.teams["citizens"].theta.fill_(3e38)
    with pytest.raises(Diverged, match="outputs"):
        trained.policies().act(trained.society.observation)
    with pytest.raises(Diverged, match=r"outputs|parameters"):
        trained.train(64)


@dataclass(frozen=True, eq=False, repr=False)
class Broken(Stipend):
    """Shows or pays what is no number from the third play on."""

    what: str = "observation"
    number: float = np.nan

    def __post_init__(self):
        """Declared types do not hold NaN."""

    def observe(self, state):
        wrong = (state.round >= 3) & (self.what == "observation")
        return {"round": np.where(wrong, self.number, 0.0)}

    def step(self, state, play, rng):
        wrong = (state.round >= 3) & (self.what == "reward")
        return Elapsed(state.round + 1.0), Outcome(np.where(wrong, self.number, 1.0), {"income": play["say"]})


NONE = [(what, number) for what in ("observation", "reward") for number in (np.nan, np.inf, -np.inf)]


def broken(what, number, worlds=2):
    return Society(Broken(what=what, number=number), num_worlds=worlds)


@pytest.mark.parametrize(("what", "number"), NONE)
def test_a_learner_does_not_learn_from_what_is_no_number(what, number):
    trained = PPO(broken(what, number), SMALL, seed=1)
    before = trained.teams["citizens"].theta.detach().clone()
    with pytest.raises(Diverged, match=f"{what}s of citizens.*{number}"):
        trained.train(64)
    assert torch.equal(before, trained.teams["citizens"].theta)
    assert all(moment.isfinite().all() for moment in trained.teams["citizens"].scale.moments.values())


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_policies_do_not_act_on_what_is_no_number(number):
    policies = PPO(Society(Stipend(), num_worlds=2), SMALL).policies()
    for ask in (policies.act, policies.probabilities):
        with pytest.raises(Diverged, match="observations"):
            ask({"citizens": np.full((2, 1, 1), number, np.float32)})


@pytest.mark.parametrize(("what", "number"), NONE)
def test_stable_baselines3_is_shown_numbers(what, number):
    pytest.importorskip("stable_baselines3")
    env = vec_env(Broken(what=what, number=number), num_worlds=2)
    env.reset()

    def play():
        for _ in range(5):
            env.step(np.zeros((2, 1)))

    with pytest.raises(Diverged, match=f"{what}s of citizens"):
        play()


def test_diverged_is_one_of_ours():
    assert issubclass(Diverged, CommonwealError)
