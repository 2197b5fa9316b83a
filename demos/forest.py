r"""
The forest: when an owner fells, and what is left where anyone may
==================================================================

**Claim.** Played year after year, the default stand is worth most when it is felled at 33 years, the
whole number next to Faustmann's 32.6; Wicksell's single rotation (40.8) and the largest sustained
yield (50) wait longer. Five owners of a concession each keep exactly that rotation. The same five who
share one stand fell it in the first year and never plant again: they keep two fifths of what it is
worth.

**Source.** Faustmann (1849); the race is a preemption game played among equals.
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREY, ORANGE, dots, label, line, mark

from commonweal import Society, evaluate, make
from commonweal.agents.scripted import scripted
from commonweal.envs.rotation import Stand, played

# %%
# Bare land under every rotation from 2 to 80 years, each in a world of its own, for 2000 years.

shared, owned = make("forest-v0"), make("forest-v0", num_stands=5)
ages = np.arange(2.0, 81.0)
value, _ = played(shared, ages, plays=2000)
stand = Stand()
assert np.abs(value - [stand.land_value(age) for age in ages]).max() < 1e-6
facts = shared.references().facts
assert ages[value.argmax()] == 33.0
assert abs(facts["faustmann_rotation"] - 32.6) < 0.05
assert abs(facts["land_value"] - 2703.7) < 0.05
assert facts["faustmann_rotation"] < facts["wicksell_rotation"] < facts["sustained_yield_rotation"]

# %%
# The equilibrium of each regime, played from a stand of twenty years on.

volume, kept = {}, {}
for name, forest in (("concessions", owned), ("shared", shared)):
    found = forest.references()
    assert found.selfish.epsilon < 1e-6
    society = Society(forest, time_limit=154)
    result = evaluate(society, scripted(society, found.selfish))
    volume[name] = result.series["volume"][:, 0]
    kept[name] = result.welfare[0] / found.planner.welfare
assert abs(kept["concessions"] - 1.0) < 1e-9
assert 0.38 < kept["shared"] < 0.40
assert volume["shared"][1:].max() == 0.0

# %%

fig, (left, right) = plt.subplots(1, 2, figsize=(9.2, 3.7), width_ratios=(1.25, 1))
fine = np.linspace(8, 80, 200)
line(left, fine, [stand.land_value(age) / 1000 for age in fine], BLUE)
dots(left, ages[6::3], value[6::3] / 1000, BLUE)
mark(left, facts["faustmann_rotation"], "Faustmann\n32.6", GREY, at=0.3, ha="right")
mark(left, facts["wicksell_rotation"], "Wicksell\n40.8", GREY, at=0.3)
mark(left, facts["sustained_yield_rotation"], "largest yield\n50", GREY, at=0.3)
left.set(xlabel="felled at (years)", ylabel="value of bare land (thousands)", xlim=(8, 60), ylim=(0, 3.0))
left.set_title("one owner")
years = np.arange(154)
line(right, years, volume["concessions"] / 1000, BLUE)
line(right, years, volume["shared"] / 1000, ORANGE)
label(right, 13, 4.6, "five concessions: all of its worth", BLUE, xytext=(0, 14))
label(right, 2, 0.0, f"one shared stand: {kept['shared']:.0%} of its worth", ORANGE, xytext=(2, -15))
right.set(xlabel="year", ylabel="standing volume a stand (thousands)", xlim=(0, 120), ylim=(-0.7, 6.0))
right.set_title("equilibrium of five loggers")
plt.show()

# %%
# The line on the left is Faustmann's formula, the circles are played.
#
# **What not to conclude.** Timber is all that counts here: with an amenity that everybody enjoys owners
# fell too soon as well, though far less so. And the equilibrium knows no promises: five who can punish,
# vote or sign contracts play another game, which is what the institutions are for.
