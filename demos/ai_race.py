r"""
A race for a technology: the zone in which regulation is wanted
===============================================================

**Claim.** Two developers race, safely or :math:`s` times as fast and with a risk :math:`p_r` of losing
everything. Society prefers safety for risks above about :math:`1 - 1/s`. But up to much higher risks unsafe
development pays each of them while the other is safe, and safety is the better bet against an unknown
opponent only above about :math:`1 - 1/(3s)`. Below the first line a ban would cost society; between the
lines it pays.

**Source.** Han, Pereira, Santos and Lenaerts (2020), J. Artificial Intelligence Research 69, 881-921.
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREEN, GREY, ORANGE, PURPLE, dots, label, line

from commonweal import Society, institution, make
from commonweal.agents.scripted import Constant
from commonweal.evaluation import evaluate

# %%
# The published parameters: what one developer earns per round, played.

risks = np.linspace(0.0, 1.0, 21)
earned = {pair: [] for pair in ((0, 0), (1, 0), (1, 1), (0, 1))}
for risk in risks:
    game = make("ai_race-v0", preset="published", risk=float(risk))
    for pair, values in earned.items():
        values.append(game.played(*pair) / game.rounds)
earned = {pair: np.array(values) for pair, values in earned.items()}
facts = make("ai_race-v0", preset="published").thresholds()
society, dominant = facts["society_prefers_safety"], facts["safety_is_risk_dominant"]
assert np.array_equal(earned[0, 0] > earned[1, 1] + 1e-9, risks > society + 1e-9)
safe_bet = earned[0, 0] + earned[0, 1] > earned[1, 0] + earned[1, 1]
assert np.array_equal(safe_bet, risks > dominant)

fig, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.7))
left.axvspan(society, dominant, color=GREY, alpha=0.12, linewidth=0)
lines = (
    ((1, 0), PURPLE, "unsafe, other safe", (0.02, 202), (10, -6)),
    ((1, 1), ORANGE, "both unsafe", (0.02, 102), (0, 5)),
    ((0, 0), BLUE, "both safe", (0.02, 51), (0, 5)),
    ((0, 1), GREEN, "safe, other unsafe", (0.02, 0), (0, 5)),
)
for pair, colour, name, place, shift in lines:
    line(left, risks, earned[pair], colour)
    label(left, *place, name, colour, xytext=shift)
label(left, 0.67, 190, "dilemma", GREY, ha="center")
left.set(xlabel="risk of disaster", ylabel="money per round of one developer", xlim=(0, 1), ylim=(-6, 215))

# %%
# The zone for other speeds, whose races fill 400 rounds: approximations as lines, the game as circles.

speeds = np.array([1.25, 2.0, 2.5, 4.0, 5.0])
zone = [make("ai_race-v0", preset="published", speed=float(s), rounds=400).thresholds() for s in speeds]
lower = np.array([facts["society_prefers_safety"] for facts in zone])
upper = np.array([facts["safety_is_risk_dominant"] for facts in zone])
fine = np.linspace(1.0, 5.2, 200)
right.fill_between(fine, 1 - 1 / fine, 1 - 1 / (3 * fine), color=GREY, alpha=0.12, linewidth=0)
line(right, fine, 1 - 1 / fine, BLUE)
line(right, fine, 1 - 1 / (3 * fine), PURPLE)
dots(right, speeds, lower, BLUE)
dots(right, speeds, upper, PURPLE)
assert np.abs(lower - (1 - 1 / speeds)).max() < 0.02
assert np.abs(upper - (1 - 1 / (3 * speeds))).max() < 0.02
label(right, 3.6, 0.52, "speed is worth its risk", BLUE, ha="center")
label(right, 2.4, 0.7, "dilemma", GREY, ha="center")
label(right, 2.2, 0.95, "safety is the better bet", PURPLE, ha="center")
right.set(xlabel="speed of unsafe development", ylabel="risk of disaster", xlim=(1, 5.2), ylim=(0, 1.05))
plt.show()

# %%
# A ban (a quota of 0 on unsafe rounds) in the zone, and below it.

gains = {}
for risk in (0.2, 0.6):
    game = make("ai_race-v0", preset="published", risk=risk)
    banned = Society(game, [institution("quota", base="unsafe", limit=0.0)], num_worlds=1)
    gains[risk] = evaluate(banned, Constant(banned, unsafe=1)).welfare[0] - game.references().selfish.welfare
print({risk: round(float(gain)) for risk, gain in gains.items()})
assert gains[0.2] < 0 < gains[0.6]

# %%
# **What not to conclude.** Here disaster strikes its author alone and is known in size and likelihood. Where
# others bear it (`public_damage`), society prefers safety at much lower risks.
