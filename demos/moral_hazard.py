r"""
Moral hazard: who cannot be fined must be paid a rent
=====================================================

**Claim.** High effort is worth more than it costs, but a worker who cannot pay a fine must be paid for
success that also comes to the lazy. The cheapest contract that gets each effort follows from a linear
programme; high effort leaves the principal 0.32, middle effort 0.35, so it asks for the middle one. The
more the worker can stake, the smaller the rent; beyond 0.09 it is asked for the efficient effort.

**Source.** Grossman and Hart (1983), Econometrica 51, 7-45; limited liability after Sappington (1983), J.
Economic Theory 29, 1-21.
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREEN, GREY, ORANGE, dots, label, line

from commonweal import make

# %%
# Left: of the value that each effort brings, what is toil, what is rent and what is profit.

game = make("moral_hazard-v0", wage_levels=None)
p, toil = np.array(game.probability), np.array(game.toil)
value = p @ np.array(game.value)
cost = np.array([game.cheapest(a) @ p[a] for a in range(3)])
profit, rent = value - cost, cost - toil
assert np.allclose(profit, [0.2, 0.35, 0.32])
assert (value - toil).argmax() == 2

# %%
# Right: welfare and the effort asked for, as the worker can be made to pay more.

stake = np.linspace(0, 0.4, 41)
found = [make("moral_hazard-v0", wage_levels=None, min_wage=-s).references() for s in stake]
worth = np.array([f.selfish.welfare for f in found]) / 40
levels = np.linspace(0, 0.4, 9)
enumerated = [
    make("moral_hazard-v0", min_wage=-s, wage_levels=round((1 + s) / 0.05) + 1).references().selfish.welfare
    / 40
    for s in levels
]
assert np.isclose(worth[0], 0.41)
assert np.isclose(worth[-1], 0.53)
assert (worth[stake < 0.0899] < 0.42).all()
assert np.allclose(worth[stake > 0.0901], 0.53)

# %%

fig, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.6))
place = np.arange(3)
left.bar(place, profit, 0.6, color=BLUE)
left.bar(place, rent, 0.6, bottom=profit, facecolor="white", edgecolor=ORANGE, hatch="///")
left.bar(place, toil, 0.6, bottom=profit + rent, color=GREY, alpha=0.4)
for effort in place:
    label(left, effort, profit[effort], f"{profit[effort]:.2f}", "white", ha="center", xytext=(0, -14))
label(left, 2, profit[2] / 2, "profit", "white", ha="center", xytext=(0, -4))
label(left, 1.68, profit[2] + rent[2] / 2, "rent", ORANGE, ha="right", xytext=(0, 4))
label(left, 1.68, value[2] - toil[2] / 2, "toil", GREY, ha="right", xytext=(0, -4))
left.set(ylabel="expected value (money)", ylim=(0, 0.88), xticks=place)
left.set_xticklabels(["no effort", "middle", "high"])
line(right, stake, worth, BLUE)
dots(right, levels, enumerated, BLUE)
right.axhline(0.53, color=GREEN, linewidth=1.0, linestyle=(0, (1, 1.2)))
label(right, 0.0, 0.53, "first best", GREEN, xytext=(4, 4))
label(right, 0.02, 0.41, "circles: all contracts on levels of 0.05", BLUE, xytext=(4, -16))
right.set(xlabel="what the worker can be made to pay (money)", ylabel="W (money a round)")
right.set(xlim=(-0.01, 0.42), ylim=(0.35, 0.58))
plt.show()

# %%
# **What not to conclude.** The rent is no waste, it moves money to the worker; what is lost is the effort
# that is not asked for. To cap bonuses takes the rent away and the effort with it.
