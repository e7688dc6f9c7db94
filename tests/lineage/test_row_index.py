"""The index finds the rows that a scan finds, and is made once."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from lineage_store import stored

from forge_dagster.lineage.row_index import RowIndex

IDS = st.lists(st.text("0af", min_size=1, max_size=10), max_size=30)


@given(ids=IDS, asked=st.text("0af", min_size=1, max_size=10), group=st.integers(1, 7))
def test_rows_are_those_of_a_scan(tmp_path_factory, ids: list[str], asked: str, group: int) -> None:
    rows = [{"id": id_, "path": f"p/{id_}", "ids": [id_, *ids[n : n + 2]], "n": n} for n, id_ in enumerate(ids)]
    schema = pa.schema([("id", pa.string()), ("path", pa.string()), ("ids", pa.list_(pa.string())), ("n", pa.int64())])
    table = pa.Table.from_pylist(rows, schema)
    graph, node = stored(
        tmp_path_factory.mktemp("index"), lambda out: pq.write_table(table, out / "f.parquet", row_group_size=group)
    )
    index = RowIndex(graph, graph.store.root / "cache")
    for column, value in (("id", asked), ("path", f"p/{asked}"), ("ids", asked)):
        found = index.rows(node, "f.parquet", column, value, ["n"])
        wanted = [n for n, row in enumerate(rows) if value == row[column] or (column == "ids" and value in row[column])]
        assert [row["n"] for row in found] == [row["row"] for row in found] == wanted
    assert index.rows(node, "f.parquet", "id", "no id", ["n"]) == []
    assert index.beginning_with(node, "f.parquet", "id", "readme", 99) == set()
    beginning = index.beginning_with(node, "f.parquet", "id", asked, 99)
    assert beginning == {id_ for id_ in ids if id_.startswith(asked)}


def test_an_index_is_made_once_and_for_these_bytes(tmp_path: Path) -> None:
    table = pa.table({"id": ["b", None, "a"]})
    graph, node = stored(tmp_path, lambda out: pq.write_table(table, out / "f.parquet"))
    assert RowIndex(graph, tmp_path / "cache").rows(node, "f.parquet", "id", "a", []) == [{"id": "a", "row": 2}]
    (made,) = (tmp_path / "cache").iterdir()
    assert made.name.startswith(graph.records[node][0].files["f.parquet"].sha256)
    stamp = made.stat().st_mtime_ns
    assert RowIndex(graph, tmp_path / "cache").rows(node, "f.parquet", "id", "x", []) == []
    assert made.stat().st_mtime_ns == stamp


def test_many_rows_are_found_in_six_bytes_each(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    ids = [draw.bytes(32).hex() for _ in range(5000)]
    graph, node = stored(tmp_path, lambda out: pq.write_table(pa.table({"id": ids}), out / "f.parquet"))
    index = RowIndex(graph, tmp_path / "cache")
    for number in draw.integers(0, 5000, 20).tolist():
        assert index.rows(node, "f.parquet", "id", ids[number], []) == [{"id": ids[number], "row": number}]
        assert index.beginning_with(node, "f.parquet", "id", ids[number][:9], 9) == {ids[number]}
    assert index.beginning_with(node, "f.parquet", "id", "a", 9999) == {each for each in ids if each[0] == "a"}
    (made,) = (tmp_path / "cache").iterdir()
    assert made.stat().st_size < 6 * 5000 + 200
