r"""
Taxation: the rate that restores the optimum, and who may get the money back
============================================================================

**Claim.** In the common pool a tax of 7.875 a token brings eight selfish appropriators to 4.5 tokens
each, the optimum, if every payment goes to the *other* seven. Shared among all eight, the payer
included, the same tax leaves them at 4.94. In the labour market a flat income tax raises the sum of
utilities up to a rate of 0.25, where it brings 27 per cent of what the planner would gain; above a
half it does harm.

**Source.** Pigou (1920), The Economics of Welfare; for the income tax Sheshinski (1972), Review of
Economic Studies 39.
"""

import matplotlib.pyplot as plt
import numpy as np
from play import alternatives, best_reply, symmetric_equilibrium
from style import BLUE, GREY, ORANGE, dots, label, line, mark

from commonweal import institution, make

# %%
# The equilibrium under each rate: the tokens that are the best reply to themselves.

pool = make("appropriation-v0", levels=None)
n, a, b, w = pool.num_agents, pool.yield_slope, pool.yield_curvature, pool.outside_wage
grid = np.linspace(0, 25, 2501)
rates = np.linspace(0, 10, 6)
corrective = pool.references().facts["corrective tax per token"]
fig, ax = plt.subplots()
for revenue, diluted, colour in (("others", 1.0, BLUE), ("citizens", 1 - 1 / n, ORANGE)):
    tokens = [
        symmetric_equilibrium(
            pool,
            [institution("taxation", base="extraction", rate=rate, revenue=revenue)],
            "tokens",
            grid,
            5.0,
        )
        for rate in rates
    ]
    exact = (a - w - diluted * rates) / (b * (n + 1))
    assert np.abs(tokens - exact).max() < 0.02
    line(ax, rates, exact, colour)
    dots(ax, rates, tokens, colour)
    name = {"others": "rebate to the others", "citizens": "rebate to all"}[revenue]
    label(ax, rates[-1], exact[-1], name, colour, xytext=(8, -4))
ax.axhline(4.5, color=GREY, linewidth=0.8)
label(ax, 0, 4.5, "optimum: 4.5", GREY)
mark(ax, corrective, f"{corrective:.3f}")
ax.set(xlabel="tax (money per token)", ylabel="tokens of each in equilibrium", xlim=(0, 14), ylim=(3, 8.3))
ax.set_xticks(range(0, 11, 2))
plt.show()
assert np.isclose(corrective, 7.875)
assert abs((a - w - (1 - 1 / n) * corrective) / (b * (n + 1)) - 4.94) < 0.005

# %%
# A flat income tax, shared among all. Each chooses its labour, given what the others earn.

market = make("labour-v0", levels=None, periods=1)
references = market.references()
work = np.linspace(0, market.max_labour, 1501)


def welfare(rate):
    """W of one period when every citizen's labour is the best reply to the others'."""
    tax, labour = [institution("income-tax", rates=(rate,))], np.ones(market.num_agents)
    for _ in range(8):
        for agent in range(market.num_agents):
            labour[agent] = best_reply(market, tax, "labour", work, labour, agent)
    return alternatives(market, tax, "labour", [labour[0]], labour).welfare[0]


rates = np.linspace(0, 0.95, 20)
closed = references.efficiency(np.array([welfare(rate) for rate in rates]))
best = closed.argmax()
print(f"best rate {rates[best]:.2f}: {100 * closed[best]:.0f} per cent of the planner's gain")

# %%

fig, ax = plt.subplots()
line(ax, rates, closed, BLUE)
dots(ax, [rates[best]], [closed[best]], BLUE)
label(ax, rates[best], closed[best], f"best: {rates[best]:.2f}", BLUE, ha="center", xytext=(0, 8))
ax.axhline(0, color=GREY, linewidth=0.8)
ax.set(xlabel="flat rate", ylabel="share of the planner's gain in W", xlim=(0, 1), ylim=(-2.1, 0.6))
plt.show()
assert abs(rates[best] - 0.25) < 0.01
assert abs(closed[best] - 0.27) < 0.01
assert (closed[rates > 0.55] < 0).all()

# %%
# **What not to conclude.** The first tax is right because the pool's parameters are known. The second
# has no dilemma to cure: it trades work for equality, and its best rate hangs on the four skills, on
# the curvature of utility and on the elasticity of labour.
