"""Labelled spans against redacted ones: what was found, what was missed, what was taken without need."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from benchmarks._intervals import Count

Span = tuple[str, int, int]
"""Kind, start, end."""
EITHER = "?"  # a label that no reader could decide: neither a miss nor a false alarm


def covered(label: Span, found: Iterable[Span]) -> bool:
    """Whether the spans found leave nothing of a labelled value."""
    _, at, end = label
    for _, start, stop in sorted(found, key=lambda span: span[1]):
        if start <= at < stop:
            at = stop
    return at >= end


def touches(first: Span, second: Span) -> bool:
    """Whether two spans share a character."""
    return first[1] < second[2] and second[1] < first[2]


def compare(labels: Sequence[Span], found: Sequence[Span], kind_of: Callable[[str], str]) -> dict[str, Count]:
    """Counts by kind; `kind_of` gives the kind that a detector names for a label, as the labels may be finer.

    A value counts as found if spans of its kind cover all of it. A span is right if it touches a label of its kind.
    """
    counts: dict[str, Count] = defaultdict(Count)
    for label in labels:
        if label[0] != EITHER:
            if covered(label, [span for span in found if span[0] == kind_of(label[0])]):
                counts[label[0]].found += 1
            else:
                counts[label[0]].missed += 1
    for span in found:
        near = [label for label in labels if touches(label, span)]
        own = Counter(label[0] for label in near if kind_of(label[0]) == span[0])
        if own:
            counts[own.most_common(1)[0][0]].right += 1
        elif not near or all(label[0] != EITHER for label in near):
            counts[span[0]].wrong += 1
    return counts
