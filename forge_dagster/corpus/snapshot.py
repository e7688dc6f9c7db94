"""Raw documents: every entry of a source as it is, containers opened, with a disposition for each."""

import importlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field

from forge_dagster.corpus import kinds
from forge_dagster.corpus.containers import INSIDE, container_of
from forge_dagster.corpus.dispositions import DispositionWriter
from forge_dagster.corpus.entry import Entry, digest, kept, printable
from forge_dagster.corpus.parse import Parsers
from forge_dagster.corpus.rows import RowWriter
from forge_dagster.corpus.suites import judge_raw_documents
from forge_dagster.errors import InterruptedRun, SourceError
from forge_dagster.source import PlacedSource
from forge_dagster.stage import FrozenModel, Report, Stage, StageContext

DOCUMENTS = pa.schema(
    [("id", pa.string()), ("source", pa.string()), ("path", pa.string()), ("size", pa.int64()), ("bytes", pa.binary())]
)
TIMES = pa.schema([("path", pa.string()), ("mtime_ns", pa.int64())])


class SnapshotConfig(FrozenModel):
    """Which source is read; where it lies is no part of what is made."""

    source: str
    kind: str
    settings: Mapping[str, Any]
    location: str = Field(exclude=True)

    def entries(self) -> Iterator[Entry]:
        """Every entry of the source, in its kind's order. Raises SourceError if it cannot be reached."""
        module = importlib.import_module(f"{kinds.__name__}.{self.kind}")
        yield from module.entries(self.location, module.Settings.model_validate(self.settings))

    def content_digest(self) -> str:
        """Digest of the source's content as it is now."""
        return digest(self.entries())

    def watermark(self) -> str:
        """A cheap sign that the content may have changed."""
        module = importlib.import_module(f"{kinds.__name__}.{self.kind}")
        return module.watermark(self.location, module.Settings.model_validate(self.settings))


def snapshot_config(placed: PlacedSource) -> SnapshotConfig:
    """The configuration that reads a source."""
    source = placed.source
    return SnapshotConfig(source=source.name, kind=source.kind, settings=source.settings, location=placed.location)


def _opened(entries: Iterable[Entry], parsers: Parsers) -> Iterator[Entry]:
    """Entries, the members of each container in its place; a container that cannot be opened is quarantined."""
    for entry in entries:
        if entry.data is None or container_of(entry.path) is None:
            yield entry
            continue
        answer = parsers.submit({"task": "expand", "path": entry.path}, entry.data).result()
        try:
            members = answer.members()
        except ValueError as error:
            yield Entry(entry.path, "quarantined", f"container:{answer.error or error}", entry.id)
            continue
        if not members:
            yield Entry(entry.path, "dropped", "empty-container", entry.id)
        for member in members:
            path = f"{entry.path}{INSIDE}{printable(member.path)}"
            if member.data is None:
                yield Entry(path, "dropped", member.reason)
            else:
                yield kept(path, member.data, entry.mtime_ns)


def run(inputs: Mapping[str, Path], config: SnapshotConfig, out: Path, context: StageContext) -> Report:
    """Write documents.parquet, dispositions.parquet and, beside the content, times.parquet.

    Raises SourceError if the source cannot be reached or holds no readable document.
    """
    with (
        RowWriter(out / "documents.parquet", DOCUMENTS) as documents,
        DispositionWriter(out / "dispositions.parquet") as dispositions,
        RowWriter(context.beside / "times.parquet", TIMES) as times,
        Parsers(1) as parsers,
    ):
        size = 0
        for entry in _opened(config.entries(), parsers):
            dispositions.note(entry.path, entry.id, entry.disposition, entry.reason)
            if entry.data is not None:
                documents.add(
                    {
                        "id": entry.id,
                        "source": config.source,
                        "path": entry.path,
                        "size": len(entry.data),
                        "bytes": entry.data,
                    },
                    size=len(entry.data),
                )
                times.add({"path": entry.path, "mtime_ns": entry.mtime_ns})
                size += len(entry.data)
            # How many are still to come is not known before they are read.
            context.progress(dispositions.rows, dispositions.rows + 1, f"{dispositions.rows:,} files")
            if context.cancelled():
                raise InterruptedRun("reading the documents stopped", mend="run the same command again")
    if not documents.rows:
        raise SourceError(
            f"{config.location} holds no readable file ({dispositions.rows} other entries)",
            rule="a source has documents",
            mend="add documents, or correct `location`",
        )
    return Report(
        counts={
            "entries": dispositions.rows,
            "documents": documents.rows,
            "bytes": size,
            **dispositions.tally.counts,
        }
    )


STAGE = Stage(run=run, check=judge_raw_documents.check, check_names=judge_raw_documents.names)
