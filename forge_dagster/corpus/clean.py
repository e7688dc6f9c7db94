"""Clean documents: each raw document parsed, freed of furniture, judged and redacted, with a reason for each decision.

Two passes over the raw documents, a row group at a time. The first parses and collects the lines that documents share;
the second leaves these lines out and decides on each document alone. Both keep their rows by content: a document that
did not change, among others whose shared lines did not change, is neither parsed nor decided on again.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from forge_dagster.corpus import names
from forge_dagster.corpus.boilerplate import furniture_of
from forge_dagster.corpus.curate import Curated
from forge_dagster.corpus.dispositions import DispositionWriter
from forge_dagster.corpus.formats import extension_of, format_of
from forge_dagster.corpus.parse import Answer, Parsers
from forge_dagster.corpus.row_cache import Piece, RowCache
from forge_dagster.corpus.rows import RowWriter
from forge_dagster.corpus.suites import judge_clean_documents
from forge_dagster.errors import InterruptedRun
from forge_dagster.provenance.code_version import code_version
from forge_dagster.source import Cleaning, Labels
from forge_dagster.stage import FrozenModel, Report, Stage, StageContext

TEXT, TERMS = pa.string(), pa.list_(pa.string())
DECIDED = (
    pa.field("redactions", pa.list_(pa.struct([("kind", TEXT), ("start", pa.int64()), ("end", pa.int64())]))),
    pa.field("furniture_lines", pa.int64()),
    pa.field("quality", pa.map_(TEXT, pa.float64())),
)
DOCUMENTS = pa.schema(
    [
        *((name, TEXT) for name in ("id", "source", "path", "title", "format", "text", "language", "time")),
        *DECIDED,
        *((name, TEXT) for name in ("owner", "licence", "sensitivity", "legal_basis", "jurisdiction", "retention")),
        *((name, TERMS) for name in ("permitted_use", "audience")),
        ("rank", pa.int64()),
    ]
)
SIGNED = (
    *(pa.field(name, TEXT) for name in ("digest", "time")),
    *(pa.field(name, pa.int64()) for name in ("characters", "rank")),
    *(pa.field(name, pa.binary()) for name in ("bands", "shingles")),
)
SIGNATURES = pa.schema([*((name, TEXT) for name in ("id", "source", "path")), *SIGNED])
"""What duplicates are found by, a row a clean document; `digest` is the SHA-256 of the text."""
PARSED = pa.schema(
    [
        *((name, TEXT) for name in ("key", "format", "title", "time", "text", "error")),
        *((name, pa.binary()) for name in ("anywhere", "at_edge")),
    ]
)
CURATED = pa.schema(
    [
        *((name, TEXT) for name in ("key", "disposition", "reason", "title", "text", "language", "digest")),
        *DECIDED,
        ("characters", pa.int64()),
        *((name, pa.binary()) for name in ("bands", "shingles")),
    ]
)
FAULTS = ("timeout", "parser-crashed", "out-of-memory")  # of the moment: tried again next time
GROUPS_AHEAD = 2  # row groups in flight, so that no process waits for the reader
Row = dict[str, Any]
Asked = Piece | tuple[Row, Future[Answer]] | None
"""A row that is known, or what is known of it with the answer to come; None before it is asked about."""


class CleanConfig(FrozenModel):
    """What is done to a source's documents, and the terms that travel with each."""

    cleaning: Cleaning
    labels: Labels
    rank: int


class Parsed(FrozenModel):
    """Answer of the parse task."""

    title: str
    text: str
    time: str | None
    anywhere: str
    at_edge: str
    """Line keys, in hexadecimal."""


def run(inputs: Mapping[str, Path], config: CleanConfig, out: Path, context: StageContext) -> Report:
    """Write documents.parquet, signatures.parquet, and dispositions.parquet with a row for every raw document.

    Raises RecipeError if names are to be replaced and no engine for them is installed.
    """
    if config.cleaning.names:
        names.require()
    raw = pq.ParquetFile(inputs["raw_documents"] / "documents.parquet")
    code = code_version("forge_dagster.corpus.parse_worker")
    with Parsers(len(os.sched_getaffinity(0))) as parsers:
        parsed = _parse(raw, code, parsers, context)
        counts = _curate(raw, parsed, f"{code} {config.cleaning.model_dump_json()}", out, config, parsers, context)
    return Report(counts={"documents": raw.metadata.num_rows, **counts})


def _parse(raw: pq.ParquetFile, version: str, parsers: Parsers, context: StageContext) -> list[pa.RecordBatch]:
    """What the parsers gave, a batch a raw row group."""

    def groups() -> Iterator[list[Asked]]:
        for number in range(raw.num_row_groups):
            named = raw.read_row_group(number, columns=["id", "path"])
            paths = named["path"].to_pylist()
            keys = [
                f"{id_}/{path.rpartition('/')[2]}" for id_, path in zip(named["id"].to_pylist(), paths, strict=True)
            ]
            asked: list[Asked] = [cache.row_of(key) for key in keys]
            new = [at for at, row in enumerate(asked) if row is None]
            if new:
                data = raw.read_row_group(number, columns=["bytes"])["bytes"]
                for at in new:
                    asked[at] = ask(keys[at], paths[at], data[at])
            yield asked

    def ask(key: str, path: str, data: pa.BinaryScalar) -> Asked:
        found: Row = {"key": key, "format": format_of(path)}
        if found["format"] is None:
            return {**found, "error": f"unsupported-format:{extension_of(path)}"}
        return found, parsers.submit({"task": "parse", "path": path}, data.as_py())

    def told(found: Row, answer: Answer) -> Row:
        parsed = answer.of(Parsed)
        if isinstance(parsed, str):
            return {**found, "error": parsed, **({"key": ""} if parsed.startswith(FAULTS) else {})}
        keys = {name: bytes.fromhex(getattr(parsed, name)) for name in ("anywhere", "at_edge")}
        return {**found, **parsed.model_dump(include={"title", "text", "time"}), **keys}

    done = _Steps(context, 2 * raw.metadata.num_rows)
    with RowCache(context.cache / "parsed", version, PARSED) as cache:
        for pieces in _answered(groups(), told, done):
            cache.keep(cache.table(pieces))
    batches = cache.written()
    assert len(batches) == raw.num_row_groups
    return batches


def _curate(
    raw: pq.ParquetFile,
    parsed: list[pa.RecordBatch],
    version: str,
    out: Path,
    config: CleanConfig,
    parsers: Parsers,
    context: StageContext,
) -> dict[str, int]:
    """Decide on every parsed document; return the counts."""
    furniture = furniture_of(parsed if config.cleaning.boilerplate else [])
    cleaning = config.cleaning.model_dump(mode="json")

    def groups() -> Iterator[list[Asked]]:
        for batch in parsed:
            repeated = furniture.found(batch.column("anywhere"), batch.column("at_edge"))
            named = zip(batch.column("key").to_pylist(), repeated, strict=True)
            keys = [f"{key} {lines.hex()}" if key else "" for key, lines in named]
            asked: list[Asked] = [cache.row_of(key) for key in keys]
            new = [at for at, row in enumerate(asked) if row is None]
            for at, row in zip(
                new, batch.select(PARSED.names[1:6]).take(pa.array(new, pa.int64())).to_pylist(), strict=True
            ):
                asked[at] = ask(keys[at], row, bool(repeated[at]))
            yield asked

    def ask(key: str, row: Row, has_furniture: bool) -> Asked:
        found: Row = {"key": key}
        if row["error"] is not None:
            kind = "dropped" if row["error"].startswith("unsupported-format") else "quarantined"
            return {**found, "disposition": kind, "reason": row["error"]}
        text, found["furniture_lines"] = furniture.left_out(row["text"]) if has_furniture else (row["text"], 0)
        head = {"task": "curate", "cleaning": cleaning, "format": row["format"], "title": row["title"]}
        return found, parsers.submit(head, text.encode())

    def told(found: Row, answer: Answer) -> Row:
        curated = answer.of(Curated)
        if isinstance(curated, str):
            fault = {"key": ""} if curated.startswith(FAULTS) else {}
            return {**found, **fault, "disposition": "quarantined", "reason": curated}
        return {
            **found,
            **curated.model_dump(),
            "digest": hashlib.sha256(curated.text.encode()).hexdigest(),
            "characters": len(curated.text),
            **{name: bytes.fromhex(getattr(curated, name)) for name in ("bands", "shingles")},
        }

    total = raw.metadata.num_rows
    done = _Steps(context, 2 * total, total)
    counts = {"characters": 0, "redactions": 0}
    with ExitStack() as files:
        cache = files.enter_context(RowCache(context.cache / "curated", version, CURATED))
        documents = files.enter_context(RowWriter(out / "documents.parquet", DOCUMENTS))
        signatures = files.enter_context(RowWriter(out / "signatures.parquet", SIGNATURES))
        dispositions = files.enter_context(DispositionWriter(out / "dispositions.parquet"))
        for number, pieces in enumerate(_answered(groups(), told, done)):
            table = cache.table(pieces)
            cache.keep(table)
            came = raw.read_row_group(number, columns=["id", "path", "source"])
            for name, column in (("id", came["id"]), ("path", came["path"]), ("source", came["source"])):
                table = table.append_column(name, column)
            table = table.append_column("format", parsed[number].column("format"))
            table = table.append_column("time", parsed[number].column("time"))
            dispositions.note(table)
            kept = _labelled(table.filter(pc.equal(table["disposition"], "kept")), config)
            documents.write(kept)
            signatures.write(kept)
            counts["characters"] += pc.sum(kept["characters"]).as_py() or 0
            counts["redactions"] += pc.sum(pc.list_value_length(kept["redactions"])).as_py() or 0
    return {"clean_documents": documents.rows, **counts, **dispositions.tally.counts}


def _labelled(table: pa.Table, config: CleanConfig) -> pa.Table:
    """The rows with the source's terms."""
    terms = {**config.labels.model_dump(mode="json"), "rank": config.rank}
    for name, value in terms.items():
        table = table.append_column(name, pa.array([value] * len(table), DOCUMENTS.field(name).type))
    return table


class _Steps:
    """Counts documents, and stops when asked to."""

    def __init__(self, context: StageContext, total: int, done: int = 0) -> None:
        self._context, self._total, self._done = context, total, done

    def step(self, documents: int = 1) -> None:
        self._done += documents
        self._context.progress(self._done, self._total, "documents")
        if self._context.cancelled():
            raise InterruptedRun("cleaning the documents stopped", mend="run the same command again")


def _answered(groups: Iterable[list[Asked]], told: Callable[[Row, Answer], Row], done: _Steps) -> Iterator[list[Piece]]:
    """What came of each row, group by group and in order; the next group is asked about before this one is done."""
    flying: deque[list[Asked]] = deque()

    def landed() -> list[Piece]:
        pieces: list[Piece] = []
        known = 0
        for asked in flying.popleft():
            assert asked is not None
            if isinstance(asked, tuple):
                pieces.append(told(asked[0], asked[1].result()))
                done.step()
            else:
                pieces.append(asked)
                known += 1
        done.step(known)
        return pieces

    for group in groups:
        flying.append(group)
        if len(flying) >= GROUPS_AHEAD:
            yield landed()
    while flying:
        yield landed()


STAGE = Stage(run=run, check=judge_clean_documents.check, check_names=judge_clean_documents.names)
