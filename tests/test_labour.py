"""Labour: each alone, the first best, flat taxes by playing them, Mirrlees schedules and certificates."""

import numpy as np
import pytest
from scipy.optimize import brentq

from commonweal import Society, institution, make
from commonweal.agents.scripted import scripted
from commonweal.envs.labour import Labour
from commonweal.envs.mirrlees import Economy, best_top_rate, finite_rates, saez_top_rate
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate

SKILL = np.array([1.0, 2.0, 3.0, 5.0])


def labour(**parameters) -> Labour:
    found = make("labour-v0", **parameters)
    assert isinstance(found, Labour)
    return found


def rewards(game, stack, work):
    """Utilities `(B, N)` of one period."""
    work = np.asarray(work, float)
    return Society(game, stack, num_worlds=len(work)).step({"citizens": work[:, :, None]}).reward["citizens"]


def test_theory():
    for check in Labour.theory():
        assert check.passed, check


@pytest.mark.parametrize("levels", [31, None])
def test_each_alone_is_dominant_and_worth_what_is_said(levels):
    game = labour(levels=levels, labour_weight=(1.0, 0.8, 1.2, 1.0))
    found = game.references()
    society = Society(game)
    welfare = evaluate(society, scripted(society, found.selfish)).welfare[0]
    assert welfare == pytest.approx(found.selfish.welfare, abs=1e-9)
    own = found.selfish.rule({"progress": np.zeros((1, 4))}, None)["labour"]
    tried = np.arange(31.0) if levels else np.linspace(0, 3, 3001)
    for agent in range(4):
        work = np.repeat(own, len(tried), axis=0)
        work[:, agent] = tried
        gains = rewards(game, [], work)[:, agent]
        assert gains.max() <= rewards(game, [], own)[0, agent] + 1e-9


def test_the_lines_stand_in_order():
    found = labour(levels=None).references()
    lines = [
        found.selfish.welfare,
        found.corrective["income"].welfare,
        found.others["Mirrlees optimum"].welfare,
        found.planner.welfare,
    ]
    assert lines == sorted(lines)
    assert np.allclose(np.array(lines) / 10, [5.876, 6.079, 6.399, 6.622], atol=5e-4)
    # Without concave utility there is nothing to redistribute for.
    one = labour(preset="one-step", levels=None).references()
    assert one.gap == pytest.approx(0.0, abs=1e-9)
    assert one.corrective["income"].detail["rate"] < 1e-6


def test_the_best_flat_tax_is_an_equilibrium_in_play_and_no_other_rate_is_better():
    game = labour(levels=None, periods=1)
    found = game.references().corrective["income"]
    rate, economy, grid = found.detail["rate"], game.economy(), np.linspace(0, 3, 3001)
    for revenue, played in (("others", rate), ("citizens", rate * 4 / 3)):
        tax = [institution("taxation", base="income", rate=played, revenue=revenue)]
        _, income = economy.under_linear(rate * 4 / 3, own_share=0.25)
        work = income / SKILL
        assert rewards(game, tax, work[None])[0].sum() == pytest.approx(found.welfare, abs=1e-8)
        for agent in range(4):
            tried = np.repeat(work[None], len(grid), axis=0)
            tried[:, agent] = grid
            gain = rewards(game, tax, tried)[:, agent].max() - rewards(game, tax, work[None])[0, agent]
            assert gain < 1e-9
    others = [economy.welfare(*economy.under_linear(r, 0.25)) for r in np.linspace(0, 0.95, 39)]
    assert max(others) <= found.welfare + 1e-9


def test_nobody_prefers_anothers_pair_and_the_budget_holds():
    for eta in (0.23, 1.0, 2.0, 5.0):
        best = Economy.of(SKILL, 1.0, eta, 0.5, 3.0).optimum()
        economy = best.economy
        value = economy.utility(best.consumption)[None, :] - economy.toil[:, None] * best.income**3 / 3
        assert (np.diag(value)[:, None] >= value - 1e-9).all()
        assert best.income.sum() - best.consumption.sum() == pytest.approx(0.0, abs=1e-7)
        assert best.gap < 1e-8
        assert abs(best.marginal_rates[-1]) < 1e-5
        assert (best.marginal_rates[:-1] > 0).all()


def test_no_schedule_found_at_random_is_better():
    """Random brackets: citizens answer them exactly on a grid; what is collected is shared."""
    economy, rng = Economy.of(SKILL, 1.0, 0.23, 0.5, 3.0), np.random.default_rng(0)
    best = economy.optimum().welfare
    incomes = np.linspace(0, 15, 1501)
    highest = -np.inf
    for _ in range(200):
        cuts, rates = np.sort(rng.uniform(0, 10, 3)), rng.uniform(-0.2, 0.6, 4)
        edges = np.concatenate([[0], cuts, [np.inf]])
        tax = sum(
            r * np.clip(incomes - a, 0, b - a) for r, a, b in zip(rates, edges, edges[1:], strict=False)
        )

        def chosen(grant, tax=tax):
            money = np.maximum(incomes - tax + grant, 1e-9)
            value = economy.utility(money)[None, :] - economy.toil[:, None] * incomes**3 / 3
            return np.where(incomes <= economy.most[:, None], value, -np.inf).argmax(axis=1)

        def deficit(grant, tax=tax):
            return grant - tax[chosen(grant)].mean()

        try:
            grant = brentq(deficit, -3, 6, xtol=1e-4)
        except ValueError:
            continue
        place = chosen(grant)
        if abs(deficit(grant)) < 0.02:  # choices jump on the grid, so that the budget can be missed by a step
            money = incomes - tax + tax[place].mean()
            highest = max(highest, economy.welfare(np.maximum(money[place], 1e-9), incomes[place]))
    assert 5.9 < highest < best + 0.01


def test_the_formula_for_finite_types_and_saez_at_the_top():
    n = 40
    skill = (1 - (np.arange(n) + 0.5) / n) ** -0.4  # Pareto with exponent 2.5: incomes with 2
    economy = Economy.of(skill, 1.0, 0.0, 0.25, 10.0, weight=1 / skill)
    found = economy.optimum()
    assert np.allclose(found.marginal_rates, finite_rates(economy), atol=1e-5)
    assert found.gap < 1e-4
    # With many more types the formula comes near Saez's for g(w) = 1 / w, well below the top.
    n = 20_000
    skill = (1 - (np.arange(n) + 0.5) / n) ** -0.4
    rates = finite_rates(Economy.of(skill, 1.0, 0.0, 0.25, 10.0, weight=1 / skill))
    for share in (0.5, 0.9):
        at = int(share * n)
        assert rates[at] == pytest.approx(saez_top_rate(2.0, 0.25, 1 / skill[at]), abs=0.02)
    assert best_top_rate(2.0, 0.25) == pytest.approx(2 / 3, abs=1e-7)


def test_among_few_a_shared_tax_can_beat_every_schedule():
    found = labour(levels=None, risk_aversion=5.0).references()
    assert found.corrective["income"].welfare > found.others["Mirrlees optimum"].welfare
    large = Economy.of(SKILL, 1.0, 5.0, 0.5, 3.0)
    assert large.best_linear()[1] < large.optimum().welfare


def test_refusals():
    with pytest.raises(InvalidParameter, match="elasticity"):
        labour(elasticity=0.0)
    with pytest.raises(NotExact, match="per world"):
        labour(labour_weight=np.array([1.0, 2.0])).references()
    with pytest.raises(InvalidParameter, match="falling"):
        Economy.of(SKILL[::-1], 1.0, 0.5, 0.5)
