"""The hash-chained, append-only ledger: one JSON line a statement, under a lock.

Where the home shares a store with others (`place`) each statement is an object of its own there, put only if nobody was
first: two machines make one chain. The file is then a copy whose links are checked as it is read on.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from forge_dagster.errors import BusyError, IntegrityError
from forge_dagster.provenance.canonical import canonical_json
from forge_dagster.provenance.place import Place, place

GENESIS = "0" * 64
MOST_LOST = 100  # races for the next place of a shared chain; each is lost to a statement that stands


def _hash(entry: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json({k: v for k, v in entry.items() if k != "hash"})).hexdigest()


class Ledger:
    """Statements in the order they were made; each holds the hash of the one before."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def place(self) -> Place:
        """Where the home of this ledger keeps what others may share."""
        return place(self.path.parent)

    def append(self, kind: str, statement: dict[str, Any]) -> dict[str, Any]:
        """Add one statement and make it last.

        Raises IntegrityError if the last line is not whole JSON, or the shared chain does not go on from it; BusyError
        if others were always first.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        place = self.place
        with self.path.open("a+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            for _ in range(MOST_LOST):
                sequence, previous = self._read_on(stream, place)
                entry: dict[str, Any] = {
                    "sequence": sequence,
                    "previous": previous,
                    "time": datetime.now(UTC).isoformat(timespec="seconds"),
                    "kind": kind,
                    "statement": statement,
                }
                entry["hash"] = _hash(entry)
                if place.claim(sequence, _line(entry)):
                    _write(stream, _line(entry))
                    return entry
        raise BusyError(
            f"{MOST_LOST} statements of others came first", rule="one chain", mend="run the same command again"
        )

    def follow(self) -> None:
        """Read on what other machines stated. Raises IntegrityError if their chain does not go on from this one."""
        place = self.place
        if place.is_shared:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX)
                self._read_on(stream, place)

    def lacking(self) -> list[bytes]:
        """Lines of this ledger that the shared one lacks, none where it went on further. Raises IntegrityError."""
        there = self.place.statements(0)
        here = self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []
        for sequence, (one, other) in enumerate(zip(here, there, strict=False)):
            if one != other:
                raise _fork(self.path, sequence)
        return here[len(there) :]

    def offer(self) -> int:
        """Let the shared ledger go on with what this home stated while it was alone; return how many statements.

        Raises IntegrityError if the shared one went on otherwise.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            lines = self.lacking()
            for line in lines:
                sequence = _entry(line)["sequence"]
                if not self.place.claim(sequence, line):
                    raise _fork(self.path, sequence)
            return len(lines)

    def _read_on(self, stream: Any, place: Place) -> tuple[int, str]:
        """Sequence number and previous hash of the next entry, once what others stated is here."""
        sequence, previous = self._tail(stream)
        if not place.is_shared:
            return sequence, previous
        # The last statement of this home is read again: a chain that has another one there is another chain.
        lines = place.statements(max(0, sequence - 1))
        if sequence and (not lines or _entry(lines[0])["hash"] != previous):
            raise _fork(self.path, sequence - 1)
        new = b""
        for line in lines[1 if sequence else 0 :]:
            entry = _entry(line)
            if (entry["sequence"], entry["previous"], entry["hash"]) != (sequence, previous, _hash(entry)):
                raise IntegrityError(
                    f"statement {sequence} of the shared ledger does not follow from the one before",
                    rule="each holds the hash of the one before",
                    mend="see who else writes to this bucket; restore its ledger/ from a home whose ledger verifies",
                )
            sequence, previous, new = sequence + 1, entry["hash"], new + line
        if new:
            _write(stream, new)
        return sequence, previous

    def _tail(self, stream: Any) -> tuple[int, str]:
        """Sequence number and previous hash of the next entry; a line torn by a crash is cut off first."""
        size = stream.seek(0, os.SEEK_END)
        if size == 0:
            return 0, GENESIS
        block = 4096
        while True:
            stream.seek(max(0, size - block))
            tail = stream.read()
            if not tail.endswith(b"\n"):
                # An append that never returned was never acted upon: CURRENT moves only after it.
                cut = tail.rfind(b"\n")
                if cut < 0 and block < size:
                    block *= 2
                    continue
                size = size - len(tail) + cut + 1
                stream.truncate(size)
                os.fsync(stream.fileno())
                if size == 0:
                    return 0, GENESIS
                continue
            lines = tail.rstrip(b"\n").split(b"\n")
            if len(lines) > 1 or block >= size:
                break
            block *= 2
        try:
            last = json.loads(lines[-1])
            return last["sequence"] + 1, last["hash"]
        except (ValueError, KeyError) as error:
            raise IntegrityError(
                f"the last line of {self.path} is not a statement", mend="restore the ledger from a copy"
            ) from error

    def entries(self) -> Iterator[dict[str, Any]]:
        """Every whole statement, oldest first."""
        self.follow()
        if not self.path.exists():
            return
        with self.path.open("rb") as stream:
            for line in stream:
                if line.endswith(b"\n"):
                    yield json.loads(line)

    def of(self, kind: str) -> Iterator[dict[str, Any]]:
        """Every whole entry of a kind, oldest first; lines that do not name it are not parsed."""
        self.follow()
        if not self.path.exists() or not self.path.stat().st_size:
            return
        named = canonical_json({"kind": kind})[1:-1]
        with self.path.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as lines:
            at = lines.find(named)
            while at >= 0 and (end := lines.find(b"\n", at)) >= 0:
                entry = json.loads(lines[lines.rfind(b"\n", 0, at) + 1 : end])
                if entry["kind"] == kind:
                    yield entry
                at = lines.find(named, end)

    def statements(self, kind: str, **said: Any) -> Iterator[dict[str, Any]]:
        """The statements of a kind that say all this, oldest first."""
        for entry in self.of(kind):
            if said.items() <= entry["statement"].items():
                yield entry["statement"]

    def states(self, key: str, digest: str, fingerprint: str) -> bool:
        """Whether an artifact statement says that `fingerprint` gave version `digest` of `key`."""
        return any(self.statements("artifact", key=key, digest=digest, fingerprint=fingerprint))


def _fork(path: Path, sequence: int) -> IntegrityError:
    return IntegrityError(
        f"{path} and the shared ledger differ at statement {sequence}",
        rule="a home goes on from the ledger of the store that it shares",
        mend="if this home was alone until now and the store is new: forge share. Else take another home for this "
        "store (FORGE_HOME)",
    )


def _entry(line: bytes) -> dict[str, Any]:
    """A statement of a shared ledger, as this ledger would write it. Raises IntegrityError on anything else."""
    try:
        entry: dict[str, Any] = json.loads(line)
        if _line(entry) == line and entry.keys() >= {"sequence", "previous", "hash", "kind", "statement", "time"}:
            return entry
    except (ValueError, AttributeError):
        pass
    raise IntegrityError(
        f"an object of the shared ledger is no statement: {line[:60]!r}", mend="see who else writes to this bucket"
    )


def _line(entry: dict[str, Any]) -> bytes:
    return canonical_json(entry) + b"\n"


def _write(stream: Any, lines: bytes) -> None:
    stream.seek(0, os.SEEK_END)
    stream.write(lines)
    stream.flush()
    os.fsync(stream.fileno())
