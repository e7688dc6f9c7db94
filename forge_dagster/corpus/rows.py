"""Writing rows to Parquet as they come: a row group is written when it is full, so memory stays bounded."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

MOST_ROWS = 4096  # a row group
MOST_BYTES = 64 << 20  # of payload a row group, unless one row alone is larger


def text_bytes(path: Path) -> int:
    """Bytes of the column `text` of a Parquet file before compression, by its footer alone."""
    file = pq.ParquetFile(path)
    column = file.schema_arrow.get_field_index("text")
    groups = (file.metadata.row_group(number) for number in range(file.num_row_groups))
    return sum(group.column(column).total_uncompressed_size for group in groups)


class RowWriter:
    """A Parquet file (zstd) that takes one row at a time; a file without rows still has its schema.

    A row group is compressed beside the making of the next one.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.rows = 0
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="parquet")
        self._writing: Future[None] | None = None
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
            self._write(table.select(self._schema.names).cast(self._schema))
            self.rows += len(table)

    def _flush(self) -> None:
        self._write(pa.Table.from_pylist(self._held, self._schema))
        self._held, self._bytes = [], 0

    def _write(self, group: pa.Table) -> None:
        self._wait()
        self._writing = self._thread.submit(self._writer.write_table, group, row_group_size=len(group))

    def _wait(self) -> None:
        """Let the row group in the making be done. Raises what went wrong with it."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._held:
                self._flush()
            self._wait()
        finally:
            self._thread.shutdown()
            self._writer.close()
