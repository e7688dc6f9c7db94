"""Columns seen as numbers say what their rows say."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.corpus.packed import are_in, packed

NUMBERS = st.lists(st.integers(0, 2**32 - 1), max_size=6)


@given(st.lists(st.none() | NUMBERS, max_size=8), st.integers(0, 8), st.booleans())
def test_a_column_of_bytes_as_numbers(rows: list[list[int] | None], start: int, chunked: bool):
    column = pa.array([None if row is None else np.array(row, "<u4").tobytes() for row in rows], pa.binary())[start:]
    flat, sizes = packed(pa.chunked_array([column[:2], column[2:]]) if chunked else column, "<u4")
    assert flat.tolist() == [number for row in rows[start:] for number in row or []]
    assert sizes.tolist() == [len(row or []) for row in rows[start:]]


def test_a_column_of_text_as_fixed_strings():
    flat, sizes = packed(pa.array(["ab", "cd"]), "S2")
    assert flat.tolist() == [b"ab", b"cd"]
    assert sizes.tolist() == [1, 1]


@given(NUMBERS, NUMBERS)
def test_membership(found: list[int], those: list[int]):
    asked = are_in(np.array(found, dtype=np.uint32), np.unique(np.array(those, dtype=np.uint32)))
    assert asked.tolist() == [number in those for number in found]
