"""Reads the header of a safetensors file with every number checked before it is believed."""

import json
import struct
from pathlib import Path
from typing import Any

from forge_dagster.errors import WeightsError

MOST_HEADER = 100_000_000
"""Bytes; the limit of the safetensors library."""
SIZES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
"""Bytes of one element by the format's name of its type."""
RULE = "length of the header in 8 bytes, a JSON object, then tensors that cover the rest without gap or overlap"


def read_header(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor by name. Raises WeightsError naming what is wrong."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
        if start[:2] == b"PK" or start[:1] == b"\x80":
            raise _refused(path, "is a pickle or an archive under another name: reading it can run code")
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(size - 8, MOST_HEADER):
            raise _refused(path, f"states a header of {length:,} bytes in a file of {size:,}")
        try:
            header = json.loads(stream.read(length), object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise _refused(path, f"has a header that is no JSON object: {error}") from error
    if not isinstance(header, dict):
        raise _refused(path, "has a header that is no JSON object")
    header.pop("__metadata__", None)
    shapes, places = {}, []
    for name, entry in header.items():
        shapes[name], place = _entry(path, name, entry)
        places.append((*place, name))
    end = 0
    for begin, stop, name in sorted(places):
        if begin != end:
            raise _refused(path, f"has tensor {name} at byte {begin:,}, where the one before it ends at {end:,}")
        end = stop
    if end != size - 8 - length:
        raise _refused(path, f"has tensors up to byte {end:,} of {size - 8 - length:,}")
    return shapes


def _entry(path: Path, name: str, entry: Any) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Shape and place of one tensor."""
    try:
        kind, shape, (begin, stop) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        whole = all(type(number) is int and number >= 0 for number in (*shape, begin, stop))
        count = SIZES[kind]
    except (KeyError, TypeError, ValueError) as error:
        raise _refused(path, f"has an entry for tensor {name} that is not understood: {error}") from error
    for number in shape if whole else ():
        count *= number
    if not whole or stop - begin != count:
        raise _refused(path, f"has tensor {name} of {kind} {list(shape)} in bytes {begin}..{stop}")
    return shape, (begin, stop)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError("a name occurs twice")
    return dict(pairs)


def _refused(path: Path, problem: str) -> WeightsError:
    return WeightsError(f"{path} {problem}", rule=RULE, mend="fetch the file again, from who made it")
