"""Raw documents: every entry of a source as it is, containers opened, with a disposition for each."""

import importlib
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from forge_dagster.corpus import kinds, rows
from forge_dagster.corpus.containers import INSIDE, container_of
from forge_dagster.corpus.dispositions import DispositionWriter
from forge_dagster.corpus.entry import ERASED, Digest, Entry, Known, kept, nothing_known, printable
from forge_dagster.corpus.parse import Parsers
from forge_dagster.corpus.row_cache import Generation, Piece, RowCache
from forge_dagster.corpus.suites import judge_raw_documents
from forge_dagster.errors import InterruptedRun, SourceError
from forge_dagster.provenance.code_version import code_version
from forge_dagster.source import WHOLE, PlacedSource, Shard
from forge_dagster.stage import FrozenModel, Report, Stage, StageContext

DOCUMENTS = pa.schema(
    [("id", pa.string()), ("source", pa.string()), ("path", pa.string()), ("size", pa.int64()), ("bytes", pa.binary())]
)
ENTRIES = pa.schema(
    [
        *((name, pa.string()) for name in ("origin", "entry", "path", "id", "disposition", "reason")),
        ("mtime_ns", pa.int64()),
        ("size", pa.int64()),
        ("bytes", pa.binary()),
    ]
)
"""What came of one entry, or of one member of a container: `origin` is the entry's path and stamp, `entry` its id."""
TIMES = pa.schema([("path", pa.string()), ("mtime_ns", pa.int64())])


EXTERNAL = "documents"
"""Name of the input that is no artifact: what the source holds."""


class Seen(NamedTuple):
    """A source, or a shard of one, as it was looked at: digest of its content, and how many entries it lists."""

    content: str
    listed: int


class SnapshotConfig(FrozenModel):
    """Which source, or shard of one, is read; where it lies is no part of what is made."""

    source: str
    kind: str
    settings: Mapping[str, Any]
    shard: Shard = WHOLE
    location: str = Field(exclude=True)
    erased: tuple[str, ...] = Field(default=(), exclude=True)
    """Ids of documents that may not return; the digest of the content says whether the source has any of them."""

    def entries(self, known: Known = nothing_known) -> Iterator[Entry]:
        """Every entry of the shard, in its kind's order. Raises SourceError if the source cannot be reached."""
        module = importlib.import_module(f"{kinds.__name__}.{self.kind}")
        yield from module.entries(self.location, module.Settings.model_validate(self.settings), known, self.shard)

    def look(self, cache: Path) -> Seen:
        """The shard's content as it is now; what `cache` knows by its stamp is not read."""
        state = Digest(self.erased)
        deque(state.over(self.entries(_known(Generation(cache / "entries", _version(), ENTRIES)))), maxlen=0)
        return Seen(state.hexdigest(), state.entries)

    def watermark(self) -> str:
        """A cheap sign that the source's content may have changed, in whichever shard."""
        module = importlib.import_module(f"{kinds.__name__}.{self.kind}")
        return module.watermark(self.location, module.Settings.model_validate(self.settings))


def snapshot_config(placed: PlacedSource, shard: Shard = WHOLE) -> SnapshotConfig:
    """The configuration that reads a source, or a shard of it."""
    source = placed.source
    return SnapshotConfig(
        source=source.name,
        kind=source.kind,
        settings=source.settings,
        shard=shard,
        location=placed.location,
        erased=placed.erased,
    )


def _version() -> str:
    return code_version("forge_dagster.corpus.parse_worker")


def _origin(path: str, stamp: str) -> str:
    return f"{path}\0{stamp}" if stamp else ""


def _known(cache: Generation) -> Known:
    """The ids of the entries in a cache."""
    ids = cache.column("entry")

    def known(path: str, stamp: str) -> str | None:
        row = cache.row_of(_origin(path, stamp))
        return None if row is None else ids[row]

    return known


def _pieces(entries: Iterable[Entry], cache: Generation, parsers: Parsers) -> Iterator[Piece]:
    """The rows of each entry: those in the cache where it is unchanged, else one, or one a member of a container."""
    for entry in entries:
        origin = _origin(entry.path, entry.stamp)
        if entry.is_unchanged:
            yield from cache.rows_of(origin)
            continue
        for found in _opened(entry, parsers):
            yield {
                **{name: getattr(found, name) for name in ("path", "id", "disposition", "reason", "mtime_ns")},
                # What a fault of the moment cost is tried again next time.
                "origin": "" if found.reason.startswith(("container:timeout", "container:parser-crashed")) else origin,
                "entry": entry.id,
                "size": None if found.data is None else len(found.data),
                "bytes": found.data,
            }


def _without(erased: Collection[str], pieces: Iterable[Piece], cache: Generation) -> Iterator[Piece]:
    """The rows with the erased documents among them as dropped, files and members of containers alike."""
    if not erased:
        yield from pieces
        return
    gone = frozenset(erased)
    known = {name: cache.column(name) for name in ("id", "origin", "entry", "path", "mtime_ns")}
    for piece in pieces:
        row = {name: values[piece] for name, values in known.items()} if isinstance(piece, int) else piece
        if row["id"] not in gone:
            yield piece
        else:
            kept_of = {name: row[name] for name in known}
            yield {**kept_of, "disposition": "dropped", "reason": ERASED, "size": None, "bytes": None}


def _opened(entry: Entry, parsers: Parsers) -> Iterator[Entry]:
    """The entry, or the members of a container in its place; one that cannot be opened is quarantined."""
    if entry.data is None or container_of(entry.path) is None:
        yield entry
        return
    answer = parsers.submit({"task": "expand", "path": entry.path}, entry.data).result()
    try:
        members = answer.members()
    except ValueError as error:
        yield Entry(entry.path, "quarantined", f"container:{answer.error or error}", entry.id)
        return
    if not members:
        yield Entry(entry.path, "dropped", "empty-container", entry.id)
    for member in members:
        path = f"{entry.path}{INSIDE}{printable(member.path)}"
        if member.data is None:
            yield Entry(path, "dropped", member.reason)
        else:
            yield kept(path, member.data, entry.mtime_ns)


def _groups(pieces: Iterable[Piece], sizes: list[int | None]) -> Iterator[list[Piece]]:
    """Pieces in groups of MOST_ROWS rows or MOST_BYTES bytes; `sizes` are those of the cache's rows."""
    group: list[Piece] = []
    held = 0
    for piece in pieces:
        size = (sizes[piece] if isinstance(piece, int) else piece["size"]) or 0
        if group and (len(group) >= rows.MOST_ROWS or held + size > rows.MOST_BYTES):
            yield group
            group, held = [], 0
        group.append(piece)
        held += size
    if group:
        yield group


def run(inputs: Mapping[str, Path], config: SnapshotConfig, out: Path, context: StageContext) -> Report:
    """Write documents.parquet, dispositions.parquet and, beside the content, times.parquet.

    An entry whose stamp is that of the last snapshot is not read again. Raises SourceError if the source cannot be
    reached or holds no readable document.
    """
    counts: Counter[str] = Counter()
    read = Digest(config.erased)

    def watched(found: Iterable[Piece]) -> Iterator[Piece]:
        for piece in found:
            counts["entries"] += 1
            # How many are still to come is not known before they are read.
            context.progress(counts["entries"], counts["entries"] + 1, f"{counts['entries']:,} files")
            if context.cancelled():
                raise InterruptedRun("reading the documents stopped", mend="run the same command again")
            yield piece

    with (
        RowCache(context.cache / "entries", _version(), ENTRIES) as cache,
        rows.RowWriter(out / "documents.parquet", DOCUMENTS) as documents,
        DispositionWriter(out / "dispositions.parquet") as dispositions,
        rows.RowWriter(context.beside / "times.parquet", TIMES) as times,
        Parsers(1) as parsers,
    ):
        found = _pieces(read.over(config.entries(_known(cache))), cache, parsers)
        pieces = watched(_without(config.erased, found, cache))
        for group in _groups(pieces, cache.column("size")):
            table = cache.table(group)
            cache.keep(table)
            dispositions.note(table)
            kept_rows = table.filter(pc.is_valid(table["bytes"]))
            documents.write(kept_rows.append_column("source", pa.repeat(config.source, len(kept_rows))))
            times.write(kept_rows)
            counts["bytes"] += pc.sum(kept_rows["size"]).as_py() or 0
    if not documents.rows:
        part = f" in shard {config.shard.number} of {config.shard.count}" if config.shard != WHOLE else ""
        raise SourceError(
            f"{config.location} holds no readable file{part} ({dispositions.rows} other entries)",
            rule="a source has documents, in each of its shards",
            mend="add documents, or correct `location` or `shards`",
        )
    return Report(
        counts={**counts, "listed": read.entries, "documents": documents.rows, **dispositions.tally.counts},
        read={EXTERNAL: read.hexdigest()},
    )


STAGE = Stage(run=run, check=judge_raw_documents.check, check_names=judge_raw_documents.names)
