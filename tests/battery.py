"""What every dilemma under every fitting institution must pass. New ones inherit it by registration."""

import json
from functools import cache

import numpy as np

from commonweal import Society
from commonweal.compatibility import matrix
from tests.strategies import extreme_actions, random_actions


@cache
def pairs():
    """`(id, dilemma, stack)` of every fitting pair."""
    from commonweal import make

    return [
        (f"{dilemma}__{name}", make(dilemma), stack)
        for dilemma, row in matrix().items()
        for name, (stack, _) in row.items()
        if stack is not None
    ]


def check_batch_equals_single_worlds(dilemma, stack, steps=25):
    batch = Society(dilemma, stack, num_worlds=3, seed=4, time_limit=6)
    singles = [Society(dilemma, stack, seed=batch.seeds[b : b + 1], time_limit=6) for b in range(3)]
    rng = np.random.default_rng(2)
    for _ in range(steps):
        actions = random_actions(batch, rng)
        whole = batch.step(actions)
        for b, single in enumerate(singles):
            part = single.step({name: a[b : b + 1] for name, a in actions.items()})
            for group in batch.groups:
                assert np.array_equal(part.observation[group][0], whole.observation[group][b])
                assert np.array_equal(part.reward[group][0], whole.reward[group][b])
            assert part.done[0] == whole.done[b]


def check_equal_seeds_equal_worlds(dilemma, stack, steps=15):
    one, two = (Society(dilemma, stack, num_worlds=2, seed=7) for _ in range(2))
    rng = np.random.default_rng(0)
    for _ in range(steps):
        actions = random_actions(one, rng)
        first, second = one.step(actions), two.step(actions)
        for group in one.groups:
            assert np.array_equal(first.reward[group], second.reward[group])
    start = one.reset(7)
    for group, array in two.reset(7).items():
        assert np.array_equal(start[group], array)


def check_observations_stay_in_range_and_finite(dilemma, stack, steps=40):
    society = Society(dilemma, stack, num_worlds=4, seed=3)
    rng = np.random.default_rng(1)
    for number in range(steps):
        drawn = (random_actions, extreme_actions)[number % 2](society, rng)
        step = society.step(drawn)
        for name, group in society.groups.items():
            for observation in (step.observation[name], (step.final_observation or step.observation)[name]):
                assert np.isfinite(observation).all()
                assert (observation >= group.observation_low).all(), name
                assert (observation <= group.observation_high).all(), name
            assert np.isfinite(step.reward[name]).all()


def check_ledger_and_declared_properties(dilemma, stack, steps=30):
    society = Society(dilemma, stack, num_worlds=4, seed=5)
    properties = {inst.address: inst.properties for inst in stack}
    rng = np.random.default_rng(6)
    for _ in range(steps):
        step = society.step(random_actions(society, rng))
        scale = max([1.0, *(np.abs(e.amount).max() for e in step.ledger.entries)])
        assert step.ledger.imbalance() <= 1e-9 * scale
        if all("costless" in declared for declared in properties.values()):
            assert (step.ledger.cost == 0.0).all()
        for entry in step.ledger.entries:
            declared = properties[entry.institution]
            if (entry.amount == 0).all():
                continue
            assert "no_payments" not in declared, entry
            assert "costless" not in declared or entry.payee != "burnt", entry
            assert "budget_balanced" not in declared or entry.payer != "treasury", entry


def check_voluntary(dilemma, stack, steps=20):
    """With null acts in the institution's own columns, all is as it would be without it."""
    if not all("voluntary" in inst.properties for inst in stack):
        return
    governed, free = Society(dilemma, stack, seed=9), Society(dilemma, [], seed=9)
    rng = np.random.default_rng(8)
    for _ in range(steps):
        actions = random_actions(free, rng)
        wide = governed.columns.null_actions(1)
        for name in free.groups:
            wide[name][..., : actions[name].shape[2]] = actions[name]
        step = governed.step(wide)
        if step.discount[0] == 1.0 and governed.agenda.staged and dilemma.discount < 1:
            continue  # no play in this stage
        if governed.agenda.staged and governed.agenda.names[-1][0] == "play" and not step.conduct:
            continue
        plain = free.step(actions)
        for name in free.groups:
            assert np.allclose(step.reward[name], plain.reward[name])


def check_json_and_restore(dilemma, stack, folder):
    society = Society(dilemma, stack, num_worlds=2, seed=8)
    rng = np.random.default_rng(0)
    for _ in range(5):
        society.step(random_actions(society, rng))
    plain = json.loads(json.dumps(society.to_dict(), allow_nan=False))
    assert repr(Society.from_dict(plain)) == repr(society)
    society.save(str(folder / "society.npz"))
    other = Society.load(str(folder / "society.npz"))
    for _ in range(12):
        actions = random_actions(society, rng)
        one, two = society.step(actions), other.step(actions)
        for group in society.groups:
            assert np.array_equal(one.reward[group], two.reward[group])
            assert np.array_equal(one.observation[group], two.observation[group])


def check_nothing_returned_is_kept(dilemma, stack, steps=12):
    """Who writes into what was given or returned, or into a state that was read, changes nothing."""
    society, twin = (Society(dilemma, stack, num_worlds=2, seed=3, credit=50.0) for _ in range(2))
    rng = np.random.default_rng(4)
    for array in society.reset().values():
        array[...] = 7
    twin.reset()
    for number in range(steps):  # null acts first: no world ends and is made anew
        actions = random_actions(society, rng) if number else society.columns.null_actions(2)
        step = society.step(actions)
        same = arrays_of(twin.step(actions))
        read = society.get_state()
        for place, (array, other) in enumerate(zip(arrays_of(step), same, strict=True)):
            assert np.array_equal(array, other, equal_nan=True), place
        for array in [*actions.values(), *arrays_of(step), *read.values()]:
            if array.flags.writeable:
                array[...] = 7
        for name, array in society.get_state().items():
            assert np.array_equal(array, twin.get_state()[name], equal_nan=True), name
        for name, seen in twin.observation.items():
            assert np.array_equal(society.observation[name], seen), name
            assert twin.mask is None or np.array_equal(society.mask[name], twin.mask[name]), name


def arrays_of(step):
    """All that a step has returned."""
    final, ledger = step.final_observation or {}, step.ledger
    return [
        *step.observation.values(), *step.reward.values(), *final.values(), *step.conduct.values(),
        *(entry.amount for entry in ledger.entries), *(step.mask or {}).values(),
        step.money, step.welfare, step.discount, step.terminated, step.truncated,
        ledger.net, ledger.treasury, ledger.burnt, ledger.shortfall, ledger.funds,
    ]  # fmt: skip


def playthrough(dilemma, stack, steps=4):
    """A seeded episode as readable text; regenerate all by `python -m tests.golden`."""
    society = Society(dilemma, stack, seed=1)
    rng = np.random.default_rng(1)
    lines = [f"# {society!r}", ""]
    for name, group in society.groups.items():
        lines.append(f"{name}: {group.size} agents")
        lines.append("  acts: " + ", ".join(f"{a.name} ({a.stage})" for _, a in group.actions))
        lines.append("  sees: " + ", ".join(s.name for _, s in group.signals))
    for number in range(steps):
        actions = random_actions(society, rng)
        stage = society.agenda.names[society.memory.stage[0]][0]
        step = society.step(actions)
        lines += ["", f"step {number}: {stage}"]
        for name in society.groups:
            lines += [f"  {name} act   {_row(row)}" for row in actions[name][0]]
        lines += [f"  {name} {_row(np.ravel(value[0]))}" for name, value in step.conduct.items()]
        for e in step.ledger.entries:
            total = e.amount.sum()
            lines.append(f"  pays {e.institution}: {e.purpose}, {e.payer} -> {e.payee} {_row([total])}")
        for name in society.groups:
            lines.append(f"  {name} reward {_row(step.reward[name][0])}")
            lines += [f"  {name} sees  {_row(row)}" for row in step.observation[name][0]]
        lines.append(f"  terminated {bool(step.terminated[0])}, truncated {bool(step.truncated[0])}")
    return "\n".join(lines) + "\n"


def _row(values):
    return " ".join(f"{float(v) + 0.0:.6g}" for v in values)
