"""Curves at, beside and beyond their special case, against decimals of fifty digits."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

from commonweal import curves

BESIDE = [np.nextafter(1.0, 2.0), np.nextafter(1.0, 0.0)] + [
    1.0 + sign * 10.0**-k for k in (15, 14, 12, 9, 6, 3, 1) for sign in (1.0, -1.0)
]
AVERSIONS = [1.0, *BESIDE, 0.0, 0.23, 0.5, 2.0, 3.7, 10.0]
AMOUNTS = [1e-6, 0.5, 1.0 - 1e-9, 1.0 + 1e-9, 2.0, 3.0, 1e6]


def exactly(formula, digits=50):
    """A float from decimals of so many digits."""
    with localcontext() as context:
        context.prec = digits
        return float(formula())


def isoelastic(consumption, aversion):
    power, c = 1 - Decimal(aversion), Decimal(consumption)
    return exactly(lambda: ((power * c.ln()).exp() - 1) / power if power else c.ln())


@pytest.mark.parametrize("aversion", AVERSIONS)
def test_isoelastic_utility_and_its_inverse(aversion):
    exact = [isoelastic(c, aversion) for c in AMOUNTS]
    ours = curves.isoelastic(AMOUNTS, aversion)
    assert ours == pytest.approx(exact, rel=1e-12, abs=0.0)
    each = curves.isoelastic(np.array(AMOUNTS)[:, None], np.array([aversion, 1.0, 0.5]))
    assert np.array_equal(each[:, 0], ours)
    middling = slice(1, 6)  # far out no digits of consumption are left in the utility
    assert curves.isoelastic_inverse(ours[middling], aversion) == pytest.approx(AMOUNTS[middling], rel=1e-12)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_isoelastic_utility_of_nothing_and_of_a_debt():
    assert curves.isoelastic(0.0, 0.5) == -2.0
    assert curves.isoelastic(0.0, 1.0) == curves.isoelastic(0.0, BESIDE[0]) == -np.inf
    assert curves.isoelastic(0.0, BESIDE[1]) == pytest.approx(-1.0 / 2.0**-53)
    assert np.isnan(curves.isoelastic(-1.0, [0.5, 1.0, 2.0])).all()
    assert curves.isoelastic_inverse(-2.0, 0.5) == 0.0
    assert np.isnan(curves.isoelastic_inverse(-3.0, 0.5))


@pytest.mark.parametrize("aversion", [0.0, 5e-324, 1e-320, 1e-300, 1e-17, 1e-12, 1e-6, 0.1, 1.0, 10.0])
def test_cara_utility_and_its_inverse(aversion):
    money, r = np.array([-20.0, -0.3, 1e-9, 0.7, 3.0]), Decimal(aversion)

    def utility(m):
        return exactly(lambda: (1 - (-r * m).exp()) / r if r else m, 400)

    exact = [utility(Decimal(m)) for m in money.tolist()]
    ours = curves.cara(money, aversion)
    assert ours == pytest.approx(exact, rel=1e-12, abs=0.0)
    assert curves.cara_inverse(ours[:4], aversion) == pytest.approx(money[:4], rel=1e-11)


def test_cara_is_finite_and_rises_however_deep_the_debt():
    money = np.array([-1e24, -1e13, -1e12, -51.0, -50.0, 0.0, 1e24])
    utility = curves.cara(money, 10.0)
    assert np.isfinite(utility).all()
    assert (np.diff(utility) > 0.0).all()


@pytest.mark.parametrize("terms", [0, 1, 2, 10, 1000, 10**9])
@pytest.mark.parametrize("gap", [0.0, 2.0**-53, 1e-15, 1e-12, 1e-7, 1e-3, 0.1, 0.5, 1.0 - 1e-12, 1.0])
def test_geometric_series(terms, gap):
    ratio = 1.0 - gap
    d = Decimal(ratio)
    exact = exactly(lambda: (1 - d**terms) / (1 - d) if d != 1 and terms else Decimal(terms))
    assert curves.geometric_sum(ratio, terms) == pytest.approx(exact, rel=1e-12, abs=0.0)


POWERS = [0.0, *(sign * 10.0**-k for k in (16, 12, 8, 4, 1) for sign in (1.0, -1.0)), 1.0, -1.0, 3.0, -30.0]


@pytest.mark.parametrize("power", POWERS)
def test_power_means(power):
    values, weight, p = [0.5, 3.0, 7.0], [0.25, 0.625, 0.125], Decimal(power)

    def mean():
        pairs = [(Decimal(w), Decimal(x).ln()) for w, x in zip(weight, values, strict=True)]
        if not p:
            return sum(w * log for w, log in pairs).exp()
        return (sum(w * (p * log).exp() for w, log in pairs).ln() / p).exp()

    assert curves.power_mean(values, power, weight) == pytest.approx(exactly(mean), rel=1e-12)
    both = curves.power_mean([values, values], [power, 0.0], weight)
    assert both == pytest.approx([exactly(mean), curves.power_mean(values, 0.0, weight)], rel=1e-14)


def test_power_means_at_the_edges():
    half = [0.5, 0.5]
    assert curves.power_mean([2.0, 3.0], 1e12, half) == pytest.approx(3.0)
    assert curves.power_mean([2.0, 3.0], -1e12, half) == pytest.approx(2.0)
    assert curves.power_mean([2.0, 3.0], -np.inf, half) == pytest.approx(2.0)
    assert curves.power_mean([0.0, 3.0], [-np.inf, -5.0, -1e-9, 0.0], half).tolist() == [0.0] * 4
    assert curves.power_mean([0.0, 4.0], 0.5, half) == pytest.approx(1.0)
    assert curves.power_mean([0.0, 0.0], [0.5, 0.0, -0.5], half).tolist() == [0.0] * 3
    for power in (-2.0, -1.0, 0.0, 0.5, 1.0, 2.0):  # an even count of debts is no credit
        assert np.isnan(curves.power_mean([-1.0, 2.0], power, half))
        assert np.isnan(curves.power_mean([-1.0, -2.0], power, half))
    # A weight of almost nothing on the largest: no digit is lost.
    assert curves.power_mean([1e-9, 1.0], 1.0, [1.0 - 1e-12, 1e-12]) == pytest.approx(1.001e-9, rel=1e-12)


def test_contests():
    assert curves.shares_of_powers([1.0, 3.0], 1.0) == pytest.approx([0.25, 0.75])
    assert curves.shares_of_powers([1.0, 2.0, 3.0], 2.0) == pytest.approx([1 / 14, 4 / 14, 9 / 14])
    assert curves.shares_of_powers([0.0, 1e-300], [1.0, 1.0]).tolist() == [0.0, 1.0]
    assert np.isnan(curves.shares_of_powers([0.0, 0.0], 2.0)).all()
    for power in (150.0, 200.0, 1e12):
        assert curves.shares_of_powers([100.0, 100.0, 40.0], power) == pytest.approx([0.5, 0.5, 0.0])
    near = curves.shares_of_powers([1.0, 1.0 + 1e-12], 1e12)
    assert near == pytest.approx([1 / (1 + np.e), np.e / (1 + np.e)], rel=1e-3)


def test_hill():
    assert curves.hill([0.0, 25.0, 75.0], 25.0, 1.0).tolist() == [0.0, 0.5, 0.75]
    assert curves.hill([0.0, 24.0, 25.0, 26.0, 1e12], 25.0, 1e12).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert curves.hill([1e-3, 1e3], 25.0, 150.0) == pytest.approx([0.0, 1.0])
    assert curves.hill([0.0, 1e-300, 1e300], 25.0, 1e-12) == pytest.approx([0.0, 0.5, 0.5])


def test_sums_of_others_lose_no_digit_to_a_large_one():
    values = np.array([[1e12, 1e-12, 2e-12], [1.0, 2.0, 4.0]])
    assert curves.sum_of_others(values).tolist() == [[3e-12, 1e12, 1e12], [6.0, 5.0, 3.0]]
    assert curves.sum_of_others(np.ones((2, 1))).tolist() == [[0.0], [0.0]]
