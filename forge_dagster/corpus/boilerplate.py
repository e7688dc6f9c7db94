"""Lines that repeat across the documents of a source: navigation, legal footers, letterheads."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from forge_dagster.corpus.packed import are_in, packed

FEWEST_DOCUMENTS = 10  # of a source; below this nothing counts as repeated
EDGE = 5  # lines that say something, at the head and foot of a document, where furniture stands
SHARE_AT_EDGE = 0.3  # of the documents: a short line at the edge is furniture from here
SHARE = 0.1  # of the documents: a long line is furniture wherever it stands
LONG = 40  # characters; shorter lines repeat for good reasons: headings, list items, options
BUCKETS = 1 << 20  # in which lines are counted: 8 MiB
DIGITS = re.compile(r"\d+")

Keys = npt.NDArray[np.uint64]
"""Hashes of lines."""


class LineKeys(NamedTuple):
    """The lines of one document that may be furniture, as distinct hashes of 8 bytes."""

    anywhere: bytes
    at_edge: bytes


def _masked(text: str) -> str:
    """A text without its numbers, so that page numbers and dates make no difference."""
    return DIGITS.sub("#", text)


def _hash(masked: str) -> int:
    return xxhash.xxh3_64_intdigest(masked.encode())


def _edges(lines: list[str]) -> set[int]:
    """Positions of the first and last EDGE lines that say something."""
    numbers = range(len(lines))
    first = islice((number for number in numbers if lines[number].strip()), EDGE)
    last = islice((number for number in reversed(numbers) if lines[number].strip()), EDGE)
    return {*first, *last}


def line_keys(text: str) -> LineKeys:
    """Keys of a document's long lines, and of those at its edges."""
    lines, masked = [line.strip() for line in text.split("\n")], _masked(text).split("\n")
    long = {masked[number].strip() for number, line in enumerate(lines) if len(line) >= LONG}
    edge = {masked[number].strip() for number in _edges(lines)}
    return LineKeys(*(np.array(sorted(map(_hash, keys)), dtype="<u8").tobytes() for keys in (long, edge)))


class Furniture(NamedTuple):
    """The repeated lines of a source, to be left out of its documents; sorted keys."""

    anywhere: Keys
    at_edge: Keys

    def found(self, anywhere: pa.Array, at_edge: pa.Array) -> list[bytes]:
        """Keys of the repeated lines that each document has, by its line keys; all that `left_out` depends on."""
        long, edge = _hits(anywhere, self.anywhere), _hits(at_edge, self.at_edge)
        return [first + b"/" + second if first or second else b"" for first, second in zip(long, edge, strict=True)]

    def left_out(self, text: str) -> tuple[str, int]:
        """The text without repeated lines, and how many there were. A title that opens a document stays, and so does
        the first line of one that has nothing else to say."""
        lines = text.split("\n")
        edges = _edges(lines)
        first = min(edges, default=0)
        stays = set(range(len(lines))) - self._positions(lines, _masked(text).split("\n"), edges)
        if _is_title(lines[first]) or not any(lines[number].strip() for number in stays):
            stays.add(first)
        return "\n".join(lines[number] for number in sorted(stays)), len(lines) - len(stays)

    def _positions(self, lines: list[str], masked: list[str], edges: set[int]) -> set[int]:
        """Positions of the lines that are furniture."""
        long = {number for number, line in enumerate(lines) if len(line.strip()) >= LONG}
        found: set[int] = set()
        for where, furniture in ((long, self.anywhere), (edges, self.at_edge)):
            numbers = list(where)
            keys = np.array([_hash(masked[number].strip()) for number in numbers], dtype=np.uint64)
            found.update(np.array(numbers, dtype=np.int64)[are_in(keys, furniture)].tolist())
        return found


def _is_title(line: str) -> bool:
    """Titles repeat for good reasons: a heading, or a line too short for a letterhead."""
    return line.startswith("#") or len(line.strip()) < LONG


def _hits(documents: pa.Array, furniture: Keys) -> list[bytes]:
    """Those of each document's keys that are furniture."""
    keys, sizes = packed(documents, "<u8")
    hit = are_in(keys, furniture)
    ends = 8 * np.concatenate([[0], np.cumsum(hit)])[np.concatenate([[0], np.cumsum(sizes)])]
    data = keys[hit].tobytes()
    return [data[start:end] for start, end in pairwise(ends.tolist())]


def furniture_of(batches: Sequence[pa.RecordBatch]) -> Furniture:
    """Lines that repeat too often to be what a document says, from columns `anywhere` and `at_edge` of line keys."""
    documents = sum(len(batch) - batch.column("anywhere").null_count for batch in batches)
    if documents < FEWEST_DOCUMENTS:
        return Furniture(np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.uint64))
    return Furniture(
        _frequent(batches, "anywhere", max(5, SHARE * documents)),
        _frequent(batches, "at_edge", max(5, SHARE_AT_EDGE * documents)),
    )


def _frequent(batches: Sequence[pa.RecordBatch], column: str, least: float) -> Keys:
    """Keys that so many documents have; counted in buckets first, so that memory does not grow with the documents."""
    buckets = np.zeros(BUCKETS, dtype=np.int64)
    for batch in batches:
        keys, _ = packed(batch.column(column), "<u8")
        buckets += np.bincount((keys % np.uint64(BUCKETS)).astype(np.int64), minlength=BUCKETS)
    counts: Counter[int] = Counter()
    for batch in batches:
        keys, _ = packed(batch.column(column), "<u8")
        found, times = np.unique(keys[buckets[keys % np.uint64(BUCKETS)] >= least], return_counts=True)
        counts.update(dict(zip(found.tolist(), times.tolist(), strict=True)))
    return np.array(sorted(key for key, times in counts.items() if times >= least), dtype=np.uint64)
