"""Clean documents: each raw document parsed to normal text, or dropped by a rule, or quarantined with its reason."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from forge_dagster.corpus.dispositions import DISPOSITIONS, counts, row
from forge_dagster.corpus.formats import extension_of, format_of, sniffed_wrong
from forge_dagster.corpus.parse import Text, parse_all
from forge_dagster.corpus.suites import judge_clean_documents
from forge_dagster.corpus.text import normalise
from forge_dagster.errors import InterruptedRun
from forge_dagster.stage import FrozenModel, Report, Stage, StageContext

ROWS = 512  # documents a row group
DOCUMENTS = pa.schema([(name, pa.string()) for name in ("id", "source", "path", "title", "format", "text")])


class CleanConfig(FrozenModel):
    """What counts as a document."""

    shortest: int
    """Characters of clean text under which a document is dropped."""


def run(inputs: Mapping[str, Path], config: CleanConfig, out: Path, context: StageContext) -> Report:
    """Write documents.parquet and dispositions.parquet, one disposition for every raw document."""
    raw = pq.ParquetFile(inputs["raw_documents"] / "documents.parquet")
    total = raw.metadata.num_rows
    dispositions: list[dict[str, Any]] = []
    batch: list[dict[str, Any]] = []
    characters = 0
    with pq.ParquetWriter(out / "documents.parquet", DOCUMENTS, compression="zstd") as writer:
        for document, parsed in _parsed(raw):
            text = normalise(parsed.text) if parsed and not parsed.error else ""
            disposition, reason = _judge(document, parsed, text, config)
            dispositions.append(row(document["path"], document["id"], disposition, reason))
            if disposition == "kept" and parsed:
                kept = {name: document[name] for name in ("id", "source", "path")}
                title = normalise(parsed.title).strip().replace("\n", " ")
                batch.append({**kept, "title": title, "format": format_of(document["path"]), "text": text})
                characters += len(text)
            if len(batch) >= ROWS:
                writer.write_table(pa.Table.from_pylist(batch, DOCUMENTS))
                batch = []
            context.progress(len(dispositions), total, document["path"][-40:])
            if context.cancelled():
                raise InterruptedRun("cleaning stopped", mend="run the same command again")
        writer.write_table(pa.Table.from_pylist(batch, DOCUMENTS))
    pq.write_table(pa.Table.from_pylist(dispositions, DISPOSITIONS), out / "dispositions.parquet", compression="zstd")
    return Report(counts={"documents": total, **counts(dispositions), "characters": characters})


def _judge(document: dict[str, Any], parsed: Text | None, text: str, config: CleanConfig) -> tuple[str, str]:
    if parsed is None:
        format_ = format_of(document["path"])
        if format_ is None:
            return "dropped", f"unsupported-format:{extension_of(document['path'])}"
        return "quarantined", f"not-what-it-says:{format_}"
    if parsed.error:
        return "quarantined", parsed.error
    if not text:
        return "dropped", "empty-text"
    if len(text) < config.shortest:
        return "dropped", "too-short"
    return "kept", ""


def _parsed(raw: pq.ParquetFile) -> Iterator[tuple[dict[str, Any], Text | None]]:
    """Every raw document with what its parser gave, in order; None where no parser takes it."""
    processes = len(os.sched_getaffinity(0))
    for batch in raw.iter_batches(batch_size=256):
        documents = batch.to_pylist()
        takes = [
            bool((format_ := format_of(document["path"])) and not sniffed_wrong(document["bytes"], format_))
            for document in documents
        ]
        wanted = ((d["bytes"], str(format_of(d["path"]))) for d, take in zip(documents, takes, strict=True) if take)
        results = parse_all(wanted, processes=processes)
        for document, take in zip(documents, takes, strict=True):
            yield document, next(results) if take else None


STAGE = Stage(run=run, check=judge_clean_documents.check, check_names=judge_clean_documents.names)
