r"""
The attention economy: provocation wears out what it competes for
=================================================================

**Claim.** In a contest for readers each is as provocative as
:math:`(N - 1) / N^2 \cdot p M g / c - \beta`, the more so the more readers there are to win. Where
provocation wears out the readers' goodwill, everybody ends with fewer readers and pays for provoking them:
three creators and their readers are left with two thirds of what a planner would keep, who allows some
provocation, for dull pages are not read. A tax on provocation recovers most of it; too high a tax makes
pages dull.

**Source.** Tullock's contest (1980); the stock of goodwill is this suite's own, not estimated from data.
"""

import matplotlib.pyplot as plt
import numpy as np
from play import best_reply
from style import BLUE, GREEN, ORANGE, PURPLE, dots, label, line

from commonweal import Society, institution, make, solvers
from commonweal.agents.scripted import scripted
from commonweal.evaluation import evaluate

# %%
# The contest alone, at full goodwill: the reply to others at the closed form is the closed form.

for n in (2, 3, 5, 8):
    contest = make(
        "attention-v0", num_agents=n, cost=2.0, levels=None, max_provocation=20.0,
        dullness=0.0, wear=0.0, reader_harm=0.0,
    )  # fmt: skip
    closed = (n - 1) / n**2 * 100 / 2.0 - 2.0
    grid = np.linspace(0, 20, 20_001)
    assert abs(best_reply(contest, [], "provocation", grid, closed) - closed) < 2e-3

# %%
# Goodwill over time, in the equilibrium and under the planner.

game = make("attention-v0", num_agents=3, levels=6, discount=0.8)
found = game.references()
society = Society(game, num_worlds=64, time_limit=31)
fig, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.6))
for stick, name, colour in ((found.planner, "planner", GREEN), (found.selfish, "selfish", ORANGE)):
    series = evaluate(society, scripted(society, stick), seed=1).series
    goodwill = series["goodwill"].mean(axis=1)
    line(left, range(31), goodwill, colour)
    level = series["provocation"][15:].mean()
    label(left, 30, goodwill[-1], f"{name}: provocation {level:.1f}", colour, ha="right", xytext=(0, -16))
left.set(xlabel="period", ylabel="goodwill of the readers", xlim=(0, 30.5), ylim=(0, 1.05))

# %%
# A tax on provocation, paid to the other creators, solved exactly; and one on harm.


def efficiency(**options):
    """Efficiency of the equilibrium under a tax."""
    taxed = Society(game, [institution("taxation", **options)])
    return float(found.efficiency(solvers.equilibrium(taxed).welfare))


rates = np.arange(0.0, 5.1, 0.5)
values = np.array([efficiency(base="provocation", rate=float(rate)) for rate in rates])
harm = efficiency(base="harm", rate=1.0)
line(right, rates, values, BLUE)
dots(right, rates, values, BLUE)
line(right, [0, 5], [harm, harm], PURPLE)
label(right, 0.1, harm, "tax on harm (oracle)", PURPLE, xytext=(0, 5))
label(right, rates[1], values[1], "tax on provocation", BLUE, xytext=(8, -14))
right.set(xlabel="money per unit of provocation", ylabel="efficiency", xlim=(0, 5.1), ylim=(-0.03, 1.12))
plt.show()

# %%

assert 0.6 < found.selfish.welfare / found.planner.welfare < 0.7
assert abs(values[0]) < 1e-6
assert values.max() > 0.9
assert values[-1] < values.max() - 0.1
assert harm > 0.95
print(
    {float(rate): round(float(value), 2) for rate, value in zip(rates, values, strict=True)}, round(harm, 3)
)

# %%
# **What not to conclude.** The wear of goodwill and the dullness of a calm page are assumed, so no number
# here says how much a real platform loses. General is only that there are three losses: rivalry, wear, harm.
