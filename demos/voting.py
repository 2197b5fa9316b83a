r"""
Voting: the median voter sets the tax, and cannot be outbid
===========================================================

**Claim.** Five citizens of unequal skill vote on a flat income tax that is shared among all. The poor
want 0.72, the rich nothing; the median ballot, 0.24, beats every other rate in a majority vote. A poor
voter who exaggerates moves the mean of the ballots, and not the median.

**Source.** Black (1948), J. Political Economy 56; Meltzer and Richard (1981), J. Political Economy 89.
"""

import matplotlib.pyplot as plt
import numpy as np
from play import alternatives, best_reply, column
from style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, dots, label, line

from commonweal import Society, institution, make

# %%
# What each citizen gets under each rate, when the labour of all is the best reply to that of the others.

skill = (1.5, 2.0, 2.6, 3.2, 4.2)
market = make("labour-v0", num_agents=5, skill=skill, levels=None, periods=1)
work, rates = np.linspace(0, 3, 601), np.linspace(0, 0.9, 31)
utility = []
for rate in rates:
    tax, labour = [institution("income-tax", rates=(rate,))], np.ones(5)
    for _ in range(6):
        for agent in range(5):
            labour[agent] = best_reply(market, tax, "labour", work, labour, agent)
    utility.append(alternatives(market, tax, "labour", [labour[0]], labour).reward["citizens"][0])
utility = np.array(utility)
wish = np.array([rates[column_.argmax()] for column_ in utility.T])

# %%
# Honest ballots, and ballots of which the poorest exaggerates.


def decided(ballots, rule):
    """The rate in force after the vote."""
    vote = institution("vote", on="income_tax.rates", rule=rule, levels=None)
    society = Society(market, [institution("income-tax"), vote])
    actions = society.columns.null_actions(1)
    actions["citizens"][0, :, column(society, "vote_ballot")] = ballots
    society.step(actions)
    return society.states["income_tax"].rates.item()


exaggerated = np.array([1.0, *wish[1:]])
median, mean = decided(wish, "median"), decided(wish, "mean")
shift = decided(exaggerated, "mean") - mean
at = np.abs(rates - median).argmin()
support = (utility[at] > utility + 1e-9).sum(axis=1) - (utility[at] < utility - 1e-9).sum(axis=1)
print(f"wishes {wish.round(2)}, median {median:.2f}, mean {mean:.2f}, moved by {shift:.2f}")

# %%

fig, ax = plt.subplots()
for agent, colour in enumerate((ORANGE, PURPLE, INK, GREEN, BLUE)):
    gain = utility[:, agent] - utility[0, agent]
    ax.plot(rates, gain, color=colour, linestyle=("--", "-.", "-", ":", (0, (8, 2)))[agent])
    best = utility[:, agent].argmax()
    dots(ax, rates[best], gain[best], colour)
    text = f"skill {skill[agent]:g}"
    inside = agent < 3
    place = (rates[best], gain[best]) if inside else (rates[16], gain[16])
    label(ax, *place, text, colour, ha="left", xytext=(0, 7) if inside else (4, 5))
line(ax, [0, 0.9], [0, 0], GREY, linewidth=0.8, zorder=0)
ax.set(xlabel="flat rate", ylabel="utility, less that without tax", xlim=(0, 0.9), ylim=(-1.6, 1.1))
plt.show()

# %%

assert abs(median - wish[2]) < 1e-12
assert abs(median - 0.24) < 0.005
assert (np.delete(support, at) > 0).all()
assert decided(exaggerated, "median") == median
assert shift > 0.05
assert abs(wish[0] - 0.72) < 0.005
assert wish[-1] == 0

# %%
# **What not to conclude.** The median wins because preferences have a single peak and the ballot is one
# number. On two taxes at once there need be no rate that beats all others.
