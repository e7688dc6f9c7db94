"""What became of each document at a hop: kept, dropped by a rule, or quarantined for a reason; it adds up."""

from collections import Counter
from pathlib import Path

import pyarrow as pa

from forge_dagster.corpus.rows import RowWriter

DISPOSITIONS = pa.schema(
    [("path", pa.string()), ("id", pa.string()), ("disposition", pa.string()), ("reason", pa.string())]
)
KINDS = ("kept", "dropped", "quarantined")


class Tally:
    """How many rows each disposition has, and how many each rule or reason took; a reason's detail is left out."""

    def __init__(self) -> None:
        self._kinds: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()

    def add(self, table: pa.Table) -> None:
        """Count the rows of a table by disposition and reason."""
        alike = table.group_by(["disposition", "reason"]).aggregate([([], "count_all")])
        for disposition, reason, count in zip(*(column.to_pylist() for column in alike.columns), strict=True):
            assert disposition in KINDS, disposition
            self._kinds[disposition] += count
            if reason:
                self._reasons[f"{disposition}/{reason.split(':')[0]}"] += count

    @property
    def counts(self) -> dict[str, int]:
        """Counts for a Report."""
        return {kind: self._kinds[kind] for kind in KINDS} | dict(sorted(self._reasons.items()))


class DispositionWriter(RowWriter):
    """A dispositions table, one line for everything that came in, and its tally."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, DISPOSITIONS)
        self.tally = Tally()

    def note(self, table: pa.Table) -> None:
        """Write a table of path, id, disposition and reason."""
        self.write(table)
        self.tally.add(table)
