r"""
The public good: what one's own contribution returns, in five technologies
==========================================================================

**Claim.** In the linear game each token kept brings its owner 0.6 more whatever the others give, and
costs the group 0.6. Other technologies change the best reply: at a provision point one gives just what
is missing and not more than it is worth; a weakest link is matched; a best shot is left to one; a club's
fee is paid where there are members enough. So all but the linear game have good equilibria beside bad.

**Source.** Fehr and Gächter (2002), Nature 415, 137-140, for the linear game; Hirshleifer (1983), Public
Choice 41, for weakest link and best shot; Croson and Marks (1999) for provision points; Buchanan (1965)
for clubs.
"""

import matplotlib.pyplot as plt
import numpy as np
from play import alternatives
from style import BLUE, GREEN, ORANGE, dots, line

from commonweal import make

# %%
# One round for each own contribution, against others who all give 0, 10 or 20 tokens.

tokens = np.arange(21)
games = {
    "linear, m = 0.4": {},
    "provision point of 40, m = 0.4": {"technology": "threshold", "threshold": 40.0},
    "weakest link, m = 2": {"technology": "weakest-link", "marginal_return": 2.0},
    "best shot, m = 1.5": {"technology": "best-shot", "marginal_return": 1.5},
    "club, m = 0.6, fee of 10": {"technology": "club", "marginal_return": 0.6, "fee": 10.0},
}
replies = {}
fig, axes = plt.subplots(2, 3, figsize=(8.4, 5.0), sharex=True)
for ax, (title, parameters) in zip(axes.flat, games.items(), strict=False):
    game = make("public_goods-v0", **parameters)
    for others, colour in ((20, GREEN), (10, BLUE), (0, ORANGE)):
        step = alternatives(game, [], "contribution", tokens, others)
        mine = step.reward["citizens"][:, 0]
        best = mine.argmax()
        replies.setdefault(title, {})[others] = best
        line(ax, tokens, mine, colour, label=f"others give {others} each")
        dots(ax, [best], [mine[best]], colour)
        if game.technology == "linear":
            assert np.allclose(np.diff(mine), -0.6)
            assert np.allclose(np.diff(step.welfare), 0.6)
    ax.set(title=title, xticks=range(0, 21, 5), ylim=(0, 56))
for ax in (axes[1, 0], axes[1, 1], axes[0, 2]):
    ax.set_xlabel("own contribution (tokens)")
    ax.xaxis.set_tick_params(labelbottom=True)
for ax in axes[:, 0]:
    ax.set_ylabel("own payoff (money)")
axes[1, 2].axis("off")
axes[1, 2].legend(*axes[0, 0].get_legend_handles_labels(), loc="center left", frameon=False)
axes[1, 2].text(0.03, 0.2, "circle: best reply", transform=axes[1, 2].transAxes)
plt.show()

# %%

assert [list(replies[title].values()) for title in games] == [
    [0, 0, 0], [0, 10, 0], [20, 10, 0], [0, 0, 20], [10, 10, 0],
]  # fmt: skip
for title, parameters in games.items():
    found = make("public_goods-v0", **parameters).references()
    best = max([found.selfish, *found.others.values()], key=lambda one: one.welfare)
    print(
        f"{title}: selfish {found.selfish.welfare:g}, best equilibrium {best.welfare:g}, "
        f"planner {found.planner.welfare:g}"
    )
    assert found.planner.welfare >= best.welfare >= found.selfish.welfare
    assert (best.welfare > found.selfish.welfare) == (title != "linear, m = 0.4")
linear = make("public_goods-v0").references()
assert np.allclose([linear.selfish.welfare, linear.planner.welfare], [10 * 4 * 20, 10 * 4 * 32])

# %%
# **What not to conclude.** That a good equilibrium exists says nothing about finding it: the selfish line
# is the worst one, and learners may end between. People in the laboratory do not begin at zero.
