r"""
Lemons: a market that unravels
==============================

**Claim.** Every good is worth half as much again to a buyer as to its seller, so all should be traded.
But a bid of p buys only goods worth less than p to their owners, on average p / 2: it loses money at
every price, and no trade is left. Where the worst good is worth something, bids chase the average down
until it meets the price; the share that is traded rises with the premium and with the worst quality.

**Source.** Akerlof (1970), Quarterly J. of Economics 84, 488-500; the buyer's problem is that of Samuelson
and Bazerman (1985), "the winner's curse in bilateral negotiations".
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREEN, GREY, ORANGE, dots, label, line

from commonweal import make

# %%
# The expected gain of every bid, played on a fine grid of qualities against sellers who ask them.

bids = np.linspace(0, 1.2, 25)
gains = {}
for low, colour in ((0.0, ORANGE), (0.2, BLUE)):
    game = make("lemons-v0", lowest_quality=low, price_levels=None)
    gains[low] = np.array([game.played(bid) for bid in bids]), colour
assert gains[0.0][0].argmax() == 0
assert gains[0.0][0].max() == 0.0
assert np.isclose(bids[gains[0.2][0].argmax()], 0.4)

# %%
# Unravelling, step by step: rivals bid what the goods that were sold at the last price are worth.

premium, low = 1.5, 0.2
price, path = 1.0, [1.0]
for _ in range(30):
    price = premium * (low + min(price, 1.0)) / 2
    path.append(price)
found = make("lemons-v0", lowest_quality=low, buyers_per_seller=2, price_levels=None).references()
assert np.isclose(found.selfish.detail["price"], 0.6)
assert abs(path[-1] - 0.6) < 1e-3

# %%

fig, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.6))
for worst, (gain, colour) in gains.items():
    fine = np.linspace(0, 1.2, 400)
    sold = np.clip(fine, worst, 1.0)
    line(left, fine, (sold - worst) / (1 - worst) * (0.75 * (worst + sold) - fine), colour)
    dots(left, bids, gain, colour)
label(left, 1.0, -0.25, "worst good 0", ORANGE, ha="right", xytext=(-30, 0))
label(left, 0.62, 0.0, "worst good 0.2", BLUE, xytext=(4, 8))
left.axhline(0, color=GREY, linewidth=0.8, zorder=0)
left.set(xlabel="bid (money)", ylabel="expected gain (money)", xlim=(0, 1.22), ylim=(-0.5, 0.1))
fine = np.linspace(0.2, 1.0, 100)
line(right, fine, fine, GREY)
line(right, fine, premium * (low + fine) / 2, BLUE)
stairs = np.repeat(path[:9], 2)
right.plot(stairs[:-1], np.append(stairs[1:-1], stairs[-1]), color=ORANGE, linewidth=1.0)
dots(right, [0.6], [0.6], GREEN)
label(right, 0.6, 0.6, "equilibrium:\nhalf is traded", GREEN, xytext=(10, -26))
label(right, 0.2, 0.3, "worth to a buyer of what\nis sold at the price", BLUE, xytext=(4, 96))
label(right, 0.36, 0.36, "the price", GREY, xytext=(10, -8))
right.set(xlabel="price (money)", ylabel="money", xlim=(0.2, 1.02), ylim=(0.2, 1.02))
plt.show()

# %%
# **What not to conclude.** Warranties, reputation, inspection and dealers who know exist because of this;
# that a market of used goods functions is no evidence against it.
