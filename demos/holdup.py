r"""
Hold-up: who cannot be sure of the return invests less
======================================================

**Claim.** Half of what a specific investment earns goes to the partner in bargaining, so the investor
stops where half the marginal return equals marginal cost. The less of it is specific, the less is lost.
Power over the bargain helps one side only at the expense of the other: the pair does best with equals.

**Source.** Grossman and Hart (1986), J. Political Economy 94, 691-719, and Hart and Moore (1988),
Econometrica 56, 755-785; the closed form of this linear case is derived on the page of ``holdup-v0``.
"""

import matplotlib.pyplot as plt
import numpy as np
from play import best_reply
from style import BLUE, GREEN, GREY, ORANGE, dots, label, line

from commonweal import make

# %%
# Best replies of a buyer, found by playing 4001 investments, for each share that is specific.


def reply(**parameters):
    """The buyer's investment that pays it most; the seller invests 0.3."""
    game = make("holdup-v0", num_pairs=1, levels=None, **parameters)
    return best_reply(game, [], "investment", np.linspace(0, 2, 4001), 0.3)


specific = np.linspace(0, 1, 11)
powers = {0.25: ORANGE, 0.5: BLUE, 0.75: GREEN}
replies = {power: [reply(specificity=s, bargaining_power=power) for s in specific] for power in powers}
for power, found in replies.items():
    assert np.abs(found - (1 - specific * (1 - power))).max() < 5.1e-4

# %%
# Welfare of the equilibrium as a share of the first best, for each division of power.

power = np.linspace(0, 1, 21)
worth = {}
for gamma, colour in ((0.0, BLUE), (0.5, ORANGE)):
    games = [
        make("holdup-v0", levels=None, complementarity=gamma, bargaining_power=p, max_investment=3.0)
        for p in power
    ]
    found = [game.references() for game in games]
    worth[gamma] = np.array([f.selfish.welfare / f.planner.welfare for f in found]), colour
    assert worth[gamma][0].argmax() == 10
assert np.isclose(worth[0.0][0][10], 0.75)

# %%

fig, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.6))
for share, colour in powers.items():
    line(left, specific, 1 - specific * (1 - share), colour)
    dots(left, specific, replies[share], colour)
    label(left, 1.0, share, f"power {share:g}", colour, ha="right", xytext=(-6, -13))
left.axhline(1, color=GREY, linewidth=1.0)
label(left, 0, 1, "first best", GREY, xytext=(60, 4))
left.set(
    xlabel="share of the return that is specific", ylabel="best investment", xlim=(0, 1.02), ylim=(0, 1.12)
)
for gamma, (share, colour) in worth.items():
    line(right, power, share, colour)
    label(
        right,
        0.5,
        share.max(),
        "independent" if gamma == 0 else "complements",
        colour,
        ha="center",
        xytext=(0, 6),
    )
right.set(xlabel="buyers' power", ylabel="share of the first best", xlim=(0, 1), ylim=(0, 1))
plt.show()

# %%
# **What not to conclude.** The bargain itself wastes nothing here and is computed, not played. Contracts
# that can be verified, reputation or ownership change the division, and with it the investment.
