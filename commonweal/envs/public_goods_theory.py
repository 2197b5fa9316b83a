"""Equilibria of a round of `public_goods-v0`: pure ones by technology, mixed ones where they can be searched.

Each technology names the profiles that hold its worst and best pure equilibrium; all deviations are tried.
That none is worse is known where the group has no more than every equilibrium gives it
(`Technology.floor`), where mixing takes place between nothing and all one has, or by solving the whole
table of levels. Else the worst one found is only `best known`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.normal_form import Equilibria, Laws, deviation_gains, equilibria, payoffs
from commonweal.envs.provision import Group, Technology, Volunteer
from commonweal.envs.repeated import Always
from commonweal.errors import NotExact
from commonweal.references import Kind, Yardstick, ranked

if TYPE_CHECKING:
    from commonweal.envs.public_goods import PublicGoods

Array = NDArray[np.float64]
ROUNDING = 1e-9  # of the largest endowment: a smaller gain is none
MOST_CELLS = 20_000  # of a table of levels that is solved as a whole
MOST_VOLUNTEERS = 10  # unequal agents who may mix between nothing and all they have


def solve(game: PublicGoods, group: Group, technology: Technology) -> list[Yardstick]:
    """Equilibria found, the worst for the group first; its kind says how sure it is that none is worse.

    Raises:
        NotExact: none was found.
    """
    slack = ROUNDING * float(group.endowment.max())
    tried = [profile_yardstick(game, group, p, name) for name, p in technology.candidates(group)]
    pure = [one for one in tried if one.epsilon <= game.weight * slack]
    mixed, surely = _volunteers(game, group) if technology.all_or_nothing(group) else ([], group.size == 1)
    found = ranked([*pure, *mixed])
    floor = game.weight * technology.floor(group)
    if not found or not (surely or found[0].welfare <= floor + game.weight * slack):
        found = _with_levels(game, group, found)
    if not found:
        raise NotExact(f"no pure equilibrium of this {game.technology}; allowed: other parameters")
    return found


def profile_yardstick(game: PublicGoods, group: Group, profile: Array, selection: str) -> Yardstick:
    """All play `profile (N,)` in every round; `epsilon` is the gain of the best deviation."""
    welfare = game.weight * float(game.payoff(profile[None, :]).sum())
    # Who gives all it has says so by the highest level, which may be more than it has.
    everything = np.broadcast_to(profile >= group.endowment, (1, group.size))
    rule = Always(game, {"contribution": np.where(everything, group.endowment.max(), profile)})
    detail = {"contributions": float(profile.sum())}
    gain = game.weight * _gain(game, group, profile)
    return Yardstick(welfare, "closed form", 0.0, gain, selection, rule, detail)


def _gain(game: PublicGoods, group: Group, profile: Array) -> float:
    """What the agent who gains most gains in a round by its best deviation from `profile (N,)`."""
    gains, payoff = [0.0], game.payoff(profile[None, :])[0]
    for i in range(group.size):
        options = group.options(i, profile)
        tried = np.repeat(profile[None, :], len(options), axis=0)
        tried[:, i] = options
        gains.append(float(game.payoff(tried)[:, i].max() - payoff[i]))
    return max(gains)


def _table(game: PublicGoods, group: Group, options: list[Array]) -> Array:
    """Payoffs `(A_1, ..., A_N, N)` of all profiles of the options `(A_i,)` of each agent."""
    profiles = np.stack(np.meshgrid(*options, indexing="ij"), axis=-1)
    return game.payoff(profiles.reshape(-1, group.size)).reshape(profiles.shape)


def _volunteers(game: PublicGoods, group: Group) -> tuple[list[Yardstick], bool]:
    """Equilibria in which some give all they have with a probability, and whether all such are known.

    Of equals with m > 1 all may volunteer alike: nobody else's giving all has probability 1 / m, and every
    contribution pays m e (Diekmann's volunteer's dilemma). Each can secure that by giving all, so that no
    equilibrium is worse.
    """
    m, e = group.marginal_return, group.endowment
    able = m >= 1.0
    if group.equal and m[0] > 1.0 and group.size > 1:
        chance = np.full(group.size, 1.0 - m[0] ** (-1.0 / (group.size - 1)))
        worth = group.size * float(m[0] * e[0])
        return [_volunteering(game, chance, Yardstick(worth, "closed form", 0.0, 0.0, "all"))], True
    # Who has less than a unit for a unit gives nothing, whatever the others do; who has just a unit may give
    # anything where nobody else gives.
    sure = not (m == 1.0).any()
    if not 2 <= able.sum() <= MOST_VOLUNTEERS:
        return [], sure and able.sum() < 2
    options = [np.array([0.0, most] if can else [0.0]) for most, can in zip(e, able, strict=True)]
    table = _table(game, group, options)
    found, sticks = equilibria(table), []
    kind: Kind = "numerical" if found.kind == "best known" else found.kind
    for laws in found.laws:
        chance = np.array([1.0 - law[0] for law in laws])
        if ((chance > 0.0) & (chance < 1.0)).any():
            worth, gain = float(payoffs(table, laws).sum()), float(deviation_gains(table, laws).max())
            sticks.append(_volunteering(game, chance, Yardstick(worth, kind, found.error, gain, "some")))
    return sticks, sure and found.kind != "best known"


def _volunteering(game: PublicGoods, chance: Array, round_: Yardstick) -> Yardstick:
    """All rounds of one in which agents give all with a `chance (N,)`; its selection says who does."""
    detail, weight = {f"probability of agent {i}": float(q) for i, q in enumerate(chance)}, game.weight
    return replace(
        round_, welfare=weight * round_.welfare, error=weight * round_.error, epsilon=weight * round_.epsilon,
        selection=f"{round_.selection} volunteer at random", rule=Volunteer(game, chance), detail=detail,
    )  # fmt: skip


def _with_levels(game: PublicGoods, group: Group, found: list[Yardstick]) -> list[Yardstick]:
    """What was found and what solving the table of all levels brings; else zero is but `best known`."""
    if group.step:
        options = [np.unique(group.options(i, 0.0 * group.endowment)) for i in range(group.size)]
        if math.prod(map(len, options)) <= MOST_CELLS:
            table = _table(game, group, options)
            try:
                every = equilibria(table)
            except NotExact:
                every = Equilibria([], "best known", 0.0, "")
            if every.kind != "best known":
                worst = _laws_yardstick(game, table, options, every)
                return [
                    worst,
                    *(one for one in found if one.welfare > worst.welfare + ROUNDING * abs(worst.welfare)),
                ]
    if not found:
        return []
    worst = found[0]
    return [
        replace(
            worst, kind="best known", selection=f"{worst.selection}; other mixed equilibria were not searched"
        ),
        *found[1:],
    ]


def _laws_yardstick(game: PublicGoods, table: Array, options: list[Array], found: Equilibria) -> Yardstick:
    """All draw from the laws of the worst equilibrium of the table of levels in every round."""
    laws, weight = found.laws[0], game.weight
    padded = np.zeros((len(laws), game.levels or 0))
    for row, law in zip(padded, laws, strict=True):
        row[: len(law)] = law
    given = [float(law @ own) for law, own in zip(laws, options, strict=True)]
    return Yardstick(
        weight * float(payoffs(table, laws).sum()), found.kind, weight * found.error,
        weight * float(deviation_gains(table, laws).max()), f"the worst of all on levels: {found.searched}",
        Laws(padded, "contribution"), {"contributions": sum(given)},
    )  # fmt: skip
