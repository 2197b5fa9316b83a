"""What all may see: officials see it too, and only that."""

import numpy as np
import pytest

from commonweal import Society, institution, make, registry
from commonweal.compatibility import fitting

# In these some columns look alike for all at the defaults only (one stand shared by all).
PARAMETERS = {"forest-v0": {"num_agents": 4, "num_stands": 2}}


def stacks():
    yield from ((name, []) for name in registry.DILEMMAS)
    for name in registry.INSTITUTIONS:
        for dilemma in ("fishery-v0", "public_goods-v0", "labour-v0"):
            stack, _ = fitting(make(dilemma), name)
            if stack:
                yield dilemma, stack


@pytest.mark.parametrize(("name", "stack"), stacks())
def test_public_columns_are_those_that_look_the_same_to_all(name, stack):
    society = Society(make(name, **PARAMETERS.get(name, {})), stack, num_worlds=2)
    values = {"dilemma": society.dilemma.observe(society.state)}
    values |= {i.address: i.announce(society.states[i.address], society.charter) for i in stack}
    for group in society.groups.values():
        for owner, signal in group.signals:
            if owner != "stage" and signal.group is None:
                alike = values[owner][signal.name].shape[1] == 1
                assert signal.public == alike, (owner, signal.name)


def test_a_mediator_of_a_fishery_sees_the_stock():
    mediator = institution("mediator", base="extraction")
    society = Society(make("fishery-v0"), [mediator], num_worlds=3, seed=4)
    group = society.groups["mediator"]
    for _ in range(5):
        society.step({name: np.zeros((3, g.size, len(g.actions))) for name, g in society.groups.items()})
        seen = society.observation["mediator"][:, :, group.signal_slice("stock")]
        assert (seen[:, 0] == society.state.stock.astype(np.float32)).all()
    names = [signal.name for _, signal in group.signals]
    assert names == ["stock", "mediator_share", "mediator_members", "stage"]


def test_an_official_sees_no_rate_that_differs_by_citizen():
    parts = [
        institution("taxation", base="extraction", rate=[0.1, 0.2, 0.3]),
        institution("mediator", base="extraction"),
    ]
    society = Society(make("fishery-v0", num_agents=3), parts)
    assert "tax_rate" not in [signal.name for _, signal in society.groups["mediator"].signals]
