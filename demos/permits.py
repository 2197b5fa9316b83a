r"""
Tradable permits: the same catch at lower cost
==============================================

**Claim.** Four boats with different costs may land 8 units a year between them. With two permits each
they earn 5.5 a year; if they may trade, the two cheap boats buy out the two dear ones at 0.69 a
permit, all four earn more, 6.5 in all, and the catch stays what it was.

**Source.** Dales (1968), Pollution, Property and Prices; Montgomery (1972), J. Economic Theory 5.
"""

import matplotlib.pyplot as plt
import numpy as np
from play import column
from style import BLUE, GREEN, GREY, ORANGE, label

from commonweal import Society, institution, make

# %%
# The stock stands where it grows by 8 a year. A permit is worth the price of fish less the cost of
# catching one; every boat asks or bids just that.

cost = np.array([0.1, 0.2, 0.3, 0.4])
fishery = make("fishery-v0", num_agents=4, cost=tuple(cost), effort_levels=None, initial_stock=0.8)
market = institution("tradable-quotas", allocation=2.0, levels=None)
worth = fishery.price - cost / (fishery.catchability * 80.0)


def years(trade, length=20):
    """Money of each boat, payments included, total catch, and price, year by year."""
    society = Society(fishery, [market])
    actions = society.columns.null_actions(1)
    place = {name: column(society, name) for name in ("effort", "permit_price", "permit_quantity")}
    actions["citizens"][0, :, place["permit_price"]] = worth
    if trade:
        actions["citizens"][0, :, place["permit_quantity"]] = np.where(worth > np.median(worth), 2.0, -2.0)
    money, catch = [], []
    for _ in range(length):
        holding = society.states["permit"].holding[0]
        actions["citizens"][0, :, place["effort"]] = holding / (fishery.catchability * 80.0)
        step = society.step(actions)
        money.append(step.reward["citizens"][0])
        catch.append(step.conduct["extraction"].sum())
    return np.array(money), np.array(catch), society.states["permit"].price.item()


without, catch, _ = years(trade=False)
with_trade, catch_with, price = years(trade=True)

# %%

fig, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.6), width_ratios=(1, 1.15))
left.stairs(worth, 2 * np.arange(5), color=BLUE, linewidth=2, baseline=None)
left.axhline(price, color=GREY, linewidth=1)
left.axvline(8, color=GREY, linewidth=1, linestyle=(0, (2, 2)))
label(left, 0, price, f"price {price:.2f}", GREY, xytext=(6, -15))
label(left, 0, worth[0], "worth of a permit", BLUE, xytext=(24, 6))
label(left, 8, 0.2, "issued", GREY, ha="right", xytext=(-4, 0))
left.set(xlabel="permits (units of fish a year)", ylabel="money per permit", xlim=(0, 9), ylim=(0, 1))
boats = np.arange(4)
right.bar(
    boats - 0.19, without[-1], 0.36, facecolor="white", edgecolor=ORANGE, hatch="///", label="permits fixed"
)
right.bar(boats + 0.19, with_trade[-1], 0.36, color=GREEN, label="permits traded")
right.set(xlabel="boat (cost of a unit of effort)", ylabel="money a year, payments included")
right.set_xticks(boats, [f"{c:g}" for c in cost])
right.legend(frameon=False)
plt.show()

# %%

print(f"{without[-1].sum():.2f} without trade, {with_trade[-1].sum():.2f} with it, at a price of {price:.4f}")
assert np.allclose(catch, 8)
assert np.allclose(catch_with, 8)
assert np.allclose([without[-1].sum(), with_trade[-1].sum(), price], [5.5, 6.5, 0.6875])
assert (with_trade[-1] > without[-1]).all()

# %%
# **What not to conclude.** The boats state what a permit is worth to them. With four traders one that
# shades its bid can move the price; nor does trade say anything about the cap.
