r"""
Labour: how much redistribution a planner can reach who sees incomes only
=========================================================================

**Claim.** Without any rule each citizen of ``labour-v0`` works what is best for it and harms nobody;
but money is unequal (Gini coefficient 0.38), and the sum of utilities over ten periods is 58.8. Who sees
skills and commands labour could reach 66.2; who sees incomes alone 64.0, with a schedule whose marginal
rate is zero at the top of four citizens. Where there are many, and skills have a Pareto tail, the best
marginal rate rises with income towards the top rate of Saez, :math:`1 / (1 + a e)`.

**Source.** The utility of Zheng et al. (2020), arXiv 2004.13332; Mirrlees (1971), Review of Economic
Studies 38, 175-208; Saez (2001), Review of Economic Studies 68, 205-229.
"""

import matplotlib.pyplot as plt
import numpy as np
from play import alternatives
from style import BLUE, GREEN, GREY, ORANGE, PURPLE, dots, label, line

from commonweal import make
from commonweal.envs.mirrlees import Economy, finite_rates, saez_top_rate
from commonweal.welfare import gini

# %%
# The best labour of each citizen, found by playing 3001 alternatives, against the closed form.

market = make("labour-v0", levels=None)
skill = np.asarray(market.skill)[0]
grid = np.linspace(0, market.max_labour, 3001)
alone = []
for agent in range(market.num_agents):
    step = alternatives(market, [], "labour", grid, 0.0, agent)
    alone.append(grid[step.reward["citizens"][:, agent].argmax()])
power = 1 / (1 / market.elasticity + market.risk_aversion)
assert np.abs(alone - skill ** ((1 - market.risk_aversion) * power)).max() < 1e-3

# %%
# Consumption under three regimes. The schedule is certified: no other can bring more than `gap`.

references = market.references()
planned = references.planner.rule({"progress": np.zeros((1, 4))}, None)["labour"][0]
schedule = market.economy().optimum()
assert schedule.gap < 1e-9
assert schedule.envy < 1e-9
assert abs(schedule.marginal_rates[-1]) < 1e-6

# %%
# Many citizens whose skills have a Pareto tail of exponent 2.5 (so that incomes have a = 2), money worth
# the same to all, and welfare weights 1 / skill: then the average weight above a skill w is 1 / w, and
# Saez's formula with it is the optimum wherever the distribution goes on above.

a, e, n = 2.0, 0.25, 40
rank = (np.arange(n) + 0.5) / n
many = (1 - rank) ** -(1 / 2.5)
economy = Economy.of(many, 1.0, 0.0, e, 10.0, weight=1 / many)
rates = economy.optimum().marginal_rates
assert np.allclose(rates, finite_rates(economy), atol=1e-5)
share = np.linspace(0.001, 0.999, 400)
saez = np.array([saez_top_rate(a, e, (1 - s) ** 0.4) for s in share])
fine = (1 - (np.arange(20_000) + 0.5) / 20_000) ** -0.4
dense = finite_rates(Economy.of(fine, 1.0, 0.0, e, 10.0, weight=1 / fine))
assert np.abs(np.interp(share[:380], (np.arange(20_000) + 0.5) / 20_000, dense) - saez[:380]).max() < 0.02

# %%

fig, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.6))
for money, colour in (
    (skill * alone, BLUE), (np.full(4, (skill * planned).mean()), GREEN), (schedule.consumption, ORANGE)
):  # fmt: skip
    line(left, skill, money, colour)
    dots(left, skill, money, colour)
label(left, 4.0, 6.5, "each alone", BLUE, ha="right", xytext=(-12, 4))
label(left, 1.2, (skill * planned).mean(), "first best: all alike", GREEN, xytext=(0, 8))
label(left, 5.0, schedule.consumption[-1], "best schedule", ORANGE, ha="right", xytext=(4, -52))
left.set(xlabel="skill (money per unit of labour)", ylabel="consumption (money a period)")
left.set(xlim=(0.5, 5.5), ylim=(0, 9.5))
line(right, share, saez, GREY)
dots(right, rank, rates, PURPLE)
right.axhline(saez_top_rate(a, e), color=GREY, linewidth=0.8, linestyle=(0, (2, 2)))
label(right, 0.0, saez_top_rate(a, e), "Saez's top rate, 2/3", GREY, xytext=(4, 4))
label(right, 0.5, 0.3, "Saez's formula", GREY, xytext=(-60, 30))
label(right, 0.5, 0.22, "best schedule of 40 citizens", PURPLE, xytext=(-12, -18))
right.set(
    xlabel="share of citizens with less skill", ylabel="marginal rate", xlim=(0, 1.01), ylim=(-0.02, 0.75)
)
plt.show()

# %%

inequality = gini(skill * np.array(alone))
found = references.selfish, references.planner, references.others["Mirrlees optimum"]
values = [yardstick.welfare for yardstick in found]
print(
    f"Gini of money {inequality:.2f}; W {values[0]:.1f}, first best {values[1]:.1f}, schedule {values[2]:.1f}"
)
assert abs(inequality - 0.38) < 0.005
assert np.allclose(values, [58.8, 66.2, 64.0], atol=0.05)

# %%
# **What not to conclude.** That the last citizen's rate is zero says nothing about the rich: it holds for one
# person, and the rate falls to it only where the distribution has an end. Which rate is best hangs on
# the elasticity, on the tail, and on whose utility is counted how.
