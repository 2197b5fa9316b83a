r"""
Signalling: education that teaches nothing
==========================================

**Claim.** Firms pay more to who shows a signal, so the productive buy one that the others find too
dear. The least signal that separates them costs the unproductive exactly the rise in pay. What the
productive spend on it is lost, and it does not matter how dear a unit of the signal is: if it is
cheaper, more of it is needed. Were nobody to believe in signals, nothing would be lost.

**Source.** Spence (1973), Quarterly J. of Economics 87, 355-374.
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREEN, GREY, ORANGE, dots, label, line, mark

from commonweal import make

# %%
# What each signal brings either type if firms then hold it for productive, less what no signal brings:
# two rounds are played for each.

free = {"signal_levels": None, "wage_levels": None, "max_signal": 4.0}
game = make("signalling-v0", **free)
signals = np.linspace(0.05, 2.4, 20)
gain = {ability: np.array([game.played(ability, e) for e in signals]) for ability in (1.0, 2.0)}
found = game.references()
least = found.others["least-cost separation"].detail["signal"]
for ability in gain:
    assert np.allclose(gain[ability], 1 - signals / ability)
assert np.isclose(least, 1.0)

# %%
# Welfare per hiring of three equilibria as the productive become more frequent. The worst is the zero line.

share = np.linspace(0.02, 0.98, 25)
names = {"separating, least cost": BLUE, "separating, most costly": ORANGE, "pooling (first best)": GREEN}
worth = {name: [] for name in names}
for lam in share:
    one = make("signalling-v0", share_high=lam, **free).references()
    three = one.others["least-cost separation"], one.selfish, one.others["pooling"]
    for name, yardstick in zip(names, three, strict=True):
        worth[name].append(yardstick.welfare / 40)
        assert yardstick.epsilon < 1e-9
assert np.allclose(worth["separating, least cost"], 1 + share / 2)
assert np.allclose(worth["separating, most costly"], 1.0)

# %%

fig, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.6))
for (ability, brings), colour in zip(gain.items(), (ORANGE, BLUE), strict=True):
    line(left, [0, 2.4], [1, 1 - 2.4 / ability], colour)
    dots(left, signals, brings, colour)
label(left, 1.6, -0.6, "unproductive", ORANGE, xytext=(22, -2))
label(left, 1.6, 0.2, "productive", BLUE, xytext=(4, 6))
left.axhline(0, color=GREY, linewidth=0.8, zorder=0)
mark(left, 1.0, "least signal\nthat separates", at=0.3, ha="right")
left.set(xlabel="signal (units)", ylabel="gain from signalling (money)", xlim=(0, 2.45), ylim=(-1.45, 1.1))
for name, colour in names.items():
    line(right, share, worth[name], colour)
label(right, 0.55, 1.55, "pooling (first best)", GREEN, ha="right", xytext=(-6, 2))
label(right, 0.7, 1.35, "separating, least cost", BLUE, xytext=(-44, -22))
label(right, 0.5, 1.0, "separating, most costly", ORANGE, xytext=(-10, 6))
right.set(xlabel="share of the productive", ylabel="W (money per hiring)", xlim=(0, 1), ylim=(0.9, 2.02))
plt.show()

# %%
# **What not to conclude.** Real education also teaches, and where the right match of people and jobs
# matters, knowing who is able is worth something; here it moves money only.
