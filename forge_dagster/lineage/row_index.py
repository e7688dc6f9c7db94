"""Finds rows of large Parquet files by a column of text, without reading the files: a sorted index beside the store.

An index is made when a file is first asked, from that file alone, and named by the file's own SHA-256, so it is never
stale. It takes under 6 bytes a value: its row, 8 bits of its key, and where each bucket of equal first bits begins. A
row that is found is read, so what is left out costs a few rows more and never a wrong answer.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from forge_dagster.lineage.graph import Graph, Node

Keys = npt.NDArray[np.uint32]
DIGITS = 8  # of an id that are its key
IN_A_BUCKET = 8  # entries, on average; at most twice as many
HEX = re.compile("[0-9a-f]+")


def beginnings(values: Sequence[str]) -> Keys:
    """The first hexadecimal digits of each text as a number that sorts as they do. Raises ValueError on others."""
    digits = "".join(text[:DIGITS].ljust(DIGITS, "0") for text in values)
    return np.frombuffer(bytes.fromhex(digits), ">u4").astype("<u4")


def hashes(values: Sequence[str]) -> Keys:
    """A hash of each text."""
    return np.fromiter((xxhash.xxh3_64_intdigest(text.encode()) >> 32 for text in values), np.uint32, len(values))


class Entries:
    """An index as it lies in a file: number of bits, where each bucket begins, the rows, 8 further bits of each."""

    def __init__(self, data: npt.NDArray[np.uint8]) -> None:
        self.bits = int(data[:4].view("<u4")[0])
        ends = 4 + 4 * ((1 << self.bits) + 1)
        self.starts = data[4:ends].view("<u4")
        count = int(self.starts[-1])
        self.rows, self.middles = data[ends : ends + 4 * count].view("<u4"), data[ends + 4 * count :]

    @staticmethod
    def packed(keys: Keys, rows: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
        """The bytes of an index, from keys and their rows in any order."""
        bits = max((len(keys) // IN_A_BUCKET).bit_length() - 1, 0)
        order = np.lexsort((rows, keys))
        keys, rows = keys[order], rows[order]
        firsts = np.arange((1 << bits) + 1, dtype=np.uint64) << np.uint64(32 - bits)
        starts = np.searchsorted(keys.astype(np.uint64), firsts).astype("<u4")
        parts = [np.array([bits], "<u4"), starts, rows.astype("<u4")]
        return np.concatenate([*(part.view(np.uint8) for part in parts), _middle(keys, bits)])

    def between(self, low: int, high: int) -> list[int]:
        """Rows, in order, of all keys from `low` to `high`; perhaps of a few others near them."""
        first, last = low >> (32 - self.bits), high >> (32 - self.bits)
        inside = slice(int(self.starts[first]), int(self.starts[last + 1]))
        rows = self.rows[inside]
        if first == last:
            ends = _middle(np.array([low, high], np.uint32), self.bits)
            middles = self.middles[inside]
            rows = rows[(middles >= ends[0]) & (middles <= ends[1])]
        return sorted(set(rows.tolist()))


def _middle(keys: Keys, bits: int) -> npt.NDArray[np.uint8]:
    """The 8 bits of each key behind those of its bucket."""
    return ((keys.astype(np.uint64) << np.uint64(bits)) >> np.uint64(24)).astype(np.uint8)


class RowIndex:
    """Indexes of the files of a graph's artifacts, kept in a folder."""

    def __init__(self, graph: Graph, folder: Path) -> None:
        self.graph, self.folder = graph, folder
        self._open = cache(pq.ParquetFile)
        self._starts = cache(_starts)

    def rows(self, node: Node, name: str, column: str, value: str, columns: Sequence[str]) -> list[dict[str, Any]]:
        """Rows of a content file whose `column` (text, or a list of texts) holds `value`; each has its number `row`."""
        keys = hashes if column == "path" else beginnings
        if keys is beginnings and not HEX.fullmatch(value[:DIGITS]):
            return []
        key = int(keys([value])[0])
        numbers = self._entries(node, name, column, keys).between(key, key)
        found = self._read(self.graph.content(node) / name, numbers, [column, *columns])
        return [row for row in found if value == row[column] or (type(row[column]) is list and value in row[column])]

    def beginning_with(self, node: Node, name: str, column: str, text: str, most: int) -> set[str]:
        """At most `most` different values of a column of ids that begin with `text`."""
        if not HEX.fullmatch(text[:DIGITS]):
            return set()
        low, high = (int(text[:DIGITS].ljust(DIGITS, digit), 16) for digit in "0f")
        numbers = self._entries(node, name, column, beginnings).between(low, high)
        found: set[str] = set()
        for row in self._read(self.graph.content(node) / name, numbers, [column]):
            found |= {row[column]} if (row[column] or "").startswith(text) else set()
            if len(found) >= most:
                break
        return found

    def array(self, node: Node, name: str, of: str, make: Callable[[Path], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """What `make` takes from a content file, mapped from the folder once it was made."""
        digest = self.graph.records[node][0].files[name].sha256
        path = self.folder / f"{digest}-{of}.npy"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            scratch = path.with_suffix(f".{os.getpid()}.tmp")
            with scratch.open("wb") as file:
                np.save(file, make(self.graph.content(node) / name))
            scratch.replace(path)
        return np.load(path, mmap_mode="r")

    def _entries(self, node: Node, name: str, column: str, keys: Callable[[Sequence[str]], Keys]) -> Entries:
        return Entries(self.array(node, name, f"{column}-buckets", lambda path: _indexed(path, column, keys)))

    def _read(self, path: Path, numbers: Sequence[int], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Rows by number, in order; of a row group only these columns are read."""
        if not numbers:
            return
        file, starts = self._open(path), self._starts(path)
        groups = np.searchsorted(starts, numbers, side="right") - 1
        for group in dict.fromkeys(groups.tolist()):
            inside = [number for number, of in zip(numbers, groups, strict=True) if of == group]
            table = file.read_row_group(group, columns=list(dict.fromkeys(columns)))
            taken = table.take(pa.array([number - starts[group] for number in inside])).to_pylist()
            yield from ({**row, "row": number} for number, row in zip(inside, taken, strict=True))


def _starts(path: Path) -> npt.NDArray[np.int64]:
    meta = pq.read_metadata(path)
    return np.cumsum([0, *(meta.row_group(group).num_rows for group in range(meta.num_row_groups))])[:-1]


def _indexed(path: Path, column: str, keys: Callable[[Sequence[str]], Keys]) -> npt.NDArray[np.uint8]:
    """The index of a column, read a row group at a time."""
    found, owned, at = [np.zeros(0, np.uint32)], [np.zeros(0, np.uint32)], 0
    file = pq.ParquetFile(path)
    for batch in _columns(file, column):
        texts, owners = batch, np.arange(len(batch))
        if pa.types.is_list(batch.type):
            texts, owners = pc.list_flatten(batch), pc.list_parent_indices(batch).to_numpy()
        found.append(keys([text or "" for text in texts.to_pylist()]))
        owned.append((owners + at).astype(np.uint32))
        at += len(batch)
    return Entries.packed(np.concatenate(found), np.concatenate(owned))


def _columns(file: pq.ParquetFile, column: str) -> Iterable[pa.Array]:
    for batch in file.iter_batches(columns=[column]):
        yield batch.column(0)
