"""How a stack is founded: whether its parts fit, and which parameters may be written by whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Dilemma
from commonweal.errors import IncompatibleInstitution, UnknownName, require_name
from commonweal.institutions.base import Charter, Institution
from commonweal.parameters import Parameters
from commonweal.random import Streams
from commonweal.spaces import Conduct
from commonweal.state import take
from commonweal.typed import LONGEST_TEXT

Array = NDArray[np.float64]


class Constitution:
    """Checks a stack of institutions on a dilemma and writes governed parameters within limits."""

    def __init__(self, dilemma: Dilemma, institutions: Sequence[Institution], num_worlds: int) -> None:
        self.dilemma = dilemma
        by_name: dict[str, Institution] = {}
        officials: dict[str, int] = {}
        for inst in institutions:
            if "." in inst.address:
                raise IncompatibleInstitution(
                    f"{type(inst).__name__} is named {inst.address!r}; allowed: a name without a dot"
                )
            if inst.address in by_name or inst.address in ("dilemma", "society", "stage"):
                raise IncompatibleInstitution(
                    f"two parts of this society are named {inst.address!r}; give one another name"
                )
            by_name[inst.address] = inst
            for group, size in inst.officials.items():
                if group in dilemma.groups or group in officials:
                    raise IncompatibleInstitution(
                        f"{inst.address} brings officials named {group!r}, as a group is named already; "
                        f"allowed: another name than {', '.join([*dilemma.groups, *officials])}"
                    )
                officials[group] = size
        conducts: dict[str, Conduct] = dict(dilemma.conducts)
        charter = Charter(
            num_worlds,
            dilemma.groups,
            officials,
            conducts,
            by_name,
            float(dilemma.discount),  # type: ignore[attr-defined]
        )
        rights: dict[str, str] = {}
        for inst in institutions:
            self._fit(inst, charter, rights)
            for name, conduct in inst.conducts(charter).items():
                require_name(f"a conduct of {inst.address}", name, LONGEST_TEXT)
                if name in conducts or name == "harm":
                    raise IncompatibleInstitution(
                        f"{inst.address} appends the conduct {name!r}, which is shown already; "
                        "give the institution another name"
                    )
                conducts[name] = conduct
        self.charter = charter
        self._ranges = self._governable(institutions)
        for inst in institutions:
            inst.check(charter)
        self.needs_harm = any("harm" in inst.needs for inst in institutions)
        self._check_worlds(dilemma, num_worlds, type(dilemma).__name__)
        for inst in institutions:
            self._check_worlds(inst, num_worlds, type(inst).__name__)
        # By name, not by identity: a society may be copied or sent to another process.
        parts = {"dilemma": dilemma, **by_name}
        self._per_world = {name: self._has_worlds(part, num_worlds) for name, part in parts.items()}

    def _fit(self, inst: Institution, charter: Charter, rights: dict[str, str]) -> None:
        """Raise `IncompatibleInstitution` unless what `inst` needs is there."""
        who = type(inst).__name__
        for name in (*inst.needs, *inst.bounds):
            if name not in charter.conducts:
                raise IncompatibleInstitution(
                    f"{who} needs the conduct {name!r}, which {self.dilemma.id} does not show; "
                    f"allowed: {', '.join(charter.conducts) or 'none'}"
                )
        for name in inst.needs:
            if charter.conducts[name].dyadic != (name in inst.dyads):
                fitting = [n for n, c in charter.conducts.items() if c.dyadic == (name in inst.dyads)]
                raise IncompatibleInstitution(
                    f"{who} needs {'dyadic' if name in inst.dyads else '(B, N)'} conduct, and {name!r} "
                    f"of {self.dilemma.id} is not; allowed: {', '.join(fitting) or 'none'}"
                )
        for name in inst.bounds:
            if not charter.conducts[name].limitable:
                limitable = [n for n, c in charter.conducts.items() if c.limitable]
                raise IncompatibleInstitution(
                    f"{who} bounds {name!r}, which cannot be limited in {self.dilemma.id}; "
                    f"allowed: {', '.join(limitable) or 'none'}"
                )
        for right in inst.owns:
            if right in rights:
                raise IncompatibleInstitution(
                    f"{who} and {rights[right]} both own the access right {right!r}; allowed: one"
                )
            rights[right] = who

    def _governable(self, institutions: Sequence[Institution]) -> dict[str, tuple[float, float]]:
        """Lawful range of every governable address: its own, within all constitutional limits."""
        ranges = {
            f"{inst.address}.{parameter}": bounds
            for inst in institutions
            for parameter, bounds in inst.lawful(self.charter).items()
        }
        governors: dict[str, str] = {}
        for inst in institutions:
            for address in (*inst.governs, *inst.limits):
                if address not in ranges:
                    raise IncompatibleInstitution(
                        str(UnknownName(f"parameter governed by {inst.address}", address, ranges))
                    )
            for address in inst.governs:  # the later would undo what the earlier has decided
                if address in governors:
                    raise IncompatibleInstitution(
                        f"{governors[address]} and {inst.address} both govern {address!r}; allowed: one"
                    )
                governors[address] = inst.address
            for address, (low, high) in inst.limits.items():
                own = ranges[address]
                ranges[address] = (max(low, own[0]), min(high, own[1]))
                if ranges[address][0] > ranges[address][1]:
                    raise IncompatibleInstitution(
                        f"{inst.address} limits {address} to {(low, high)}; allowed: within {own}"
                    )
        return ranges

    @staticmethod
    def _has_worlds(part: Parameters, num_worlds: int) -> bool:
        return any(value.shape[0] == num_worlds > 1 for _, value in part.arrays())

    def _check_worlds(self, part: Parameters, num_worlds: int, who: str) -> None:
        agents = self.charter.num_citizens
        for name, value in part.arrays():
            if value.shape[0] not in (1, num_worlds) or value.shape[1] not in (1, agents):
                raise IncompatibleInstitution(
                    f"{who}.{name} has shape {value.shape}; "
                    f"allowed: (1 or {num_worlds} worlds, 1 or {agents} agents)"
                )

    def initial_dilemma(self, rng: Streams, index: NDArray[np.intp]) -> Any:
        """Fresh dilemma states of the worlds `index`."""
        if self._per_world["dilemma"]:
            # Parameters per world have the full batch axis: draw for all, keep those asked for.
            return take(self.dilemma.initial(rng), index)
        return self.dilemma.initial(rng.take(index))

    def initial_institution(self, inst: Institution, rng: Streams, index: NDArray[np.intp]) -> Any:
        """Fresh states of `inst` in the worlds `index`, within constitutional limits."""
        if self._per_world[inst.address]:
            state = take(inst.initial(self.charter, rng), index)
        else:
            state = inst.initial(self.charter, rng.take(index))
        for parameter in inst.governable:
            low, high = self._ranges[f"{inst.address}.{parameter}"]
            setattr(state, parameter, np.clip(getattr(state, parameter), low, high))
        return state

    def write(
        self,
        states: dict[str, Any],
        writes: Mapping[str, Array],
        where: NDArray[np.bool_] | None,
    ) -> None:
        """Put governed parameters into `states`; NaN leaves a world's as it is; limits clamp last."""
        for address, value in writes.items():
            owner, _, parameter = address.partition(".")
            old = getattr(states[owner], parameter)
            low, high = self._ranges[address]
            keep = np.isnan(value) if where is None else np.isnan(value) | ~where[:, None]
            new = np.where(keep, old, np.clip(value, low, high))
            states[owner] = replace(states[owner], **{parameter: new})
