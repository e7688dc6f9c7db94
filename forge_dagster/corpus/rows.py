"""Writing rows to Parquet as they come: a row group is written when it is full, so memory stays bounded."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

MOST_ROWS = 4096  # a row group
MOST_BYTES = 64 << 20  # of payload a row group, unless one row alone is larger


class RowWriter:
    """A Parquet file (zstd) that takes one row at a time; a file without rows still has its schema."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.rows = 0
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._held: list[dict[str, Any]] = []
        self._bytes = 0

    def add(self, row: dict[str, Any], size: int = 0) -> None:
        """Take one row whose payload is `size` bytes."""
        if self._held and (len(self._held) >= MOST_ROWS or self._bytes + size > MOST_BYTES):
            self._flush()
        self._held.append(row)
        self._bytes += size
        self.rows += 1

    def write(self, table: pa.Table) -> None:
        """Take a table that has every column of the schema, as one row group; no rows, no group."""
        if len(table):
            self._writer.write_table(table.select(self._schema.names).cast(self._schema), row_group_size=len(table))
            self.rows += len(table)

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._held, self._schema))
        self._held, self._bytes = [], 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._held:
                self._flush()
        finally:
            self._writer.close()
