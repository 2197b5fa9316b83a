"""The common pool of the laboratory: equilibria on levels, corners, unequal appropriators."""

import numpy as np
import pytest

from commonweal import solvers
from commonweal.envs.appropriation import Appropriation
from commonweal.errors import NotExact


@pytest.mark.parametrize("name", ["outside_wage", "yield_slope", "yield_curvature"])
@pytest.mark.parametrize("shape", [(2, 1), (1, 8)])
def test_unequal_parameters_have_no_exact_references(name, shape):
    values = np.linspace(0.2, 0.3, max(shape)).reshape(shape)
    with pytest.raises(NotExact, match=f"Appropriation.{name} has {max(shape)} values"):
        Appropriation(**{name: values}).references()


@pytest.mark.parametrize("levels", [2, 3, 6, 11, 26, None])
@pytest.mark.parametrize("num_agents", [1, 3, 8])
def test_nobody_gains_by_leaving_the_equilibrium_of_the_levels(levels, num_agents):
    game = Appropriation(num_agents=num_agents, levels=levels)
    found = game.references()
    assert found.selfish.epsilon <= 1e-9 if levels else found.selfish.epsilon <= 1e-3
    tokens = np.full((1, num_agents), found.selfish.detail["tokens"] / num_agents)
    if not levels:
        played = np.repeat(tokens, 2501, axis=0)
        played[:, 0] = np.linspace(0.0, game.endowment, 2501)
        gain = game.payoff(played)[:, 0].max() - game.payoff(tokens)[0, 0]
        assert gain * game.weight == pytest.approx(found.selfish.epsilon, abs=1e-3)


@pytest.mark.parametrize("levels", [4, None])
def test_where_the_outside_market_pays_more_the_pool_is_empty(levels):
    found = Appropriation(outside_wage=30.0, levels=levels).references()
    assert found.selfish.detail["tokens"] == found.planner.detail["tokens"] == 0.0
    assert found.gap == 0.0
    assert np.isnan(found.efficiency(1.0))
    assert found.facts["corrective tax per token"] == 0.0


def test_the_optimum_is_no_play_for_one_alone():
    assert np.isnan(Appropriation().references().planner.epsilon)


@pytest.mark.parametrize("parameters", [{"num_agents": 1}, {"outside_wage": 30.0}, {"yield_curvature": 0.01}])
def test_no_corrective_tax_where_selfish_play_is_the_planners(parameters):
    """Alone; where the outside market pays more; where all tokens belong into the pool."""
    found = Appropriation(**parameters).references()
    assert found.gap == pytest.approx(0.0, abs=1e-9)
    assert found.facts["corrective tax per token"] == 0.0


def test_a_rate_is_called_corrective_only_where_it_raises_welfare():
    empty = Appropriation(outside_wage=30.0, num_agents=3, levels=4)
    assert not solvers.references(empty).corrective
    crowded = solvers.references(Appropriation(num_agents=3, levels=4))
    assert crowded.raised_by(crowded.corrective["extraction"])
