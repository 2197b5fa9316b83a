import numpy as np
import pytest
from scipy import stats

from commonweal.benchmarks.statistics import (
    Estimate,
    bootstrap,
    efficiency_estimate,
    estimate,
    interquartile_mean,
    paired_difference,
    performance_profile,
    probability_of_improvement,
)
from commonweal.errors import InvalidParameter
from commonweal.references import References, Yardstick

RNG = np.random.default_rng(3)


def references(selfish=0.0, planner=10.0, selfish_error=0.0, planner_error=0.0, payoff_range=10.0):
    return References(
        Yardstick(selfish, "dynamic programming", selfish_error),
        Yardstick(planner, "dynamic programming", planner_error),
        payoff_range,
    )


@pytest.mark.parametrize("runs", [1, 3, 5, 7, 8, 20, 21])
def test_interquartile_mean_is_scipys_trimmed_mean(runs):
    scores = RNG.standard_normal((runs, 4))
    assert interquartile_mean(scores) == pytest.approx(stats.trim_mean(scores, 0.25, axis=0))


def test_interquartile_mean_of_known_numbers():
    assert interquartile_mean([[-1000.0], [1.0], [3.0], [1000.0]])[0] == 2.0


def test_nan_stays_nan_even_where_it_would_be_trimmed():
    scores = RNG.standard_normal((20, 2))
    scores[4, 1] = np.nan
    point = interquartile_mean(scores)
    interval = bootstrap(scores, repetitions=200)
    assert np.isfinite(point[0])
    assert np.isnan(point[1])
    assert np.isfinite(interval[:, 0]).all()
    assert np.isnan(interval[:, 1]).all()
    assert np.isnan(probability_of_improvement(scores, scores)).tolist() == [False, True]
    assert np.isnan(performance_profile(scores, [0.0])[0]).tolist() == [False, True]


def test_bootstrap_agrees_with_scipy():
    scores = RNG.gamma(2.0, size=(40, 1))
    ours = bootstrap(scores, repetitions=10_000)[:, 0]
    theirs = stats.bootstrap(
        (scores[:, 0],), lambda x, axis: stats.trim_mean(x, 0.25, axis=axis), n_resamples=10_000,
        method="percentile", rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    assert ours == pytest.approx([theirs.low, theirs.high], abs=0.03)


def test_bootstrap_redraws_within_tasks():
    far_apart = np.hstack([np.zeros((6, 1)), np.full((6, 1), 100.0)])
    assert bootstrap(far_apart).T.tolist() == [[0.0, 0.0], [100.0, 100.0]]


def test_bootstrap_is_reproducible_and_checks_its_input():
    scores = RNG.standard_normal((10, 2))
    assert (bootstrap(scores, seed=1) == bootstrap(scores, seed=1)).all()
    assert (bootstrap(scores, seed=1) != bootstrap(scores, seed=2)).any()
    with pytest.raises(InvalidParameter, match=r"runs, tasks"):
        bootstrap(scores[:, 0])
    with pytest.raises(InvalidParameter, match="level"):
        bootstrap(scores, level=1.5)


@pytest.mark.slow
@pytest.mark.parametrize("draw", ["normal", "gamma"])
def test_the_interval_covers_the_truth(draw):
    rng = np.random.default_rng(0)
    sample = {
        "normal": lambda size: rng.standard_normal(size),
        "gamma": lambda size: rng.gamma(2.0, size=size),
    }[draw]
    # The interquartile mean of 20 runs estimates its own expectation, found by a long simulation.
    truth = float(interquartile_mean(sample((20, 400_000))).mean())
    low, high = bootstrap(sample((20, 2000)), repetitions=1000)
    covered = float(((low <= truth) & (truth <= high)).mean())
    assert 0.90 < covered < 0.97


def test_probability_of_improvement_is_mann_whitney():
    x, y = RNG.integers(0, 5, (12, 3)).astype(float), RNG.integers(0, 6, (9, 3)).astype(float)
    ours = probability_of_improvement(x, y)
    theirs = [stats.mannwhitneyu(x[:, j], y[:, j]).statistic / (12 * 9) for j in range(3)]
    assert ours == pytest.approx(theirs)


def test_performance_profile_is_one_minus_the_distribution_function():
    scores = RNG.standard_normal((50, 2))
    at = np.linspace(-2, 2, 9)
    ours = performance_profile(scores, at)
    theirs = stats.ecdf(scores[:, 1]).sf.evaluate(at)
    assert ours.shape == (9, 2)
    assert ours[:, 1] == pytest.approx(theirs)


def test_pairing_removes_what_the_seed_did():
    luck = 100.0 * RNG.standard_normal(20)
    gain = RNG.normal(1.0, 0.1, 20)
    paired = paired_difference(luck + gain, luck)
    assert paired.low < 1.0 < paired.high
    assert paired.high - paired.low < 0.2
    assert estimate(luck).high - estimate(luck).low > 10.0
    with pytest.raises(InvalidParameter, match="shapes"):
        paired_difference(luck, luck[1:])


def test_exact_references_leave_the_interval_as_it_is():
    result = efficiency_estimate(Estimate(5.0, 4.0, 6.0), references())
    assert (result.value, result.low, result.high) == (0.5, 0.4, 0.6)


def test_reference_errors_widen_the_interval_to_the_worst_case():
    refs = references(selfish_error=0.5, planner_error=0.2)
    result = efficiency_estimate(Estimate(5.0, 4.0, 6.0), refs)
    # A random search within the error bounds never leaves the interval and comes close to its ends.
    s, p = RNG.uniform(-0.5, 0.5, 20_000), RNG.uniform(9.8, 10.2, 20_000)
    low, high = (4.0 - s) / (p - s), (6.0 - s) / (p - s)
    assert result.low <= low.min() < result.low + 0.01
    assert result.high - 0.01 < high.max() <= result.high
    assert result.value == 0.5


def test_above_one_and_below_zero_are_shown():
    result = efficiency_estimate(Estimate(-3.0, -4.0, 12.0), references(planner_error=0.1))
    assert result.value == pytest.approx(-0.3)
    assert result.low == pytest.approx(-4.0 / 9.9)
    assert result.high == pytest.approx(12.0 / 9.9)


def test_a_gap_too_small_to_measure_by():
    unknown = efficiency_estimate(Estimate(5.0, 4.0, 6.0), references(planner=0.05))
    assert np.isnan([unknown.value, unknown.low, unknown.high]).all()
    unsure = efficiency_estimate(Estimate(5.0, 4.0, 6.0), references(planner_error=9.95))
    assert unsure.value == 0.5
    assert (unsure.low, unsure.high) == (-np.inf, np.inf)
