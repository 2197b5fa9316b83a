r"""
Exchange: what secure property is worth
=======================================

**Claim.** With secure property, traders at a market lose only what market power costs, and that
vanishes with their number. Where property is weak they arm: price takers who are alike waste the share
:math:`k / (k + \varphi + (1 - \varphi)/N)` of all wealth, :math:`k = m (1 - \varphi)(N - 1)/N`, and four
traders of whose goods nothing is protected fight most of them away.

**Source.** Shapley and Shubik (1977), J. Political Economy 85, 937-968; Hirshleifer (1991), Economics
and Politics 3, 177-200; Skaperdas (1992), American Economic Review 82, 720-739 (recalled).
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREEN, GREY, ORANGE, dots, label, line

from commonweal import Society, make
from commonweal.agents.scripted import scripted
from commonweal.envs.exchange_equilibrium import price_takers_arms
from commonweal.evaluation import evaluate


def played(game, stick):
    """W of a yardstick's rule, played by scripted traders, as a share of the planner's."""
    society = Society(game)
    return evaluate(society, scripted(society, stick)).welfare[0] / game.references().planner.welfare


# %%
# Secure property: the loss by the number of traders. (One seller and one buyer do not trade at all here:
# each would bid or offer ever less.)

numbers = np.array([2, 4, 8, 16, 32])
lost = []
for n in numbers:
    market = make("exchange-v0", num_agents=int(n), property_rights=1.0, levels=None)
    lost.append(1 - played(market, market.references().others["trade"]))
lost = np.array(lost)
assert (lost[1:] < lost[:-1] / 3).all()

# %%
# Weaker property: what is left in equilibrium, and the arms. The line is the closed form for price takers
# with nothing to exchange, who waste arms and lose nothing else.

rights = np.linspace(0, 1, 11)
trading, arms = [], []
for phi in rights:
    market = make("exchange-v0", property_rights=phi, levels=None)
    found = market.references()
    assert abs(played(market, found.planner) - 1) < 1e-9
    trading.append(played(market, found.others["trade"]))
    alike = make("exchange-v0", property_rights=phi, levels=None, endowments=((2, 2),), weights=((0.5, 0.5),))
    arms.append(1 - played(alike, alike.references().selfish))
    assert abs(arms[-1] - price_takers_arms(alike) / 4) < 1e-6
assert (np.diff(trading) > 0).all()
print(f"left at no property {trading[0]:.3f}, at half {trading[5]:.3f}, at secure property {trading[-1]:.3f}")

# %%

fig, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.6))
left.loglog(numbers, lost, "o-", color=BLUE, markerfacecolor="white", markersize=5)
left.loglog(numbers, lost[-1] * (32 / numbers) ** 2, color=GREY, linewidth=1, linestyle=(0, (2, 2)))
label(left, 4, lost[-1] * 64, "slope of 1 / N²", GREY, xytext=(-46, -34))
left.set(xlabel="traders N, property secure", ylabel="share of W lost to market power")
left.set_xticks(numbers, [str(n) for n in numbers])
left.minorticks_off()
fine = np.linspace(0, 1, 101)
k = (1 - fine) * 3 / 4
line(right, fine, 1 - k / (k + fine + (1 - fine) / 4), ORANGE)
dots(right, rights, 1 - np.array(arms), ORANGE)
line(right, rights, trading, BLUE)
label(right, 0.45, 0.6, "nothing to\nexchange", ORANGE, ha="right", xytext=(-14, 2))
label(right, 0.6, 0.62, "equilibrium\nwith trade", BLUE, xytext=(14, -26))
line(right, [0, 1], [1, 1], GREEN)
label(right, 0, 1, "planner: competitive trade in peace", GREEN, xytext=(0, 5))
right.set(
    xlabel=r"share $\varphi$ of goods protected", ylabel="W, as a share of the planner's", ylim=(0, 1.05)
)
plt.show()

# %%
# **What not to conclude.** Protection is free here; courts and police are not, and who pays for them
# may fight over that. The equilibrium shown has trade: nobody trading is always another one, and worse;
# it is the selfish line of the tables.
