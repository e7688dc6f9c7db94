"""Files hashed side by side and held against what they should be."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHUNK = 1 << 20  # bytes a read
AHEAD = 64  # files in hand beyond those being hashed


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a file should be: its digest by `algorithm` (sha256 or md5), its bytes where they are known."""

    path: str
    algorithm: str
    digest: str
    bytes: int | None = None


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def local(path: str) -> Any:
    """A file of this machine, open for reading."""
    return Path(path).open("rb")


def fault(expected: Expected, open_file: Callable[[str], Any] = local) -> tuple[str | None, int]:
    """What is wrong with a file (missing, truncated, longer, flipped), or None, and the bytes that were read."""
    try:
        stream = open_file(expected.path)
    except FileNotFoundError:
        return "missing", 0
    state, size = hashlib.new(expected.algorithm, usedforsecurity=False), 0
    with stream:
        while block := stream.read(CHUNK):
            state.update(block)
            size += len(block)
    if expected.bytes is not None and size != expected.bytes:
        return f"{'truncated' if size < expected.bytes else 'longer'}: {size} of {expected.bytes} bytes", size
    return (None if state.hexdigest() == expected.digest.removesuffix(".dir") else "flipped bytes"), size


def faults(
    wanted: Iterable[Expected],
    *,
    workers: int,
    open_file: Callable[[str], Any] = local,
) -> Iterator[tuple[Expected, str | None, int]]:
    """Each file with its fault and its bytes, as they are done; reads run side by side, for hashing frees the lock."""
    with ThreadPoolExecutor(workers) as pool:
        pending: dict[Any, Expected] = {}
        for expected in wanted:
            pending[pool.submit(fault, expected, open_file)] = expected
            if len(pending) >= workers + AHEAD:
                yield from _done(pending)
        while pending:
            yield from _done(pending)


def _done(pending: dict[Any, Expected]) -> Iterator[tuple[Expected, str | None, int]]:
    for future in wait(pending, return_when=FIRST_COMPLETED).done:
        yield (pending.pop(future), *future.result())
