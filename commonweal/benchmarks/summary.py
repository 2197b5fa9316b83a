"""What a study found, cell by cell: interquartile means over replicates with 95% intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from commonweal import registry
from commonweal.benchmarks.runner import reference_path
from commonweal.benchmarks.statistics import Estimate, efficiency_estimate, estimate
from commonweal.benchmarks.store import Row, Store, read_json
from commonweal.benchmarks.suite import Cell
from commonweal.benchmarks.yardsticks import SWITCHED_OFF, restore
from commonweal.institutions.base import Institution
from commonweal.references import References

# A best response that gains more than this share of the gap marks a cell as not converged.
CONVERGED = 0.05


@dataclass(frozen=True)
class Summary:
    """One cell in numbers.

    Attributes:
        cell: which.
        replicates: how many.
        columns: by name: `welfare`; `efficiency`, whose interval holds the error of the references
            too; `equilibrium`, the same of the exact equilibrium of this very cell; `equality`,
            `final_stock`, `enforcement_cost`, `gain`, `gain_share`, …
        gain_method: `exact` or `trained` (a lower bound).
        information: what the institutions use, see `information`.
        references: of the dilemma; None where they are not known.
        record: the references as kept, with trajectories.
        reasons: why `references`, `corrective`, `equilibrium` or `gain` are not exact here, by name.
    """

    cell: Cell
    replicates: int
    columns: Mapping[str, Estimate]
    gain_method: str
    information: str
    references: References | None
    record: Mapping[str, Any] | None
    reasons: Mapping[str, str]

    @property
    def laissez_faire(self) -> bool:
        """Whether nothing is forbidden or paid."""
        return all(plain["id"] == "laissez-faire" for plain in self.cell.config["institutions"])

    @property
    def converged(self) -> bool | None:
        """Whether the gain of a best response is a small share of the gap; None: not known."""
        share = self.columns["gain_share"].value
        return None if np.isnan(share) else share <= CONVERGED


def summarise(store: Store) -> list[Summary]:
    """All finished cells of the study, in its order."""
    return [_summary(cell, store) for cell in store.cells()]


def _summary(cell: Cell, store: Store) -> Summary:
    rows = store.rows(cell, "results")
    dilemma = registry.dilemma_from(cell.config["dilemma"])
    kept = _kept(cell, reference_path(dilemma, store))
    record = kept if "reason" not in kept else None
    references = None if record is None else restore(record)
    numbers = [name for name, value in rows[0].items() if isinstance(value, float)]
    columns = {name: estimate(column(rows, name)) for name in numbers}
    if references is not None:
        columns["efficiency"] = efficiency_estimate(columns["welfare"], references)
        w, error = rows[0]["equilibrium_welfare"], rows[0]["equilibrium_error"]
        columns["equilibrium"] = efficiency_estimate(Estimate(w, w - error, w + error), references)
    stack = [registry.institution_from(plain) for plain in cell.config["institutions"]]
    reasons = {
        "references": kept.get("reason"),
        "corrective": kept.get("no_corrective"),
        "equilibrium": rows[0].get("no_equilibrium"),
        "gain": rows[0].get("no_exact_gain"),
    }
    told = {name: reason for name, reason in reasons.items() if reason}
    return Summary(
        cell, len(rows), columns, rows[0]["gain_method"], information(stack, cell), references, record, told
    )


def _kept(cell: Cell, path: Path) -> dict[str, Any]:
    """The record of the references, or the reason why there is none."""
    if not cell.config.get("references", True):
        return {"reason": SWITCHED_OFF}
    if not path.exists():
        return {"reason": "their record is missing; run the study again"}
    found: dict[str, Any] = read_json(path)
    return found


def column(rows: Sequence[Row], name: str) -> list[float]:
    """One number of every row; nan where it is missing."""
    return [float(row[name]) if row.get(name) is not None else float("nan") for row in rows]


def information(stack: Sequence[Institution], cell: Cell) -> str:
    """`none`, or what is seen: `oracle`, `noisy` or `exact` and the conduct's name."""
    conducts = cell.society(1).charter.conducts
    told = []
    for institution in stack:
        monitor = getattr(institution, "monitor", None)
        quality = "noisy" if monitor is not None and not monitor.perfect else "exact"
        for name in institution.needs:
            told.append(f"{'oracle' if conducts[name].oracle else quality}: {name}")
    return "; ".join(dict.fromkeys(told)) or "none"
