r"""
GovSim's fishery: one ton too many each, and the lake is gone in four months
============================================================================

**Claim.** Half of the lake, 10 tons each, can be caught every month: 120 tons for each of the five fishers,
and 130 if they empty it in the last month. With one ton more each it collapses in the fourth month; if
all want everything it collapses in the first, and each has 20. That is where self-interest leads by
backward induction, since of a ton left in the water only two fifths come back to who left it.

**Source.** Piatti et al. (2024), arXiv 2312.04350: 43 of 45 runs of societies of language models collapse.
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREEN, GREY, ORANGE, dots, label, line

from commonweal import Society, make
from commonweal.agents.scripted import Scripted, scripted
from commonweal.evaluation import evaluate

# %%
# All want the same every month; measures as published, from the catches.

game = make("govsim-v0")


def play(wish, months=12):
    """The lake before each month, and GovSim's measures, when each wants `wish` tons."""
    society = Society(game, num_worlds=1)
    catches, lake = np.full((months, 1, game.num_agents), np.nan), [100.0]
    for month in range(months):
        step = society.step({"citizens": np.full((1, game.num_agents, 1), float(wish))})
        catches[month] = step.conduct["extraction"]
        lake.append(0.0 if step.terminated[0] and month < months - 1 else society.state.stock[0, 0])
        if step.terminated[0]:
            break
    return np.array(lake), {name: value[0] for name, value in game.scores(catches).items()}


fig, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.6))
for wish, colour, place in ((10, BLUE, (8.6, 100)), (11, ORANGE, (2.6, 52)), (100, GREY, (0.95, 12))):
    lake, _ = play(wish)
    shown = lake[:12]
    line(left, range(len(shown)), shown, colour)
    label(left, *place, f"{wish} each", colour, xytext=(0, 5))
left.set(xlabel="month", ylabel="tons in the lake", xlim=(0, 11.9), ylim=(0, 112))

wishes = np.arange(21)
table = [play(wish)[1] for wish in wishes]
gain = np.array([row["gain"] for row in table])
dots(right, wishes, gain, BLUE)
right.plot(wishes, gain, color=BLUE, linewidth=0.8, alpha=0.5)
found = game.references()
sticks = ((found.planner, "planner", GREEN, 0.2, 5), (found.selfish, "selfish", ORANGE, 4.0, -14))
for stick, name, colour, x, dy in sticks:
    line(right, [0, 20], [stick.detail["gain"]] * 2, colour)
    label(right, x, stick.detail["gain"], f"{name}: {stick.detail['gain']:.0f}", colour, xytext=(0, dy))
for wish in (11, 13, 20):
    months = table[wish]["survival_time"]
    label(right, wish, gain[wish], f"month {months:.0f}", BLUE, xytext=(3, 7), fontsize=9.5)
right.set(
    xlabel="tons wanted by each, every month", ylabel="tons caught by each", ylim=(0, 146), xlim=(0, 21.5)
)
plt.show()

# %%

assert gain[10] == 120
assert table[10]["survival_time"] == 12
assert table[11]["survival_time"] == 4
assert gain.argmax() == 10
assert gain[20] == 20
assert table[20]["survival_time"] == 1
assert (found.planner.detail["gain"], found.selfish.detail["gain"]) == (130, 20)
society = Society(game, num_worlds=1)
assert evaluate(society, scripted(society, found.planner)).welfare[0] == 650


# One who holds back against the greedy gains nothing, and one greedy newcomer ends it for all.
def newcomer(observed, rng):
    """Four want their sustainable share; one wants the rest of the lake."""
    wish = np.floor(observed["stock"][..., 0] / 10)
    wish[:, 0] = np.minimum(observed["stock"][:, 0, 0] * 0.6, 100)
    return {"wish": wish}


returns = evaluate(society, Scripted(society, newcomer)).returns[0]
assert returns.tolist() == [60, 10, 10, 10, 10]
print({wish: (round(float(gain[wish]), 1), table[wish]["survival_time"]) for wish in (10, 11, 13, 20)})

# %%
# **What not to conclude.** Language models talk between the months; this model does not. Its selfish line
# is what perfect foresight of the last month implies, which neither people nor models show.
