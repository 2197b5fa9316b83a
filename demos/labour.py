r"""
Labour: a market without waste, and still without equality
==========================================================

**Claim.** Without any rule each citizen of ``labour-v0`` works what is best for it and harms nobody;
but money is unequal (Gini coefficient 0.38). A planner who adds up utilities would have all consume
the same and the skilled work more, not less; the sum of utilities over ten periods would rise
from 58.8 to 66.2.

**Source.** The utility of Zheng et al. (2020), arXiv 2004.13332, with labour as in Saez (2001).
"""

import matplotlib.pyplot as plt
import numpy as np
from play import alternatives
from style import BLUE, GREEN, dots, label, line

from commonweal import make
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

references = market.references()
rule = references.planner.rule({"progress": np.zeros((1, 4))}, None)["labour"][0]
shared = (skill * rule).mean()

# %%

fig, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.6))
for ax, own, planned, name in (
    (left, alone, rule, "labour (units a period)"),
    (right, skill * alone, np.full(4, shared), "consumption (money a period)"),
):
    line(ax, skill, own, BLUE)
    dots(ax, skill, own, BLUE)
    line(ax, skill, planned, GREEN)
    dots(ax, skill, planned, GREEN)
    ax.set(xlabel="skill (money per unit of labour)", ylabel=name, xlim=(0.5, 5.5))
    ax.set_ylim(0, 2.05 if ax is left else 9.5)
label(left, 5, alone[-1], "each alone", BLUE, ha="right", xytext=(0, -32))
label(left, 5, rule[-1], "planner", GREEN, ha="right", xytext=(-14, 2))
label(right, 4.0, 6.5, "each alone", BLUE, ha="right", xytext=(-12, 4))
label(right, 5.4, shared, "planner: all alike", GREEN, ha="right", xytext=(0, -16))
plt.show()

# %%

inequality = gini(skill * np.array(alone))
selfish, planned = references.selfish.welfare, references.planner.welfare
print(f"Gini of money {inequality:.2f}; W {selfish:.1f}, of the planner {planned:.1f}")
assert abs(inequality - 0.38) < 0.005
assert np.allclose([selfish, planned], [58.8, 66.2], atol=0.05)

# %%
# **What not to conclude.** The planner sees skills and commands labour; no tax does either. What taxes
# reach is the subject of the page on taxation.
