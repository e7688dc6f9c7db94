"""Lines that repeat across the documents of a source: navigation, legal footers, letterheads."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

FEWEST_DOCUMENTS = 10  # of a source; below this nothing counts as repeated
EDGE = 5  # lines that say something, at the head and foot of a document, where furniture stands
SHARE_AT_EDGE = 0.3  # of the documents: a short line at the edge is furniture from here
SHARE = 0.1  # of the documents: a long line is furniture wherever it stands
LONG = 40  # characters; shorter lines repeat for good reasons: headings, list items, options
DIGITS = re.compile(r"\d+")

Keys = npt.NDArray[np.uint64]
"""Hashes of lines."""


class LineKeys(NamedTuple):
    """The lines of one document that may be furniture, as distinct hashes of 8 bytes."""

    anywhere: bytes
    at_edge: bytes


def _key(line: str) -> int:
    """Hash of a line without its numbers, so that page numbers and dates make no difference."""
    return xxhash.xxh3_64_intdigest(DIGITS.sub("#", line.strip()).encode())


def _edges(lines: list[str]) -> set[int]:
    """Positions of the first and last EDGE lines that say something."""
    said = [number for number, line in enumerate(lines) if line.strip()]
    return {*said[:EDGE], *said[-EDGE:]}


def line_keys(text: str) -> LineKeys:
    """Keys of a document's long lines, and of those at its edges."""
    lines = text.split("\n")
    long = {_key(line) for line in lines if len(line.strip()) >= LONG}
    edge = {_key(lines[number]) for number in _edges(lines)}
    return LineKeys(*(np.array(sorted(keys), dtype="<u8").tobytes() for keys in (long, edge)))


class Furniture(NamedTuple):
    """The repeated lines of a source, to be left out of its documents; sorted keys."""

    anywhere: Keys
    at_edge: Keys

    def found(self, anywhere: Sequence[bytes], at_edge: Sequence[bytes]) -> list[bytes]:
        """Keys of the repeated lines that each document has, by its line keys; all that `left_out` depends on."""
        long, edge = _hits(anywhere, self.anywhere), _hits(at_edge, self.at_edge)
        return [first + b"/" + second if first or second else b"" for first, second in zip(long, edge, strict=True)]

    def left_out(self, text: str) -> tuple[str, int]:
        """The text without repeated lines, and how many there were. A title that opens a document stays, and so does
        the first line of one that has nothing else to say."""
        lines = text.split("\n")
        edges = _edges(lines)
        first = min(edges, default=0)
        stays = {number for number, line in enumerate(lines) if not self._is_one(line, number in edges)}
        if _is_title(lines[first]) or not any(lines[number].strip() for number in stays):
            stays.add(first)
        return "\n".join(lines[number] for number in sorted(stays)), len(lines) - len(stays)

    def _is_one(self, line: str, at_edge: bool) -> bool:
        stripped = line.strip()
        if not stripped or (not at_edge and len(stripped) < LONG):
            return False
        key = _key(line)
        return (at_edge and _is_in(key, self.at_edge)) or (len(stripped) >= LONG and _is_in(key, self.anywhere))


def _is_title(line: str) -> bool:
    """Titles repeat for good reasons: a heading, or a line too short for a letterhead."""
    return line.startswith("#") or len(line.strip()) < LONG


def _is_in(key: int, keys: Keys) -> bool:
    at = int(np.searchsorted(keys, np.uint64(key)))
    return at < len(keys) and int(keys[at]) == key


def _hits(documents: Sequence[bytes], furniture: Keys) -> list[bytes]:
    lengths = np.array([len(keys) // 8 for keys in documents], dtype=np.int64)
    flat = np.frombuffer(b"".join(documents), dtype="<u8")
    hit = np.isin(flat, furniture)
    owners = np.repeat(np.arange(len(documents)), lengths)[hit]
    found = [b""] * len(documents)
    for owner, key in zip(owners.tolist(), flat[hit], strict=True):
        found[owner] += key.tobytes()
    return found


def furniture_of(batches: Iterable[pa.RecordBatch]) -> Furniture:
    """Lines that repeat too often to be what a document says, from columns `anywhere` and `at_edge` of line keys."""
    columns: dict[str, list[Keys]] = {"anywhere": [], "at_edge": []}
    documents = 0
    for batch in batches:
        for name, pieces in columns.items():
            keys = batch.column(name).drop_null()
            documents += len(keys) if name == "anywhere" else 0
            pieces.append(np.frombuffer(b"".join(keys.to_pylist()), dtype="<u8"))
    none = np.empty(0, dtype=np.uint64)
    if documents < FEWEST_DOCUMENTS:
        return Furniture(none, none)
    return Furniture(
        _frequent(columns["anywhere"], max(5, SHARE * documents)),
        _frequent(columns["at_edge"], max(5, SHARE_AT_EDGE * documents)),
    )


def _frequent(pieces: list[Keys], least: float) -> Keys:
    found, counts = np.unique(np.concatenate(pieces), return_counts=True)
    return found[counts >= least]
