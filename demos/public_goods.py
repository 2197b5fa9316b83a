r"""
The public good: giving nothing is best whatever the others do
==============================================================

**Claim.** Each token kept brings its owner 0.6 more and costs the group 0.6. If all give all, each
earns 32 a round; if nobody gives, 20; who alone keeps everything earns 44.

**Source.** The game of Fehr and Gächter (2002), Nature 415, 137-140: four players, twenty tokens,
0.4 for everybody for every token given.
"""

import matplotlib.pyplot as plt
import numpy as np
from play import alternatives
from style import BLUE, GREEN, ORANGE, PURPLE, label, line

from commonweal import make

# %%
# One round for each own contribution, against three others who all give the same.

game = make("public_goods-v0")
tokens = np.arange(21)
fig, ax = plt.subplots()
for others, colour in ((20, GREEN), (10, BLUE), (0, ORANGE)):
    step = alternatives(game, [], "contribution", tokens, others)
    mine = step.reward["citizens"][:, 0]
    assert np.allclose(np.diff(mine), -0.6)
    assert np.allclose(np.diff(step.welfare), 0.6)
    line(ax, tokens, mine, colour)
    label(ax, 20, mine[-1], f"others give {others}", colour, xytext=(6, -4))
all_alike = [alternatives(game, [], "contribution", [g], g).reward["citizens"][0, 0] for g in tokens]
line(ax, tokens, all_alike, PURPLE)
label(ax, 15, all_alike[15], "all give alike", PURPLE, xytext=(-8, -18))
ax.set(xlabel="own contribution (tokens)", ylabel="own payoff (money a round)", xlim=(0, 26), ylim=(0, 50))
ax.set_xticks(range(0, 21, 5))
plt.show()

# %%

free_rider = alternatives(game, [], "contribution", [0], 20).reward["citizens"][0, 0]
assert np.allclose([all_alike[0], all_alike[-1], free_rider], [20, 32, 44])
references = game.references()
assert np.isclose(references.selfish.welfare, 10 * 4 * 20)
assert np.isclose(references.planner.welfare, 10 * 4 * 32)
print(f"W of ten rounds: selfish {references.selfish.welfare:g}, planner {references.planner.welfare:g}")

# %%
# **What not to conclude.** People in the laboratory do not begin at zero. The claim is about payoffs,
# and about what learners who care for money alone are driven to.
