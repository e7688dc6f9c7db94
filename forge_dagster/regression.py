"""Which changes of the documents explain a regression: delta debugging over sources, then over halves of their changes.

After Zeller and Hildebrandt 2002 (ddmin), with a noisy score in place of a test that passes or fails: a part of the
changes is followed as long as it makes the score visibly worse by itself.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from forge_dagster.stage import FrozenModel

SMALLEST = 8
"""Changes of a part that is not divided any more."""


class Change(NamedTuple):
    """A document that is not the same in two corpora; of one that came or went, one side has no id."""

    source: str
    path: str
    old: str | None
    new: str | None


Part = Sequence[Change]


class Seen(FrozenModel):
    """How much worse a score gets by some changes; `visible` says whether that is more than noise."""

    drop: float
    visible: bool


class Culprit(FrozenModel):
    """Changes that make the score worse by themselves; those of one source, unless no source does so alone."""

    sources: tuple[str, ...]
    paths: tuple[str, ...]
    drop: float


class Corpora:
    """Two corpora, what differs between them, and any mixture of both."""

    def __init__(self, old: Path, new: Path) -> None:
        self._tables = [pq.read_table(folder / "train.parquet") for folder in (old, new)]
        before, after = (
            {(row["source"], row["path"]): row["id"] for row in table.select(["source", "path", "id"]).to_pylist()}
            for table in self._tables
        )
        keys = sorted(key for key in {**before, **after} if before.get(key) != after.get(key))
        self.changes = [Change(*key, before.get(key), after.get(key)) for key in keys]

    def by_source(self) -> dict[str, Part]:
        """The changes of each source that has some."""
        return {name: list(part) for name, part in groupby(self.changes, key=lambda change: change.source)}

    def with_changes(self, changes: Part) -> pa.Table:
        """The old corpus with these changes made."""
        old, new = self._tables
        gone, came = (pa.array([getattr(each, side) for each in changes], pa.string()) for side in ("old", "new"))
        kept = old.filter(pc.invert(pc.is_in(old["id"], gone.drop_null())))
        return pa.concat_tables([kept, new.filter(pc.is_in(new["id"], came.drop_null()))])


def culprits(sources: Sequence[Part], whole: Seen, drop_of: Callable[[Part], Seen | None]) -> list[Culprit]:
    """The parts that explain the drop of all changes together, the worst first.

    `drop_of` measures a part, or returns None where the budget is spent: then the part it belongs to is named whole.
    """
    found = [
        Culprit(sources=tuple(sorted({change.source for change in part})), paths=_paths(part), drop=seen.drop)
        for named, drop in _explain([list(part) for part in sources], whole, drop_of)
        for part, seen in _narrowed(named, drop, drop_of)
    ]
    return sorted(found, key=lambda culprit: -culprit.drop)


def _explain(
    groups: Sequence[Part], seen: Seen, drop_of: Callable[[Part], Seen | None]
) -> Iterator[tuple[list[Part], Seen]]:
    """The smallest sets of groups that are visible by themselves; a set that is only so together stays together."""
    if len(groups) == 1:
        yield list(groups), seen
        return
    middle = (len(groups) + 1) // 2
    halves = [groups[:middle], groups[middle:]]
    drops = [drop_of([change for group in half for change in group]) for half in halves]
    worse = [(half, drop) for half, drop in zip(halves, drops, strict=True) if drop and drop.visible]
    if not worse:
        yield list(groups), seen
    for half, drop in worse:
        yield from _explain(half, drop, drop_of)


def _narrowed(
    groups: Sequence[Part], seen: Seen, drop_of: Callable[[Part], Seen | None]
) -> Iterator[tuple[Part, Seen]]:
    """The half of one source's changes, in order of their paths, that is visible where the other is not, and so on.

    Where both halves are, or neither, the changes stay together; so do those of several sources.
    """
    part = [change for group in groups for change in group]
    if len(groups) == 1 and len(part) > SMALLEST:
        halves = [part[: len(part) // 2], part[len(part) // 2 :]]
        drops = [drop_of(half) for half in halves]
        worse = [(half, drop) for half, drop in zip(halves, drops, strict=True) if drop and drop.visible]
        if len(worse) == 1 and None not in drops:
            yield from _narrowed([worse[0][0]], worse[0][1], drop_of)
            return
    yield part, seen


def _paths(part: Part) -> tuple[str, ...]:
    return tuple(change.path for change in part)
