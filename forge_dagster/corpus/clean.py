"""Clean documents: each raw document parsed, freed of furniture, judged and redacted, with a reason for each decision.

Two passes. The first parses every document into the work folder and counts the lines that documents share; the second
leaves these lines out and decides on each document alone.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from forge_dagster.corpus.boilerplate import Furniture, RepeatedLines
from forge_dagster.corpus.curate import Curated
from forge_dagster.corpus.dispositions import DispositionWriter
from forge_dagster.corpus.formats import extension_of, format_of
from forge_dagster.corpus.parse import Answer, Parsers
from forge_dagster.corpus.parsers.document import Document
from forge_dagster.corpus.rows import RowWriter
from forge_dagster.corpus.suites import judge_clean_documents
from forge_dagster.errors import InterruptedRun
from forge_dagster.source import Cleaning, Labels
from forge_dagster.stage import FrozenModel, Report, Stage, StageContext

TERMS = pa.list_(pa.string())
DOCUMENTS = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "source", "path", "title", "format", "text", "language", "time")),
        ("redactions", pa.list_(pa.struct([("kind", pa.string()), ("start", pa.int64()), ("end", pa.int64())]))),
        ("furniture_lines", pa.int64()),
        ("quality", pa.map_(pa.string(), pa.float64())),
        *((name, pa.string()) for name in ("owner", "licence", "sensitivity", "legal_basis", "retention")),
        *((name, TERMS) for name in ("permitted_use", "audience")),
        ("rank", pa.int64()),
    ]
)
PARSED = pa.schema([(name, pa.string()) for name in ("id", "path", "format", "title", "time", "text", "error")])
AHEAD = 4  # documents in flight a process, so that none waits for the reader
Row = dict[str, Any]
Given = TypeVar("Given")


class CleanConfig(FrozenModel):
    """What is done to a source's documents, and the terms that travel with each."""

    cleaning: Cleaning
    labels: Labels
    rank: int


def run(inputs: Mapping[str, Path], config: CleanConfig, out: Path, context: StageContext) -> Report:
    """Write documents.parquet and dispositions.parquet, one disposition for every raw document."""
    raw = pq.ParquetFile(inputs["raw_documents"] / "documents.parquet")
    total = raw.metadata.num_rows
    parsed = context.work / "parsed.parquet"
    with Parsers(len(os.sched_getaffinity(0))) as parsers:
        furniture = _parse(raw, parsed, config.cleaning, parsers, context)
        source = raw.read_row_group(0, columns=["source"])["source"][0].as_py()
        report = _curate(parsed, source, furniture, out, config, parsers, context)
    return Report(counts={"documents": total, **report})


def _parse(raw: pq.ParquetFile, to: Path, cleaning: Cleaning, parsers: Parsers, context: StageContext) -> Furniture:
    """Write what the parsers gave; return the lines that are furniture."""
    repeated, total = RepeatedLines(), raw.metadata.num_rows

    def ask(document: Row) -> Future[Answer] | None:
        if format_of(document["path"]) is None:
            return None
        return parsers.submit({"task": "parse", "path": document["path"]}, document["bytes"])

    with RowWriter(to, PARSED) as rows:
        for document, answer in _in_order(_rows(raw), ask, AHEAD * parsers.processes):
            row = {"id": document["id"], "path": document["path"], "format": format_of(document["path"])}
            found = answer.of(Document) if answer else f"unsupported-format:{extension_of(document['path'])}"
            if isinstance(found, str):
                row["error"] = found
            else:
                row |= {"title": found.title, "time": found.time, "text": found.text}
                if cleaning.boilerplate:
                    repeated.add(found.text)
            rows.add(row, size=len(row.get("text") or ""))
            _go_on(context, rows.rows, 2 * total, document["path"])
    return repeated.furniture()


def _curate(
    parsed: Path,
    source: str,
    furniture: Furniture,
    out: Path,
    config: CleanConfig,
    parsers: Parsers,
    context: StageContext,
) -> dict[str, int]:
    """Decide on every parsed document; return the counts."""
    cleaning = config.cleaning.model_dump(mode="json")
    labels = {**config.labels.model_dump(mode="json"), "rank": config.rank, "source": source}
    file = pq.ParquetFile(parsed)
    total = file.metadata.num_rows
    characters = redactions = 0

    def ask(row: Row) -> Future[Answer] | None:
        if row["error"] is not None:
            return None
        text, row["furniture_lines"] = furniture.left_out(row.pop("text"))
        head = {"task": "curate", "cleaning": cleaning, "format": row["format"], "title": row["title"]}
        return parsers.submit(head, text.encode())

    with (
        RowWriter(out / "documents.parquet", DOCUMENTS) as documents,
        DispositionWriter(out / "dispositions.parquet") as dispositions,
    ):
        for row, answer in _in_order(_rows(file), ask, AHEAD * parsers.processes):
            error = row.pop("error")
            found = answer.of(Curated) if answer else str(error)
            if isinstance(found, str):
                kind = "dropped" if found.startswith("unsupported-format") else "quarantined"
                dispositions.note(row["path"], row["id"], kind, found)
            else:
                dispositions.note(row["path"], row["id"], found.disposition, found.reason)
                if found.disposition == "kept":
                    kept = found.model_dump(exclude={"disposition", "reason"})
                    documents.add({**row, **labels, **kept}, size=len(found.text))
                    characters += len(found.text)
                    redactions += len(found.redactions)
            _go_on(context, total + dispositions.rows, 2 * total, row["path"])
    counts = {"clean_documents": documents.rows, "characters": characters, "redactions": redactions}
    return {**counts, **dispositions.tally.counts}


def _go_on(context: StageContext, done: int, total: int, path: str) -> None:
    context.progress(done, total, path[-40:])
    if context.cancelled():
        raise InterruptedRun("cleaning the documents stopped", mend="run the same command again")


def _rows(file: pq.ParquetFile) -> Iterator[Row]:
    for group in range(file.num_row_groups):
        yield from file.read_row_group(group).to_pylist()


def _in_order(
    given: Iterable[Given], ask: Callable[[Given], Future[Answer] | None], ahead: int
) -> Iterator[tuple[Given, Answer | None]]:
    """Each thing given with its answer, in order; up to `ahead` questions are open at once."""
    flying: deque[tuple[Given, Future[Answer] | None]] = deque()
    for each in given:
        flying.append((each, ask(each)))
        if len(flying) >= ahead:
            first, future = flying.popleft()
            yield first, future.result() if future else None
    for first, future in flying:
        yield first, future.result() if future else None


STAGE = Stage(run=run, check=judge_clean_documents.check, check_names=judge_clean_documents.names)
