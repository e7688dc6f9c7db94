"""Paired timings and the table they are printed in."""

import statistics
import time
from collections.abc import Callable


def paired(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, float, list[float]]:
    """Run both in turn; return the median seconds of each and the ratio ours/theirs of every round.

    `time.process_time` counts processor seconds of all threads, which tell more where other programs run.
    """
    pairs = []
    for _ in range(rounds):
        pair = []
        for function in (ours, theirs):
            start = clock()
            function()
            pair.append(clock() - start)
        pairs.append(pair)
    ratios = [a / b for a, b in pairs]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), ratios


def show(title: str, rows: list[tuple[str, float, float, list[float]]], *, peer: str) -> None:
    """Print one line a row: median seconds of both and the median ratio with its range."""
    print(f"\n{title}")
    print(f"{'':<28}{'ours s':>10}{peer + ' s':>16}{'ratio':>9}   (min..max)")
    for name, ours, theirs, ratios in rows:
        middle = statistics.median(ratios)
        print(f"{name:<28}{ours:>10.3f}{theirs:>16.3f}{middle:>9.2f}   ({min(ratios):.2f}..{max(ratios):.2f})")
