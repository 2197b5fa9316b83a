r"""
The common pool: eight appropriators earn two fifths of its rent
================================================================

**Claim.** The best reply to seven others who each put 8 tokens into the pool is 8: that is the
symmetric equilibrium, 64 tokens in all. It earns 128 of the largest possible rent of 324 (39.5 per
cent), which 36 tokens would bring.

**Source.** Ostrom, Walker and Gardner (1992), American Political Science Review 86, 404-417.
"""

import matplotlib.pyplot as plt
import numpy as np
from play import alternatives, best_reply
from style import BLUE, GREY, ORANGE, dots, label, line

from commonweal import make

# %%
# Best replies and rents, played; the lines are the closed forms.

pool = make("appropriation-v0", levels=None)
n, a, b, w = pool.num_agents, pool.yield_slope, pool.yield_curvature, pool.outside_wage
grid = np.linspace(0, 25, 2501)
others = np.linspace(0, 12, 7)
replies = np.array([best_reply(pool, [], "tokens", grid, x) for x in others])
exact = np.clip((a - w - b * (n - 1) * others) / (2 * b), 0, 25)
assert np.abs(replies - exact).max() < 0.011

each = np.linspace(0, 10, 21)
rent = np.array([alternatives(pool, [], "tokens", [x], x).welfare[0] - n * w * pool.endowment for x in each])
assert np.allclose(rent, (a - w) * n * each - b * (n * each) ** 2)

nash, best = (a - w) / (b * (n + 1)), (a - w) / (2 * b) / n
assert abs(best_reply(pool, [], "tokens", grid, nash) - nash) < 0.011
share = np.interp(nash, each, rent) / np.interp(best, each, rent)
assert abs(share - 128 / 324) < 1e-3

# %%

fig, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.6))
fine = np.linspace(0, 12, 200)
line(left, fine, np.clip((a - w - b * (n - 1) * fine) / (2 * b), 0, 25), BLUE)
dots(left, others, replies, BLUE)
line(left, fine, fine, GREY)
label(left, 1, 25, "best reply", BLUE, xytext=(72, -14))
label(left, 12, 12, "as the others", GREY, ha="right", xytext=(0, 8))
label(left, nash, nash, "equilibrium: 8", xytext=(-100, 6))
left.set(xlabel="tokens of each other", ylabel="own tokens in the pool", xlim=(0, 12.5), ylim=(0, 26))
line(right, each * n, rent, BLUE)
for tokens, name in ((best, "optimum"), (nash, "equilibrium")):
    height = np.interp(tokens, each, rent)
    dots(right, [tokens * n], [height], ORANGE)
    label(right, tokens * n, height, f"{name}: {height:.0f}", ORANGE, xytext=(6, 8))
right.set(xlabel="tokens of all in the pool", ylabel="rent (money a round)", xlim=(0, 96), ylim=(0, 370))
plt.show()

# %%
# **What not to conclude.** Groups in the laboratory fluctuate around worse than this equilibrium or,
# once they may talk, do much better; the equilibrium is a yardstick, not a forecast.
