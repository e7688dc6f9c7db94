"""Files against what they should be, many at a time."""

import hashlib
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from forge_dagster.versions.hashing import Expected, fault, faults


def expected(path: Path, data: bytes, algorithm: str = "sha256", size: bool = True) -> Expected:
    digest = hashlib.new(algorithm, data).hexdigest()
    return Expected(path=str(path), algorithm=algorithm, digest=digest, bytes=len(data) if size else None)


def test_each_fault_has_its_name(tmp_path: Path):
    path = tmp_path / "f"
    assert fault(expected(path, b"whole")) == ("missing", 0)
    path.write_bytes(b"whole")
    assert fault(expected(path, b"whole")) == (None, 5)
    assert fault(expected(path, b"while"))[0] == "flipped bytes"
    assert fault(expected(path, b"whole and more"))[0] == "truncated: 5 of 14 bytes"
    assert fault(expected(path, b"who"))[0] == "longer: 5 of 3 bytes"
    assert fault(expected(path, b"whole", "md5", size=False)) == (None, 5)
    assert fault(expected(path, b"who", "md5", size=False))[0] == "flipped bytes"


def test_a_list_of_dvc_has_its_suffix(tmp_path: Path):
    (tmp_path / "l").write_bytes(b"[]")
    listed = Expected(path=str(tmp_path / "l"), algorithm="md5", digest=hashlib.md5(b"[]").hexdigest() + ".dir")
    assert fault(listed) == (None, 2)


@settings(max_examples=10)
@given(st.sets(st.integers(0, 199)), st.integers(1, 8))
def test_every_file_is_answered_for_once(tmp_path_factory, damaged, workers):
    folder = tmp_path_factory.mktemp("many")
    wanted = []
    for number in range(200):
        path, data = folder / str(number), b"%d" % number
        path.write_bytes(data if number not in damaged else data + b"!")
        wanted.append(expected(path, data, size=False))
    found = {Path(each.path).name: problem for each, problem, _ in faults(iter(wanted), workers=workers)}
    assert len(found) == 200
    assert {int(name) for name, problem in found.items() if problem} == damaged
