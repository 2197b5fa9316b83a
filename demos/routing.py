r"""
Selfish routing: a toll saves a quarter, and so does closing a road
===================================================================

**Claim.** On Pigou's two roads everybody takes the narrow one and needs 1; half of the drivers there would
need 3/4 on average, and a toll equal to the marginal damage brings that about. In Braess's network a
shortcut that costs :math:`c \le 1/2` to cross makes everybody need :math:`2 - c`; without it, 3/2.

**Source.** Pigou (1920); Braess (1968); Roughgarden and Tardos (2002): 4/3 is the worst ratio for affine
latencies.
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREEN, GREY, ORANGE, dots, label, line

from commonweal import Society, institution, make

# %%
# Forty drivers; in world k, k of them take the narrow road.

n = 40
counts = np.arange(n + 1)


def drive(toll=0.0):
    """What each driver pays in time and toll, `(41, 40)`, and the mean time, `(41,)`."""
    tax = institution("taxation", base="route", rate=toll, revenue="treasury")
    society = Society(make("routing-v0", num_agents=n), [tax], num_worlds=n + 1)
    route = (np.arange(n) < counts[:, None]).astype(float)[:, :, None]
    step = society.step({"citizens": route})
    return -step.reward["citizens"], step.conduct["travel_time"].mean(axis=1)


cost, mean = drive()
narrow, wide = cost[1:, 0], cost[:-1, -1]
assert np.allclose(narrow, counts[1:] / n)
assert np.allclose(wide, 1)
assert mean[-1] == 1.0
assert mean.argmin() == n / 2
assert np.isclose(mean.min(), 0.75)
# Under a toll of 1/2, nobody on either road gains by changing when half are on the narrow one.
cost, _ = drive(0.5)
assert cost[n // 2, 0] <= cost[n // 2 - 1, -1] + 1e-9
assert cost[n // 2, -1] <= cost[n // 2 + 1, 0] + 1e-9

fig, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.6))
share = counts / n
line(left, share[1:], narrow, ORANGE)
line(left, share, np.ones(n + 1), GREY)
line(left, share, mean, BLUE)
dots(left, [1.0, 0.5], [1.0, 0.75], BLUE)
label(left, 0.3, 0.3, "narrow road", ORANGE, xytext=(8, -8))
label(left, 0.05, 1.0, "wide road", GREY, xytext=(0, 5))
label(left, 0.2, 0.84, "mean of all", BLUE, xytext=(-46, -16))
label(left, 0.5, 0.75, "toll 1/2", BLUE, ha="center", xytext=(0, -18))
label(left, 1.0, 1.0, "no toll", BLUE, ha="right", xytext=(2, 8))
left.set(xlabel="share of drivers on the narrow road", ylabel="time", xlim=(0, 1.03), ylim=(0, 1.2))

# %%
# Braess's network with a shortcut that takes c: the worst equilibrium among all counts of drivers.

crossing = np.linspace(0, 1, 11)
braess = make("routing-v0", preset="braess")
edges = braess.latency
times = []
for c in crossing:
    game = make("routing-v0", preset="braess", num_agents=n, latency=(*edges[:4], (float(c),)), rounds=1)
    found = game.references()
    times.append((-found.selfish.welfare / n, -found.planner.welfare / n))
equilibrium, best = np.array(times).T
assert np.abs(equilibrium - np.maximum(2 - crossing, 1.5)).max() < 2 / n
assert np.allclose(best, 1.5)
fine = np.linspace(0, 1, 201)
line(right, fine, np.maximum(2 - fine, 1.5), ORANGE)
dots(right, crossing, equilibrium, ORANGE)
line(right, crossing, best, GREEN)
label(right, 0.2, 1.8, "equilibrium", ORANGE)
label(right, 0.05, 1.5, "planner", GREEN, xytext=(0, -16))
right.set(xlabel="time to cross the shortcut", ylabel="mean time", xlim=(0, 1.03), ylim=(1.2, 2.1))
plt.show()

# %%
# **What not to conclude.** The paradox needs roads whose time hardly depends on traffic beside others
# whose time does. Whether a real road is of this kind is a matter of measurement, not of theory.
