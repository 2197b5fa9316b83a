r"""`matrix-v0`: games in normal form, repeated: the prisoner's dilemma, and any table of payoffs.

Each of N players chooses one of A acts; together they choose a cell of the table, and player $i$ earns

$$\pi_i(a_1, \dots, a_N) .$$

The same game is played in a known number of rounds, or without end under a discount. All see what each did in
the round before, so that a conditional strategy ("as you did unto me") can be learned.

Act 0 is the null act: cooperate, hunt the stag, swerve. Harm is what a player's act costs the others,
compared with its null act: $\sum_{j \ne i} \pi_j(0, a_{-i}) - \pi_j(a)$. With harm paid by who causes it
the sum of payoffs is a potential of the game, so the planner's cell is an equilibrium.

References. Playing an equilibrium of the table in every round is an equilibrium of the repeated game.
`selfish` is the worst of them for the group; there may be more, with threats. Of two players all are
considered, mixed ones and degenerate tables included, up to some ten acts; of up to five players with two
acts the worst is found by branch and bound. In larger games what dominance does not decide is `best known`:
all pure equilibria are tried, and the selection says what else was.
`facts["reversion_discount"]` is the discount from which on the planner's cell is sustained by the threat of
playing `selfish` for ever (Friedman 1971); nan where that threat never suffices.

Presets: the prisoner's dilemma (the default; 5, 3, 1, 0 as in Axelrod's tournaments), stag hunt, chicken,
battle of the sexes, matching pennies. `is_dilemma` speaks of the default: matching pennies is no social
dilemma, since its sum is constant. The payoffs are the usual ones, recalled, not looked up; the tests
compare the equilibria with the library nashpy.

Sources: Axelrod (1984), The Evolution of Cooperation; Friedman (1971), Review of Economic Studies 38, 1-12
(both recalled, not looked up).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.curves import geometric_sum
from commonweal.envs.base import Dilemma, Outcome, Play, plays_that_count
from commonweal.envs.normal_form import (
    Cells,
    Equilibria,
    Laws,
    deviation_gains,
    equilibria,
    payoffs,
    rounding,
)
from commonweal.envs.repeated import PROGRESS
from commonweal.errors import InvalidParameter, require
from commonweal.parameters import check
from commonweal.random import Streams
from commonweal.references import Check, Kind, References, Yardstick
from commonweal.spaces import Action, Bounds, Choice, Conduct, Signal

Array = NDArray[np.float64]
Table = tuple[Any, ...]


def two_by_two(both: float, alone: float, against: float, neither: float) -> Table:
    """A symmetric game of two players and two acts.

    Args:
        both: each earns when both play act 0.
        alone: who plays act 0 against act 1 earns.
        against: who plays act 1 against act 0 earns.
        neither: each earns when both play act 1.
    """
    return (((both, both), (alone, against)), ((against, alone), (neither, neither)))


PRISONERS_DILEMMA = two_by_two(both=3.0, alone=0.0, against=5.0, neither=1.0)


@dataclass
class MatrixState:
    """Rounds played so far `(B, 1)`, and what each did in the last one `(B, N)`, -1 before the first."""

    round: Array
    last: Array


@dataclass(frozen=True, eq=False, repr=False)
class Matrix(Dilemma):
    """A repeated game in normal form.

    Attributes:
        payoffs: `(A, ..., A, N)`, nested: what each of the N players earns in each cell. All have
            the same number of acts; where a real player has fewer, repeat one of them.
        labels: names of the acts, act 0 (the null act) first; empty: they are numbered.
        rounds: rounds of the game; None: without end, truncated where a round weighs below 0.01.
        discount: weight of the next round; below 1 where there is no end.
    """

    id: ClassVar[str] = "matrix-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "act": Conduct("index", limitable=True),
        "income": Conduct("money"),
        "harm": Conduct("money", oracle=True),
    }

    payoffs: Table = PRISONERS_DILEMMA
    labels: tuple[str, ...] = ()
    rounds: int | None = 10
    discount: float = 1.0

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "prisoners_dilemma": {"payoffs": PRISONERS_DILEMMA, "labels": ("cooperate", "defect")},
        "stag_hunt": {"payoffs": two_by_two(4.0, 0.0, 3.0, 3.0), "labels": ("stag", "hare")},
        "chicken": {"payoffs": two_by_two(3.0, 1.0, 4.0, 0.0), "labels": ("swerve", "straight")},
        "battle_of_the_sexes": {
            "payoffs": (((2.0, 1.0), (0.0, 0.0)), ((0.0, 0.0), (1.0, 2.0))),
            "labels": ("opera", "football"),
        },
        "matching_pennies": {
            "payoffs": (((1.0, -1.0), (-1.0, 1.0)), ((-1.0, 1.0), (1.0, -1.0))),
            "labels": ("heads", "tails"),
        },
    }

    def __post_init__(self) -> None:
        object.__setattr__(self, "payoffs", _nested(self.payoffs))
        super().__post_init__()

    def validate(self) -> None:
        """Check the table, the rounds and the discount."""
        try:
            table = np.array(self.payoffs, np.float64)
        except (TypeError, ValueError):
            raise InvalidParameter(
                "Matrix.payoffs is ragged or holds no numbers; allowed: A x ... x A x N numbers"
            ) from None
        n = table.ndim - 1
        fits = n >= 1 and table.shape[-1] == n and len(set(table.shape[:-1])) == 1 and table.shape[0] >= 2
        require(fits, "shape of Matrix.payoffs", table.shape, "(A, ..., A, N) with N players and A >= 2 acts")
        require(bool(np.isfinite(table).all()), "Matrix.payoffs", self.payoffs, "finite numbers")
        fits = len(self.labels) in (0, table.shape[0])
        require(fits, "Matrix.labels", self.labels, f"none, or one for each of the {table.shape[0]} acts")
        if self.rounds is not None:
            check("Matrix.rounds", self.rounds, 1, math.inf)
        check("Matrix.discount", self.discount, 0.0, 1.0 if self.rounds else 1.0 - 1e-6)

    @cached_property
    def _cells(self) -> Cells:
        return Cells.of(np.array(self.payoffs, np.float64))

    @property
    def table(self) -> Array:
        """The payoffs as an array, `(A, ..., A, N)`."""
        return self._cells.table

    @property
    def num_agents(self) -> int:
        """N."""
        return self.table.ndim - 1

    @property
    def num_acts(self) -> int:
        """A."""
        return self.table.shape[0]

    @property
    def horizon(self) -> int | None:
        """The last round ends the game."""
        return self.rounds

    @property
    def time_limit(self) -> int | None:
        """Without end: the first round whose weight in W is below one hundredth."""
        if self.rounds is not None:
            return None
        return plays_that_count(self.discount)

    @property
    def weight(self) -> float:
        """What a round's payoff is worth if it is earned in every round that W counts."""
        plays = self.rounds or self.time_limit
        assert plays is not None
        return geometric_sum(self.discount, plays)

    def actions(self) -> list[Action]:
        """The act."""
        return [Action("act", Choice(self.labels or tuple(f"act {k}" for k in range(self.num_acts))))]

    def signals(self) -> list[Signal]:
        """The round where it is known to end; the last act of oneself and of each other, next player first.

        Acts are shown as one column per option, all 0 before the first round.
        """
        n, options = self.num_agents, self.num_acts
        shown = [Signal("own_last", "", 0.0, 1.0, width=options)]
        if n > 1:
            shown.append(Signal("others_last", "", 0.0, 1.0, width=(n - 1) * options))
        return [PROGRESS, *shown] if self.rounds else shown

    def initial(self, rng: Streams) -> MatrixState:
        """Nobody has done anything."""
        return MatrixState(np.zeros((rng.num_worlds, 1)), np.full((rng.num_worlds, self.num_agents), -1.0))

    def step(self, state: MatrixState, play: Play, rng: Streams) -> tuple[MatrixState, Outcome]:
        """One round."""
        act = play["act"]
        payoff = self.payoff(act)
        following = MatrixState(state.round + 1.0, act.copy())
        over = None if self.rounds is None else following.round[:, 0] >= self.rounds
        return following, Outcome(payoff, {"act": act, "income": payoff}, over)

    def payoff(self, act: Array) -> Array:
        """Money `(B, N)` of the cells chosen by `act (B, N)`."""
        return self._cells.rows[self._cells.place(act)]

    def observe(self, state: MatrixState) -> Mapping[str, Array]:
        """The round, the own last act, and those of the others."""
        worlds, n = state.last.shape
        shown = (state.last[..., None] == np.arange(self.num_acts)).astype(np.float64)
        seen = {"own_last": shown}
        if n > 1:
            others = (np.arange(n)[:, None] + np.arange(1, n)) % n
            seen["others_last"] = shown[:, others].reshape(worlds, n, -1)
        return {"progress": state.round / self.rounds, **seen} if self.rounds else seen

    def limit(self, state: MatrixState, play: Play, bounds: Bounds) -> Play:
        """The nearest act whose index is allowed."""
        low, high = bounds["act"]
        act = np.clip(play["act"], np.ceil(low), np.floor(high))
        return {**play, "act": np.clip(act, 0.0, self.num_acts - 1.0)}

    def harm(self, state: MatrixState, play: Play, outcome: Outcome, following: MatrixState) -> Array:
        """What the others lose because a player did not play its null act."""
        act, cells = outcome.conduct["act"], self._cells
        total, place = cells.rows.sum(axis=1), cells.place(act)
        spared = (place[:, None] - act * cells.strides).astype(np.intp)
        mine = cells.rows[spared, np.arange(self.num_agents)] - cells.rows[place]
        return total[spared] - total[place][:, None] - mine

    # ------------------------------------------------------------------ yardsticks

    @cached_property
    def equilibria(self) -> Equilibria:
        """Equilibria of the table, see `normal_form.equilibria`.

        Raises:
            NotExact: none was found.
        """
        return equilibria(self.table)

    def references(self) -> References:
        """In every round the worst equilibrium of the table for the group, or the planner's cell.

        Raises:
            NotExact: see `equilibria`.
        """
        total = self.table.sum(axis=-1)
        best = np.unravel_index(int(total.argmax()), total.shape)
        planned = [np.eye(self.num_acts)[act] for act in best]
        planner = replace(self._yardstick(planned, "largest sum of a cell", "enumeration"), epsilon=math.nan)
        found = self.equilibria
        count = len(found.laws)
        how = f"the worst for the group of {count} found" if count > 1 else "the only one found"
        worst, *rest = found.laws
        selfish = self._yardstick(worst, f"{how}: {found.searched}", found.kind, found.error)
        others = {}
        for place, laws in enumerate(rest, start=1):
            exactly = found.kind == "enumeration" or all(law.max() == 1.0 for law in laws)
            kind: Kind = "enumeration" if exactly else "numerical"
            others[f"equilibrium {place}"] = self._yardstick(laws, f"another of {count} found", kind)
        facts = {"reversion_discount": self._reversion_discount(planned, worst), "equilibria": float(count)}
        return References(selfish, planner, self.weight * float(np.ptp(total)), others=others, facts=facts)

    def _yardstick(self, laws: list[Array], selection: str, kind: Kind, error: float = 0.0) -> Yardstick:
        value = payoffs(self.table, laws)
        detail = {f"payoff of player {i}": float(v) for i, v in enumerate(value)}
        detail |= {f"null act of player {i}": float(law[0]) for i, law in enumerate(laws)}
        gain = float(deviation_gains(self.table, laws).max())
        return Yardstick(
            self.weight * float(value.sum()), kind, self.weight * error, self.weight * gain, selection,
            Laws(np.stack(laws)), detail,
        )  # fmt: skip

    def _reversion_discount(self, planned: list[Array], threat: list[Array]) -> float:
        """`max_i (best deviation - planned) / (best deviation - threat)`, of those who would deviate."""
        own, feared = payoffs(self.table, planned), payoffs(self.table, threat)
        gains, slack = deviation_gains(self.table, planned), rounding(self.table)
        tempted = gains > 0.0
        if (feared + slack >= own)[tempted].any():
            return math.nan
        return float((gains[tempted] / (own + gains - feared)[tempted]).max(initial=0.0))

    def played_gain(self) -> float:
        """What deviating from `selfish` brings in a round, with every cell played by `step`."""
        law = self.equilibria.laws[0]
        cells = np.indices(self.table.shape[:-1]).reshape(self.num_agents, -1).T.astype(np.float64)
        rng = Streams(np.zeros(len(cells), np.uint64), 0)
        _, outcome = self.step(self.initial(rng), {"act": cells}, rng)
        return float(deviation_gains(outcome.money.reshape(self.table.shape), law).max())

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """Textbook equilibria of the presets, and the prisoner's dilemma played."""
        source = "textbook, recalled"

        def preset(name: str) -> Matrix:
            return cls(**{**cls.presets[name], "rounds": 1})

        dilemma = preset("prisoners_dilemma").references()
        yield Check("prisoner's dilemma: sum of the equilibrium", source, 2.0, dilemma.selfish.welfare)
        yield Check("prisoner's dilemma: largest sum", source, 6.0, dilemma.planner.welfare)
        threshold = dilemma.facts["reversion_discount"]
        yield Check("prisoner's dilemma: cooperative discount", "Friedman (1971)", 0.5, threshold)
        hunt = preset("stag_hunt").references()
        yield Check("stag hunt: sum of the worst equilibrium", source, 6.0, hunt.selfish.welfare)
        yield Check("stag hunt: best equilibrium", source, 8.0, max(o.welfare for o in hunt.others.values()))
        chicken = preset("chicken").references().selfish
        swerving = chicken.detail["null act of player 0"]
        yield Check("chicken: mixed probability of swerving", source, 0.5, swerving)
        yield Check("chicken: sum of the mixed equilibrium", source, 4.0, chicken.welfare)
        sexes = preset("battle_of_the_sexes").references().selfish.detail
        yield Check("battle of the sexes: own favourite", source, 2.0 / 3.0, sexes["null act of player 0"])
        yield Check("battle of the sexes: payoff when mixed", source, 2.0 / 3.0, sexes["payoff of player 1"])
        for name in ("stag_hunt", "chicken", "battle_of_the_sexes", "matching_pennies"):
            gain = preset(name).played_gain()
            yield Check(f"{name.replace('_', ' ')}: gain of deviating from the worst", source, 0.0, gain)
        pennies = preset("matching_pennies").references()
        yield Check("matching pennies: heads", source, 0.5, pennies.selfish.detail["null act of player 0"])
        yield Check("matching pennies: gap to the planner", source, 0.0, pennies.gap)


def _nested(value: Any) -> Any:
    """Lists and arrays as nested tuples of floats, which JSON and `repr` give back unchanged."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return tuple(_nested(part) for part in value)
    return float(value) if isinstance(value, (int, np.generic)) else value
