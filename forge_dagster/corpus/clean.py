"""Clean documents: each raw document parsed to normal text, or dropped by a rule, or quarantined with its reason."""

import os
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from forge_dagster.corpus.dispositions import DispositionWriter
from forge_dagster.corpus.formats import extension_of, format_of, sniffed_wrong
from forge_dagster.corpus.parse import Parsers, Text
from forge_dagster.corpus.rows import RowWriter
from forge_dagster.corpus.suites import judge_clean_documents
from forge_dagster.errors import InterruptedRun
from forge_dagster.stage import FrozenModel, Report, Stage, StageContext

DOCUMENTS = pa.schema([(name, pa.string()) for name in ("id", "source", "path", "title", "format", "text")])
AHEAD = 4  # documents in flight a process, so that none waits for the reader


class CleanConfig(FrozenModel):
    """What counts as a document."""

    shortest: int = Field(ge=1)
    """Characters of clean text under which a document is dropped."""


def run(inputs: Mapping[str, Path], config: CleanConfig, out: Path, context: StageContext) -> Report:
    """Write documents.parquet and dispositions.parquet, one disposition for every raw document."""
    raw = pq.ParquetFile(inputs["raw_documents"] / "documents.parquet")
    total = raw.metadata.num_rows
    characters = 0
    with (
        RowWriter(out / "documents.parquet", DOCUMENTS) as documents,
        DispositionWriter(out / "dispositions.parquet") as dispositions,
        Parsers(len(os.sched_getaffinity(0))) as parsers,
    ):
        for document, parsed in _parsed(raw, parsers):
            disposition, reason = _judge(document["path"], parsed, config)
            dispositions.note(document["path"], document["id"], disposition, reason)
            if parsed and disposition == "kept":
                documents.add(
                    {
                        "id": document["id"],
                        "source": document["source"],
                        "path": document["path"],
                        "title": parsed.title,
                        "format": format_of(document["path"]),
                        "text": parsed.text,
                    },
                    size=len(parsed.text),
                )
                characters += len(parsed.text)
            context.progress(dispositions.rows, total, document["path"][-40:])
            if context.cancelled():
                raise InterruptedRun("cleaning the documents stopped", mend="run the same command again")
    return Report(
        counts={
            "documents": total,
            "clean_documents": documents.rows,
            "characters": characters,
            **dispositions.tally.counts,
        }
    )


def _judge(path: str, parsed: Text | None, config: CleanConfig) -> tuple[str, str]:
    if parsed is None:
        format_ = format_of(path)
        if format_ is None:
            return "dropped", f"unsupported-format:{extension_of(path)}"
        return "quarantined", f"not-what-it-says:{format_}"
    if parsed.error:
        return "quarantined", parsed.error
    if not parsed.text:
        return "dropped", "empty-text"
    if len(parsed.text) < config.shortest:
        return "dropped", "too-short"
    return "kept", ""


def _parsed(raw: pq.ParquetFile, parsers: Parsers) -> Iterator[tuple[dict[str, Any], Text | None]]:
    """Every raw document, less its bytes, with what its parser gave, in order; None where no parser takes it."""
    flying: deque[tuple[dict[str, Any], Future[Text] | None]] = deque()

    def landed() -> tuple[dict[str, Any], Text | None]:
        document, future = flying.popleft()
        return document, future.result() if future else None

    for group in range(raw.num_row_groups):
        for document in raw.read_row_group(group).to_pylist():
            data, format_ = document.pop("bytes"), format_of(document["path"])
            takes = format_ is not None and not sniffed_wrong(data, format_)
            flying.append((document, parsers.submit(data, str(format_)) if takes else None))
            if len(flying) >= AHEAD * parsers.processes:
                yield landed()
    while flying:
        yield landed()


STAGE = Stage(run=run, check=judge_clean_documents.check, check_names=judge_clean_documents.names)
