"""An institution: a layer over a dilemma that sees conduct and never the dilemma's internals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import IncompatibleInstitution, require_name
from commonweal.ledger import Ledger
from commonweal.parameters import Parameters
from commonweal.random import Streams
from commonweal.spaces import Action, Bounds, Conduct, Signal, place_of
from commonweal.state import Stateless

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Charter:
    """What an institution may know of its society when it is founded.

    Attributes:
        num_worlds: B.
        citizens: names of the dilemma's groups and their sizes, in order; N is their sum.
        officials: names and sizes of the groups that institutions bring, in order.
        conducts: what is observable, by name, including what institutions append.
        institutions: the institutions by name.
        discount: discount factor per play.
    """

    num_worlds: int
    citizens: Mapping[str, int]
    officials: Mapping[str, int]
    conducts: Mapping[str, Conduct]
    institutions: Mapping[str, Institution]
    discount: float

    @cached_property
    def num_citizens(self) -> int:
        """N, the dilemma's agents."""
        return sum(self.citizens.values())

    @cached_property
    def num_agents(self) -> int:
        """A, all agents: citizens, then officials."""
        return self.num_citizens + sum(self.officials.values())

    def agents_of(self, group: str | None) -> slice:
        """The place of a group on the agent axis; None: every citizen."""
        if group is None:
            return slice(0, self.num_citizens)
        return place_of(group, {**self.citizens, **self.officials})


@dataclass
class Turn:
    """What a hook sees of the step that is under way.

    Attributes:
        stage: `"deliberate"`, `"play"` or `"respond"`.
        round: round within the stage.
        actions: the institution's own action columns, `(B, n)` by name, in physical values.
        conduct: what agents observably did in this step, by name; institutions append theirs.
        money: what the dilemma paid in this step, `(B, N)`.
        ledger: where payments are posted.
        wealth: wealth before this step, `(B, A)`.
        treasury: balance of the treasury before this step, `(B,)`.
        plays: plays of the episode so far, `(B,)`.
        present: citizens who are there, `(B, N)`; the others have only null acts and take part in no payment.
        states: the states of all institutions by name, to be read, not changed.
        rng: the institution's own random numbers.
    """

    charter: Charter
    stage: str
    round: int
    plays: NDArray[np.int64]
    wealth: Array
    treasury: Array
    ledger: Ledger
    present: NDArray[np.bool_]
    states: Mapping[str, Any]
    rng: Streams = field(init=False)  # set, as the actions are, for each hook
    actions: Mapping[str, Array] = field(default_factory=dict)
    conduct: dict[str, Array] = field(default_factory=dict)
    money: Array = field(default_factory=lambda: np.zeros((0, 0)))


@dataclass(frozen=True, eq=False, repr=False)
class Institution(Parameters):
    """Base of all institutions: frozen parameters, a state, and five optional hooks.

    Class attributes that a family declares:
        id: registry name.
        governable: parameters that `govern` may write, with their lawful range. Each is a field
            of the state of shape `(B, 1)` (or `(B, k)`) and of the same name.
        properties: what the test battery verifies: `"costless"` (nothing is burnt and no
            official paid),
            `"budget_balanced"` (the treasury never pays more than it gets), `"no_payments"`,
            `"voluntary"` (null acts leave everything as it would be without it).
        companions: institutions that must stand before it in the smallest stack, as plain JSON.
    """

    id: ClassVar[str]
    governable: ClassVar[Mapping[str, tuple[float, float]]] = {}
    properties: ClassVar[frozenset[str]] = frozenset()
    companions: ClassVar[tuple[Mapping[str, Any], ...]] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        require_name(f"{type(self).__name__}.name", self.address)
        for name in self.officials:
            require_name(f"a group of {type(self).__name__}", name)

    @property
    def address(self) -> str:
        """Name in the society, e.g. `"tax"` in `"tax.rate"`; unique within a stack."""
        return str(getattr(self, "name", self.id))

    @property
    def needs(self) -> tuple[str, ...]:
        """Conducts that must be observable."""
        return ()

    @property
    def dyads(self) -> tuple[str, ...]:
        """Those of `needs` that are `(B, actor, target)`; all others are `(B, N)`."""
        return ()

    @property
    def bounds(self) -> tuple[str, ...]:
        """Conducts that `permit` bounds; each must be limitable."""
        return ()

    @property
    def owns(self) -> tuple[str, ...]:
        """Access rights held exclusively; two owners of one right do not fit."""
        return ()

    @property
    def governs(self) -> tuple[str, ...]:
        """Addresses that `govern` writes, e.g. `("tax.rate",)`."""
        return ()

    @property
    def limits(self) -> Mapping[str, tuple[float, float]]:
        """Constitutional limits: address -> range that no government passes."""
        return {}

    @property
    def officials(self) -> Mapping[str, int]:
        """Groups of officials that it brings, with their sizes."""
        return {}

    @property
    def period(self) -> int | None:
        """Plays between two deliberations; None: only at the start of an episode."""
        return None

    @property
    def information(self) -> str:
        """Which information it uses, for the reports."""
        return ", ".join(self.needs) or "none"

    def lawful(self, charter: Charter) -> Mapping[str, tuple[float, float]]:
        """The ranges of `governable` in this society."""
        return self.governable

    def check(self, charter: Charter) -> None:
        """Raise `IncompatibleInstitution` where this institution does not fit."""

    def conducts(self, charter: Charter) -> Mapping[str, Conduct]:
        """Conducts that it appends."""
        return {}

    def actions(self, charter: Charter) -> list[Action]:
        """Action columns that it adds."""
        return []

    def signals(self, charter: Charter) -> list[Signal]:
        """Observation columns that it adds."""
        return []

    def initial(self, charter: Charter, rng: Streams) -> Any:
        """State at the start of an episode, for `rng.num_worlds` worlds."""
        return Stateless()

    # The five hooks in the order of the loop, then what is derived; only those defined are called.
    # `excluded`, `reward` and `announce` follow from what is there: they neither draw nor pay.

    def deliberate(self, state: Any, turn: Turn) -> Any:
        """Collect bids, votes, signatures; returns the new state."""
        return state

    def govern(self, state: Any, turn: Turn) -> Mapping[str, Array]:
        """Write other institutions' parameters: address -> value `(B, 1)`, NaN for 'leave'."""
        return {}

    def permit(self, state: Any, turn: Turn) -> Bounds:
        """Bound named conducts before the play: name -> lowest and highest, `(B, N)` or `(B, 1)`.

        Lowest equal to highest plays for the agent; infinite bounds leave it free.
        """
        return {}

    def settle(self, state: Any, turn: Turn) -> Any:
        """Judge conduct, post to the ledger, append conduct; returns the new state."""
        return state

    def excluded(self, state: Any) -> NDArray[np.bool_] | None:
        """Citizens who are not there for now, `(B, N)`: only null acts, no payments; None: nobody."""
        return None

    def reward(self, state: Any, utility: Array, turn: Turn) -> Mapping[str, Array]:
        """What its officials strive for beyond their wages: group -> `(B, n)`."""
        return {}

    def announce(self, state: Any, charter: Charter) -> Mapping[str, Array]:
        """Values of its observation columns, each `(B, n)`, `(B, 1)` or `(B, n, width)`."""
        return {}


def spread(value: Any, num_worlds: int) -> Array:
    """A parameter as a state field `(B, k)` that can be governed world by world."""
    array = np.asarray(value, dtype=np.float64)
    array = array.reshape(1, 1) if array.ndim == 0 else array
    if array.shape[0] not in (1, num_worlds):
        raise IncompatibleInstitution(
            f"a parameter per world has {array.shape[0]} values; allowed: 1 or {num_worlds} worlds"
        )
    return np.array(np.broadcast_to(array, (num_worlds, array.shape[1])))
