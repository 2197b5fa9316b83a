r"""
The great fish war: why the stock falls with the number of countries
====================================================================

**Claim.** Every country that shares the stock takes
:math:`(1 - \alpha\beta) / (N (1 - \alpha\beta) + \alpha\beta)` of it: no other constant share pays one
country more while the others keep to theirs. The stock settles at 0.29 with two countries
and at 0.14 with five, instead of the 0.45 of the planner, who does not mind how many they are.

**Source.** Levhari and Mirman (1980), Bell Journal of Economics 11(1), 322-334.
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREEN, GREY, ORANGE, dots, label, line

from commonweal import Society, make

# %%
# A share for all, or another share for country 0; the episode is long enough for discounting to end it.


def play(game, share, own=None, years=250):
    """Discounted utility of country 0 `(B,)` and the stock `(T, B)`."""
    worlds = 1 if own is None else len(own)
    society = Society(game, num_worlds=worlds, time_limit=years + 1)
    actions = {"citizens": np.full((worlds, game.num_agents, 1), share)}
    if own is not None:
        actions["citizens"][:, 0, 0] = own
    worth, stock = 0.0, []
    for year in range(years):
        stock.append(society.state.stock[:, 0])
        worth = worth + game.discount**year * society.step(actions).reward["citizens"][:, 0]
    return worth, np.array(stock)


def shares(game):
    """Share of a country in the Markov-perfect equilibrium, and under the planner."""
    saved = game.elasticity * game.discount
    return (1 - saved) / (game.num_agents * (1 - saved) + saved), (1 - saved) / game.num_agents


fig, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.6))
settled = {}
for n, colour in ((2, BLUE), (5, ORANGE)):
    game = make("fish_war-v0", num_agents=n)
    selfish, planned = shares(game)
    own = np.linspace(0.3 * selfish, min(2.0 * selfish, 0.98 / n), 161)
    worth, _ = play(game, selfish, own)
    assert abs(own[worth.argmax()] - selfish) < own[1] - own[0]
    line(left, own, worth - worth.max(), colour)
    dots(left, [selfish], [0], colour)
    label(left, selfish, 0, f"N = {n}: {selfish:.3f}", colour, ha="center", xytext=(0, 8))
    stock = play(game, selfish)[1][:, 0]
    settled[n] = stock[-1]
    line(right, range(13), stock[:13], colour)
    label(right, 12, stock[12], f"N = {n}", colour)

planned_stock = play(game, planned)[1][:, 0]
line(right, range(13), planned_stock[:13], GREEN)
label(right, 12, planned_stock[12], "planner", GREEN)
left.set(
    xlabel="own share of the stock, others in equilibrium", ylabel="utility, less that of the best reply"
)
left.set_ylim(-1.5, 0.2)
left.axhline(0, color=GREY, linewidth=0.8, zorder=0)
right.set(xlabel="year", ylabel="stock", xlim=(0, 15.5), ylim=(0, 0.5), xticks=range(0, 13, 3))
plt.show()

# %%
# The stock at rest is :math:`(1 - S)^{\alpha / (1 - \alpha)}` for a total share :math:`S`.

for n in (2, 5):
    total = n * shares(make("fish_war-v0", num_agents=n))[0]
    assert abs(settled[n] - (1 - total)) < 1e-9  # the exponent is 1 at alpha = 0.5
assert abs(planned_stock[-1] - 0.45) < 1e-9
print({n: round(float(stock), 3) for n, stock in settled.items()})

# %%
# **What not to conclude.** The model is solvable because utility is logarithmic and the strategies are
# linear; equilibria with threats ("if you take more, so shall I") exist too and can preserve more.
