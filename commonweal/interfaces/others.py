"""The agents that a face of one group, or of one learner, does not show: they act by given policies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from commonweal.agents.base import Policies
from commonweal.errors import InvalidAction, UnknownName, require
from commonweal.society import Society
from commonweal.transition import copied

Array = NDArray[np.float64]
# Observation `(B, n, D)` and mask `(B, n, M)` or None of a group -> action columns `(B, n, C)`.
GroupPolicy = Callable[[NDArray[np.float32], NDArray[np.bool_] | None], Array]
Others = Policies | Mapping[str, GroupPolicy] | None


class OtherAgents:
    """Asks the given policies for the actions of the groups that the learner does not control.

    Args:
        society: whose groups they are.
        policies: an object with `act(observation, mask)`, or a function for each group by name. One
            that draws should have `reseed(seed)`: it is told the seed of each reset that has one.
        needed: groups that must be answered for.

    Raises:
        InvalidParameter: nobody acts for a needed group.
        UnknownName: a policy for a group that does not exist; names the nearest.
    """

    def __init__(self, society: Society, policies: Others, needed: list[str]) -> None:
        self.society = society
        self.needed = needed
        self.policies = policies
        if isinstance(policies, Mapping):
            for name, policy in policies.items():
                if name not in society.groups:
                    raise UnknownName("group", name, society.groups)
                require(callable(policy), f"policy of {name}", policy, "a function of observation and mask")
        else:
            acts = policies is None or hasattr(policies, "act")
            require(
                acts, "policies", policies, "an object with act(observation, mask), or functions by group"
            )
        given: list[str] = (
            list(policies) if isinstance(policies, Mapping) else needed if policies is not None else []
        )
        lacking = [name for name in needed if name not in given]
        require(not lacking, "policies", given, f"a policy for each of {needed}; {lacking} lack one")

    def reseed(self, seed: int | None) -> None:
        """Tell the seed of a reset to the policies that draw (`reseed(seed)`), so that episodes repeat."""
        policies: Iterable[object] = [self.policies]
        if isinstance(self.policies, Mapping):
            policies = self.policies.values()
        for policy in policies:
            if seed is not None and hasattr(policy, "reseed"):
                policy.reseed(seed)

    def act(self) -> dict[str, Array]:
        """Action columns of the needed groups, from what the society shows now.

        Raises:
            InvalidAction: a policy answers with something else than `(B, n, C)`.
        """
        if not self.needed or self.policies is None:
            return {}
        # Copies: what a policy writes into them, nobody else sees and no step enforces.
        observation = copied(self.society.observation)
        mask = self.society.mask and copied(self.society.mask)
        if isinstance(self.policies, Mapping):
            given = {
                name: self.policies[name](observation[name], mask[name] if mask else None)
                for name in self.needed
            }
        else:
            given = dict(self.policies.act(observation, mask))
        return {name: self._columns(name, given.get(name)) for name in self.needed}

    def _columns(self, name: str, given: object) -> Array:
        group = self.society.groups[name]
        shape = (self.society.num_worlds, group.size, len(group.actions))
        try:
            array = np.asarray(given, np.float64)
        except (TypeError, ValueError):
            array = np.empty(0)
        if array.shape != shape:
            raise InvalidAction(f"the policy of {name} answers {given!r}; allowed: numbers of shape {shape}")
        return array


def learning_group(society: Society, group: str | None) -> str:
    """The group that learns: the only one of the citizens unless named.

    Raises:
        InvalidParameter: there are several groups of citizens and none was named.
    """
    citizens = [name for name, group_ in society.groups.items() if group_.citizens]
    if group is None:
        require(len(citizens) == 1, "group", group, f"one of {list(society.groups)}")
        return citizens[0]
    if not isinstance(group, str) or group not in society.groups:
        raise UnknownName("group", group, society.groups)
    return group
