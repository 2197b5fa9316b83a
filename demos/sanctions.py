r"""
Peer sanctions: what it takes to make free riding a loss
========================================================

**Claim.** At one to three, who keeps g tokens from the public good must receive at least 0.2 g points
to regret it: 4 points for all twenty. Those 4 points cost the others 4 and the free rider 12, all of
it destroyed: more than the round loses by one free rider's tokens (12).

**Source.** Fehr and Gächter (2002), Nature 415, 137-140.
"""

import matplotlib.pyplot as plt
import numpy as np
from play import column
from style import BLUE, GREY, ORANGE, PURPLE, dots, label, line

from commonweal import Society, institution, make

# %%
# One round in the laboratory's order: contributions first, then points, given by the first of the others.

game = make("public_goods-v0")
rule = institution("peer-sanctions", base="contribution", stage="respond", max_points=6)
points = np.arange(7)


def round_of(kept):
    """Payoff of citizen 0 by points received, after keeping `kept` tokens; and what was destroyed."""
    society = Society(game, [rule], num_worlds=len(points))
    give, target, amount = (
        column(society, name) for name in ("contribution", "sanction_target", "sanction_points")
    )
    actions = society.columns.null_actions(len(points))
    actions["citizens"][:, :, give] = 20
    actions["citizens"][:, 0, give] = 20 - kept
    earned = society.step(actions).reward["citizens"][:, 0]
    actions = society.columns.null_actions(len(points))
    actions["citizens"][:, 1, target] = 2  # targets count from the punisher: the third after 1 is 0
    actions["citizens"][:, 1, amount] = points
    step = society.step(actions)
    return earned + step.reward["citizens"][:, 0], step.ledger.burnt


fig, ax = plt.subplots()
for kept, colour in ((20, ORANGE), (10, BLUE), (5, PURPLE)):
    payoff, burnt = round_of(kept)
    gain = payoff - 32.0
    assert np.allclose(gain, 0.6 * kept - 3 * points)
    assert np.allclose(burnt, 4 * points)
    line(ax, points, gain, colour)
    dots(ax, points, gain, colour)
    label(ax, 0, gain[0], f"keeps {kept}", colour, ha="right", xytext=(-8, -4))
    assert np.isclose(np.interp(0, -gain, points), 0.2 * kept)
    label(ax, 0.2 * kept, 0, f"{0.2 * kept:g}", colour, xytext=(4, 4))
ax.axhline(0, color=GREY, linewidth=0.8, zorder=0)
ax.set(xlabel="points received", ylabel="gain from free riding (money)", xlim=(-1.2, 6.2), ylim=(-18, 14))
ax.set_xticks(points)
plt.show()

# %%

payoff, burnt = round_of(20)
print(f"4 points: the free rider gains {payoff[4] - 32:g}, {burnt[4]:g} is destroyed")
assert np.isclose(burnt[4], 16.0)

# %%
# **What not to conclude.** That it suffices says nothing about who will bear the cost: with selfish
# players and a known last round nobody does, and the threat is empty.
