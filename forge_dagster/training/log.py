"""The log of a training: one JSON line a step, continued after an interruption; as CSV for DVC and spreadsheets."""

import csv
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forge_dagster.provenance.files import write_atomically

Row = Mapping[str, Any]
"""One step: numbers by name, and under `router` a list of layers. What was not measured is not there."""


class Log:
    """Rows in a JSONL file, synced at checkpoints."""

    def __init__(self, path: Path, *, steps_done: int) -> None:
        """Open `path` and keep the rows of its first `steps_done` steps; those after them are taken again."""
        kept = [row for row in read(path) if row["step"] < steps_done] if path.is_file() else []
        write_atomically(path, "".join(_line(row) for row in kept).encode())
        self.path = path
        self._file = path.open("a", encoding="utf-8", buffering=1)  # whole lines, also of a training that diverges

    def add(self, row: Row) -> None:
        self._file.write(_line(row))

    def sync(self) -> None:
        """Bring all rows to the disk; a checkpoint never outlives the log of its steps."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _line(row: Row) -> str:
    return json.dumps(row, allow_nan=False) + "\n"


def read(path: Path) -> list[dict[str, Any]]:
    """Read the whole rows of a log; a row torn by a crash ends it."""
    rows: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        rows.append(json.loads(line))
    return rows


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write the figures of a log as a table, empty where a step has none."""
    names = list(dict.fromkeys(name for row in rows for name in row if name != "router"))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def write_router_csv(rows: Sequence[Row], path: Path) -> None:
    """Write what the routers did as a table of step, layer, entropy, dropped part and the share of each expert."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        for row in rows:
            for number, layer in enumerate(row.get("router", [])):
                if not file.tell():
                    shares = [f"expert_{expert}" for expert in range(len(layer["shares"]))]
                    writer.writerow(["step", "layer", "entropy", "dropped", *shares])
                writer.writerow([row["step"], number, layer["entropy"], layer["dropped"], *layer["shares"]])
