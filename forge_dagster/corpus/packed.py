"""Columns of byte strings as flat numbers, without a Python object a row."""

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Number = TypeVar("Number", np.uint32, np.uint64)


def are_in(found: npt.NDArray[Number], those: npt.NDArray[Number]) -> npt.NDArray[np.bool_]:
    """Whether each number is one of those, which are sorted."""
    if not len(those):
        return np.zeros(len(found), dtype=bool)
    return np.asarray(those[np.searchsorted(those, found) % len(those)] == found)


def packed(column: pa.ChunkedArray | pa.Array, kind: str) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """The values of a column of bytes or text, one after the other as numbers of a kind, and how many each has.

    A null has none.
    """
    each = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not len(each):
        return np.empty(0, dtype=kind), np.empty(0, dtype=np.int64)
    values, size = pc.fill_null(each, b"" if pa.types.is_binary(each.type) else ""), np.dtype(kind).itemsize
    _, offsets, data = values.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[values.offset : values.offset + len(values) + 1]
    flat = np.frombuffer(data or b"", dtype=np.uint8)[ends[0] : ends[-1]]
    return flat.view(kind), np.diff(ends).astype(np.int64) // size
