"""The clean documents of all sources, read one row group at a time, or by their signatures alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from forge_dagster.corpus.packed import packed
from forge_dagster.corpus.signature import BANDS, Numbers, mapped


def clean_folders(inputs: Mapping[str, Path]) -> list[Path]:
    """Contents of every source's clean documents, by source name."""
    return [folder for name, folder in sorted(inputs.items()) if name.startswith("clean_documents/")]


def clean_groups(inputs: Mapping[str, Path], columns: Sequence[str], signed: Sequence[str] = ()) -> Iterator[pa.Table]:
    """Columns of the clean documents and their signatures, a row group at a time, in the order of SignedDocuments."""
    yield from _one_ahead(_groups(inputs, columns, signed))


def _groups(inputs: Mapping[str, Path], columns: Sequence[str], signed: Sequence[str]) -> Iterator[pa.Table]:
    for folder in clean_folders(inputs):
        documents = pq.ParquetFile(folder / "documents.parquet")
        signatures = pq.ParquetFile(folder / "signatures.parquet") if signed else documents
        for group in range(documents.num_row_groups):
            table = documents.read_row_group(group, columns=list(columns))
            for name in signed:
                table = table.append_column(name, signatures.read_row_group(group, columns=[name])[name])
            yield table


def _one_ahead(groups: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The groups, each read while the one before it is worked on."""
    waiting = iter(groups)
    with ThreadPoolExecutor(1, thread_name_prefix="reader") as thread:
        coming = thread.submit(next, waiting, None)
        while (group := coming.result()) is not None:
            coming = thread.submit(next, waiting, None)
            yield group


class SignedDocuments:
    """Signatures of every source's clean documents; shingles lie in a mapped file, not in memory."""

    def __init__(self, folders: Sequence[Path], scratch: Path) -> None:
        tables, bands, sizes = [], [np.empty((0, BANDS), dtype="<u8")], list[Numbers]()
        with scratch.open("wb") as file:
            for folder in folders:
                signatures = pq.ParquetFile(folder / "signatures.parquet")
                for group in range(signatures.num_row_groups):
                    table = signatures.read_row_group(group)
                    hashes, lengths = packed(table["shingles"], "<u4")
                    file.write(hashes.data)
                    sizes.append(lengths)
                    bands.append(packed(table["bands"], "<u8")[0].reshape(-1, BANDS))
                    tables.append(table.drop_columns(["bands", "shingles"]))
        self.table = (
            pa.concat_tables(tables).combine_chunks() if tables else pa.table({"digest": pa.array([], pa.string())})
        )
        self.bands: npt.NDArray[np.uint64] = np.concatenate(bands)
        self.digests: npt.NDArray[np.bytes_] = packed(self.table["digest"], "S64")[0]
        self.shingles = mapped(scratch, sizes)

    def __len__(self) -> int:
        return len(self.table)
