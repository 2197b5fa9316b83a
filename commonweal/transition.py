"""What a step of a society returns, and what worlds remember from step to step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonweal.ledger import Ledger

Array = NDArray[np.float64]
Bool = NDArray[np.bool_]


@dataclass
class Transition:
    """What a step returns. `B` worlds, `n` agents of a group, `N` citizens, `A` agents.

    Attributes:
        observation: by group, `(B, n, D)` float32, already of the next episode where one ended.
        reward: by group, `(B, n)`.
        terminated: the dilemma ended the episode, `(B,)`.
        truncated: a limit of plays or of steps ended it, `(B,)`; the learner bootstraps.
        discount: what multiplies the future, `(B,)`: the discount after a play, 1 in other stages.
        played: worlds in which the dilemma was played, not only talked about, `(B,)`.
        final_observation: by group, the observation before the reset; None while no world ended.
        mask: by group, allowed options `(B, n, M)` bool (see `Group.mask_size`); None: all allowed.
        conduct: what was observably done, by name.
        money: what the dilemma paid, `(B, N)`.
        ledger: the payments of the step.
        welfare: W of the step, `(B,)`: the citizens' utilities, with the weighted treasury flow and what
            officials gain beyond their time, and the surplus of those outside.
    """

    observation: dict[str, NDArray[np.float32]]
    reward: dict[str, Array]
    terminated: Bool
    truncated: Bool
    discount: Array
    played: Bool
    final_observation: dict[str, NDArray[np.float32]] | None
    mask: dict[str, Bool] | None
    conduct: dict[str, Array]
    money: Array
    ledger: Ledger
    welfare: Array

    @property
    def done(self) -> Bool:
        """`(B,)`: the episode ended."""
        return self.terminated | self.truncated


@dataclass
class Memory:
    """Everything that changes from step to step and belongs to a world.

    `plays` counts those of the episode, `steps` too where they are limited. Where utility is not linear in
    money, `purse (B, N)` is what each citizen has got in the round so far, from the dilemma and in payments,
    and `public (B,)` what treasury and officials have.
    """

    stage: NDArray[np.int64]
    steps: NDArray[np.int64]
    plays: NDArray[np.int64]
    ending: Bool
    wealth: Array
    purse: Array
    public: Array
    treasury: Array
    episode: NDArray[np.int64]

    def copy(self) -> Memory:
        """Another memory of the same arrays."""
        other = object.__new__(Memory)
        other.__dict__.update(self.__dict__)
        return other


def copied(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Copies of arrays, by name."""
    return {name: array.copy() for name, array in arrays.items()}
