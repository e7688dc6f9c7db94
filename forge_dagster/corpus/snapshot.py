"""Raw documents: every entry of a source's folder as it is, with a disposition for each."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from forge_dagster.corpus.dispositions import DISPOSITIONS
from forge_dagster.corpus.suites import judge_raw_documents
from forge_dagster.corpus.walk import entries
from forge_dagster.errors import SourceError
from forge_dagster.stage import FrozenModel, Report, Stage, StageContext

ROW_GROUP = 64 << 20  # bytes of documents held in memory at a time
DOCUMENTS = pa.schema(
    [("id", pa.string()), ("source", pa.string()), ("path", pa.string()), ("size", pa.int64()), ("bytes", pa.binary())]
)


class SnapshotConfig(FrozenModel):
    """Which source is read."""

    source: str


def run(inputs: Mapping[str, Path], config: SnapshotConfig, out: Path, context: StageContext) -> Report:
    """Write documents.parquet, dispositions.parquet and, beside the content, times.parquet.

    Raises SourceError if the folder is missing or holds no readable file.
    """
    batch: list[dict[str, object]] = []
    dispositions: list[dict[str, object]] = []
    times: list[dict[str, object]] = []
    held = 0
    with pq.ParquetWriter(out / "documents.parquet", DOCUMENTS, compression="zstd") as writer:
        for entry in entries(inputs["folder"]):
            dispositions.append(
                {"path": entry.path, "id": entry.id, "disposition": entry.disposition, "reason": entry.reason}
            )
            if entry.data is not None:
                size = len(entry.data)
                batch.append(
                    {"id": entry.id, "source": config.source, "path": entry.path, "size": size, "bytes": entry.data}
                )
                times.append({"path": entry.path, "mtime_ns": entry.mtime_ns})
                held += size
            if held >= ROW_GROUP:
                writer.write_table(pa.Table.from_pylist(batch, DOCUMENTS))
                batch, held = [], 0
            context.progress(len(dispositions), len(dispositions) + 1, f"{len(dispositions):,} files")
        if batch:
            writer.write_table(pa.Table.from_pylist(batch, DOCUMENTS))
    if not times:
        raise SourceError(
            f"{inputs['folder']} holds no readable file",
            rule="a source has documents",
            mend="add documents, or correct `location`",
        )
    pq.write_table(pa.Table.from_pylist(dispositions, DISPOSITIONS), out / "dispositions.parquet", compression="zstd")
    pq.write_table(pa.Table.from_pylist(times), context.beside / "times.parquet")
    counts = Counter(str(row["disposition"]) for row in dispositions)
    return Report(counts={"entries": len(dispositions), "documents": len(times), **dict(sorted(counts.items()))})


STAGE = Stage(run=run, check=judge_raw_documents.check, check_names=judge_raw_documents.names)
