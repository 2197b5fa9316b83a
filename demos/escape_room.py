r"""
The Escape Room: what the group could get, and why nobody pulls the lever
=========================================================================

**Claim.** If M of N agents pull the lever the others leave, and the group gets 10 (N - M) - M: 9 in
ER(2, 1), 8 in ER(3, 2). Yet in every equilibrium in pure strategies nobody moves: who pulls pays 1 and
stays behind. Paid more than 1 by who leaves, pulling is the best reply.

**Source.** Yang et al. (2020), "Learning to incentivize other learning agents", arXiv 2006.06051.
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREEN, GREY, ORANGE, PURPLE, dots, label, line, mark

from commonweal import Society, evaluate, institution, make
from commonweal.agents.scripted import scripted

# %%
# The planner's line, played; and what one gains who leaves the start alone (nothing), exactly.

pullers = np.arange(1, 6)
returns = {}
for n in (2, 3, 4, 6):
    for m in pullers[pullers < n]:
        room = make("escape_room-v0", num_agents=n, pullers=int(m))
        found, society = room.references(), Society(room)
        returns[n, m] = evaluate(society, scripted(society, found.planner)).welfare[0]
        assert np.isclose(returns[n, m], max(10 * (n - m) - m, 0))
        assert found.selfish.epsilon == 0
        assert found.selfish.welfare == 0
        if n < 5:
            assert np.allclose(room.perfect_values(), 0)
assert returns[2, 1] == 9
assert returns[3, 2] == 8

# %%
# ER(2, 1) under a contract that pays who is at the lever: one pulls, or stays; the other tries the door.

rewards = np.linspace(0, 2, 21)
room = make("escape_room-v0", preset="er_2_1")
payoff = {}
for act, place in (("pulls", 1.0), ("stays", 0.0)):
    contract = institution("contract", base="pulling", max_transfer=2.0, levels=None)
    society = Society(room, [contract], num_worlds=len(rewards))
    names = [action.name for action in society.groups["citizens"].spaces]
    go = np.array([place, 2.0]) if act == "pulls" else np.zeros(2)
    for name, entry in (("contract_offer", rewards[:, None]), ("contract_sign", 1), ("place", go)):
        actions = society.columns.null_actions(len(rewards))
        actions["citizens"][:, :, names.index(name)] = entry
        step = society.step(actions)
    payoff[act] = step.reward["citizens"]
assert np.allclose(payoff["pulls"][:, 0], rewards - 1)
assert np.allclose(payoff["pulls"][:, 1], 10 - rewards)
assert np.allclose(payoff["stays"], 0)

# %%

fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6))
for n, colour in ((2, PURPLE), (3, ORANGE), (4, GREEN), (6, BLUE)):
    m = pullers[pullers < n]
    line(left, m, [returns[n, k] for k in m], colour)
    dots(left, m, [returns[n, k] for k in m], colour)
    label(left, 1, returns[n, 1], f"N = {n}", colour, ha="right", xytext=(-8, -4))
left.axhline(0, color=GREY, linewidth=1.0)
label(left, 3.2, 0, "nobody moves: 0", GREY, xytext=(0, -15))
left.set(xlabel="M, needed at the lever", ylabel="return of the group", xlim=(0.1, 5.5), ylim=(-6, 58))
left.set_xticks(pullers)
line(right, rewards, payoff["pulls"][:, 0], BLUE)
line(right, rewards, payoff["stays"][:, 0], ORANGE)
mark(right, 1.0, "pulling pays")
label(right, 1.6, 0.6, "pulls", BLUE, xytext=(8, -10))
label(right, 0.02, 0, "stays at the start", ORANGE, xytext=(0, 6))
right.set(xlabel="paid by who leaves (money)", ylabel="payoff of who could pull", ylim=(-1.2, 1.4))
plt.show()

# %%
# **What not to conclude.** That no pure equilibrium opens the door says nothing about mixed ones or about
# agents that have not finished learning: exploration opens it now and then.
