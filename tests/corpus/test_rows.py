"""A Parquet file holds the rows in their order, and a row group that cannot be written is an error."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.corpus.rows import RowWriter

SCHEMA = pa.schema([("number", pa.int64())])


def test_row_groups_stand_in_the_order_they_came(tmp_path: Path):
    with RowWriter(tmp_path / "rows.parquet", SCHEMA) as writer:
        for start in range(0, 5000, 100):
            writer.write(pa.table({"number": pa.array(range(start, start + 100)), "more": pa.array([""] * 100)}))
        writer.write(pa.table({"number": pa.array([], pa.int64())}))
    file = pq.ParquetFile(tmp_path / "rows.parquet")
    assert file.num_row_groups == 50
    assert file.read()["number"].to_pylist() == list(range(5000))
    assert writer.rows == 5000


def test_what_the_disk_refuses_reaches_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", refused)
    with pytest.raises(OSError, match="No space"), RowWriter(tmp_path / "rows.parquet", SCHEMA) as writer:
        writer.write(pa.table({"number": [1]}))
