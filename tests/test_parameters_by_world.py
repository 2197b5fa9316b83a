"""A parameter with one value per world: each world is as if it were alone with its value."""

import numpy as np
import pytest

from commonweal import Society, registry
from commonweal.compatibility import fitting
from commonweal.errors import InvalidParameter
from tests.strategies import random_actions
from tests.varied import dilemma, home, value_of, varied, with_value

NEUTRAL = {("exchange-v0", "strength")}  # where it is the same for all agents it cancels out


def play(society, actions):
    """What a step brings, by name, worlds first."""
    step = society.step(actions)
    found = {f"reward of {g}": v for g, v in step.reward.items()}
    found |= {f"seen by {g}": v for g, v in step.observation.items()}
    found |= {f"mask of {g}": v for g, v in (step.mask or {}).items()}
    found |= step.conduct | {
        "money": step.money,
        "W": step.welfare,
        "done": step.done,
        "net": step.ledger.net,
    }
    entries = enumerate(step.ledger.entries)
    return found | {f"{e.institution} {e.purpose} {place}": e.amount for place, e in entries}


def same(one, other):
    """Whether two worlds have brought the same; what is not there is nothing."""
    shared = [(one.get(name), other.get(name)) for name in one.keys() | other.keys()]
    pairs = [(np.zeros_like(b) if a is None else a, np.zeros_like(a) if b is None else b) for a, b in shared]
    return all(a.shape == b.shape and np.allclose(a, b, 1e-12, 1e-12, equal_nan=True) for a, b in pairs)


def shifted(society, shift):
    """The society in later plays, `(B,)`: its worlds then end at different times."""
    state = society.get_state()
    society.set_state({**state, "society.plays": state["society.plays"] + shift})


def check_worlds(build, values, steps=28):
    """A society with `values (B,)` in its worlds, against one for each value; whether they matter."""
    worlds = len(values)
    together = Society(*build(values), num_worlds=worlds, seed=4, time_limit=4)
    alone = [
        Society(*build(float(v)), seed=together.seeds[b : b + 1], time_limit=4) for b, v in enumerate(values)
    ]
    other = Society(*build(float(values[0])), num_worlds=worlds, seed=4, time_limit=4)
    for single in alone:  # what a world may do does not depend on the others
        theirs = {name: group.actions for name, group in single.groups.items()}
        assert theirs == {name: group.actions for name, group in together.groups.items()}
    rng, matters = np.random.default_rng(2), False
    for number in range(steps):
        if number == 2:
            shift = np.arange(worlds) % 2
            shifted(together, shift)
            shifted(other, shift)
            for b, single in enumerate(alone):
                shifted(single, shift[b : b + 1])
        actions = random_actions(together, rng)
        whole, unvaried = play(together, actions), play(other, actions)
        for b, single in enumerate(alone):
            part = play(single, {name: a[b : b + 1] for name, a in actions.items()})
            ours = {name: found[b] for name, found in whole.items()}
            assert same({name: found[0] for name, found in part.items()}, ours), (b, number)
        matters |= not same(whole, unvaried)
    return matters


def spread(base, worlds):
    """Values that differ from world to world, none above `base`."""
    return base * np.linspace(0.7, 1.0, worlds)


DILEMMAS = [
    pytest.param(name, parameter, id=f"{name} {parameter}")
    for name in registry.DILEMMAS
    for parameter, values in registry.dilemma_class(name).several().items()
    if values.worlds
]
INSTITUTIONS = [
    pytest.param(name, parameter, id=f"{name} {parameter}")
    for name in registry.INSTITUTIONS
    for parameter in varied(registry.institution_class(name))
]


def sizes(game):
    """Numbers of worlds: as many as agents, and as each group has."""
    return sorted({sum(game.groups.values()), *game.groups.values()} - {1})


@pytest.mark.parametrize(("name", "parameter"), DILEMMAS)
def test_each_world_of_a_dilemma_is_as_if_alone(name, parameter):
    game = dilemma(name)
    base = value_of(game, parameter)
    stacks = [[], *(stack for name in ("vote", "contract") if (stack := fitting(game, name)[0]))]
    for stack in stacks[:2]:
        matters = [
            check_worlds(lambda v, on=stack: (with_value(game, parameter, v), on), spread(base, worlds))
            for worlds in sizes(game)
        ]
        assert any(matters) != ((name, parameter) in NEUTRAL)


@pytest.mark.parametrize(("name", "parameter"), INSTITUTIONS)
def test_each_world_of_an_institution_is_as_if_alone(name, parameter):
    game, stack = home(name)
    part = next(p for p in stack if p.id == name)
    base, worlds = value_of(part, parameter), sum(game.groups.values())

    def build(value):
        return game, [with_value(p, parameter, value) if p is part else p for p in stack]

    if "." not in parameter and not part.several()[parameter].worlds:
        with pytest.raises(InvalidParameter, match=rf"(?s){parameter} is .*alike in all worlds"):
            build(spread(base, worlds))
        return
    assert check_worlds(build, spread(base, worlds))
