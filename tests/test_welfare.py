import numpy as np
import pytest

from commonweal import welfare
from commonweal.errors import InvalidParameter

INCOMES = np.array([10.0, 2.0, 2.0, 2.0])


def test_known_values():
    assert welfare.gini(INCOMES) == pytest.approx(0.375)
    assert welfare.equality(INCOMES) == pytest.approx(0.625)
    assert welfare.normalised_equality(INCOMES) == pytest.approx(0.5)
    assert welfare.utilitarian(INCOMES) == 16.0
    assert welfare.rawlsian(INCOMES) == 2.0
    assert welfare.nash(INCOMES) == pytest.approx(80.0**0.25)


def test_extremes_of_inequality():
    assert welfare.gini(np.full(5, 3.0)) == pytest.approx(0.0)
    assert welfare.gini([1.0, 0, 0, 0]) == pytest.approx(0.75)  # 1 - 1/N when one has all
    assert welfare.normalised_equality([1.0, 0, 0, 0]) == pytest.approx(0.0)


def test_gini_of_a_uniform_distribution_is_a_third():
    assert welfare.gini((np.arange(1000) + 0.5) / 1000) == pytest.approx(1 / 3, abs=1e-3)


def test_totals_that_are_not_positive_have_no_gini():
    shares = welfare.equality(np.array([[1.0, -1.0], [-2.0, -3.0], [1.0, 1.0]]))
    assert np.isnan(shares[:2]).all()
    assert shares[2] == 1.0


def test_what_is_won_and_lost_in_equal_parts_has_no_gini():
    won_and_lost = np.array([0.1, 0.2, -0.3])  # adds up to 5.6e-17
    assert won_and_lost.sum() > 0
    assert np.isnan(welfare.equality(won_and_lost))
    assert np.isnan(welfare.equality(1e9 * won_and_lost))
    assert welfare.equality([1e-300, 3e-300]) == pytest.approx(0.75)  # small is not nothing


def test_prioritarian_lies_between_the_sum_and_the_worst_off():
    values = [welfare.prioritarian(INCOMES, a) for a in (0.0, 0.5, 1.0, 2.0, np.inf)]
    assert values[0] == pytest.approx(16.0)
    assert values[2] == pytest.approx(4 * 80.0**0.25)
    assert values[3] == pytest.approx(4 * 4 / (0.1 + 1.5))  # N times the harmonic mean
    assert values[4] == pytest.approx(8.0)
    assert (np.diff(values) < 0).all()


@pytest.mark.parametrize("aversion", [0.5, 1.0, 2.0, 3.0, 1e6, np.inf])
def test_negative_utilities_have_no_equivalent_however_many(aversion):
    for utility in ([-1.0, 2.0], [-1.0, -2.0], [-1e-300, 2.0]):
        assert np.isnan(welfare.prioritarian(utility, aversion))
        assert np.isnan(welfare.nash(utility))
    assert np.array_equal(
        welfare.prioritarian([[-1.0, 2.0], [1.0, 1.0]], aversion), [np.nan, 2.0], equal_nan=True
    )
    assert welfare.prioritarian([-1.0, 2.0], 0.0) == 1.0
    assert welfare.rawlsian([-1.0, 2.0]) == -1.0


def test_utilities_of_nothing():
    assert welfare.nash([0.0, 5.0]) == 0.0
    assert [welfare.prioritarian([0.0, 5.0], a) for a in (1.0, 2.0, np.inf)] == [0.0, 0.0, 0.0]
    assert welfare.prioritarian([0.0, 4.0], 0.5) == pytest.approx(2 * 1.0)  # 2 (mean of 0 and 2)^2
    assert welfare.prioritarian([0.0, 0.0], 0.5) == 0.0
    assert np.isnan(welfare.gini([0.0, 0.0]))


def test_prioritarian_is_accurate_beside_one_and_finite_far_out():
    geometric = 4 * 80.0**0.25
    for gap in (2.0**-53, 1e-15, 1e-12, 1e-9):
        for aversion in (1.0 - gap, 1.0 + gap):
            assert welfare.prioritarian(INCOMES, aversion) == pytest.approx(geometric, rel=1e-12 + gap)
    values = [welfare.prioritarian(INCOMES, a) for a in (1e2, 1e3, 1e6, 1e300)]
    assert values == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(8.0)
    assert welfare.prioritarian([1e200, 1e-200], 3.0) == pytest.approx(2 * 1e-200 * 2**0.5)


def test_scale_invariance_and_batches():
    batch = np.stack([INCOMES, 7.0 * INCOMES])
    assert welfare.gini(batch) == pytest.approx([0.375, 0.375])
    with pytest.raises(InvalidParameter, match="2 or more"):
        welfare.normalised_equality([1.0])
