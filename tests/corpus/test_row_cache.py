"""Rows of the last generation and new ones come out in the order asked for, whatever the mix."""

import tempfile
from pathlib import Path

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_dagster.corpus.row_cache import Generation, Piece, RowCache

SCHEMA = pa.schema([("key", pa.string()), ("text", pa.string()), ("bytes", pa.binary())])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(["", "a", "b", "c"]),
            "text": st.none() | st.text(alphabet="xyz", max_size=3),
            "bytes": st.none() | st.binary(max_size=3),
        }
    ),
    max_size=12,
)


def kept(folder: Path, groups: list[list[dict]]) -> None:
    with RowCache(folder, "1", SCHEMA) as cache:
        for group in groups:
            cache.keep(cache.table(group))
    assert [batch.to_pylist() for batch in cache.written()] == [group for group in groups if group]


@settings(max_examples=60, deadline=None)
@given(st.lists(ROWS, max_size=4), ROWS, st.data())
def test_pieces_come_out_in_their_order(groups: list[list[dict]], fresh: list[dict], data: st.DataObject):
    with tempfile.TemporaryDirectory() as folder:
        kept(Path(folder), groups)
        cache = Generation(Path(folder), "1", SCHEMA)
        every = [row for group in groups for row in group]
        numbers = data.draw(st.lists(st.sampled_from(range(len(every))), max_size=20)) if every else []
        pieces: list[Piece] = data.draw(st.permutations([*numbers, *fresh]))
        table = cache.table(pieces)
        assert table.to_pylist() == [every[piece] if isinstance(piece, int) else piece for piece in pieces]
        assert all(column.num_chunks <= 1 for column in table.columns)
        assert cache.column("text") == [row["text"] for row in every]


@settings(deadline=None)
@given(ROWS)
def test_the_first_rows_of_a_key_that_lie_side_by_side_are_found(rows: list[dict]):
    with tempfile.TemporaryDirectory() as folder:
        kept(Path(folder), [rows[:5], rows[5:]])
        cache = Generation(Path(folder), "1", SCHEMA)
        keys = [row["key"] for row in rows]
        for key in ("", "a", "b", "c", "d"):
            first = keys.index(key) if key and key in keys else len(keys)
            end = next((at for at in range(first, len(keys)) if keys[at] != key), len(keys))
            assert cache.rows_of(key) == range(first, end)
            assert cache.row_of(key) == (first if first < end else None)
        assert not len(Generation(Path(folder), "2", SCHEMA).rows_of("a")), "another version knows nothing"
