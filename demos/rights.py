r"""
Rights: what no majority may do
===============================

**Claim.** A right that keeps the landing tax of the fishery between 0.15 and 0.65 leaves every decision
inside untouched and none outside in force: of eleven unanimous votes from 0 to 1, five are passed as
they stand and six are bounded.

**Source.** The constitutional limits of Buchanan and Tullock (1962), The Calculus of Consent.
"""

import matplotlib.pyplot as plt
import numpy as np
from play import column
from style import BLUE, GREY, dots, label, line

from commonweal import Society, institution, make

# %%
# One world for each unanimous ballot. The right stands last, but its place in the list does not matter.

stack = [
    institution("taxation", base="extraction", rate=0.3),
    institution("vote", on="tax.rate"),
    institution("rights", parameter="tax.rate", low=0.15, high=0.65),
]
society = Society(make("fishery-v0"), stack, num_worlds=11)
actions = society.columns.null_actions(11)
actions["citizens"][:, :, column(society, "vote_ballot")] = np.arange(11)[:, None]
society.step(actions)
decided, force = society.states["vote"].decided[:, 0], society.states["tax"].rate[:, 0]

# The payments follow the rate in force: every boat lands 10 at full effort of half the range.
actions = society.columns.null_actions(11)
actions["citizens"][:, :, column(society, "effort")] = 5
step = society.step(actions)
paid = step.ledger.entries[0].amount[:, 0] / step.conduct["extraction"][:, 0]

# %%

fig, ax = plt.subplots()
line(ax, decided, decided, GREY, linewidth=1)
dots(ax, decided, decided, GREY)
line(ax, decided, force, BLUE)
dots(ax, decided, force, BLUE)
ax.axhspan(0.15, 0.65, color=BLUE, alpha=0.08, linewidth=0)
label(ax, 0.02, 0.65, "the right's range", BLUE, xytext=(0, -16))
label(ax, 0.9, 0.9, "decided", GREY, ha="right", xytext=(-10, 2))
label(ax, 0.9, 0.65, "in force", BLUE, xytext=(0, -18))
ax.set(
    xlabel="unanimous ballot (money per unit landed)",
    ylabel="tax (money per unit landed)",
    xlim=(-0.03, 1.03),
)
plt.show()

# %%

assert np.allclose(force, np.clip(decided, 0.15, 0.65))
assert np.allclose(paid, force)
unchanged = np.isclose(force, decided).sum()
print(f"{unchanged} of 11 decisions stand as they are")
assert unchanged == 5

# %%
# **What not to conclude.** A right protects against some decisions and forbids others that would have
# been good. The demonstration says that it binds, not that it is wise.
