"""Reading a folder entry by entry: nothing is followed, nothing is skipped, what cannot be read is said."""

import os
import stat
import time
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

import xxhash

from forge_dagster.corpus.entry import LARGEST, Entry, Known, kept, nothing_known, printable, unchanged
from forge_dagster.errors import SourceError
from forge_dagster.source import WHOLE, Shard
from forge_dagster.stage import FrozenModel

# A link put in a file's place is not followed; a FIFO put there does not hang us.
SETTLED = 2 * 10**9  # ns: a file that was just written may change again within one tick of its clock
FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Settings(FrozenModel):
    """A folder has nothing to set."""


def walk(folder: Path) -> Iterator[tuple[str, os.DirEntry[str] | OSError]]:
    """Every entry below `folder` that is no folder, sorted by path; an unreadable folder is an entry itself."""
    waiting: list[tuple[str, os.DirEntry[str] | None]] = [("", None)]
    while waiting:
        name, entry = waiting.pop()
        if entry is not None and not name.endswith("/"):
            yield name, entry
            continue
        try:
            with os.scandir(folder / name) as scan:
                # The slash of a folder takes part in the order of paths: `a-b` comes before what lies inside `a/`.
                inside = [(f"{name}{found.name}{'/' if _is_folder(found) else ''}", found) for found in scan]
        except OSError as error:
            yield name.rstrip("/") or ".", error
            continue
        inside.sort(key=itemgetter(0), reverse=True)
        waiting += inside


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # reading it will say why
        return False


def _stamp(status: os.stat_result) -> str:
    """Size, times and inode: content cannot change without one of them, for nobody sets a ctime."""
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < SETTLED:
        return ""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def read(path: str, found: os.DirEntry[str] | OSError, known: Known = nothing_known) -> Entry:
    """Read one entry, `path` its printable path; every way it can fail is a disposition."""
    if isinstance(found, OSError):
        return Entry(path, "quarantined", f"unreadable:{found.strerror}")
    try:
        status = found.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            return Entry(path, "dropped", "symlink")
        if not stat.S_ISREG(status.st_mode):
            return Entry(path, "dropped", "special-file")
        stamp = _stamp(status)
        if stamp and (document := known(path, stamp)):
            return unchanged(path, document, status.st_mtime_ns, stamp)
        with open(os.open(found.path, FLAGS), "rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                return Entry(path, "dropped", "special-file")
            if before.st_size > LARGEST:
                return Entry(path, "quarantined", "too-large")
            data = _bytes(file.fileno(), before.st_size)
            after = os.fstat(file.fileno())
    except OSError as error:
        return Entry(path, "quarantined", f"unreadable:{error.strerror}")
    if len(data) != before.st_size or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        return Entry(path, "quarantined", "changed-while-read")
    return kept(path, data, after.st_mtime_ns, _stamp(after))


def _bytes(descriptor: int, size: int) -> bytes:
    """Up to one byte more than `size`, so that a file that grows is noticed and never fills the memory."""
    pieces, wanted = [], size + 1
    while wanted and (piece := os.read(descriptor, wanted)):
        pieces.append(piece)
        wanted -= len(piece)
    return b"".join(pieces)


def entries(location: str, settings: Settings, known: Known = nothing_known, shard: Shard = WHOLE) -> Iterator[Entry]:
    """The shard's entries below the folder, sorted by path. Raises SourceError if the folder is missing."""
    folder = _existing(location)
    for name, found in walk(folder):
        path = printable(name)
        if shard.has(path):
            yield read(path, found, known)


def _existing(location: str) -> Path:
    folder = Path(location)
    if not folder.is_dir():
        raise SourceError(
            f"{folder}: no such folder", rule="a source is an existing folder", mend="correct `location` in its file"
        )
    return folder


def watermark(location: str, settings: Settings) -> str:
    """Names, sizes, times and inodes, folder by folder; no content is read. Raises SourceError if it is missing."""
    state, waiting = xxhash.xxh3_128(), [os.fsencode(_existing(location))]
    while waiting:
        place = waiting.pop()
        files, folders = [], []
        try:
            with os.scandir(place) as scan:
                for found in scan:
                    if found.is_dir(follow_symlinks=False):
                        folders.append(found.path)
                    else:
                        status = found.stat(follow_symlinks=False)
                        times = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
                        files.append(b"%b\0%d %d %d %d\n" % (found.name, *times))
        except OSError as error:
            files.append(f"unreadable: {error.strerror}".encode())
        folders.sort(reverse=True)
        files.sort()
        state.update(b"".join([place, *files]))
        waiting += folders
    return state.hexdigest()
