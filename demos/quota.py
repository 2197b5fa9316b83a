r"""
Quotas: a fine holds a quota only where it outweighs the private gain
=====================================================================

**Claim.** A quota of 4.5 tokens in the common pool is kept as soon as the fine per token above it
reaches 7.875, the gain from one more token there. If only every second appropriator is inspected, the
fine must be twice as high, 15.75.

**Source.** The arithmetic of Becker (1968), J. Political Economy 76, in the pool of Ostrom, Walker
and Gardner (1992).
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREY, ORANGE, dots, label, line, mark

from commonweal import Society, institution, make
from commonweal.monitor import Monitor
from commonweal.random import world_seeds

# %%
# The best reply to others who keep the quota. Inspections are random: every alternative is played in
# the same 6000 worlds, with the same draws.

pool = make("appropriation-v0", levels=None)
quota, draws = 4.5, 6000
tokens = np.arange(4.5, 14.01, 0.5)


def reply(fine, coverage):
    """Tokens that pay most on average."""
    worlds = draws if coverage < 1 else 1
    rule = institution(
        "quota", limit=quota, enforcement="fined", fine=fine, monitor=Monitor(coverage=coverage)
    )
    seeds = np.tile(world_seeds(0, worlds), len(tokens))
    society = Society(pool, [rule], num_worlds=len(seeds), seed=seeds)
    actions = {"citizens": np.full((len(seeds), pool.num_agents, 1), quota)}
    actions["citizens"][:, 0, 0] = np.repeat(tokens, worlds)
    payoff = society.step(actions).reward["citizens"][:, 0].reshape(len(tokens), worlds).mean(axis=1)
    return tokens[payoff.argmax()]


gain = pool.yield_slope - pool.yield_curvature * (7 * quota + 2 * quota) - pool.outside_wage
fines, fine = np.linspace(0, 20, 11), np.linspace(0, 20, 401)


def exact(fine, coverage):
    """The best reply in closed form, within the tokens that are tried."""
    return np.clip(quota + (gain - coverage * fine) / (2 * pool.yield_curvature), quota, 14.0)


fig, ax = plt.subplots()
for coverage, colour in ((1.0, BLUE), (0.5, ORANGE)):
    replies = np.array([reply(fine, coverage) for fine in fines])
    line(ax, fine, exact(fine, coverage), colour)
    dots(ax, fines, replies, colour)
    assert np.abs(replies - exact(fines, coverage)).max() < 0.5
    assert ((replies > quota) == (fines < gain / coverage)).all()
    mark(ax, gain / coverage, f"{gain / coverage:g}", colour)
label(ax, 10.2, 10.4, "every second\ninspected", ORANGE, xytext=(4, 4))
label(ax, 4.5, 11.2, "all inspected", BLUE, ha="right", xytext=(-2, -30))
ax.axhline(quota, color=GREY, linewidth=0.8, zorder=0)
label(ax, 0, quota, "quota", GREY, xytext=(6, -14))
ax.set(
    xlabel="fine (money per token above the quota)",
    ylabel="best reply (tokens)",
    xlim=(0, 20.5),
    ylim=(3, 15),
)
plt.show()

# %%

assert np.isclose(gain, 7.875)
print(f"the next token above the quota brings {gain:g}")

# %%
# Lines are the closed form, circles the mean of 6000 worlds.
#
# **What not to conclude.** Agents here care for the mean; who fears a fine needs less of it. And an
# inspection costs something, which the planner would weigh against a higher fine.
