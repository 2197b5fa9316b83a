r"""
The fishery: what is caught, what is earned, and how much effort is too much
============================================================================

**Claim.** In the long run the simulated fishery lands exactly what Gordon and Schaefer's parabola
says, :math:`q K E (1 - q E / r)`. Its rent is largest (8 a year) at a total effort of 20, where the
stock stands at 60; at 40, where the last boat just breaks even, nothing is left of it. Five boats
that each maximise their own sustained profit use 33.3 and keep 4.4 of the 8.

**Source.** Gordon (1954), J. Political Economy 62; Clark (1990), Mathematical Bioeconomics, ch. 2.
"""

import matplotlib.pyplot as plt
import numpy as np
from play import column
from style import BLUE, GREEN, GREY, ORANGE, dots, label, line, mark

from commonweal import Society, make

# %%
# The same fishery in many worlds at once, each with another effort, held for 400 years.

fishery = make("fishery-v0", effort_levels=None, max_effort=30.0)
n, r, k, q, p, c = (
    getattr(fishery, name) for name in ("num_agents", "growth", "capacity", "catchability", "price", "cost")
)


def sustained(effort, own=None):
    """Catch, profit and stock in year 400, all boats at `effort` or boat 0 at `own`."""
    worlds = len(np.atleast_1d(effort if own is None else own))
    society = Society(fishery, num_worlds=worlds, time_limit=1000)
    actions = society.columns.null_actions(worlds)
    actions["citizens"][:, :, column(society, "effort")] = np.reshape(effort, (-1, 1))
    if own is not None:
        actions["citizens"][:, 0, column(society, "effort")] = own
    for _ in range(400):
        step = society.step(actions)
    return step.conduct["extraction"], step.money, society.state.stock[:, 0]


total = np.linspace(0, 45, 19)
catch, money, stock = sustained(total / n)
parabola = q * k * total * (1 - q * total / r)
assert np.abs(catch.sum(axis=1) - parabola).max() < 1e-6
assert np.abs(stock - k * (1 - q * total / r)).max() < 1e-6

# %%
# Effort of the sole owner, of N boats that each maximise their own sustained profit, and of open access.

open_access = r / q * (1 - c / (p * q * k))
owner, nash = open_access / 2, open_access * n / (n + 1)
rent = sustained(np.array([owner, nash, open_access]) / n)[1].sum(axis=1)
assert np.allclose([owner, nash, open_access], [20, 100 / 3, 40])
assert np.allclose(rent, [8.0, 40 / 9, 0.0], atol=1e-6)

# No boat sustains a higher profit by another effort, while the others keep to theirs.
own = np.linspace(0, 12, 241)
best = own[sustained(nash / n, own)[1][:, 0].argmax()]
assert abs(best - nash / n) < 0.05

fine = np.linspace(0, 45, 200)
fig, ax = plt.subplots()
line(ax, fine, p * q * k * fine * (1 - q * fine / r), BLUE)
dots(ax, total, p * catch.sum(axis=1), BLUE)
line(ax, fine, c * fine, ORANGE)
ax.fill_between(
    fine, c * fine, np.maximum(c * fine, p * q * k * fine * (1 - q * fine / r)), color=GREEN, alpha=0.15
)
label(ax, 7.5, 6.4, "value of the\nsustained catch", BLUE, xytext=(-62, 30))
label(ax, 9, 1.8, "cost of effort", ORANGE, xytext=(0, -18))
label(ax, 20, 8, "rent 8.0", GREEN, xytext=(6, -4))
label(ax, nash, 8.6, "4.4", GREEN, xytext=(6, -4))
for effort, name, ha in (
    (owner, "sole owner", "left"),
    (nash, "five boats", "right"),
    (open_access, "open\naccess", "left"),
):
    mark(ax, effort, name, GREY, ha=ha)
ax.set(xlabel="total effort (units a year)", ylabel="money a year", xlim=(0, 46), ylim=(0, 15.5))
plt.show()

# %%
# Lines are the closed form, circles the society.
#
# **What not to conclude.** These are rest points of constant efforts, valued without discounting.
# Boats that see the stock and discount the future play another game, whose equilibrium and optimum
# stand on the page of ``fishery-v0``.
