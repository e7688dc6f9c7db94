"""The split: duplicates clustered over all sources, one of each kept, whole clusters sent to one side."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from forge_dagster.chance import point
from forge_dagster.corpus.clean_documents import SignedDocuments, clean_folders
from forge_dagster.corpus.dispositions import Tally
from forge_dagster.corpus.duplicates import alike_from, clusters
from forge_dagster.corpus.entry import ERASED
from forge_dagster.corpus.near_duplicates import clusters_found
from forge_dagster.corpus.rows import MOST_ROWS
from forge_dagster.corpus.signature import Numbers
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
    erased: tuple[str, ...] = Field(default=(), description="ids of documents that may not return")
    erased_texts: tuple[str, ...] = Field(default=(), description="SHA-256 of clean texts that may not return")


def sides(names: Sequence[str], config: SplitConfig) -> dict[str, str]:
    """Side of each cluster, by its point alone; few clusters may leave a side empty, which then takes one."""
    points = {name: point(config.seed, name) for name in names}
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


def joined(labels: Numbers, older: Mapping[int, int]) -> Numbers:
    """Cluster labels with each older version in the cluster of its newest."""
    into: dict[int, int] = {}

    def find(label: int) -> int:
        while label in into:
            label = into[label]
        return label

    for index, newest in older.items():
        first, second = find(int(labels[index])), find(int(labels[newest]))
        if first != second:
            into[first] = second
    names = np.arange(len(labels))
    for label in into:
        names[label] = find(label)
    return names[labels]


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
    labels = clusters_found(inputs, signed.digests)
    if labels is None:
        alike = alike_from(signed.shingles, config.near_duplicate_jaccard)
        labels = clusters(signed.digests, signed.bands, alike, progress=progress)
    table = signed.table
    older = superseded(table["source"].to_pylist(), table["path"].to_pylist(), signed.shingles.of)
    chosen, reasons = _chosen(table, joined(labels, older), older, _erased(table, config))
    kept = reasons == ""
    if kept.sum() < FEWEST:
        raise DataError(
            f"{len(table)} clean documents, {kept.sum()} of them different",
            rule=f"at least {FEWEST} different ones are needed to hold some out",
            mend="add documents; dispositions.parquet of clean_documents says what became of each file",
        )
    cluster = table["id"].take(pa.array(chosen))
    side_of = sides(table["id"].filter(pa.array(kept)).to_pylist(), config)
    side = np.where(kept, [side_of.get(name, "") for name in cluster.to_pylist()], "")
    made = {
        **{name: table[name] for name in ("id", "source", "path")},
        "cluster": cluster,
        "split": pa.array(side, pa.string()),
        "disposition": pa.array(np.where(kept, "kept", "dropped"), pa.string()),
        "reason": pa.array(reasons, pa.string()),
    }
    result = pa.table(made, SPLIT)
    # Small row groups: one document's row is read without those of all others.
    pq.write_table(result, out / "split.parquet", compression="zstd", row_group_size=MOST_ROWS)
    tally = Tally()
    tally.add(result)
    sizes = {name: int((side == name).sum()) for name in SIDES}
    return Report(counts={"documents": len(table), "clusters": int(kept.sum()), **tally.counts, **sizes})


def _erased(table: pa.Table, config: SplitConfig) -> npt.NDArray[np.bool_]:
    """Which documents are erased: by their bytes, or by their text in whatever other bytes."""
    by_id = pc.is_in(table["id"], value_set=pa.array(config.erased, pa.string()))
    by_text = pc.is_in(table["digest"], value_set=pa.array(config.erased_texts, pa.string()))
    return np.asarray(pc.or_(by_id, by_text).to_numpy(zero_copy_only=False), dtype=bool)


def _chosen(
    table: pa.Table, labels: Numbers, older: Mapping[int, int], erased: npt.NDArray[np.bool_]
) -> tuple[Numbers, npt.NDArray[np.object_]]:
    """For each document the one of its cluster that is kept, and why it is not that one; empty if it is."""
    chosen, reasons = np.arange(len(table)), np.full(len(table), "", dtype=object)
    reasons[erased] = ERASED
    _, which, counts = np.unique(labels, return_inverse=True, return_counts=True)
    shared = np.flatnonzero(counts[which] > 1)
    rows = dict(zip(shared.tolist(), table.take(pa.array(shared)).to_pylist(), strict=True))
    members: dict[int, list[int]] = {}
    for index in rows:
        if not erased[index]:
            members.setdefault(int(which[index]), []).append(index)
    for group in members.values():
        best = min(group, key=lambda index: newer_first(rows[index]))
        for index in group:
            chosen[index] = best
            reasons[index] = "" if index == best else _reason(rows[index], rows[best], index in older)
    return chosen, reasons


STAGE = Stage(run=run, check=judge_split.check, check_names=judge_split.names)
