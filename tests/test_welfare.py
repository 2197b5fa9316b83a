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


def test_prioritarian_lies_between_the_sum_and_the_worst_off():
    values = [welfare.prioritarian(INCOMES, a) for a in (0.0, 0.5, 1.0, 2.0, np.inf)]
    assert values[0] == pytest.approx(16.0)
    assert values[2] == pytest.approx(4 * 80.0**0.25)
    assert values[3] == pytest.approx(4 * 4 / (0.1 + 1.5))  # N times the harmonic mean
    assert values[4] == pytest.approx(8.0)
    assert (np.diff(values) < 0).all()


def test_scale_invariance_and_batches():
    batch = np.stack([INCOMES, 7.0 * INCOMES])
    assert welfare.gini(batch) == pytest.approx([0.375, 0.375])
    with pytest.raises(InvalidParameter, match="2 or more"):
        welfare.normalised_equality([1.0])
