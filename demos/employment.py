r"""
Employment: when effort is hidden, pay must carry risk
======================================================

**Claim.** A worker's effort follows the slope of its pay, but a steeper slope loads it with risk. The
best slope is :math:`1 / (1 + r c \sigma^2)`, and of the surplus of the first best that same share is
earned. Principals who share one worker each count the risk of the others' pay as nobody's: with P of
them the slopes add up to :math:`1 / (1 + P r c \sigma^2)` only.

**Source.** Holmström and Milgrom (1987), Econometrica 55, 303-328; common agency after Bernheim and
Whinston (1986), Econometrica 54.
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREEN, GREY, ORANGE, dots, label, line

from commonweal import make
from commonweal.envs.contract_yardsticks import played

# %%
# Left: the surplus of one principal and its worker under each slope, played at the nodes of a
# quadrature; the worker's effort is its best answer, slope / c.

free = {"wage_levels": None, "slope_levels": None, "effort_levels": None}
slopes = np.linspace(0, 1, 11)
curves = {}
for r, colour in ((0.5, GREEN), (1.0, BLUE), (3.0, ORANGE)):
    game = make("employment-v0", num_workers=1, risk_aversion=r, **free)
    surplus = np.array([sum(played(game, 0.0, slope, slope)) for slope in slopes])
    assert np.allclose(surplus, slopes - (1 + r) * slopes**2 / 2, atol=1e-6)
    curves[r] = surplus, colour

# %%
# Right: what the equilibrium with contracts earns, as a share of the first best. Where principals share a
# worker, that nobody makes an acceptable offer is one, too, and as the worst it is their zero line.

aversion = np.linspace(0, 4, 17)
shares = {}
for principals, colour in ((1, BLUE), (2, ORANGE), (4, GREEN)):
    found = [
        make("employment-v0", principals_per_worker=principals, risk_aversion=r, max_wage=2.0, **free)
        for r in aversion
    ]
    found = [game.references() for game in found]
    hired = [f.others.get("contracts", f.selfish) for f in found]
    shares[principals] = (
        np.array([h.welfare / f.planner.welfare for h, f in zip(hired, found, strict=True)]),
        colour,
    )
    slope = 1 / (1 + principals * aversion)
    assert np.allclose([h.detail["slope"] for h in hired], slope)
    assert np.allclose(shares[principals][0], 2 * slope - (1 + aversion) * slope**2)
assert np.allclose(shares[1][0], 1 / (1 + aversion))

# %%

fig, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.6))
fine = np.linspace(0, 1, 200)
for r, (surplus, colour) in curves.items():
    line(left, fine, fine - (1 + r) * fine**2 / 2, colour)
    dots(left, slopes, surplus, colour)
    best = 1 / (1 + r)
    left.plot(best, best / 2, "D", color=colour, markersize=8, zorder=4)
    at = {0.5: 1.0, 1.0: 0.9, 3.0: 0.6}[r]
    label(left, at, at - (1 + r) * at**2 / 2, f"r = {r:g}", colour, ha="right", xytext=(-6, -16))
left.axhline(0.5, color=GREY, linewidth=1.0)
label(left, 0, 0.5, "first best", GREY, xytext=(4, 4))
left.axhline(0, color=GREY, linewidth=0.8, zorder=0)
left.set(xlabel="slope of pay", ylabel="surplus (money a round)", xlim=(0, 1.02), ylim=(-0.3, 0.58))
for principals, (share, colour) in shares.items():
    line(right, aversion, share, colour)
    name = "one principal" if principals == 1 else f"{principals} principals"
    at, shift = {1: (6, (8, 6)), 2: (12, (0, 22)), 4: (4, (-14, -38))}[principals]
    label(right, aversion[at], share[at], name, colour, xytext=shift)
right.set(xlabel=r"risk aversion times noise, $r c \sigma^2$", ylabel="share of the first best")
right.set(xlim=(0, 4.1), ylim=(0, 1.04))
plt.show()

# %%
# **What not to conclude.** Linear contracts are best in this model of many small decisions, not in every
# one; and a first best that sees effort and insures in full is a yardstick that no contract reaches.
