"""Raw documents: every entry of a source's folder as it is, with a disposition for each."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from forge_dagster.corpus.dispositions import DispositionWriter
from forge_dagster.corpus.rows import RowWriter
from forge_dagster.corpus.suites import judge_raw_documents
from forge_dagster.corpus.walk import entries
from forge_dagster.errors import InterruptedRun, SourceError
from forge_dagster.stage import FrozenModel, Report, Stage, StageContext

DOCUMENTS = pa.schema(
    [("id", pa.string()), ("source", pa.string()), ("path", pa.string()), ("size", pa.int64()), ("bytes", pa.binary())]
)
TIMES = pa.schema([("path", pa.string()), ("mtime_ns", pa.int64())])


class SnapshotConfig(FrozenModel):
    """Which source is read."""

    source: str


def run(inputs: Mapping[str, Path], config: SnapshotConfig, out: Path, context: StageContext) -> Report:
    """Write documents.parquet, dispositions.parquet and, beside the content, times.parquet.

    Raises SourceError if the folder is missing or holds no readable file.
    """
    with (
        RowWriter(out / "documents.parquet", DOCUMENTS) as documents,
        DispositionWriter(out / "dispositions.parquet") as dispositions,
        RowWriter(context.beside / "times.parquet", TIMES) as times,
    ):
        size = 0
        for entry in entries(inputs["folder"]):
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
            f"{inputs['folder']} holds no readable file ({dispositions.rows} other entries)",
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
