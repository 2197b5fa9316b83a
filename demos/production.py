r"""
Polluting firms: the right tax is below the damage where firms are few
======================================================================

**Claim.** Four firms in Cournot's equilibrium make three times what a planner would, price takers still
more. Among price takers a tax of the marginal damage, 13, restores the planner's output; among the four firms
it is 12, since their market power restrains output already. At 13 they make too little.

**Source.** Cournot (1838); Pigou (1920), The Economics of Welfare; Buchanan (1969), American Economic
Review 59, 174-177.
"""

import matplotlib.pyplot as plt
import numpy as np
from play import symmetric_equilibrium
from style import BLUE, GREEN, GREY, ORANGE, dots, label, line, mark

from commonweal import Society, institution, make

game = make("production-v0", levels=None, rounds=1)
planned = game.references().planner

# %%
# Best replies found by playing every output under the tax; the lines are the closed forms.


def taxed(rate):
    return [institution("taxation", base="emission", rate=rate, revenue="treasury")]


rates, grid = np.linspace(0, 18, 7), np.linspace(0, 6, 6001)
output = np.array([symmetric_equilibrium(game, taxed(t), "output", grid, 2.0) for t in rates])
a, b, c, k, n, d = 20, 1, 2, 1, 4, 13
assert np.abs(output - (a - c - rates) / (b * (n + 1) + k)).max() < 2e-3
restoring = d - b * (a - c - d) / (b * n + k)
assert abs(restoring - 12) < 1e-12
assert abs(game.references().corrective["emission"].detail["rate"] - restoring) < 1e-6


def welfare(rate, each):
    """W of a round in which all make `each` under the tax, played."""
    society = Society(game, taxed(rate))
    return society.step({"citizens": np.full((1, n, 1), each)}).welfare[0]


fine = np.linspace(0, 18, 73)
few = np.array([welfare(t, (a - c - t) / (b * (n + 1) + k)) for t in fine])
many = np.array([welfare(t, (a - c - t) / (b * n + k)) for t in fine])
assert fine[few.argmax()] == 12
assert fine[many.argmax()] == 13
assert np.allclose([few.max(), many.max()], planned.welfare)

# %%

fig, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.6))
line(left, fine, (a - c - fine) / (b * n + k), ORANGE)
line(left, fine, (a - c - fine) / (b * (n + 1) + k), BLUE)
dots(left, rates, output, BLUE)
line(left, [0, 18], [1, 1], GREEN)
label(left, 4, 2.8, "price takers", ORANGE, xytext=(6, 4))
label(left, 1, 1.95, "four firms", BLUE, xytext=(0, 0))
label(left, 0, 1, "planner", GREEN, xytext=(4, -14))
left.set(xlabel="tax per unit emitted", ylabel="output of a firm", ylim=(0, 3.8), xlim=(0, 18))
line(right, fine, many, ORANGE)
line(right, fine, few, BLUE)
mark(right, 12, "12", BLUE, at=0.12, ha="right")
mark(right, 13, "13: the\ndamage", ORANGE, at=0.14)
label(right, 3, -25, "price takers", ORANGE, xytext=(0, -24))
label(right, 0.3, -6, "four firms", BLUE, xytext=(0, 0))
right.axhline(planned.welfare, color=GREY, linewidth=0.8, zorder=0)
label(right, 0, planned.welfare, "planner", GREY, xytext=(4, 4))
right.set(xlabel="tax per unit emitted", ylabel="W of a round", xlim=(0, 18), ylim=(-62, 20))
plt.show()

# %%
# **What not to conclude.** The damage is known here and the same everywhere; and where firms differ, one
# rate cannot mend the markup of each.
