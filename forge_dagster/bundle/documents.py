"""What became of each document of a release's sources, with its terms and where it was used: one row a document."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from forge_dagster.bundle.lineage import Link, own
from forge_dagster.corpus.rights import with_terms
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.source import source_of

TERMS = ("source", "owner", "licence", "legal_basis", "jurisdiction", "permitted_use", "sensitivity", "language")
ROWS = ("instructions", "preferences", "policy_items")
"""Artifacts whose rows name the documents they were made from."""


def documents(store: ArtifactStore, links: Sequence[Link]) -> list[dict[str, Any]]:
    """Rows in the order of source and path: id, path, terms, `outcome`, `stage` and `reason` that decided it, `used`.

    `used` counts the tokens of a document in the training shards and the rows made from it, by artifact; `at` is where
    it stands in the shards; `alike` is the cluster of a document that has near-duplicates.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    by = {key: store.content(key, link.record.digest) for key, link in own(links).items()}
    for key in sorted(by, key=lambda key: (key.split("/")[0] != "raw_documents", key)):
        stage, _, part = key.partition("/")
        if stage in ("raw_documents", "clean_documents"):
            source = source_of(part)
            for row in _read(by[key] / "dispositions.parquet"):
                _decide(rows.setdefault((source, row["path"]), {"source": source, "path": row["path"]}), stage, row)
    for key, folder in by.items():
        if key.startswith("clean_documents/"):
            for row in with_terms(folder / "documents.parquet", ("id", "path", *TERMS)).to_pylist():
                rows.setdefault((row["source"], row["path"]), {}).update(row)
    if "document_split" in by:
        for row in _read(by["document_split"] / "split.parquet"):
            if (row["source"], row["path"]) in rows:
                _decide(rows[row["source"], row["path"]], "document_split", row)
        _cluster(by["document_split"] / "split.parquet", rows)
    # Copies of a document have its id: of them the one that is kept counts.
    places = {str(row["id"]): row for row in rows.values() if row.get("id") and row["outcome"] == "kept"}
    if "corpus" in by:
        for row in _read(by["corpus"] / "dispositions.parquet"):
            if row["id"] in places:
                _decide(places[row["id"]], "corpus", row)
    _place(by, places)
    _count(by, places)
    return [rows[at] for at in sorted(rows)]


def _read(path: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    table = pq.ParquetFile(path)
    for batch in table.iter_batches(columns=list(columns) if columns else None):
        yield from batch.to_pylist()


def _decide(row: dict[str, Any], stage: str, said: dict[str, Any]) -> None:
    """The last stage that met a document decides; what dropped it stays."""
    if row.get("outcome", "kept") == "kept":
        row |= {"id": said["id"] or row.get("id"), "outcome": said["disposition"], "stage": stage}
        row["reason"] = said["reason"] or None


def _cluster(path: Path, rows: dict[tuple[str, str], dict[str, Any]]) -> None:
    clusters = {(row["source"], row["path"]): row["cluster"] for row in _read(path, ("source", "path", "cluster"))}
    sizes = Counter(clusters.values())
    for at, cluster in clusters.items():
        if sizes[cluster] > 1 and at in rows:
            rows[at]["alike"] = cluster[:16]


def _place(by: dict[str, Path], places: dict[str, dict[str, Any]]) -> None:
    for side in ("train", "validation", "test"):
        path = by["corpus"] / f"{side}.parquet" if "corpus" in by else None
        if path is not None and path.is_file():
            for row in _read(path, ("id",)):
                if row["id"] in places and places[row["id"]]["outcome"] == "kept":
                    places[row["id"]]["split"] = side


def _count(by: dict[str, Path], places: dict[str, dict[str, Any]]) -> None:
    used: dict[str, Counter[str]] = {}
    for key, folder in by.items():
        stage = key.partition("/")[0]
        if stage == "token_shards":
            for row in _read(folder / "documents.parquet", ("document", "split", "shard", "start", "length")):
                if row["split"] == "train":
                    used.setdefault(row["document"], Counter())["token_shards"] += row["length"]
                if row["document"] in places:
                    places[row["document"]]["at"] = f"{row['shard']} {row['start']}+{row['length']}"
        elif stage in ROWS:
            for row in _read(folder / "rows.parquet", ("document_ids",)):
                for given in set(row["document_ids"]):
                    used.setdefault(given, Counter())[stage] += 1
    for given, counts in used.items():
        if given in places:
            places[given]["used"] = dict(sorted(counts.items()))


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts that add up: every entry read, what training kept, and what each rule took; terms by source."""
    outcomes = Counter(row["outcome"] for row in rows)
    reasons = Counter(
        f"{row['stage']}: {row['outcome']} / {(row['reason'] or '-').split(':')[0]}"
        for row in rows
        if row["outcome"] != "kept"
    )
    sources: dict[str, dict[str, Any]] = {}
    for row in rows:
        entry = sources.setdefault(row["source"], {"documents": 0, "train": 0})
        entry["documents"] += 1
        entry["train"] += row.get("split") == "train"
        entry |= {name: row[name] for name in TERMS if name in row and name not in ("source", "language")}
    return {
        "entries": len(rows),
        "outcomes": dict(sorted(outcomes.items())),
        "splits": dict(sorted(Counter(str(row.get("split", "none")) for row in rows).items())),
        "removed": dict(sorted(reasons.items())),
        "sources": sources,
        "languages": dict(sorted(Counter(str(row.get("language")) for row in rows if "language" in row).items())),
    }


def packed(rows: Sequence[dict[str, Any]]) -> bytes:
    """Gzipped JSON lines, the same bytes for the same rows."""
    lines = "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows)
    return gzip.compress(lines.encode(), mtime=0)
