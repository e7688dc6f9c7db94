"""The pulse of a stage: a file by which hosts elsewhere see that the stage which takes up their work still lives.

It is compared by content, for the clocks of two machines may differ.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PULSE, TOKEN = "pulse", "FORGE_PULSE"
"""The file in the work folder; the variable that tells a worker whose pulse it follows."""
EVERY = 5.0
"""Seconds between two beats."""
PATIENCE = 120.0
"""Seconds without a beat after which the workers save and end: nobody would take up what they make."""
SAVING = 600.0


@contextmanager
def beating(folder: Path, token: str) -> Iterator[None]:
    """Beat inside the block, in a thread of its own: the stage may be busy with other things."""
    over = threading.Event()

    def beat() -> None:
        count = 0
        while True:
            new = folder / f".{PULSE}"
            new.write_text(f"{token} {count}", encoding="utf-8")
            new.rename(folder / PULSE)
            count += 1
            if over.wait(EVERY):
                return

    thread = threading.Thread(target=beat, name="pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def read(folder: Path) -> str:
    """The last beat; empty if there never was one."""
    try:
        return (folder / PULSE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def lives(folder: Path) -> bool:
    """Whether another stage beats in this folder: one that does would be seen in this time."""
    before, until = read(folder), time.monotonic() + 3 * EVERY
    while time.monotonic() < until:
        time.sleep(EVERY / 10)
        if read(folder) != before:
            return True
    return False


def follow(
    folder: Path, token: str, tell: Callable[[int], None], *, every: float = EVERY, patience: float = PATIENCE
) -> None:
    """Return never while the stage beats. Tell SIGKILL if another one took the folder, SIGTERM if it fell silent."""
    last, heard = read(folder), time.monotonic()
    while time.monotonic() - heard < patience:
        time.sleep(every)
        now = read(folder)
        if now and now.split()[0] != token:
            tell(signal.SIGKILL)
            return
        if now != last:
            last, heard = now, time.monotonic()
    tell(signal.SIGTERM)
    time.sleep(SAVING)
    tell(signal.SIGKILL)


def die_without(folder: Path, token: str) -> None:
    """End this process, saved if it can be, when the stage of this pulse is gone."""
    threading.Thread(
        target=follow, args=(folder, token, lambda number: os.kill(os.getpid(), number)), name="pulse", daemon=True
    ).start()
