r"""
The canal: the head takes its fill, the second works, the tail gets nothing
===========================================================================

**Claim.** Five farmers along a canal give labour to its maintenance and then open their gates from head
to tail. In equilibrium only one works: the second, at whose gate the water ends. The head has its 30
units whatever it does, those behind the second could not make water reach them alone. Together they
earn 125 a round; three times the labour and equal shares of the water would bring 178.

**Source.** Ostrom and Gardner (1993), Journal of Economic Perspectives 7(4), on head-enders and
tail-enders; the round of the laboratory of Janssen, Anderies and Joshi (2011). Numbers are ours.
"""

import matplotlib.pyplot as plt
import numpy as np
from play import column
from style import BLUE, ORANGE, dots, label, line

from commonweal import Society, evaluate, make
from commonweal.agents.scripted import scripted

# %%
# The equilibrium and the best plan, found by enumeration, and played.

canal = make("irrigation-v0", rounds=1)
found = canal.references()
played = {}
for name, yardstick in (("equilibrium", found.selfish), ("plan", found.planner)):
    society = Society(canal)
    actions = scripted(society, yardstick).act(society.observation)
    step = society.step(actions)
    assert abs(step.welfare[0] - yardstick.welfare) < 1e-9
    assert abs(evaluate(society, scripted(society, yardstick)).welfare[0] - yardstick.welfare) < 1e-9
    played[name] = {key: step.conduct[key][0] for key in ("extraction", "contribution", "income")}
assert played["equilibrium"]["extraction"].tolist() == [30, 20, 0, 0, 0]
assert played["equilibrium"]["contribution"].tolist() == [0, 10, 0, 0, 0]
assert abs(found.selfish.welfare - 125) < 1e-9
assert abs(found.planner.welfare - 178.04) < 0.01

# %%
# Each farmer's gain from every labour of its own, while the others keep to the equilibrium.

tokens = np.arange(11)
gain = np.zeros((5, 11))
for farmer in range(5):
    society = Society(canal, num_worlds=11)
    actions = scripted(society, found.selfish).act(society.observation)
    actions["citizens"][:, farmer, column(society, "contribution")] = tokens
    income = society.step(actions).conduct["income"][:, farmer]
    gain[farmer] = income - played["equilibrium"]["income"][farmer]
assert gain.max() < 1e-9

# %%

place = np.arange(1, 6)
fig, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.7))
for name, colour in (("equilibrium", ORANGE), ("plan", BLUE)):
    line(left, place, played[name]["extraction"], colour)
    dots(left, place, played[name]["extraction"], colour)
    line(right, place, played[name]["contribution"], colour)
    dots(right, place, played[name]["contribution"], colour)
label(left, 2.2, 17.5, f"equilibrium: {found.selfish.welfare:.0f} in all", ORANGE, xytext=(8, 4))
label(left, 3.0, 14, f"best plan: {found.planner.welfare:.0f}", BLUE, xytext=(8, -20))
label(right, 2.1, 9.4, "equilibrium: 10 tokens", ORANGE, xytext=(8, 0))
label(right, 3.4, 6, "best plan: 29 tokens", BLUE, xytext=(2, 8))
for ax, what, high in ((left, "water taken (units)", 33), (right, "labour given (tokens)", 11)):
    ax.set(xlabel="place along the canal", ylabel=what, xticks=place, ylim=(-0.03 * high, high))
    ax.set_xticks(place, ["1\nhead", "2", "3", "4", "5\ntail"])
plt.show()

# %%
# **What not to conclude.** In the laboratory those at the head leave some water, so that the tail goes on
# working for the canal. That needs repetition and memory; the equilibrium here is that of one round, and
# stays one in any known number of them.
