r"""
Several units: who sets the price of his own units bids less
============================================================

**Claim.** Two bidders want two units each, and two are for sale. Under a uniform price a bid for the second
unit may set the price of the first, so bidding nothing for it pays most whatever it is worth: each gets one
unit for nothing, and a fifteenth of the highest possible value is lost on average. Under the rule of Vickrey,
Clarke and Groves true bids are best, nothing is lost and the seller gets 3/5.

**Source.** Vickrey (1961), J. Finance 16, 8-37; Noussair (1995), Economic Theory 5, 337-351, on demand
reduction. The numbers are derived in the dilemma's page.
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREEN, ORANGE, dots, label, line

from commonweal import Society, make
from commonweal.agents.scripted import scripted
from commonweal.random import Streams, world_seeds

# %%
# Profit by the bid for the second unit, worth .7, the first being worth .9. The rival bids as in equilibrium:
# truly for its first unit and nothing for the second; under vcg truly for both.

draws = 20_000
rng = np.random.default_rng(0)
rival = -np.sort(-rng.random((draws, 2)), axis=1)
value, bids = np.array([0.9, 0.7]), np.linspace(0, 0.9, 19)
profit = {}
for pricing in ("uniform", "vcg"):
    auction = make("multi_unit_auction-v0", pricing=pricing)
    against = rival * ([1, 0] if pricing == "uniform" else [1, 1])
    profit[pricing] = []
    for second in bids:
        own = np.broadcast_to([value[0], second], (draws, 2))
        won, payment = auction.sell(np.stack([own, against], axis=1), Streams(world_seeds(0, draws), 0))
        worth = np.append(0, np.cumsum(value))[won[:, 0].astype(int)]
        profit[pricing].append((worth - payment[:, 0]).mean())
assert np.argmax(profit["uniform"]) == 0
assert abs(bids[np.argmax(profit["vcg"])] - value[1]) < 0.051
exact = value[0] + value[1] * bids**2 - bids**3 / 3 - bids  # the integral in the page
assert np.abs(profit["uniform"] - exact).max() < 0.01

# %%
# Both rules, played in equilibrium.

outcome = {}
for pricing in ("uniform", "vcg"):
    auction = make("multi_unit_auction-v0", pricing=pricing, rounds=1)
    society = Society(auction, num_worlds=50_000)
    step = society.step(scripted(society, auction.references().selfish).act(society.reset(1)))
    outcome[pricing] = step.welfare.mean(), step.conduct["payment"].sum(axis=1).mean()
    print(f"{pricing}: W {outcome[pricing][0]:.3f}, of which to the seller {outcome[pricing][1]:.3f}")
assert abs(outcome["vcg"][0] - outcome["uniform"][0] - 1 / 15) < 0.005
assert abs(outcome["vcg"][1] - 0.6) < 0.005
assert outcome["uniform"][1] == 0

# %%

fig, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.6), width_ratios=(3, 2))
fine = np.linspace(0, 0.9, 100)
line(left, fine, value[0] + value[1] * fine**2 - fine**3 / 3 - fine, BLUE)
dots(left, bids, profit["uniform"], BLUE)
line(left, bids, profit["vcg"], ORANGE)
label(left, 0.15, 0.77, "uniform price", BLUE, xytext=(10, 4))
label(left, 0.0, profit["vcg"][0], "Vickrey, Clarke, Groves", ORANGE, xytext=(0, -16))
left.axvline(0.7, color="#777777", linewidth=1, linestyle=(0, (2, 2)), zorder=0)
label(left, 0.7, 0, "true", "#777777", xytext=(4, 4))
left.set(xlabel="bid for the second unit, worth .7", ylabel="profit of the bidder", ylim=(0, 1))
names, places = ("uniform price", "Vickrey,\nClarke, Groves"), np.arange(2)
total = [outcome[pricing][0] for pricing in ("uniform", "vcg")]
seller = [outcome[pricing][1] for pricing in ("uniform", "vcg")]
right.bar(places, seller, 0.5, color=ORANGE)
right.bar(
    places, np.subtract(total, seller), 0.5, bottom=seller, facecolor="white", edgecolor=GREEN, hatch="//"
)
label(right, 1, 0.3, "seller", "white", ha="center", xytext=(0, -4))
right.text(0, 0.65, "bidders", ha="center", bbox={"facecolor": "white", "edgecolor": "none"})
for place, height in zip(places, total, strict=True):
    label(right, place, height, f"{height:.2f}", GREEN, ha="center", xytext=(0, 4))
right.set(ylabel="W of an auction", xticks=places, xticklabels=names, ylim=(0, 1.6), xlim=(-0.5, 1.5))
plt.show()

# %%
# **What not to conclude.** Demand reduction need not go so far with more bidders than units, where each unit
# is contested; and the rule that invites truth has paid for it elsewhere with low revenue and collusion.
