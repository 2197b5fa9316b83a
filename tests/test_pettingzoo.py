"""PettingZoo's own suites on every dilemma under every fitting institution, and what they leave out."""

import re
import subprocess
import sys
import warnings

import numpy as np
import pettingzoo
import pytest
from gymnasium import spaces
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, render_test, seed_test
from pettingzoo.test.state_test import state_test
from pettingzoo.utils import wrappers

import commonweal
from commonweal import envs, institution, make, parallel_env
from commonweal.errors import (
    IncompatibleInstitution,
    InvalidAction,
    InvalidParameter,
    UnknownName,
    UnsupportedSpace,
)
from commonweal.interfaces.pettingzoo import SocietyEnv
from commonweal.registry import DILEMMAS
from commonweal.society import Society
from tests.battery import pairs

# Written out, so that hand-computed numbers do not hang on the defaults.
SEA = {
    "num_agents": 5, "growth": 0.5, "capacity": 100.0, "catchability": 0.01, "price": 1.0, "cost": 0.2,
    "max_effort": 20.0, "effort_levels": 11, "noise": 0.0, "collapse": 0.0, "initial_stock": 1.0,
}  # fmt: skip
TAX = {"id": "taxation", "base": "turnover", "concealable": True}
EXTRA = [
    ("fishery-v0__continuous", make("fishery-v0", effort_levels=None), []),
    ("fishery-v0__each", make("fishery-v0"), [institution("peer-sanctions", targets="each")]),
    ("fishery-v0__respond", make("fishery-v0"), [institution("peer-sanctions", stage="respond")]),
    (
        "fishery-v0__tax_quota_sanctions",
        make("fishery-v0", noise=0.2, collapse=0.05),
        [institution("taxation", base="extraction"), institution("quota"), institution("peer-sanctions")],
    ),
    (
        "public_goods-v0__contract_respond",
        make("public_goods-v0"),
        [institution("contract"), institution("peer-sanctions", stage="respond", base="contribution")],
    ),
]
STACKS = [pytest.param(dilemma, stack, id=name) for name, dilemma, stack in [*pairs(), *EXTRA]]


def build(dilemma, stack, time_limit=20, **face):
    """An environment of any stack; a `Box` where numbers stand beside choices."""
    society = Society(dilemma, stack, time_limit=time_limit, autoreset=False)
    try:
        return SocietyEnv(society, **face)
    except UnsupportedSpace:
        return SocietyEnv(society, continuous=True, **face)


def expected_warnings(env):
    """Advice of the suites that is wrong for this environment by its nature; anything else fails."""
    groups = env.society.groups.values()
    advice = []
    if any(isinstance(space, spaces.MultiDiscrete) for space in env.action_spaces.values()):
        advice.append("Action space for each agent probably should be")
    if any(group.observation_size == 1 for group in groups):
        advice.append("Observation is a single number")
    if any(np.isinf(group.observation_low).any() for group in groups):
        advice += [f"{what} space value is -infinity" for what in ("minimum observation", "minimum state")]
    if any(np.isinf(group.observation_high).any() for group in groups):
        advice += [f"{what} space value is infinity" for what in ("maximum observation", "maximum state")]
    if any((group.observation_low <= 0).all() and (group.observation_high >= 0).all() for group in groups):
        advice += ["Observation numpy array is all zeros", "State numpy array is all zeros"]
    if len(groups) > 1:
        advice += [
            "Observations are different shapes",
            "Agents have different observation space sizes",
            "The class of action spaces is different between two agents",
        ]
    return "|".join(map(re.escape, advice))


@pytest.fixture
def only_expected_warnings():
    """Run a suite with every warning an error but those that the environment explains."""

    def run(env, suite):
        allowed = expected_warnings(env)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if allowed:
                warnings.filterwarnings("ignore", f".*({allowed})")
            suite()

    return run


@pytest.mark.parametrize(("dilemma", "stack"), STACKS)
def test_parallel_suites(dilemma, stack, only_expected_warnings):
    env = build(dilemma, stack)
    only_expected_warnings(env, lambda: parallel_api_test(env, num_cycles=60))
    only_expected_warnings(env, lambda: parallel_seed_test(lambda: build(dilemma, stack), num_cycles=30))
    only_expected_warnings(env, lambda: state_test(pettingzoo.utils.parallel_to_aec(env), env, num_cycles=10))


@pytest.mark.parametrize(("dilemma", "stack"), STACKS)
def test_aec_suites(dilemma, stack, only_expected_warnings):
    def turns():
        return pettingzoo.utils.parallel_to_aec(build(dilemma, stack))

    only_expected_warnings(build(dilemma, stack), lambda: api_test(turns(), num_cycles=60))
    only_expected_warnings(build(dilemma, stack), lambda: seed_test(turns, num_cycles=30))


@pytest.mark.parametrize(("dilemma", "stack"), STACKS)
def test_seeded_replay_over_whole_episodes(dilemma, stack):
    """PettingZoo's seed test looks at one step only."""
    one, two = build(dilemma, stack, 5), build(dilemma, stack, 5)
    for _ in range(2):
        for env in (one, two):
            env.reset(seed=3)
            for i, agent in enumerate(env.agents):
                env.action_space(agent).seed(i)
        while one.agents:
            acts = [{agent: env.action_space(agent).sample() for agent in env.agents} for env in (one, two)]
            first, second = one.step(acts[0]), two.step(acts[1])
            for agent in one.possible_agents:
                assert np.array_equal(first[0][agent], second[0][agent])
            assert first[1:4] == second[1:4]
            assert one.agents == two.agents
        # An episode without a seed goes on with fresh numbers, equal for both.
        assert all(
            np.array_equal(o, t)
            for o, t in zip(one.reset()[0].values(), two.reset()[0].values(), strict=True)
        )


def test_unseeded_environments_differ():
    runs = []
    for _ in range(2):
        env = parallel_env("fishery-v0", noise=0.3)
        env.reset()
        runs.append(env.step(dict.fromkeys(env.agents, 1))[0]["citizen_0"])
    assert not np.array_equal(*runs)


def test_step_returns_what_the_society_brought():
    env = parallel_env("fishery-v0", institutions=["laissez-faire"], time_limit=2, **SEA)
    env.reset(seed=0)
    observation, reward, terminated, truncated, infos = env.step(dict.fromkeys(env.agents, 2))
    # Effort 4 each: h = 0.01 * 4 * 100 = 4, income 4 - 0.2 * 4 = 3.2; the stock is at K, so it loses 20.
    assert reward == pytest.approx(dict.fromkeys(env.agents, 3.2))
    assert observation["citizen_4"] == pytest.approx([80.0])
    assert not any(terminated.values())
    assert not any(truncated.values())
    assert infos == {agent: {} for agent in env.agents}
    *_, truncated, _ = env.step(dict.fromkeys(env.agents, 2))
    assert all(truncated.values())
    assert env.agents == []
    assert env.step({}) == ({}, {}, {}, {}, {})


def test_agents_are_named_after_their_groups():
    env = parallel_env("double_auction-v0", institutions=[TAX, "inspection"])
    groups = env.society.groups
    assert env.possible_agents[0] == "buyer_0"
    assert f"seller_{groups['sellers'].size - 1}" in env.possible_agents
    assert len(env.possible_agents) == sum(group.size for group in groups.values())


def test_masks_are_what_sample_takes_and_forbidden_acts_do_nothing():
    env = parallel_env("fishery-v0", institutions=[{"id": "peer-sanctions", "stage": "respond"}])
    _, infos = env.reset(seed=0)
    for stage in ("play", "respond"):
        for agent in env.agents:
            mask = infos[agent]["action_mask"]
            assert [part.dtype for part in mask] == [np.int8] * len(mask)
            effort, *sanction = env.action_space(agent).sample(mask)
            if stage == "play":
                assert all(part.sum() == 1 for part in mask[1:])
                assert not any(sanction)
            else:
                assert mask[0].sum() == 1
                assert effort == 0
        # Only the stage's own columns count.
        before = env.society.state.stock.copy()
        *_, infos = env.step({agent: env.action_space(agent).nvec - 1 for agent in env.agents})
        assert np.array_equal(before, env.society.state.stock) == (stage == "respond")
        assert env.transition.ledger.burnt[0] == 0.0 or stage == "respond"


def test_the_four_kinds_of_action_space():
    assert parallel_env("fishery-v0").action_space("citizen_0") == spaces.Discrete(11)
    stack = ["peer-sanctions"]
    several = parallel_env("fishery-v0", stack)
    assert isinstance(several.action_space("citizen_0"), spaces.MultiDiscrete)
    joint = parallel_env("fishery-v0", stack, discrete=True)
    assert joint.action_space("citizen_0").n == np.prod(several.action_space("citizen_0").nvec)
    box = parallel_env("fishery-v0", stack, continuous=True).action_space("citizen_0")
    assert np.array_equal(box.low, [0, 0, 0])
    assert np.array_equal(box.high, [1, 1, 1])
    physical = parallel_env("fishery-v0", **{**SEA, "effort_levels": None}).action_space("citizen_0")
    assert physical.high == pytest.approx([20.0])
    with pytest.raises(UnsupportedSpace, match="continuous=True"):
        parallel_env("fishery-v0", stack, effort_levels=None)
    with pytest.raises(UnsupportedSpace, match="256"):
        parallel_env("fishery-v0", stack, effort_levels=100, discrete=True)
    with pytest.raises(UnsupportedSpace, match="effort"):
        parallel_env("fishery-v0", effort_levels=None, discrete=True)


@pytest.mark.parametrize("face", [{}, {"continuous": True}, {"discrete": True}])
def test_every_space_reaches_the_same_columns(face):
    """Encoded and decoded again, each joint option is itself; a sample stays in the society's range."""
    env = parallel_env("fishery-v0", ["peer-sanctions"], **face)
    flat = env.faces["citizens"]
    sizes = flat.sizes
    options = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), -1).reshape(-1, 1, len(sizes))
    options = np.repeat(options, env.society.groups["citizens"].size, axis=1).astype(float)
    assert np.array_equal(flat.decode(flat.encode(options), len(options)), options)


def test_a_choice_of_l_in_a_box_has_l_equal_parts():
    flat = parallel_env("fishery-v0", continuous=True, num_agents=1, institutions=[]).faces["citizens"]
    x = np.array([0.0, 0.0908, 0.0910, 0.5, 0.9999, 1.0])
    assert flat.decode(x, 6)[:, 0, 0].tolist() == [0, 0, 1, 5, 10, 10]


@pytest.mark.parametrize(
    "action",
    [np.nan, -1, 11, 1.5, "many", [1, 2], None],
    ids=["nan", "low", "high", "half", "text", "shape", "none"],
)
def test_bad_actions_change_nothing(action):
    env = parallel_env("fishery-v0")
    env.reset(seed=0)
    before = env.society.get_state()
    with pytest.raises(InvalidAction):
        env.step({**dict.fromkeys(env.agents, 0), "citizen_3": action})
    for name, array in env.society.get_state().items():
        assert np.array_equal(array, before[name]), name


@pytest.mark.parametrize("agents", [["citizen_0"], ["citizen_9"], []])
def test_missing_and_unknown_agents(agents):
    env = parallel_env("fishery-v0")
    env.reset(seed=0)
    with pytest.raises(InvalidAction, match="citizen_4"):
        env.step(dict.fromkeys(agents, 0))


@pytest.mark.parametrize(
    ("options", "error", "nearest"),
    [
        ({"num_agent": 3}, UnknownName, "num_agents"),
        ({"continous": True}, UnknownName, "continuous"),
        ({"time_limits": 3}, UnknownName, "time_limit"),
        ({"institutions": ["taxatoin"]}, UnknownName, "taxation"),
        ({"institutions": [{"id": "taxation", "rat": 0.1}]}, UnknownName, "rate"),
        ({"institutions": [{"rate": 0.1}]}, InvalidParameter, "id"),
        ({"institutions": [0.3]}, InvalidParameter, "Institution"),
        ({"institutions": ["taxation", "taxation"]}, IncompatibleInstitution, "tax"),
        ({"render_mode": "video"}, InvalidParameter, "rgb_array"),
        ({"continuous": True, "discrete": True}, InvalidParameter, "at most one"),
        ({"max_cycles": 3, "time_limit": 4}, InvalidParameter, "one of them"),
    ],
)
def test_bad_options_are_named(options, error, nearest):
    with pytest.raises(error, match=nearest):
        parallel_env("fishery-v0", **options)


@pytest.mark.parametrize("dilemma", DILEMMAS)
def test_every_dilemma_has_its_module_and_stands_in_the_registry(dilemma):
    name = dilemma.replace("-v", "_v")
    module = getattr(envs, name)
    made = [
        module.parallel_env(),
        module.env(),
        module.raw_env(),
        pettingzoo.make("parallel", f"commonweal/{dilemma}", max_cycles=7),
        pettingzoo.make("aec", f"commonweal/{name}"),
    ]
    assert [str(env) for env in made] == [name] * 5
    assert made[3].society.time_limit == 7
    assert isinstance(made[0], pettingzoo.ParallelEnv)
    assert isinstance(made[1], pettingzoo.AECEnv)


def test_imports():
    """PettingZoo's form can be imported as a module; the top level loads nothing heavy."""
    code = (
        "import commonweal, sys\n"
        "heavy = {'torch', 'numba', 'scipy', 'matplotlib', 'stable_baselines3'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "import commonweal.envs.fish_war_v0 as module\n"
        "from commonweal.envs import Fishery, fishery_v0\n"
        "assert Fishery.id == 'fishery-v0' and callable(module.parallel_env)\n"
        "assert all(hasattr(commonweal, name) for name in commonweal.__all__ if name != 'vec_env')\n"
    )
    subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], check=True)
    with pytest.raises(AttributeError, match="nothing"):
        _ = commonweal.nothing
    with pytest.raises(ImportError):
        from commonweal.envs import Nothing  # noqa: F401


STAGED = pytest.param([{"id": "peer-sanctions", "stage": "respond"}], marks=pytest.mark.slow)


@pytest.mark.parametrize("stack", [[], pytest.param(["peer-sanctions"], marks=pytest.mark.slow), STAGED])
def test_rendering(stack):
    render_test(lambda render_mode: envs.fishery_v0.env(institutions=stack, render_mode=render_mode))


@pytest.mark.parametrize("dilemma", DILEMMAS)
def test_pictures_of_every_dilemma_change_with_the_world(dilemma):
    env = build(make(dilemma), [], render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    env.step({agent: env.action_space(agent).sample() for agent in env.agents})
    second = env.render()
    env.close()
    assert first.shape == second.shape
    assert (first != second).any()


WRAPPED = {
    "parallel": wrappers.BaseParallelWrapper,
    "episodes": lambda env: wrappers.MultiEpisodeParallelEnv(env, num_episodes=1),
    "turns and back": lambda env: pettingzoo.utils.aec_to_parallel(
        wrappers.OrderEnforcingWrapper(pettingzoo.utils.parallel_to_aec(env))
    ),
}


@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.parametrize("stack", [[], [{"id": "peer-sanctions", "stage": "respond"}], [TAX, "inspection"]])
def test_wrappers_of_pettingzoo_change_nothing(name, stack):
    dilemma = "double_auction-v0" if TAX in stack else "fishery-v0"
    plain = parallel_env(dilemma, stack, time_limit=3)
    wrapped = WRAPPED[name](parallel_env(dilemma, stack, time_limit=3))
    first, _ = plain.reset(seed=2)
    second, _ = wrapped.reset(seed=2)
    steps = 0
    while plain.agents:
        for agent in first:
            assert np.array_equal(first[agent], second[agent])
        acts = {agent: plain.action_space(agent).sample() for agent in plain.agents}
        (first, *one, _), (second, *two, _) = plain.step(acts), wrapped.step(acts)
        assert one == two
        steps += 1
    assert not wrapped.agents
    assert steps == (6 if len(stack) == 1 else 3)
