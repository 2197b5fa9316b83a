"""The folder of a study: plain files, each written whole, readable after any crash.

```
config.json        the suite as it was run
provenance.json    versions, seeds, commit, platform
references/        one JSON file per dilemma: yardsticks with errors, and their trajectories
cells/<label>-<hash>/
    config.json    everything that decides the result
    checkpoint.npz the learner (`PPO.resume` goes on from it, `np.load` shows it)
    curves.parquet, series.parquet, flows.parquet, results.parquet
    done           written last; a cell without it is run again, from its checkpoint
results.parquet    one row per replicate of every finished cell
report.html
```
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from commonweal.benchmarks.suite import Cell
from commonweal.errors import StorageError
from commonweal.extras import extra
from commonweal.storage import sweep, write_atomically, write_text

with extra():
    import pyarrow as pa
    import pyarrow.parquet as pq

Row = dict[str, Any]
TABLES = ("results", "curves", "series", "flows")
PACKAGES = (
    "commonweal", "numpy", "scipy", "torch", "pettingzoo", "gymnasium", "numba", "pyarrow", "matplotlib",
)  # fmt: skip


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        StorageError: there is no such file, or it is damaged.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read {path}: {error}") from error


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as Parquet with checksums, atomically."""
    table = pa.Table.from_pylist(list(rows))
    write_atomically(path, lambda file: pq.write_table(table, file, write_page_checksum=True))


def read_rows(path: Path) -> list[Row]:
    """Rows of a Parquet file.

    Raises:
        StorageError: there is no such file, or it is damaged.
    """
    try:
        with path.open("rb") as file:  # Arrow would read names of folders as addresses and as columns
            rows: list[Row] = pq.read_table(file, page_checksum_verification=True).to_pylist()
        return rows
    except (OSError, ValueError, pa.ArrowException) as error:
        raise StorageError(f"cannot read {path}: {error}") from error


def finished(folder: Path) -> bool:
    """Whether a cell is done and its tables can be read."""
    try:
        return (folder / "done").exists() and all(read_rows(folder / f"{name}.parquet") for name in TABLES)
    except StorageError:
        return False


class Store:
    """One study's folder."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def start(self, config: Mapping[str, Any]) -> None:
        """Write what is run and by what.

        Raises:
            StorageError: the folder cannot be written.
        """
        for folder in (self.folder, self.folder / "references"):
            sweep(folder)
        write_json(self.folder / "config.json", config)
        write_json(self.folder / "provenance.json", provenance(config))

    @property
    def config(self) -> dict[str, Any]:
        """What `start` wrote."""
        found: dict[str, Any] = read_json(self.folder / "config.json")
        return found

    def folder_of(self, cell: Cell) -> Path:
        """The cell's own folder."""
        return self.folder / "cells" / cell.folder

    def finished(self, cell: Cell) -> bool:
        """Whether all files of the cell are there and can be read; else it is run again."""
        return finished(self.folder_of(cell))

    def cells(self) -> list[Cell]:
        """The finished cells of the study as configured last, in its order."""
        try:
            planned = [Cell(**plain) for plain in self.config["cells"]]
        except (KeyError, TypeError) as error:
            raise StorageError(f"{self.folder / 'config.json'} describes no study: {error}") from error
        return [cell for cell in planned if self.finished(cell)]

    def rows(self, cell: Cell, name: str) -> list[Row]:
        """Rows of one of the cell's tables: `results`, `curves`, `series`, `flows`."""
        return read_rows(self.folder_of(cell) / f"{name}.parquet")

    def gather(self) -> list[Row]:
        """Write and return the results of all finished cells."""
        rows = [row for cell in self.cells() for row in self.rows(cell, "results")]
        if rows:
            write_rows(self.folder / "results.parquet", rows)
        return rows


def provenance(config: Mapping[str, Any]) -> dict[str, Any]:
    """Versions, seed, commit and platform."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "python": sys.version.split()[0],
        "versions": versions,
        "platform": platform.platform(),
        "processor": platform.machine(),
        "seed": config.get("study", {}).get("seed"),
        "commit": _commit(),
    }


def _commit() -> str | None:
    """The commit of the package's own checkout, with a mark where files have changed since."""
    package = Path(__file__).resolve().parents[2]
    if not (package / ".git").exists():
        return None
    # Not `git describe --dirty`, which locks the index and may write it anew.
    status = ["--no-optional-locks", "-C", str(package), "status", "--porcelain=v2", "--branch", "-uno"]
    try:
        told = subprocess.run(
            ["git", *status], capture_output=True, encoding="utf-8", errors="replace", timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = told.stdout.splitlines()
    head = next(line.split()[2] for line in lines if line.startswith("# branch.oid "))
    return f"{head}-dirty" if any(not line.startswith("#") for line in lines) else head
