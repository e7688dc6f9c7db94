"""Bad names, kinds, sizes and times of files. Unreadable, vanishing and changing ones: kinds/test_folder.py."""

import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile import SAID, Inputs, packed

from forge_dagster.corpus.views import open_views, select
from forge_dagster.stage import LocalContext

SPARSE = 1 << 30  # bytes of a line without an end
TEXT = SAID.encode()
NAMES: Inputs = {
    "-rf": (TEXT, "dropped:unsupported-format:none"),
    "--help.txt": (TEXT, "kept"),
    "new\nline.txt": (TEXT, "kept"),
    "\x1b[31mred.txt": (TEXT, "kept"),
    "\u202etxt.evil.txt": (TEXT, "kept"),
    f"{'n' * 251}.txt": (TEXT, "kept"),
    f"{'é' * 125}.txt": (TEXT, "kept"),
    "é.txt": (TEXT, "kept"),
    "e\u0301.txt": (TEXT, "kept"),
    "Same.txt": (TEXT, "kept"),
    "same.txt": (TEXT, "kept"),
    "'; DROP VIEW clean_documents; --.txt": (TEXT, "kept"),
    "<b>&amp;%2e%2e%2f.txt": (TEXT, "kept"),
    " .txt": (TEXT, "kept"),
    ".txt": (TEXT, "dropped:unsupported-format"),
    "box!": (TEXT, "dropped:unsupported-format"),
    "CON.TXT": (TEXT, "kept"),
}
KINDS: Inputs = {
    "program": (b"\x7fELF" + bytes(100), "dropped:unsupported-format"),
    "program.txt": (b"\x7fELF" + bytes(100), "quarantined:not-what-it-says"),
    "picture.txt": (b"\x89PNG\r\n\x1a\n" + bytes(200), "quarantined:not-what-it-says"),
    "archive.txt": (packed(("a.txt", TEXT)), "quarantined:not-what-it-says"),
    "page.pdf": (b"<html><p>" + TEXT, "quarantined:not-what-it-says"),
    "polyglot.html": (b"%PDF-1.7 <p>" + TEXT, "quarantined:not-what-it-says"),
    "text.docx": (TEXT, "quarantined:not-what-it-says"),
    "page.txt": (b"<html><body><p>" + TEXT, "kept"),
}
TIMES = {"born.txt": 0, "before.txt": -(10**18), "tomorrow.txt": time.time_ns() + 10**15, "far.txt": 8 * 10**18}
CATALOGUE: Inputs = {**NAMES, **KINDS, **dict.fromkeys(TIMES, (TEXT, "kept"))}
SPECIAL = {
    "fifo": "dropped:special-file",
    "socket": "dropped:special-file",
    "loop": "dropped:symlink",
    "dangling": "dropped:symlink",
    "sparse.txt": "quarantined:too-large",
    "hard.txt": "kept",
    "caf\\xe9.txt": "kept",
    "back\\\\slash.txt": "kept",
}


def prepare(folder: Path) -> None:
    """What is more than a name and bytes."""
    os.mkfifo(folder / "fifo")
    here = os.open(".", os.O_RDONLY)
    os.chdir(folder)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    os.fchdir(here)
    os.close(here)
    (folder / "loop").symlink_to(folder)
    (folder / "dangling").symlink_to("nowhere")
    (folder / "hard.txt").hardlink_to(folder / "CON.TXT")
    os.truncate(folder / "neighbour.txt", len(TEXT))
    with (folder / "sparse.txt").open("wb") as file:
        file.truncate(SPARSE)
    (folder / os.fsdecode(b"caf\xe9.txt")).write_bytes(TEXT)
    (folder / "back\\slash.txt").write_bytes(TEXT)
    for name, moment in TIMES.items():
        os.utime(folder / name, ns=(moment, moment))


def test_every_bad_file_has_its_disposition(become: Callable, tmp_path: Path, context: LocalContext, rows: Callable):
    outcome = become(CATALOGUE, prepare)
    assert outcome.wrong(CATALOGUE, **SPECIAL) == {}
    times = {row["path"]: row["mtime_ns"] for row in rows(context.beside / "times.parquet")}
    assert {name: times[name] for name in TIMES} == TIMES
    # Whatever a name is, queries find it as it is.
    with open_views({"clean_documents/notes": tmp_path / "clean"}) as connection:
        found = select(connection, "SELECT path FROM clean_documents WHERE path LIKE '%DROP VIEW%'")[1]
    assert found == [("'; DROP VIEW clean_documents; --.txt",)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device files")
def test_a_device_is_not_opened(become: Callable):
    """Reading /dev/zero would never end."""

    def prepare(folder: Path) -> None:
        os.mknod(folder / "zero.txt", stat.S_IFCHR | 0o666, os.makedev(1, 5))

    assert become({}, prepare).wrong({}, **{"zero.txt": "dropped:special-file"}) == {}
