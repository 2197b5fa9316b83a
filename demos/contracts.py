r"""
Contracts: how large a promised reward must be
==============================================

**Claim.** Under a contract that rewards each token given with :math:`\theta`, paid by the others, giving
everything is the best reply as soon as :math:`\theta > 1 - m`, and nothing below: the switch lies at 0.6
for a marginal return of 0.4 and at 0.75 for 0.25. One refused signature leaves no contract at all.

**Source.** Christoffersen, Haupt, Damani and Hadfield-Menell (2023), arXiv 2208.10469.
"""

import matplotlib.pyplot as plt
import numpy as np
from play import column
from style import BLUE, GREEN, GREY, ORANGE, dots, label

from commonweal import Society, institution, make

# %%
# Propose, sign, play: one world for each pair of an offer and an own contribution.

# Offers lie between the points of indifference, 0.6 and 0.75.
offers, gifts = (np.arange(40) + 0.5) / 40, np.linspace(0, 20, 21)
theta, own = (grid.ravel() for grid in np.meshgrid(offers, gifts, indexing="ij"))


def best_gift(marginal_return, signatures):
    """Best contribution of citizen 0 for each offer, the others giving 7."""
    game = make("public_goods-v0", marginal_return=marginal_return, levels=None)
    society = Society(game, [institution("contract", levels=None)], num_worlds=len(own))
    offer, sign, give = (
        column(society, name) for name in ("contract_offer", "contract_sign", "contribution")
    )
    actions = society.columns.null_actions(len(own))
    actions["citizens"][:, :, offer] = theta[:, None]
    society.step(actions)
    actions = society.columns.null_actions(len(own))
    actions["citizens"][:, :signatures, sign] = 1
    society.step(actions)
    actions = society.columns.null_actions(len(own))
    actions["citizens"][:, :, give] = 7
    actions["citizens"][:, 0, give] = own
    payoff = society.step(actions).reward["citizens"][:, 0]
    return gifts[payoff.reshape(len(offers), -1).argmax(axis=1)]


fig, ax = plt.subplots()
for m, signatures, colour, style, text in (
    (0.4, 4, BLUE, "-", "m = 0.4"),
    (0.25, 4, ORANGE, "--", "m = 0.25"),
    (0.4, 3, GREEN, ":", "m = 0.4,\none refuses"),
):
    gift = best_gift(m, signatures)
    ax.step(offers, gift, where="mid", color=colour, linestyle=style)
    if signatures == 4:
        switch = 1 - m
        assert (gift[offers > switch + 1e-9] == 20).all()
        assert (gift[offers < switch - 1e-9] == 0).all()
        dots(ax, [switch], [10], colour)
        label(ax, switch, 10, f"{text}: {switch:g}", colour, ha="right" if m == 0.4 else "left",
              xytext=(-8, 4) if m == 0.4 else (8, 4))  # fmt: skip
    else:
        assert (gift == 0).all()
        label(ax, 1.0, 0, text, colour, ha="right", xytext=(0, 6))
ax.axhline(20, color=GREY, linewidth=0.8, zorder=0)
ax.set(
    xlabel=r"reward $\theta$ (money per token given)", ylabel="best contribution (tokens)", ylim=(-0.6, 21.5)
)
ax.set_yticks(range(0, 21, 5))
plt.show()

# %%
# **What not to conclude.** That a contract would work is not that it comes about: who proposes, and
# what those who hope to be left out sign, is for the learners to find.
