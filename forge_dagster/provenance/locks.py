"""One process at a time makes the artifacts of a key; the second waits and is told for whom."""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from forge_dagster.errors import BusyError, StorageError

POLL = 0.2  # seconds between tries


@contextmanager
def lock(path: Path, *, what: str, wait: float, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the kernel frees it when the holder dies.

    `wait` is in seconds; `waiting` is called once with a message if the lock is held.
    Raises BusyError when the time is over, StorageError where nothing can be written.
    """
    with _opened(path) as stream:
        deadline = time.monotonic() + wait
        told = False
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                stream.seek(0)
                holder = stream.read().strip() or "another process"
                if time.monotonic() >= deadline:
                    raise BusyError(
                        f"{what} is in the making by {holder}",
                        rule=f"one run at a time makes an artifact; waited {wait:.0f} s",
                        mend="wait for that run, or stop it, then run the same command again",
                    ) from None
                if not told:
                    waiting(f"waiting for {what}, in the making by {holder}")
                    told = True
                time.sleep(POLL)
        stream.seek(0)
        stream.truncate()
        stream.write(f"process {os.getpid()}")
        stream.flush()
        yield
        stream.seek(0)
        stream.truncate()


def _opened(path: Path) -> TextIO:
    """The file of a lock: the first that a run writes, so it is here that a home which takes no writes is found out."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a+")
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES):
            raise
        raise StorageError(
            f"{error.filename}: {error.strerror}",
            rule="who makes artifacts writes into FORGE_HOME",
            mend="mount it writable, and let it belong to the user who runs this",
        ) from error
