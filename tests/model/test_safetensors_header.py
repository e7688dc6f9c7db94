"""Headers that lie are refused by name before a library reads the file."""

import json
import pickle
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from forge_dagster.errors import WeightsError
from forge_dagster.model.safetensors_header import read_header


def written(path: Path, header: object, data: bytes = b"\0" * 8, length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def entry(begin: int, end: int, shape: list[int] | None = None, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": [(end - begin) // 4] if shape is None else shape, "data_offsets": [begin, end]}


def test_a_real_file_is_read(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(5, dtype=torch.bfloat16)}, tmp_path / "x.safetensors")
    assert read_header(tmp_path / "x.safetensors") == {"a": (2, 3), "b": (5,)}


@pytest.mark.parametrize(
    ("header", "length", "expected"),
    [
        ({"a": entry(0, 4), "b": entry(4, 12)}, None, "up to byte 12 of 8"),
        ({"a": entry(0, 8), "b": entry(4, 8)}, None, "tensor b at byte 4, where the one before it ends at 8"),
        ({"a": entry(0, 4)}, None, "up to byte 4 of 8"),
        ({"b": entry(4, 8)}, None, "tensor b at byte 4, where the one before it ends at 0"),
        ({"a": entry(0, 8, [3])}, None, r"tensor a of F32 \[3\] in bytes 0..8"),
        ({"a": entry(0, 8, [-1, -2])}, None, "tensor a"),
        ({"a": entry(0, 8, [2**62, 2**62])}, None, "tensor a"),
        ({"a": entry(0, 8, [True, 2])}, None, "tensor a"),
        ({"a": entry(0, 8, dtype="F31")}, None, "not understood: 'F31'"),
        ({"a": {"dtype": "F32"}}, None, "not understood"),
        ({"a": 3}, None, "not understood"),
        (b"[1, 2]", None, "no JSON object"),
        (b"{" * 100_000, None, "no JSON object"),
        (b'{"a": 1, "a": 2}', None, "a name occurs twice"),
        ({"a": entry(0, 8)}, 2**60, r"states a header of 1,152,921,504,606,846,976 bytes"),
        ({"a": entry(0, 8)}, 10_000, "states a header of 10,000 bytes"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, header: object, length: int | None, expected: str) -> None:
    path = written(tmp_path / "x.safetensors", header, length=length)
    with pytest.raises(WeightsError, match=expected) as caught:
        read_header(path)
    assert str(path) in str(caught.value)


def test_a_huge_header_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", 200_000_000))
        stream.truncate(300_000_000)
    with pytest.raises(WeightsError, match="states a header of 200,000,000 bytes"):
        read_header(path)


def test_a_pickle_under_another_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain.safetensors").write_bytes(pickle.dumps({"a": 1}))
    torch.save({"a": torch.zeros(2)}, tmp_path / "zip.safetensors")
    for name in ("plain", "zip"):
        with pytest.raises(WeightsError, match="is a pickle or an archive"):
            read_header(tmp_path / f"{name}.safetensors")


@pytest.mark.parametrize("size", [0, 3, 8, 9])
def test_a_torn_file_is_refused(tmp_path: Path, size: int) -> None:
    path = written(tmp_path / "x.safetensors", {"a": entry(0, 8)})
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(WeightsError, match="states a header"):
        read_header(path)
