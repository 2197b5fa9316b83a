r"""
Games in a table: what equilibrium wastes, and when the future keeps it
========================================================================

**Claim.** In the prisoner's dilemma the only equilibrium earns a third of what cooperation would;
in the stag hunt, in chicken and in the battle of the sexes several equilibria stand side by side, and the
worst wastes something. Matching pennies wastes nothing. Without end, the prisoner's dilemma is
sustained by the threat of never cooperating again as soon as a round weighs
:math:`(T - R) / (T - P) = 1/2` of the one before.

**Source.** Textbook games; the threat: Friedman (1971), Review of Economic Studies 38, 1-12.
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREEN, GREY, ORANGE, dots, label, line, mark

from commonweal import Society, make
from commonweal.agents.scripted import Scripted
from commonweal.envs.matrix import Matrix
from commonweal.evaluation import evaluate

# %%
# Sum of payoffs of a round in every equilibrium, and in the best cell.

fig, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.6), width_ratios=[1.25, 1.0])
names = list(Matrix.presets)
for row, name in enumerate(names):
    found = make("matrix-v0", preset=name, rounds=1).references()
    sums = [found.selfish.welfare, *(other.welfare for other in found.others.values())]
    left.plot([min(sums), found.planner.welfare], [row, row], color=GREY, linewidth=1.0, zorder=1)
    left.plot([found.planner.welfare], [row], "D", color=GREEN, markersize=8)
    dots(left, sums, [row] * len(sums), ORANGE)
    assert all(stick.epsilon < 1e-9 for stick in (found.selfish, *found.others.values()))
label(left, 6, 0, "best cell", GREEN, ha="center", xytext=(0, -20))
label(left, 2, 0, "equilibrium", ORANGE, ha="center", xytext=(0, -20))
left.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
left.invert_yaxis()
left.set(xlabel="sum of payoffs (money a round)", xlim=(-1, 9), ylim=(4.5, -0.5))


# %%
# The threat, played: both cooperate until somebody defects; or player 0 defects at once.


def trigger(observed, rng):
    """Cooperate until somebody, oneself included, has defected."""
    return {"act": np.maximum(observed["own_last"][..., 1], observed["others_last"][..., 1])}


def betray(observed, rng):
    """As `trigger`, but player 0 begins with defection."""
    act = trigger(observed, rng)["act"]
    act[:, 0] = np.where(observed["own_last"][:, 0].sum(axis=-1) == 0, 1.0, act[:, 0])
    return {"act": act}


discounts = np.linspace(0.0, 0.9, 19)
worth = {trigger: [], betray: []}
for discount in discounts:
    society = Society(make("matrix-v0", rounds=None, discount=float(discount)), time_limit=120)
    for rule, values in worth.items():
        earned = evaluate(society, Scripted(society, rule)).returns[0, 0]
        values.append(earned * (1 - discount))  # as an average over rounds
kept, broken = (np.array(values) for values in worth.values())
threshold = make("matrix-v0").references().facts["reversion_discount"]
assert threshold == 0.5
assert np.array_equal(kept > broken + 1e-9, discounts > threshold + 1e-9)
line(right, discounts, kept, BLUE)
line(right, discounts, broken, ORANGE)
label(right, 0.05, 3.0, "keep the word", BLUE, xytext=(0, -16))
label(right, 0.05, 4.8, "break it once", ORANGE, xytext=(14, 4))
mark(right, threshold, "1/2")
right.set(xlabel="discount", ylabel="worth to player 0 (money a round)", xlim=(0, 0.92), ylim=(0, 5.4))
plt.show()

# %%
print({name: make("matrix-v0", preset=name, rounds=1).references().gap for name in names})

# %%
# **What not to conclude.** That a threat can sustain cooperation does not say that learners find it: always
# defecting stays an equilibrium at every discount, and independent learners mostly end there.
