"""A dilemma: the dynamics alone. No rule, tax or punishment in it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import InvalidParameter, require_name
from commonweal.parameters import Parameters
from commonweal.random import Streams
from commonweal.references import Check, References
from commonweal.spaces import Action, Bounds, Conduct, Signal, place_of

Array = NDArray[np.float64]
Play = Mapping[str, Array]


@dataclass
class Outcome:
    """What a play brought.

    Attributes:
        money: earned by each agent, `(B, N)`.
        conduct: what was observably done, by name, `(B, N)` each.
        terminated: worlds that ended by their own dynamics, `(B,)` bool; None: no world.
        outside: surplus of those who are not agents (an auction's seller, consumers), `(B,)`; it
            counts in W one for one. None: nobody.
    """

    money: Array
    conduct: dict[str, Array]
    terminated: NDArray[np.bool_] | None = None
    outside: Array | None = None


def plays_that_count(discount: float) -> int:
    """Length of an endless game after which a play weighs less than one hundredth in W."""
    return math.ceil(math.log(0.01) / math.log(discount)) if discount > 0 else 1


@dataclass(frozen=True, eq=False, repr=False)
class Dilemma(Parameters):
    """Base of all dilemmas: frozen parameters and pure functions of a state.

    Every array has leading axes `(B worlds, N agents)`; a quantity of the whole world is `(B, 1)`,
    so that the textbook's equation is the line in the code.

    Class attributes that a dilemma declares:
        id: registry name, versioned: `"fishery-v0"`.
        is_dilemma: whether selfish play wastes welfare.
        conducts: what is observable, by name.
        quasilinear: whether utility is money plus something that money does not change; then a payment is
            felt when it is made, else with its round (`Society`).
    """

    id: ClassVar[str]
    is_dilemma: ClassVar[bool] = True
    conducts: ClassVar[Mapping[str, Conduct]]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    quasilinear: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        who = type(self).__name__
        require_name(f"{who}.id", self.id)
        for kind, names in (("group", self.groups), ("conduct", self.conducts)):
            for name in names:
                require_name(f"a {kind} of {who}", name)
        try:
            self.actions()
        except InvalidParameter as error:  # a range without room, too many levels
            raise InvalidParameter(f"{who}: {error}") from None

    @property
    def groups(self) -> Mapping[str, int]:
        """Groups of agents and their sizes, in the order of the agent axis."""
        return {"citizens": int(self.num_agents)}  # type: ignore[attr-defined]

    def agents_of(self, group: str) -> slice:
        """The place of a group on the agent axis."""
        return place_of(group, self.groups)

    @property
    def subsistence(self) -> float | None:
        """Least money of a play that payments leave an agent, where utility is not linear in money.

        Near it utility falls steeply, or without bound, so nobody pays beyond it; and money that reaches
        the treasury or an official counts in W as if it were given back to the citizens, inside their
        utilities. None: a unit of money counts one for one, whoever has it, and nothing bounds payments.
        """
        return None

    @property
    def time_limit(self) -> int | None:
        """Plays after which a society truncates by default; None: the model ends by itself."""
        return None

    @property
    def horizon(self) -> int | None:
        """Plays after which the model has ended by itself at the latest; None: it need not end."""
        return None

    def actions(self) -> list[Action]:
        """Action columns."""
        raise NotImplementedError

    def signals(self) -> list[Signal]:
        """Observation columns."""
        raise NotImplementedError

    def initial(self, rng: Streams) -> Any:
        """State at the start of an episode, for `rng.num_worlds` worlds."""
        raise NotImplementedError

    def step(self, state: Any, play: Play, rng: Streams) -> tuple[Any, Outcome]:
        """One play: `play[column]` is `(B, n)` in physical values."""
        raise NotImplementedError

    def observe(self, state: Any) -> Mapping[str, Array]:
        """Values of the observation columns, `(B, n)`, or `(B, 1)` where all see the same."""
        raise NotImplementedError

    def limit(self, state: Any, play: Play, bounds: Bounds) -> Play:
        """The play nearest to `play` whose conducts lie within `bounds`: name -> (low, high)."""
        raise NotImplementedError

    def harm(self, state: Any, play: Play, outcome: Outcome, following: Any) -> Array:
        """Loss imposed on the others relative to the null act, `(B, N)`. Oracle."""
        raise NotImplementedError

    def utility(self, state: Any, money: Array) -> Array:
        """Utility `(B, N)` of the play that led to `state`, with `money (B, N)` after all payments.

        The identity by default. What it needs besides money (labour, say) stands in the state.
        """
        return money

    def references(self) -> References:
        """Selfish equilibrium, planner and other yardsticks."""
        raise NotImplementedError

    def close(self) -> None:
        """Release what is held outside of this object: nothing by default; the doors call it."""

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """Published or derived numbers beside what this code computes; `commonweal verify` prints them."""
        return ()
