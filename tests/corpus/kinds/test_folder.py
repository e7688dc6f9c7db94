"""Every entry of a folder is read or said; nothing is followed and nothing hangs."""

import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.corpus.entry import Entry, digest, printable
from forge_dagster.corpus.kinds import folder as walk
from forge_dagster.corpus.kinds.folder import Settings
from forge_dagster.errors import SourceError

NAMES = st.text(alphabet="ab\\x\xe9\udcff\udc80", min_size=1, max_size=8)


def entries(folder: Path) -> Iterator[Entry]:
    return walk.entries(str(folder), Settings())


def tree_digest(folder: Path) -> str:
    return digest(entries(folder))


def by_path(folder: Path) -> dict[str, Entry]:
    return {entry.path: entry for entry in entries(folder)}


def test_every_kind_of_entry_has_a_disposition(tmp_path: Path):
    (tmp_path / "file.txt").write_bytes(b"abc")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        found = by_path(tmp_path)
    assert {path: (entry.disposition, entry.reason) for path, entry in found.items()} == {
        "dangling": ("dropped", "symlink"),
        "fifo": ("dropped", "special-file"),
        "file.txt": ("kept", ""),
        "loop": ("dropped", "symlink"),
        "socket": ("dropped", "special-file"),
    }
    assert found["file.txt"].id == hashlib.sha256(b"abc").hexdigest()


def test_entries_come_sorted_by_path_with_folders_among_files(tmp_path: Path):
    for name in ("a/z", "a-b", "a.txt", "b/c/d", "a/b/c", "A"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    paths = [entry.path for entry in entries(tmp_path)]
    assert paths == sorted(paths)
    assert len(paths) == 6


def test_a_name_that_is_no_utf8_survives_as_escapes(tmp_path: Path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")).write_text("x")
    (tmp_path / "caf\\xe9.txt").write_text("y")
    assert set(by_path(tmp_path)) == {"caf\\xe9.txt", "caf\\\\xe9.txt"}


@given(NAMES, NAMES)
def test_printable_paths_are_utf8_and_never_the_same(first: str, second: str):
    assert printable(first).encode("utf-8")
    assert (printable(first) == printable(second)) == (first == second)


def test_a_file_over_the_cap_is_quarantined_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(walk, "LARGEST", 10)
    (tmp_path / "big").write_bytes(bytes(11))
    (tmp_path / "fits").write_bytes(bytes(10))
    found = by_path(tmp_path)
    assert (found["big"].disposition, found["big"].reason) == ("quarantined", "too-large")
    assert found["fits"].disposition == "kept"


def test_a_file_that_changes_while_read_is_quarantined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "log"
    path.write_bytes(b"one")
    read = os.read

    def read_and_grow(descriptor: int, size: int) -> bytes:
        data = read(descriptor, size)
        path.write_bytes(b"another")
        return data

    monkeypatch.setattr(walk.os, "read", read_and_grow)
    assert by_path(tmp_path)["log"].reason == "changed-while-read"


def test_a_file_that_vanishes_is_quarantined_and_the_next_is_read(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    walked = walk.walk(tmp_path)
    first = next(walked)
    (tmp_path / "a").unlink()
    assert walk.read(*first).reason == "unreadable:No such file or directory"
    assert walk.read(*next(walked)).disposition == "kept"


def test_a_link_put_in_the_place_of_a_file_is_not_followed(tmp_path: Path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "secret").write_text("secret")
    target = tmp_path / "inside" / "a"
    target.write_text("harmless")
    name, found = next(walk.walk(tmp_path / "inside"))
    assert not isinstance(found, OSError)
    found.stat(follow_symlinks=False)  # the entry remembers a regular file
    target.unlink()
    target.symlink_to(tmp_path / "secret")
    entry = walk.read(name, found)
    assert entry.data is None
    assert entry.disposition == "quarantined"


def test_what_may_not_be_read_is_quarantined_with_the_reason(tmp_path: Path):
    """As another user, since nothing is closed to root."""
    code = (
        "import json, os, sys; from forge_dagster.corpus.kinds.folder import entries, Settings\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "print(json.dumps([[e.path, e.disposition, e.reason] for e in entries(sys.argv[1], Settings())]))"
    )
    folder = tmp_path / "documents"
    (folder / "closed").mkdir(parents=True)
    (folder / "closed" / "inside.txt").write_text("x")
    (folder / "file.txt").write_text("x")
    (folder / "open.txt").write_text("x")
    for path in [tmp_path, *tmp_path.parents]:
        if not path.stat().st_mode & 0o001:  # pytest closes what it makes, one folder more with workers
            path.chmod(0o755)
    (folder / "file.txt").chmod(0)
    (folder / "closed").chmod(0)
    try:
        told = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True).stdout
    finally:
        (folder / "closed").chmod(0o755)
    assert json.loads(told) == [
        ["closed", "quarantined", "unreadable:Permission denied"],
        ["file.txt", "quarantined", "unreadable:Permission denied"],
        ["open.txt", "kept", ""],
    ]


def test_a_folder_as_deep_as_the_system_allows_is_walked(tmp_path: Path):
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    reasons = [entry.reason for entry in entries(tmp_path)]
    # Python's own removal recurses too deep for this folder, and so would the next session's clean-up.
    subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)
    assert reasons in ([], ["unreadable:File name too long"])


def test_the_tree_digest_sees_content_names_and_kinds_but_not_times(tmp_path: Path):
    (tmp_path / "a").write_text("1")
    before = tree_digest(tmp_path)
    os.utime(tmp_path / "a", (1, 1))
    assert tree_digest(tmp_path) == before
    (tmp_path / "link").symlink_to("a")
    linked = tree_digest(tmp_path)
    (tmp_path / "a").write_text("2")
    assert len({before, linked, tree_digest(tmp_path)}) == 3


def test_a_missing_folder_is_an_error_with_its_mend(tmp_path: Path):
    with pytest.raises(SourceError, match=r"no such folder\n.*Rule: .*\nMend: correct `location`"):
        tree_digest(tmp_path / "none")


def test_shards_are_the_whole(tmp_path: Path, adds_up: Callable[..., None]):
    for name in ("a.txt", "b/c.txt", "b/d.txt", "caf\udce9"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to("nowhere")
    adds_up(walk.entries, str(tmp_path), Settings())
