"""The split: duplicates clustered over all sources, one of each kept, whole clusters sent to one side."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from forge_dagster.corpus.clean_documents import SignedDocuments, clean_folders
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
    if row["digest"] == chosen["digest"]:
        return "exact-duplicate"
    return "superseded" if is_older else "near-duplicate"


def run(inputs: Mapping[str, Path], config: SplitConfig, out: Path, context: StageContext) -> Report:
    """Write split.parquet, one row a clean document. Raises DataError if too few different documents are left."""

    def progress(done: int, total: int) -> None:
        context.progress(done, total, f"{len(signed):,} documents")
        if context.cancelled():
            raise InterruptedRun("splitting the documents stopped", mend="run the same command again")

    signed = SignedDocuments(clean_folders(inputs), context.work / "shingles")
    labels = clusters(
        signed.digests, signed.bands, signed.shingles_of, threshold=config.near_duplicate_jaccard, progress=progress
    )
    table = signed.table
    sources, paths = table["source"].to_pylist(), table["path"].to_pylist()
    older = superseded(sources, paths, signed.shingles_of)
    members: dict[int, list[int]] = {}
    for index, label in enumerate(joined(labels, older)):
        members.setdefault(label, []).append(index)
    if len(members) < FEWEST:
        raise DataError(
            f"{len(table)} clean documents, {len(members)} of them different",
            rule=f"at least {FEWEST} different ones are needed to hold some out",
            mend="add documents; dispositions.parquet of clean_documents says what became of each file",
        )
    ids = table["id"].to_pylist()
    shared = [index for group in members.values() if len(group) > 1 for index in group]
    rows = dict(zip(shared, table.take(pa.array(shared, pa.int64())).to_pylist(), strict=True))
    cluster, reasons, kept = [""] * len(table), [""] * len(table), []
    for group in members.values():
        if len(group) == 1:
            kept += group
            cluster[group[0]] = ids[group[0]]
            continue
        chosen = min(group, key=lambda index: newer_first(rows[index]))
        kept.append(chosen)
        for index in group:
            cluster[index] = ids[chosen]
            reasons[index] = "" if index == chosen else _reason(rows[index], rows[chosen], index in older)
    side_of = sides([ids[index] for index in kept], config)
    result = {
        "cluster": cluster,
        "split": ["" if reason else side_of[name] for reason, name in zip(reasons, cluster, strict=True)],
        "disposition": ["dropped" if reason else "kept" for reason in reasons],
        "reason": reasons,
    }
    columns = [table["id"], table["source"], table["path"], *(pa.array(column) for column in result.values())]
    pq.write_table(pa.table(columns, SPLIT), out / "split.parquet", compression="zstd")
    tally = Tally()
    for disposition, reason in zip(result["disposition"], reasons, strict=True):
        tally.add(disposition, reason)
    sizes = {side: result["split"].count(side) for side in SIDES}
    return Report(counts={"documents": len(table), "clusters": len(members), **tally.counts, **sizes})


STAGE = Stage(run=run, check=judge_split.check, check_names=judge_split.names)
