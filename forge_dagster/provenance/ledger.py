"""The hash-chained, append-only ledger: one JSON line a statement, under a lock."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from forge_dagster.errors import IntegrityError
from forge_dagster.provenance.canonical import canonical_json

GENESIS = "0" * 64


def _hash(entry: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json({k: v for k, v in entry.items() if k != "hash"})).hexdigest()


class Ledger:
    """Statements in the order they were made; each holds the hash of the one before."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, kind: str, statement: dict[str, Any]) -> dict[str, Any]:
        """Add one statement and make it last. Raises IntegrityError if the last line is not whole JSON."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            sequence, previous = self._tail(stream)
            entry: dict[str, Any] = {
                "sequence": sequence,
                "previous": previous,
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "kind": kind,
                "statement": statement,
            }
            entry["hash"] = _hash(entry)
            stream.seek(0, os.SEEK_END)
            stream.write(canonical_json(entry) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        return entry

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
        if not self.path.exists():
            return
        with self.path.open("rb") as stream:
            for line in stream:
                if line.endswith(b"\n"):
                    yield json.loads(line)

    def of(self, kind: str) -> Iterator[dict[str, Any]]:
        """Every whole entry of a kind, oldest first; lines that do not name it are not parsed."""
        if not self.path.exists():
            return
        named = canonical_json({"kind": kind})[1:-1]
        with self.path.open("rb") as stream:
            for line in stream:
                if named in line and line.endswith(b"\n") and (entry := json.loads(line))["kind"] == kind:
                    yield entry

    def statements(self, kind: str, **said: Any) -> Iterator[dict[str, Any]]:
        """The statements of a kind that say all this, oldest first."""
        for entry in self.of(kind):
            if said.items() <= entry["statement"].items():
                yield entry["statement"]

    def states(self, key: str, digest: str, fingerprint: str) -> bool:
        """Whether an artifact statement says that `fingerprint` gave version `digest` of `key`."""
        return any(self.statements("artifact", key=key, digest=digest, fingerprint=fingerprint))
