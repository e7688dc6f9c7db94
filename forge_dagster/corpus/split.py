"""The split: duplicates clustered over all sources, one of each kept, whole clusters sent to one side."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from forge_dagster.corpus.dispositions import counts
from forge_dagster.corpus.duplicates import clusters
from forge_dagster.corpus.suites import judge_split
from forge_dagster.errors import DataError
from forge_dagster.stage import FrozenModel, Report, Stage, StageContext

SPLIT = pa.schema(
    [(name, pa.string()) for name in ("id", "source", "path", "cluster", "split", "disposition", "reason")]
)
FEWEST = 10  # documents from which a side can be held out


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


def side_of(cluster: str, config: SplitConfig) -> str:
    """Side of a cluster, by a hash of seed and cluster alone: other documents do not move it."""
    point = int.from_bytes(hashlib.sha256(f"{config.seed}:{cluster}".encode()).digest()[:8]) / 2**64
    if point < config.validation_share:
        return "validation"
    return "test" if point < config.validation_share + config.test_share else "train"


def run(inputs: Mapping[str, Path], config: SplitConfig, out: Path, context: StageContext) -> Report:
    """Write split.parquet, one row a clean document. Raises DataError if too few documents are left."""
    rows = clean_rows(inputs)
    if len(rows) < FEWEST:
        raise DataError(
            f"{len(rows)} clean documents", rule=f"at least {FEWEST} are needed to hold some out", mend="add documents"
        )
    context.progress(0, 2, f"{len(rows):,} documents")
    labels = clusters([row["text"] for row in rows], threshold=config.near_duplicate_jaccard)
    context.progress(1, 2, "assigning sides")
    members: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        members.setdefault(label, []).append(index)
    result: list[dict[str, Any]] = [{} for _ in rows]
    for group in members.values():
        # The longest says most; the path decides between equals, so that the choice never wavers.
        kept = min(group, key=lambda index: (-len(rows[index]["text"]), rows[index]["source"], rows[index]["path"]))
        cluster = rows[kept]["id"]
        side = side_of(cluster, config)
        for index in group:
            alike = rows[index]["text"] == rows[kept]["text"]
            reason = "" if index == kept else ("exact-duplicate" if alike else "near-duplicate")
            result[index] = {
                **{name: rows[index][name] for name in ("id", "source", "path")},
                "cluster": cluster,
                "split": side if index == kept else "",
                "disposition": "kept" if index == kept else "dropped",
                "reason": reason,
            }
    sides = {side: sum(row["split"] == side for row in result) for side in ("train", "validation", "test")}
    if not sides["train"] or not sides["validation"]:
        raise DataError(
            f"sides of the split: {sides}", rule="train and validation each hold a document", mend="add documents"
        )
    pq.write_table(pa.Table.from_pylist(result, SPLIT), out / "split.parquet", compression="zstd")
    return Report(counts={"documents": len(rows), "clusters": len(members), **counts(result), **sides})


STAGE = Stage(run=run, check=judge_split.check, check_names=judge_split.names)
