"""The split: duplicates clustered over all sources, one of each kept, whole clusters sent to one side."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from forge_dagster.corpus.dispositions import Tally
from forge_dagster.corpus.duplicates import clusters
from forge_dagster.corpus.suites import judge_split
from forge_dagster.corpus.versions import newer_first, superseded
from forge_dagster.errors import DataError, InterruptedRun
from forge_dagster.stage import FrozenModel, Report, Stage, StageContext

SPLIT = pa.schema(
    [(name, pa.string()) for name in ("id", "source", "path", "cluster", "split", "disposition", "reason")]
)
SIDES = ("train", "validation", "test")
FEWEST = 10  # different documents from which a side can be held out


class SplitConfig(FrozenModel):
    """How alike is a duplicate, and how much is held out."""

    seed: int
    near_duplicate_jaccard: float = Field(gt=0, le=1)
    validation_share: float = Field(gt=0, lt=0.5)
    test_share: float = Field(gt=0, lt=0.5)


def clean_rows(inputs: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Clean documents of every source, ordered by source and path."""
    rows: list[dict[str, Any]] = []
    for name, folder in inputs.items():
        if name.startswith("clean_documents/"):
            rows += pq.read_table(folder / "documents.parquet").to_pylist()
    return sorted(rows, key=lambda row: (row["source"], row["path"]))


def point(cluster: str, seed: int) -> float:
    """A number in [0, 1) by a hash of seed and cluster alone: other documents do not move it."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{cluster}".encode()).digest()[:8]) / 2**64


def sides(names: Sequence[str], config: SplitConfig) -> dict[str, str]:
    """Side of each cluster, by its point alone; few clusters may leave a side empty, which then takes one."""
    points = {name: point(name, config.seed) for name in names}
    held_out = config.validation_share + config.test_share
    result = {
        name: "validation" if at < config.validation_share else "test" if at < held_out else "train"
        for name, at in points.items()
    }
    for side in SIDES:
        sizes = Counter(result.values())
        if not sizes[side]:
            giver = max(SIDES, key=lambda other: sizes[other])
            result[min((n for n in names if result[n] == giver), key=lambda n: (points[n], n))] = side
    return result


def joined(labels: Sequence[int], older: Mapping[int, int]) -> list[int]:
    """Cluster labels with each older version in the cluster of its newest."""
    into: dict[int, int] = {}

    def find(label: int) -> int:
        while label in into:
            label = into[label]
        return label

    for index, newest in older.items():
        first, second = find(labels[index]), find(labels[newest])
        if first != second:
            into[first] = second
    return [find(label) for label in labels]


def _reason(row: Mapping[str, Any], chosen: Mapping[str, Any], is_older: bool) -> str:
    if row["text"] == chosen["text"]:
        return "exact-duplicate"
    return "superseded" if is_older else "near-duplicate"


def run(inputs: Mapping[str, Path], config: SplitConfig, out: Path, context: StageContext) -> Report:
    """Write split.parquet, one row a clean document. Raises DataError if too few different documents are left."""
    rows = clean_rows(inputs)

    def progress(done: int, total: int) -> None:
        context.progress(done, total + 1, f"{len(rows):,} documents")
        if context.cancelled():
            raise InterruptedRun("splitting the documents stopped", mend="run the same command again")

    labels = clusters([row["text"] for row in rows], threshold=config.near_duplicate_jaccard, progress=progress)
    older = superseded(rows)
    labels = joined(labels, older)
    members: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        members.setdefault(label, []).append(index)
    if len(members) < FEWEST:
        raise DataError(
            f"{len(rows)} clean documents, {len(members)} of them different",
            rule=f"at least {FEWEST} different ones are needed to hold some out",
            mend="add documents; dispositions.parquet of clean_documents says what became of each file",
        )
    kept = {label: min(group, key=lambda index: newer_first(rows[index])) for label, group in members.items()}
    side_of = sides([rows[index]["id"] for index in kept.values()], config)
    result, tally = [], Tally()
    for index, row in enumerate(rows):
        chosen = rows[kept[labels[index]]]
        is_kept = chosen is row
        reason = "" if is_kept else _reason(row, chosen, index in older)
        result.append(
            {
                "id": row["id"],
                "source": row["source"],
                "path": row["path"],
                "cluster": chosen["id"],
                "split": side_of[chosen["id"]] if is_kept else "",
                "disposition": "kept" if is_kept else "dropped",
                "reason": reason,
            }
        )
        tally.add("kept" if is_kept else "dropped", reason)
    pq.write_table(pa.Table.from_pylist(result, SPLIT), out / "split.parquet", compression="zstd")
    context.progress(len(members), len(members), "documents on their sides")
    sizes = {side: sum(row["split"] == side for row in result) for side in SIDES}
    return Report(counts={"documents": len(rows), "clusters": len(members), **tally.counts, **sizes})


STAGE = Stage(run=run, check=judge_split.check, check_names=judge_split.names)
