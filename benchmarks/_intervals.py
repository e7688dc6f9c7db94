"""Precision and recall as counted, each with its 95 % interval (Wilson 1927), and the table they are printed in."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

Z = 1.959964  # of the normal distribution, for 95 %


@dataclass
class Count:
    """What a detector was right and wrong about."""

    found: int = 0
    """True positives among what is there."""
    missed: int = 0
    right: int = 0
    """Of what it said, what is there; differs from `found` where two findings cover one thing."""
    wrong: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.found + other.found, self.missed + other.missed, self.right + other.right, self.wrong + other.wrong
        )


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """The interval that holds the true share in 95 of 100 samples; (0, 1) from no trial."""
    if not trials:
        return 0.0, 1.0
    share, square = hits / trials, Z * Z
    middle = share + square / (2 * trials)
    width = Z * math.sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    return max(0.0, (middle - width) / (1 + square / trials)), min(1.0, (middle + width) / (1 + square / trials))


def share(hits: int, trials: int) -> str:
    """`0.987 (0.975..0.993) of 812`."""
    if not trials:
        return "none"
    low, high = wilson(hits, trials)
    return f"{hits / trials:.3f} ({low:.3f}..{high:.3f}) of {trials:,}"


def show(title: str, rows: Iterable[tuple[str, Count]], note: str = "") -> None:
    """Print a line a row: recall of what is there, precision of what was said."""
    print(f"\n{title}")
    print(f"{'':<34}{'recall':<36}{'precision':<36}")
    for name, count in rows:
        recall = share(count.found, count.found + count.missed)
        precision = share(count.right, count.right + count.wrong)
        print(f"{name:<34}{recall:<36}{precision:<36}".rstrip())
    if note:
        print(note)
