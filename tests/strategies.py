"""Hypothesis strategies: stacks of institutions, monitors and actions."""

import numpy as np
from hypothesis import strategies as st

from commonweal import institution, make
from commonweal.monitor import Monitor

unit = st.floats(0.0, 1.0)
amount = st.floats(0.0, 5.0)
monitors = st.builds(Monitor, coverage=unit, noise=st.floats(0.0, 1.0), false_positives=unit, cost=amount)
taxes = st.builds(
    lambda **k: institution("taxation", **k),
    base=st.sampled_from(["extraction", "income", "harm"]),
    rate=unit,
    revenue=st.sampled_from(["others", "citizens", "treasury"]),
    administration=unit,
    monitor=monitors,
    name=st.sampled_from(["tax", "levy"]),
)
quotas = st.builds(
    lambda **k: institution("quota", **k),
    limit=amount,
    enforcement=st.sampled_from(["impossible", "fined"]),
    fine=amount,
    monitor=monitors,
)
sanctions = st.builds(
    lambda **k: institution("peer-sanctions", **k),
    cost=amount,
    fine=amount,
    stage=st.sampled_from(["play", "respond"]),
    targets=st.sampled_from(["one", "each"]),
)
stacks = st.lists(
    st.one_of(taxes, quotas, sanctions), max_size=4, unique_by=lambda institution: institution.address
)
dilemmas = st.one_of(
    st.builds(
        lambda **k: make("fishery-v0", **k),
        num_agents=st.integers(2, 6),
        noise=st.sampled_from([0.0, 0.3]),
        collapse=st.sampled_from([0.0, 0.1]),
        effort_levels=st.sampled_from([None, 5]),
    ),
    st.builds(lambda **k: make("fish_war-v0", **k), num_agents=st.integers(2, 5)),
)


def random_actions(society, rng):
    """Uniform actions of every group, ignoring masks."""
    actions = {}
    for name, group in society.groups.items():
        shape = (society.num_worlds, group.size, len(group.actions))
        drawn = group.low + (group.high - group.low) * rng.random(shape)
        actions[name] = np.where(group.discrete, np.rint(drawn), drawn)
    return actions


def extreme_actions(society, rng):
    """Each entry at one end of its range, ignoring masks."""
    return {
        name: np.where(
            rng.random((society.num_worlds, group.size, len(group.actions))) < 0.5, group.low, group.high
        )
        for name, group in society.groups.items()
    }
