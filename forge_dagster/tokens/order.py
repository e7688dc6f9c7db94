"""The order in which a trainer reads documents: a pure function of (seed, step), so it needs no log.

The documents of an epoch are permuted by a hash of (seed, epoch, document) and laid end to end; epochs follow one
another without a gap. Row r of this endless stream is its tokens [r x sequence_length, (r+1) x sequence_length), and
step k reads rows [k x rows, (k+1) x rows). Every token is read exactly once an epoch.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class Span(NamedTuple):
    """`length` tokens of a document (its number in the index) from token `start` on."""

    document: int
    start: int
    length: int


@dataclass(frozen=True, eq=False)
class Order:
    """The reading order over documents of the given lengths (tokens)."""

    seed: int
    lengths: np.ndarray
    sequence_length: int
    rows: int
    """Rows of a batch."""
    _epochs: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, repr=False)

    @property
    def tokens(self) -> int:
        """Tokens of an epoch."""
        return int(self.lengths.sum())

    def batch(self, step: int) -> list[list[Span]]:
        """Return the spans of each row of step `step` (from 0); the lengths of a row sum to sequence_length."""
        return [self.row(step * self.rows + row) for row in range(self.rows)]

    def row(self, row: int) -> list[Span]:
        """Return the spans of row `row` of the stream."""
        total = self.tokens
        place, wanted = row * self.sequence_length, self.sequence_length
        spans: list[Span] = []
        while wanted:
            epoch, offset = divmod(place, total)
            order, ends = self._epoch(epoch)
            rank = int(np.searchsorted(ends, offset, side="right"))
            document = int(order[rank])
            start = offset - (int(ends[rank]) - int(self.lengths[document]))
            length = min(wanted, int(ends[rank]) - offset)
            spans.append(Span(document, start, length))
            place, wanted = place + length, wanted - length
        return spans

    def read(self, rows: int) -> np.ndarray:
        """Tokens of each document in the first `rows` rows."""
        epochs, rest = divmod(rows * self.sequence_length, self.tokens)
        order, ends = self._epoch(epochs)
        lengths = self.lengths[order]
        tokens = self.lengths * epochs
        tokens[order] += np.clip(rest - (ends - lengths), 0, lengths)
        return tokens

    def rows_with(self, document: int, rows: int) -> list[tuple[int, int]]:
        """(row, tokens) of each piece of a document among the first `rows` rows, in order; the inverse of `row`.

        It sorts nothing: a document begins after the lengths of all whose key is smaller.
        """
        total, length, end = self.tokens, int(self.lengths[document]), rows * self.sequence_length
        found: list[tuple[int, int]] = []
        for epoch in range(-(-end // total)):
            keys = order_keys(self.seed, epoch, len(self.lengths))
            before = int(self.lengths[keys < keys[document]].sum())
            if (same := np.flatnonzero(keys[:document] == keys[document])).size:
                before += int(self.lengths[same].sum())
            place = epoch * total + before
            stop = min(place + length, end)
            while place < stop:
                row = place // self.sequence_length
                upto = min(stop, (row + 1) * self.sequence_length)
                found.append((row, upto - place))
                place = upto
        return found

    def _epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the documents in their order, and where each ends in the epoch's stream."""
        if epoch not in self._epochs:
            if len(self._epochs) > 1:  # a row touches two epochs at most, unless the corpus is shorter than a row
                self._epochs.clear()
            order = permutation(self.seed, epoch, len(self.lengths))
            self._epochs[epoch] = (order, np.cumsum(self.lengths[order]))
        return self._epochs[epoch]


def permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    """Return the documents 0 .. count-1 sorted by SplitMix64 (Steele et al. 2014) of seed, epoch and number.

    Written out rather than taken from NumPy, whose generators may change their streams between versions (NEP 19).
    """
    return np.argsort(order_keys(seed, epoch, count), kind="stable")


def order_keys(seed: int, epoch: int, count: int) -> np.ndarray:
    """Return what each document is sorted by; of equal ones the lower number comes first."""
    with np.errstate(over="ignore"):
        state = _mix(np.array([seed], dtype=np.uint64)) + np.uint64(epoch)
        return _mix(_mix(state) + np.arange(count, dtype=np.uint64))


def permutation_start(seed: int) -> int:
    """A number below 2**64 that depends on the seed alone."""
    with np.errstate(over="ignore"):
        return int(_mix(np.array([seed], dtype=np.uint64))[0])


def _mix(value: np.ndarray) -> np.ndarray:
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
