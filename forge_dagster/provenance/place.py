"""Where a home keeps what is more than one process's: in its own folder, or in a store that several machines share.

FORGE_STORE=s3://BUCKET/PREFIX names a shared store; the home is then a working copy of it. What is small (pointers, the
ledger, what a run froze and made) has one name in both, relative to the home and to the prefix, and is decided in the
store by conditional puts. Versions are carried by `carried`.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path

from forge_dagster.errors import IntegrityError
from forge_dagster.home import Home, home, shared_store
from forge_dagster.provenance.bucket import CONNECTIONS, Bucket
from forge_dagster.provenance.carried import Carried
from forge_dagster.provenance.files import write_atomically
from forge_dagster.provenance.lease import lease
from forge_dagster.provenance.locks import lock
from forge_dagster.provenance.record import Record

GONE = b"\n"
"""What a value that was removed is in a store: a conditional put may replace it, and not every server can delete so."""


class Place:
    """A home alone: values are files below its folder, written by whoever holds their lock."""

    is_shared = False

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, name: str) -> bytes | None:
        """A small value; None if there is none."""
        path = self.root / name
        return path.read_bytes() if path.exists() else None

    def write(self, name: str, data: bytes) -> None:
        """Put a small value, whatever is there."""
        write_atomically(self.root / name, data)

    def swap(self, name: str, data: bytes | None, seen: bytes | None) -> bool:
        """Replace a value (None: there is none) if it is still what was seen; return whether it was."""
        if self.read(name) != seen:
            return False
        if data is None:
            (self.root / name).unlink(missing_ok=True)
        else:
            self.write(name, data)
        return True

    def names(self, below: str) -> list[str]:
        """Names of the values in a folder and its folders, in sorted order."""
        found = (path for path in (self.root / below).rglob("[!.]*") if path.is_file())
        return sorted(path.relative_to(self.root).as_posix() for path in found)

    def statements(self, first: int) -> list[bytes]:
        """Lines of the shared ledger from the one with this sequence number on."""
        return []

    def claim(self, sequence: int, line: bytes) -> bool:
        """Put a line of the shared ledger if nobody has its place; return whether nobody had."""
        return True

    def lease(self, key: str, *, wait: float, waiting: Callable[[str], None]) -> AbstractContextManager[None]:
        """Hold a key against other machines."""
        return nullcontext()

    def keys(self, below: str | None = None) -> list[str]:
        """Keys that have versions elsewhere."""
        return []

    def digests(self, key: str, fingerprint: str | None = None) -> list[str]:
        """Versions elsewhere of a key, those made under a fingerprint if it is given."""
        return []

    def fingerprints(self, key: str, digest: str) -> list[str]:
        """Names of the records of a version elsewhere."""
        return []

    def record(self, key: str, digest: str, fingerprint: str | None = None) -> Record | None:
        """A record of a version elsewhere: the one made under `fingerprint`, else the first by name."""
        return None

    def beside(self, key: str, digest: str, name: str) -> bytes | None:
        """A file beside the content of a version elsewhere."""
        return None

    def bring(self, key: str, digest: str) -> None:
        """Let a version that is elsewhere stand here, whole and verified."""

    def share(self, record: Record) -> Record:
        """Let a version that stands here be had elsewhere; return the record that stands for it."""
        return record


class SharedPlace(Place):
    """A home that is a working copy of a shared store: what is read there is kept here, what is decided is put there
    first. Every method raises RemoteError if the store is down."""

    is_shared = True

    def __init__(self, root: Path, bucket: Bucket) -> None:
        super().__init__(root)
        self.bucket, self.carried = bucket, Carried(root, bucket)

    def read(self, name: str) -> bytes | None:
        seen = self.bucket.read(name)
        if seen is None:
            return super().read(name)  # of a run before there was a shared store
        data = None if seen.data == GONE else seen.data
        self._keep(name, data)
        return data

    def write(self, name: str, data: bytes) -> None:
        super().write(name, data)
        self.bucket.put(name, data)

    def swap(self, name: str, data: bytes | None, seen: bytes | None) -> bool:
        there = self.bucket.read(name)
        standing = None if there is None or there.data == GONE else there.data
        if standing != seen or not self.bucket.swap(name, GONE if data is None else data, there):
            return False
        self._keep(name, data)
        return True

    def names(self, below: str) -> list[str]:
        return sorted({*super().names(below), *self.bucket.names(f"{below}/")})

    def _keep(self, name: str, data: bytes | None) -> None:
        if data is None:
            (self.root / name).unlink(missing_ok=True)
        elif super().read(name) != data:
            super().write(name, data)

    def statements(self, first: int) -> list[bytes]:
        after = f"ledger/{first:012}"  # sorts right before the name of the first
        names = wanted = [""]
        # A listing is of no one moment: of two statements made meanwhile it may have the second alone.
        for _ in range(2):
            names = self.bucket.names("ledger/", after)
            wanted = [_statement(number) for number in range(first, first + len(names))]
            if names == wanted:
                with ThreadPoolExecutor(CONNECTIONS) as pool:
                    found = list(pool.map(self.bucket.read, names))
                if None not in found:
                    return [each.data for each in found if each is not None]
        missing = next((name for name in wanted if name not in names), names[-1])
        raise IntegrityError(
            f"{self.bucket.url_of(missing)} is missing, or others are there that are no statements",
            rule="the ledger has no gap",
            mend="put it back from a home whose ledger verifies: line N + 1 of ledger.jsonl is statement N",
        )

    def claim(self, sequence: int, line: bytes) -> bool:
        return self.bucket.swap(_statement(sequence), line, None)

    def lease(self, key: str, *, wait: float, waiting: Callable[[str], None]) -> AbstractContextManager[None]:
        return lease(self.bucket, f"leases/{key}.json", what=key, wait=wait, waiting=waiting)

    def keys(self, below: str | None = None) -> list[str]:
        return sorted({each.key for each in self.carried.named(below)})

    def digests(self, key: str, fingerprint: str | None = None) -> list[str]:
        return sorted({each.digest for each in self.carried.named(key, fingerprint) if each.key == key})

    def fingerprints(self, key: str, digest: str) -> list[str]:
        named = self.carried.named(key)
        return sorted(each.fingerprint for each in named if (each.key, each.digest) == (key, digest))

    def record(self, key: str, digest: str, fingerprint: str | None = None) -> Record | None:
        found = self.carried.records(key, digest, fingerprint)
        if not found:
            return None
        record, version = found[0].record, self.root / "artifacts" / key / digest
        if version.exists():  # made here under another identity
            write_atomically(version / "records" / f"{record.fingerprint}.json", record.to_bytes())
        return record

    def beside(self, key: str, digest: str, name: str) -> bytes | None:
        return self.carried.beside(key, digest, name)

    def bring(self, key: str, digest: str) -> None:
        self.carried.bring(key, digest)

    def share(self, record: Record) -> Record:
        return self.carried.share(record)


def _statement(sequence: int) -> str:
    return f"ledger/{sequence:012}.json"


def place(root: Path) -> Place:
    """The place of the home at `root`; FORGE_STORE says where the home that FORGE_HOME names is shared, and no other.

    Raises UserError if FORGE_STORE is no address of a bucket.
    """
    url = shared_store()
    if url is None or root.resolve() != home().root:
        return Place(root)
    return _shared(root, url, os.getpid())


@cache
def _shared(root: Path, url: str, process: int) -> SharedPlace:
    """One for each process: connections do not outlive a fork."""
    return SharedPlace(root, Bucket(url))


@contextmanager
def only_writer(home: Home, key: str, *, wait: float, waiting: Callable[[str], None]) -> Iterator[None]:
    """Be the only one, on this machine and on all that share its store, to make versions of `key` or move its pointers.

    `wait` in seconds. Raises BusyError when the time is over, RemoteError if the shared store is down.
    """
    with (
        lock(home.work / "locks" / f"{key}.lock", what=key, wait=wait, waiting=waiting),
        place(home.root).lease(key, wait=wait, waiting=waiting),
    ):
        yield
