r"""
Screening: the poor man's coach is kept without a roof
======================================================

**Claim.** A monopolist who cannot tell its buyers apart sells the keen ones the efficient quantity, and
spoils what it offers to the others so that the keen will not take that instead. The more keen buyers there
are, the worse the low item, until it is not offered at all; what is lost is the low type's trade.

**Source.** Mussa and Rosen (1978), J. Economic Theory 18, 301-317; Maskin and Riley (1984), RAND J.
Economics 15, 171-196.
"""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREEN, GREY, INK, ORANGE, dots, label, line

from commonweal import make

# %%
# The best of all 6903 menus on the levels, for each share of keen buyers, against the closed form.

free = {"quantity_levels": None, "price_levels": None}
share = np.linspace(0.05, 0.9, 18)
enumerated, exact, lost = [], [], []
for lam in share:
    row = (1.0, 1.5, lam, 1.0)
    enumerated.append(make("screening-v0", share_high=lam).best_menu(row))
    exact.append(make("screening-v0", share_high=lam, **free).best_menu(row))
    found = make("screening-v0", share_high=lam, **free).references()
    lost.append(found.gap / 40)
enumerated, exact = np.array(enumerated), np.array(exact)
formula = np.maximum(0, 1 - 0.5 * share / (1 - share))
assert np.allclose(exact[:, 0], formula)
assert np.allclose(exact[:, 2], 1.5)
assert np.allclose(lost, (1 - share) * (1 - formula) ** 2 / 2)
small = np.minimum(enumerated[:, 0], enumerated[:, 2])
assert np.abs(small - formula).max() <= 0.25 + 1e-9  # a level
assert np.allclose(enumerated[9], exact[9])  # equally frequent: the menu is on the levels

# %%

fig, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.6))
line(left, share, exact[:, 2], BLUE)
line(left, share, exact[:, 0], ORANGE)
dots(left, share, small, ORANGE)
left.axhline(1.0, color=GREY, linewidth=1.0, zorder=0)
label(left, 0.9, 1.0, "efficient for the others", GREY, ha="right", xytext=(0, 4))
label(left, 0.9, 1.5, "item of the keen", BLUE, ha="right", xytext=(0, 5))
label(left, 0.45, 0.6, "item of the others", ORANGE, xytext=(12, 4))
label(left, 0.02, 0.3, "circles: best menu\non the levels", INK, xytext=(0, 0))
left.set(xlabel="share of keen buyers", ylabel="quantity", xlim=(0, 0.92), ylim=(-0.05, 1.75))
line(right, share, lost, GREEN)
label(right, 0.667, max(lost), "the low item disappears", GREEN, ha="center", xytext=(0, 7))
right.set(xlabel="share of keen buyers", ylabel="loss of W (money a sale)", xlim=(0, 0.92), ylim=(0, 0.2))
plt.show()

# %%
# **What not to conclude.** Competition between sellers, or buyers who can resell, ends the distortion or
# changes its kind; and the keen keep a rent that a seller who sees them would take.
