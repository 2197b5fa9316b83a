r"""
The double auction: the market's rules do much of the traders' work
===================================================================

**Claim.** Traders who quote at random, but never at a loss, realise 94 per cent of the gains from
trade, the mean of 4000 markets. Without that budget everybody trades with anybody, and what some gain
others lose: 0 per cent.

**Source.** Gode and Sunder (1993), J. Political Economy 101, 119-137, "zero-intelligence traders". Their
own markets had several units a trader and a book that keeps the best quotes only.
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREY, ORANGE, label, line

from commonweal import Society, make
from commonweal.agents.scripted import Scripted
from commonweal.envs.traders import simulate, zero_intelligence

# %%
# All post in every step: buyers between zero and their value, sellers between their cost and the
# ceiling; or both anywhere. Only the rule differs, the market is the same.

market = make("double_auction-v0", price_levels=None)
worth = market.schedule[:, 0]


def efficiency(constrained, worlds=4000):
    """Gains realised up to each step, as a share of the largest possible, `(steps, B)`."""
    society = Society(market, num_worlds=worlds)
    traders, observation = Scripted(society, zero_intelligence(market, constrained)), society.reset(1)
    gains = []
    for _ in range(market.steps):
        step = society.step(traders.act(observation))
        observation = step.observation
        gains.append(step.welfare)
    return market.allocative_efficiency(np.cumsum(gains, axis=0))


budget, anywhere = efficiency(True), efficiency(False)
print(f"mean share of the gains: {budget[-1].mean():.3f} with a budget, {anywhere[-1].mean():.3f} without")

# The book of twelve by twelve units whose numbers `commonweal verify` holds.
toy = make("double_auction-v0", preset="linear")
shares = [toy.allocative_efficiency(simulate(toy, constrained, 1000)).mean() for constrained in (True, False)]
print(f"12 x 12 units: {shares[0]:.3f} with a budget, {shares[1]:.3f} without")

# %%

fig, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.6))
values, costs = np.sort(worth[:4])[::-1], np.sort(worth[4:])
left.stairs(values, range(5), color=BLUE, linewidth=2, baseline=None)
left.stairs(costs, range(5), color=ORANGE, linewidth=2, linestyle=(0, (5, 2)), baseline=None)
left.fill_between([0, 1, 1, 2], [10, 10, 70, 70], [190, 190, 130, 130], color=GREY, alpha=0.15)
label(left, 0, 190, "buyers' values", BLUE, xytext=(12, 5))
label(left, 3, 190, "sellers' costs", ORANGE, ha="right", xytext=(28, 5))
label(left, 1, 100, "gains: 240", ha="center", xytext=(0, -4))
left.set(xlabel="units", ylabel="money", xlim=(0, 4.1), ylim=(0, 215), xticks=range(5))
steps = np.arange(1, market.steps + 1)
for gains, colour, name, dy in (
    (budget, BLUE, "never at a loss", -18),
    (anywhere, ORANGE, "at any price", 6),
):
    line(right, steps, gains.mean(axis=1), colour)
    label(right, market.steps, gains[-1].mean(), name, colour, ha="right", xytext=(0, dy))
right.axhline(1, color=GREY, linewidth=0.8, zorder=0)
right.set(xlabel="step", ylabel="share of the gains realised", ylim=(-0.05, 1.08), xticks=range(0, 21, 5))
plt.show()

# %%

assert abs(budget[-1].mean() - 0.943) < 0.005
assert abs(anywhere[-1].mean()) < 0.005
assert shares[0] > 0.9
assert shares[0] - shares[1] > 0.3

# %%
# **What not to conclude.** Efficiency here needs no intelligence, but who gets the gains does; and
# quotes drawn afresh in twenty steps give every possible trade many chances.
