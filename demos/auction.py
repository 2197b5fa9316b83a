r"""
Auctions: three ways to bid, one revenue
========================================

**Claim.** Where values are private and uniform, first-price, second-price and all-pay auctions bring the
seller the same, :math:`(N - 1)/(N + 1)` of the highest possible value: 1/3 for two bidders, 2/3 for five.
Keeping out all values below one half brings more (5/12 for two bidders), at the cost of goods unsold.

**Source.** Vickrey (1961), J. Finance 16, 8-37; Myerson (1981), Mathematics of Operations Research 6,
58-73.
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREEN, ORANGE, dots, label, line, mark

from commonweal import Society, make
from commonweal.agents.scripted import scripted

PRICING = ("first-price", "second-price", "all-pay")


def played(worlds=20_000, **parameters):
    """Revenue and W of an auction, means over those played in equilibrium, and the revenue's error."""
    auction = make("auction-v0", bid_levels=None, rounds=1, **parameters)
    society = Society(auction, num_worlds=worlds)
    policies = scripted(society, auction.references().selfish)
    step = society.step(policies.act(society.reset(1)))
    paid = step.conduct["payment"].sum(axis=1)
    return paid.mean(), step.welfare.mean(), 4 * paid.std() / np.sqrt(worlds)


# %%
# Bids differ, revenue does not.

for n, exact in ((2, 1 / 3), (5, 2 / 3)):
    for pricing in PRICING:
        revenue, _, error = played(num_agents=n, pricing=pricing)
        print(f"{n} bidders, {pricing}: revenue {revenue:.4f}")
        assert abs(revenue - exact) < error

# %%
# A reserve price, two bidders: what the seller gets, and what all get.

reserves = np.linspace(0, 1, 11)
auctions = [make("auction-v0", num_agents=2, bid_levels=None, reserve=r) for r in np.linspace(0, 1, 101)]
revenue = np.array([a.facts()["revenue"] for a in auctions])
welfare = np.array([a.references().selfish.welfare / a.rounds for a in auctions])
found = [played(num_agents=2, reserve=r) for r in reserves]
assert all(abs(got - revenue[10 * k]) <= error + 1e-12 for k, (got, _, error) in enumerate(found))
assert revenue.argmax() == 50
assert abs(revenue[50] - 5 / 12) < 1e-9
assert welfare.argmax() == 0

# %%

fig, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.6))
value = np.linspace(0, 1, 101)
for pricing, colour in zip(PRICING, (BLUE, ORANGE, GREEN), strict=True):
    auction = make("auction-v0", pricing=pricing, bid_levels=None)
    line(left, value, auction.equilibrium_bid(value), colour)
label(left, 0.5, 0.5, "second price", ORANGE, ha="right", xytext=(-6, 4))
label(left, 0.62, 0.5, "first price", BLUE, xytext=(6, -8))
label(left, 0.7, 0.13, "all pay", GREEN, xytext=(14, -6))
left.set(xlabel="value", ylabel="bid in equilibrium, five bidders")
line(right, np.linspace(0, 1, 101), revenue, BLUE)
line(right, np.linspace(0, 1, 101), welfare, GREEN)
dots(right, reserves, [got for got, *_ in found], BLUE)
dots(right, reserves, [w for _, w, _ in found], GREEN)
mark(right, 0.5, "best for the seller", at=0.99)
label(right, 0.05, 0.34, "seller", BLUE, xytext=(0, -16))
label(right, 0.05, 0.67, "seller and bidders", GREEN, xytext=(0, 6))
right.set(xlabel="reserve price, two bidders", ylabel="money", ylim=(0, 0.8))
plt.show()

# %%
# **What not to conclude.** Revenue is the same for bidders who are alike, know only their own values and do
# not mind risk; with any of these gone, the rules differ.
