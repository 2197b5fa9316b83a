"""All equilibria of a game of two players, in whole numbers, degenerate games included.

A law of one player together with the payoff of the other's best replies is a point of a polyhedron. An
equilibrium is extreme if both its laws are vertices. All equilibria are the union of sets `X x Y` in which X
and Y are spanned by vertices, each pair of them an extreme equilibrium (maximal Nash subsets). W is
bilinear: for a given law of one player it is least at a vertex for the other. Hence no equilibrium is
worse, and none better, than all the extreme ones.

Source: vertex enumeration, von Stengel (2007) in Nisan, Roughgarden, Tardos and Vazirani, Algorithmic Game
Theory, chapter 3; maximal Nash subsets: Jansen (1981), Naval Research Logistics Quarterly 28; vertices by the
double description method, Motzkin, Raiffa, Thompson and Thrall (1953) (recalled, not looked up; the tests
compare with the library nashpy).
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import NotExact

Array = NDArray[np.float64]
Bits = NDArray[np.uint64]
Ray = tuple[int, ...]

MOST_VERTICES = 5000  # of a polyhedron; above it the search is given up
FINEST = 1 << 52  # payoffs without a common denominator up to this are read as its multiples


def extreme_equilibria(table: Array) -> list[list[Array]]:
    """Every extreme equilibrium `[law (A,), law (B,)]` of `table (A, B, 2)`; in a nondegenerate game all.

    Payoffs are read as the simplest fractions of each player's own range that are within rounding, so
    that neither their unit nor their zero matters.

    Raises:
        NotExact: more vertices than can be looked at.
    """
    first, second, _ = table.shape
    if first + second > 60:
        raise NotExact(f"{first} and {second} acts; allowed: together 60")
    # The first player's laws are judged by what the second earns, and the other way round.
    own, unused = _vertices(_whole(table[..., 1].T))
    other, answered = _vertices(_whole(table[..., 0]))
    # Bits of acts: first those of the first player, then those of the second.
    low, high = np.uint64((1 << second) - 1), np.uint64(second)
    answered = (answered >> high) | ((answered & low) << np.uint64(first))
    # Every act is unused or a best reply.
    full = np.uint64((1 << (first + second)) - 1)
    pairs = np.argwhere((unused[:, None] | answered[None, :]) == full)
    return [[_law(own[i]), _law(other[j])] for i, j in pairs]


def _law(ray: Ray) -> Array:
    total = sum(ray[:-1])
    return np.array([float(Fraction(part, total)) for part in ray[:-1]])


def _whole(payoffs: Array) -> list[list[int]]:
    """Payoffs of one player as whole numbers, up to their unit and zero."""
    span, low = float(np.ptp(payoffs)), float(payoffs.min())
    if span == 0.0:
        return [[0] * payoffs.shape[1] for _ in payoffs]
    rounding = Fraction(4.0 * np.finfo(float).eps * (1.0 + float(np.abs(payoffs).max()) / span))
    shares = [(Fraction(value) - Fraction(low)) / Fraction(span) for value in payoffs.ravel().tolist()]
    simple = [_simplest(share - rounding, share + rounding) for share in shares]
    unit = min(math.lcm(*(share.denominator for share in simple)), FINEST)
    return np.array([round(share * unit) for share in simple], object).reshape(payoffs.shape).tolist()


def _simplest(low: Fraction, high: Fraction) -> Fraction:
    """The fraction with the smallest denominator from `low` to `high`."""
    whole = math.ceil(low)
    if whole <= high:
        return Fraction(whole)
    rest = whole - 1
    return rest + 1 / _simplest(1 / (high - rest), 1 / (low - rest))


def _vertices(rows: list[list[int]]) -> tuple[list[Ray], Bits]:
    """Vertices of `{(x, v): x in the simplex, row x <= v for all rows}`, and which inequalities bind there.

    A vertex is a ray `(x, v)` in whole numbers; the first bits say `x_i = 0`, the others that a row binds.
    One row after another cuts the cone of rays: those beyond it go, and a new one appears on each edge
    between one that stays and one that goes.
    """
    size = len(rows[0])
    nothing = (1 << size) - 1
    rays: list[Ray] = [(*[0] * size, 1)]
    bits = [nothing]
    for act in range(size):
        rays.append((*[int(act == other) for other in range(size)], rows[0][act]))
        bits.append((nothing ^ 1 << act) | 1 << size)
    for place, row in enumerate(rows[1:], start=size + 1):
        slack = [ray[-1] - sum(b * x for b, x in zip(row, ray, strict=False)) for ray in rays]
        binding = np.array(bits, np.uint64)
        stay = [k for k, value in enumerate(slack) if value >= 0]
        cut = _edges(binding, np.array(slack, object), size - 1)
        new = [
            tuple(slack[k] * b - slack[m] * a for a, b in zip(rays[k], rays[m], strict=True)) for k, m in cut
        ]
        common = [bits[k] & bits[m] | 1 << place for k, m in cut]
        bits = [bits[k] | (1 << place if slack[k] == 0 else 0) for k in stay] + common
        rays = [rays[k] for k in stay] + [_primitive(ray) for ray in new]
        if len(rays) > MOST_VERTICES:
            raise NotExact(f"more than {MOST_VERTICES} vertices of best replies; allowed: fewer acts")
    kept = [k for k, ray in enumerate(rays) if any(ray[:-1])]
    return [rays[k] for k in kept], np.array([bits[k] for k in kept], np.uint64)


def _primitive(ray: Ray) -> Ray:
    divisor = math.gcd(*ray)
    return tuple(part // divisor for part in ray)


def _edges(binding: Bits, slack: NDArray[np.object_], least: int) -> list[tuple[int, int]]:
    """Pairs of a ray that stays and one that goes between which there is an edge of the cone.

    There is one if no third ray has all that binds at both; `least` bind on every edge.
    """
    stays, goes = np.flatnonzero(slack > 0), np.flatnonzero(slack < 0)
    found = []
    for k in stays:
        common = binding[k] & binding[goes]
        for m, both in zip(goes, common, strict=True):
            if both.bit_count() >= least and np.count_nonzero((binding & both) == both) == 2:
                found.append((int(k), int(m)))
    return found
