"""Rows that a stage computed before, kept by key from one version of an artifact to the next.

One generation is one Arrow file, memory-mapped. A run takes rows from the last generation and writes the next one,
which holds this run's rows and no others: what left the source leaves the cache. A row depends on its key and on
the cache's version alone, so an artifact comes out the same, byte for byte, with a cache or without.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import xxhash

CHUNK = 1 << 22  # bytes read at once

Piece = int | dict[str, Any]
"""A row: its number in the last generation, or its values."""


class Generation:
    """The rows of the last run, found by the value of the first column."""

    def __init__(self, folder: Path, version: str, schema: pa.Schema) -> None:
        self.schema = schema
        self._folder = folder
        described = f"{version}\n{schema.to_string()}"
        self._name = xxhash.xxh3_64_hexdigest(described.encode())
        self._batches = _last(folder, self._name)
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)])
        self._keys: list[str] = [key for batch in self._batches for key in batch.column(0).to_pylist()]
        self._first = dict(zip(reversed(self._keys), reversed(range(len(self._keys))), strict=True))

    def rows_of(self, key: str) -> range:
        """Numbers of the first rows with this key that lie side by side; an empty range if there is none."""
        first = end = self._first.get(key, len(self._keys)) if key else len(self._keys)
        while end < len(self._keys) and self._keys[end] == key:
            end += 1
        return range(first, end)

    def row_of(self, key: str) -> int | None:
        """Number of the first row with this key, if there is one."""
        return self._first.get(key) if key else None

    def column(self, name: str) -> list[Any]:
        """One column of the last generation, by row number."""
        return [value for batch in self._batches for value in batch.column(name).to_pylist()]

    def table(self, pieces: Sequence[Piece]) -> pa.Table:
        """The rows in this order, as one chunk a column, so that files written from them are the same bytes."""
        fresh = pa.RecordBatch.from_pylist([piece for piece in pieces if not isinstance(piece, int)], self.schema)
        numbers = np.array([piece if isinstance(piece, int) else -1 for piece in pieces], dtype=np.int64)
        found = np.searchsorted(self._starts, numbers, side="right") - 1
        place = np.where(numbers < 0, np.cumsum(numbers < 0) - 1, numbers - self._starts[found])
        begins = np.flatnonzero(np.append(True, (np.diff(found) != 0) | (np.diff(place) != 1))[: len(pieces)])
        runs = [
            (self._batches[found[begin]] if found[begin] >= 0 else fresh).slice(place[begin], end - begin)
            for begin, end in pairwise([*begins.tolist(), len(pieces)])
        ]
        return pa.Table.from_batches(runs, self.schema).combine_chunks()


class RowCache(Generation):
    """The last generation to take rows from, and the next one in the making."""

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._staged = self._folder / "next"
        self._file = pa.OSFile(str(self._staged), "wb")
        self._writer = pa.ipc.new_file(self._file, self.schema)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cache")
        self._writing: Future[None] | None = None
        return self

    def keep(self, table: pa.Table) -> None:
        """Add rows to the next generation; they are written beside the making of the next ones."""
        self._wait()
        self._writing = self._thread.submit(self._writer.write_table, table)

    def _wait(self) -> None:
        """Let the rows in the making be written. Raises what went wrong with them."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._wait()
        finally:
            self._thread.shutdown()
            self._writer.close()
            self._file.close()
        if kind is not None:
            self._staged.unlink(missing_ok=True)
            return
        self._path = self._folder / f"{self._name}-{_checksum(self._staged)}.arrow"
        self._staged.replace(self._path)
        for other in self._folder.iterdir():
            if other != self._path:
                other.unlink()

    def written(self) -> list[pa.RecordBatch]:
        """What this run kept, once the cache is closed; batches as they were kept."""
        return _mapped(self._path)


def _last(folder: Path, name: str) -> list[pa.RecordBatch]:
    """Record batches of the last generation, mapped; none if there is none, or not one byte of it may be trusted."""
    for path in folder.glob(f"{name}-*.arrow"):
        if path.name == f"{name}-{_checksum(path)}.arrow":
            return _mapped(path)
    return []


def _mapped(path: Path) -> list[pa.RecordBatch]:
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    return [reader.get_batch(number) for number in range(reader.num_record_batches)]


def _checksum(path: Path) -> str:
    state = xxhash.xxh3_128()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            state.update(piece)
    return state.hexdigest()
