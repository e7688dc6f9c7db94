"""Seeded choices: a stream of numbers that is a pure function of its labels, the same on every Python version."""

import hashlib
from collections.abc import Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
MASK = (1 << 64) - 1


class Draw:
    """SplitMix64 (Steele et al. 2014) started from a hash of the labels.

    Written out rather than taken from `random`, whose choices may change between versions of Python.
    """

    def __init__(self, *labels: object) -> None:
        text = "\x1f".join(str(label) for label in labels)
        self._state = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")

    def below(self, count: int) -> int:
        """Return an integer in 0 .. count-1."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & MASK
        value = self._state
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
        return ((value ^ (value >> 31)) * count) >> 64

    def between(self, low: int, high: int) -> int:
        """Return an integer in low .. high, both included."""
        return low + self.below(high - low + 1)

    def chance(self, percent: int) -> bool:
        """Return True in `percent` of 100 cases."""
        return self.below(100) < percent

    def pick(self, items: Sequence[Item]) -> Item:
        """Return one item."""
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """Return the items in a random order (Fisher and Yates 1938)."""
        result = list(items)
        for last in range(len(result) - 1, 0, -1):
            other = self.below(last + 1)
            result[last], result[other] = result[other], result[last]
        return result

    def sample(self, items: Sequence[Item], count: int) -> list[Item]:
        """Return `count` different items."""
        return self.shuffled(items)[:count]


class Cycle(Generic[Item]):
    """Deals items in a random order, every item once before any comes again."""

    def __init__(self, items: Sequence[Item], draw: Draw) -> None:
        self._items = list(items)
        self._draw = draw
        self._left: list[Item] = []

    def next(self) -> Item:
        """Return the next item."""
        if not self._left:
            self._left = self._draw.shuffled(self._items)
        return self._left.pop()
