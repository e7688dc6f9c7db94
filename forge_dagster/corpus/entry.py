"""One entry of a source: a document's bytes and where it lay, or why it has none."""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from forge_dagster.corpus.containers import container_of

LARGEST = 256 << 20  # bytes of one document
ERASED = "erased"
"""Reason by which a document that was erased is dropped, wherever it comes again."""


@dataclass(frozen=True)
class Entry:
    """One entry of a source: its bytes if it is kept, else why not."""

    path: str
    disposition: str
    reason: str
    id: str | None = None
    data: bytes | None = None
    mtime_ns: int = 0
    stamp: str = ""
    """What the source says without reading that changes with the content; empty where it can say nothing."""

    @property
    def is_unchanged(self) -> bool:
        """Whether it was not read, for it is known by its stamp."""
        return self.id is not None and self.data is None and self.disposition == "kept"


Known = Callable[[str, str], str | None]
"""The id of the document that had this path and this stamp when it was last read, if it was."""


def nothing_known(path: str, stamp: str) -> str | None:
    """Every entry is read."""
    return None


def kept(path: str, data: bytes, mtime_ns: int = 0, stamp: str = "") -> Entry:
    """A document that was read; its id is the SHA-256 of its bytes."""
    return Entry(path, "kept", "", hashlib.sha256(data).hexdigest(), data, mtime_ns, stamp)


def unchanged(path: str, document: str, mtime_ns: int, stamp: str) -> Entry:
    """A document that is known by its stamp and was not read."""
    return Entry(path, "kept", "", document, None, mtime_ns, stamp)


def printable(path: str) -> str:
    """A path whose bytes that are not UTF-8 are visible escapes; two paths never come out the same."""
    if path.isascii() and "\\" not in path:
        return path
    return path.replace("\\", "\\\\").encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class Digest:
    """SHA-256 over path and content, or reason, of every entry in order.

    Of `erased` documents the reason counts; which members a container would lose is known when it is opened only, so
    it counts with the whole list.
    """

    def __init__(self, erased: Collection[str] = ()) -> None:
        self._state = hashlib.sha256()
        self._erased = frozenset(erased)
        self._list = hashlib.sha256("".join(sorted(erased)).encode()).hexdigest() if erased else ""
        self.entries = 0
        """How many have passed."""

    def over(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The entries, each taken in as it passes."""
        for entry in entries:
            said = ERASED if entry.id in self._erased else entry.id or entry.reason
            if self._list and entry.id and container_of(entry.path):
                said += self._list
            self._state.update(f"{entry.path}\0{said}\n".encode())
            self.entries += 1
            yield entry

    def hexdigest(self) -> str:
        """Digest of what has passed."""
        return self._state.hexdigest()


def digest(entries: Iterable[Entry]) -> str:
    """Digest of a whole source."""
    state = Digest()
    deque(state.over(entries), maxlen=0)
    return state.hexdigest()


def listing_digest(listing: Iterable[Sequence[str | int]]) -> str:
    """SHA-256 of a listing: what a source can tell of its documents without reading them."""
    state = hashlib.sha256()
    for row in listing:
        state.update(json.dumps(row).encode() + b"\n")
    return state.hexdigest()
