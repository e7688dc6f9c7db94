"""Reading a folder entry by entry: nothing is followed, nothing is skipped, what cannot be read is said."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from forge_dagster.errors import SourceError

LARGEST = 256 << 20  # bytes of one file


@dataclass(frozen=True)
class Entry:
    """One entry of a folder: its bytes if it is kept, else why not."""

    path: str
    disposition: str
    reason: str
    id: str | None = None
    data: bytes | None = None
    mtime_ns: int = 0


def printable(path: str) -> str:
    """A path that is not UTF-8 keeps its bytes as visible escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def walk(folder: Path, relative: str = "") -> Iterator[tuple[str, os.DirEntry[str] | OSError]]:
    """Every entry below `folder` that is no folder, sorted by name; an unreadable folder is an entry itself."""
    try:
        with os.scandir(folder / relative) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        yield relative or ".", error
        return
    for entry in entries:
        name = f"{relative}/{entry.name}" if relative else entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from walk(folder, name)
        else:
            yield name, entry


def read(name: str, found: os.DirEntry[str] | OSError) -> Entry:
    """Read one entry; every way it can fail is a disposition."""
    path = printable(name)
    if isinstance(found, OSError):
        return Entry(path, "quarantined", f"unreadable:{found.strerror}")
    try:
        before = found.stat(follow_symlinks=False)
        if stat.S_ISLNK(before.st_mode):
            return Entry(path, "dropped", "symlink")
        if not stat.S_ISREG(before.st_mode):
            return Entry(path, "dropped", "special-file")
        if before.st_size > LARGEST:
            return Entry(path, "quarantined", "too-large")
        data = Path(found.path).read_bytes()
        after = os.stat(found.path, follow_symlinks=False)
    except OSError as error:
        return Entry(path, "quarantined", f"unreadable:{error.strerror}")
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        return Entry(path, "quarantined", "changed-while-read")
    return Entry(path, "kept", "", hashlib.sha256(data).hexdigest(), data, after.st_mtime_ns)


def entries(folder: Path) -> Iterator[Entry]:
    """Every entry below `folder`, in sorted order. Raises SourceError if the folder is missing."""
    if not folder.is_dir():
        raise SourceError(
            f"{folder}: no such folder", rule="a source is an existing folder", mend="correct `location` in its file"
        )
    for name, found in walk(folder):
        yield read(name, found)


def tree_digest(folder: Path) -> str:
    """SHA-256 over path and content, or reason, of every entry in order. Raises SourceError if it is missing."""
    state = hashlib.sha256()
    for entry in entries(folder):
        state.update(f"{entry.path}\0{entry.id or entry.reason}\n".encode())
    return state.hexdigest()
