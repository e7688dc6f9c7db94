"""Lines that repeat across the documents of a source: navigation, legal footers, letterheads."""

import re
from array import array
from collections.abc import Iterable

import numpy as np
import xxhash

FEWEST_DOCUMENTS = 10  # of a source; below this nothing counts as repeated
EDGE = 5  # lines that say something, at the head and foot of a document, where furniture stands
SHARE_AT_EDGE = 0.3  # of the documents: a short line at the edge is furniture from here
SHARE = 0.1  # of the documents: a long line is furniture wherever it stands
LONG = 40  # characters; shorter lines repeat for good reasons: headings, list items, options
DIGITS = re.compile(r"\d+")


def _key(line: str) -> int:
    """Hash of a line without its numbers, so that page numbers and dates make no difference."""
    return xxhash.xxh3_64_intdigest(DIGITS.sub("#", line.strip()).encode())


def _edges(lines: list[str]) -> set[int]:
    """Positions of the first and last EDGE lines that say something."""
    said = [number for number, line in enumerate(lines) if line.strip()]
    return {*said[:EDGE], *said[-EDGE:]}


class RepeatedLines:
    """Counts in how many documents of a source each line stands; eight bytes a line and document."""

    def __init__(self) -> None:
        self._documents = 0
        self._long, self._edge = array("Q"), array("Q")

    def add(self, text: str) -> None:
        """Take the lines of one document."""
        lines = text.split("\n")
        self._documents += 1
        self._long.extend({_key(line) for line in lines if len(line.strip()) >= LONG})
        self._edge.extend({_key(lines[number]) for number in _edges(lines)})

    def furniture(self) -> "Furniture":
        """The lines that repeat too often to be what a document says."""
        if self._documents < FEWEST_DOCUMENTS:
            return Furniture(frozenset(), frozenset())
        return Furniture(
            _frequent(self._long, max(5, SHARE * self._documents)),
            _frequent(self._edge, max(5, SHARE_AT_EDGE * self._documents)),
        )


def _frequent(keys: "array[int]", least: float) -> frozenset[int]:
    found, counts = np.unique(np.frombuffer(keys, dtype=np.uint64), return_counts=True)
    return frozenset(int(key) for key in found[counts >= least])


class Furniture:
    """The repeated lines of a source, to be left out of its documents."""

    def __init__(self, anywhere: Iterable[int], at_edge: Iterable[int]) -> None:
        self._anywhere, self._at_edge = frozenset(anywhere), frozenset(at_edge)

    def left_out(self, text: str) -> tuple[str, int]:
        """The text without repeated lines, and how many there were. The first heading always stays."""
        if not self._anywhere and not self._at_edge:
            return text, 0
        lines = text.split("\n")
        edges = _edges(lines)
        first = min(edges, default=0)
        kept = [line for number, line in enumerate(lines) if number == first or not self._is_one(line, number in edges)]
        return "\n".join(kept), len(lines) - len(kept)

    def _is_one(self, line: str, at_edge: bool) -> bool:
        stripped = line.strip()
        if not stripped or (not at_edge and len(stripped) < LONG):
            return False
        key = _key(line)
        return (at_edge and key in self._at_edge) or (len(stripped) >= LONG and key in self._anywhere)
