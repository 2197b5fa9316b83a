"""Random stacks, and play that seeks what no planner could bring."""

import numpy as np

from commonweal import Society, institution
from commonweal.agents.scripted import observed
from commonweal.errors import CommonwealError
from commonweal.random import Streams
from tests.strategies import random_actions

MONEY = ("others", "citizens", "treasury", "treasury")


def random_stack(dilemma, rng):
    """Up to three institutions with random parameters, and what they need, that fit the dilemma."""
    while True:
        bases = [name for name, conduct in dilemma.conducts.items() if not conduct.dyadic]
        count = int(rng.integers(0, 4))
        plain = [part for one in rng.permutation(list(PARTS))[:count] for part in PARTS[one](rng, bases)]
        named = {part.get("name", part["id"]): part for part in plain}
        try:
            stack = [institution(part.pop("id"), **part) for part in named.values()]
            Society(dilemma, stack)
        except CommonwealError:
            continue
        return stack


def _monitor(rng):
    if rng.random() < 0.5:
        return {}
    return {"coverage": rng.random(), "noise": rng.choice([0.0, 0.5]), "false_positives": rng.random(),
            "cost": float(rng.choice([0.0, 0.1, 5.0]))}  # fmt: skip


def _tax(rng, bases, **more):
    rate = float(rng.choice([rng.random(), 1.0, 10.0 ** rng.uniform(-1, 3)]))
    return {"id": "taxation", "base": str(rng.choice(bases)), "rate": rate, "revenue": str(rng.choice(MONEY)),
            "administration": float(rng.choice([0.0, 0.3])), "monitor": _monitor(rng),
            "name": "tax"} | more  # fmt: skip


def _sanctions(rng, bases):
    return {
        "id": "peer-sanctions", "base": str(rng.choice(bases)), "cost": rng.uniform(0, 2),
        "fine": rng.uniform(0, 20), "stage": str(rng.choice(["play", "respond"])),
        "targets": str(rng.choice(["one", "each"])), "name": "sanction",
    }  # fmt: skip


PARTS = {
    "taxation": lambda rng, bases: [_tax(rng, bases)],
    "inspection": lambda rng, bases: [
        _tax(rng, bases, concealable=True),
        {"id": "inspection", "coverage": rng.random(), "penalty": rng.uniform(0, 20),
         "wage": rng.uniform(0, 5), "max_bribe": float(10.0 ** rng.uniform(-1, 3))},
    ],
    "income-tax": lambda rng, bases: [
        {"id": "income-tax", "cutoffs": (0.0, rng.uniform(0.1, 5)), "rates": tuple(rng.random(2)),
         "days": int(rng.integers(1, 4))}
    ],
    "vote": lambda rng, bases: [
        _tax(rng, bases, rate=0.5),
        {"id": "vote", "every": (None, 1, 2)[rng.integers(3)],
         "rule": str(rng.choice(["median", "mean", "random-dictator"]))},
    ],
    "contract": lambda rng, bases: [
        {"id": "contract", "base": str(rng.choice(bases)), "direction": str(rng.choice(["reward", "charge"])),
         "max_transfer": float(10.0 ** rng.uniform(-1, 3)), "every": (None, 1, 2)[rng.integers(3)]}
    ],
    "mediator": lambda rng, bases: [
        {"id": "mediator", "base": str(rng.choice(bases)), "high": float(10.0 ** rng.uniform(-1, 2)),
         "every": int(rng.integers(1, 4))}
    ],
    "peer-sanctions": lambda rng, bases: [_sanctions(rng, bases)],
    "classifier": lambda rng, bases: [
        _sanctions(rng, bases),
        {"id": "classifier", "base": str(rng.choice(bases)), "threshold": rng.uniform(0, 3)},
    ],
    "tradable-quotas": lambda rng, bases: [
        {"id": "tradable-quotas", "base": str(rng.choice(bases)), "allocation": rng.uniform(0.1, 5),
         "max_price": float(10.0 ** rng.uniform(-1, 3))}
    ],
    "quota": lambda rng, bases: [
        {"id": "quota", "base": str(rng.choice(bases)), "limit": rng.uniform(0, 5), "monitor": _monitor(rng),
         "enforcement": str(rng.choice(["impossible", "fined"])), "fine": float(10.0 ** rng.uniform(-1, 3))}
    ],
    "rights": lambda rng, bases: [
        _tax(rng, bases, rate=0.2), {"id": "rights", "low": 0.1, "high": rng.uniform(0.2, 1)}
    ],
}  # fmt: skip


# --------------------------------------------------------------------------------- play


def constant(acts):
    """The same acts by group, `(1 or B, n, C)`, in every step."""
    return lambda society, rng: {
        name: np.array(np.broadcast_to(array, (society.num_worlds, *array.shape[1:])))
        for name, array in acts.items()
    }


def restless(society, rng):
    """Every act drawn anew in every step."""
    return random_actions(society, rng)


def following(rule, acts, until=np.inf):
    """A yardstick's rule in the dilemma's columns up to a play; what is drawn otherwise."""

    def play(society, rng):
        chosen = constant(acts)(society, rng)
        if society.memory.plays[0] >= until:
            return chosen
        for name, group in society.groups.items():
            if group.citizens:
                told = rule(observed(group, society.observation[name]), Streams(society.seeds, 77))
                for index, action in enumerate(group.spaces):
                    chosen[name][..., index] = told.get(action.name, chosen[name][..., index])
        return chosen

    return play


def returns(society, play, seeds, rng):
    """Discounted W `(B,)` and utilities `(B, N)` of an episode of each world."""
    society.reset(seeds)
    alive, weight = np.ones(society.num_worlds, bool), np.ones(society.num_worlds)
    welfare, utility = np.zeros(society.num_worlds), 0.0
    while alive.any():
        step = society.step(play(society, rng))
        welfare += alive * weight * step.welfare
        reward = [step.reward[name] for name, group in society.groups.items() if group.citizens]
        utility = utility + (alive * weight)[:, None] * np.concatenate(reward, axis=1)
        weight, alive = weight * step.discount, alive & ~step.done
    return welfare, utility


def climbed(dilemma, stack, rng, of_all, tries=16, sweeps=2):
    """Constant acts of all, improved agent by agent: for W (`of_all`), or each for itself.

    All worlds see the same random numbers, and differ in what one agent tries.
    """
    society = Society(dilemma, stack, num_worlds=tries)
    acts = {name: array[:1] for name, array in random_actions(society, rng).items()}
    seeds = np.full(tries, rng.integers(2**32), np.uint64)
    for _ in range(sweeps):
        for name, group in society.groups.items():
            for agent in range(group.size):
                tried = {key: np.repeat(array, tries, axis=0) for key, array in acts.items()}
                tried[name][1:, agent] = random_actions(society, rng)[name][1:, agent]
                ends = np.where(rng.random(tries) < 0.5, group.low[:, None], group.high[:, None]).T
                tried[name][tries // 2 :, agent] = ends[tries // 2 :]
                welfare, utility = returns(society, constant(tried), seeds, rng)
                place = group.agents.start + agent
                worth = welfare if of_all or not group.citizens else utility[:, place]
                acts = {key: array[[int(worth.argmax())]] for key, array in tried.items()}
    return acts
