"""Replies of a model by the digest of their prompt: on the disk as soon as they come, and there in the next run."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from forge_dagster.corpus.row_cache import RowCache

SCHEMA = pa.schema([("prompt_digest", pa.string()), ("reply", pa.string())])


class Replies:
    """A row cache of the last run's replies, and a journal of those that came since, which outlives a kill."""

    def __init__(self, folder: Path) -> None:
        self._cache = RowCache(folder / "replies", "1", SCHEMA)
        self._last = self._cache.column("reply")
        self._path = folder / "replies.jsonl"
        self._journal = _read(self._path)
        self._used: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("ab")
        self._file.truncate(_whole(self._path))
        return self

    def of(self, digest: str) -> str | None:
        """The reply that came before, if one did."""
        row = self._cache.row_of(digest)
        found = self._journal.get(digest) if row is None else str(self._last[row])
        if found is not None:
            self._used[digest] = found
        return found

    def keep(self, digest: str, reply: str) -> str:
        """Write a reply down, and return it."""
        line = json.dumps({"prompt_digest": digest, "reply": reply}) + "\n"
        self._file.write(line.encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._used[digest] = reply
        return reply

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None:
            rows = [{"prompt_digest": digest, "reply": reply} for digest, reply in self._used.items()]
            with self._cache as cache:
                cache.keep(pa.Table.from_pylist(rows, SCHEMA))
            self._path.unlink()


def _whole(path: Path) -> int:
    """Bytes up to the end of the last whole line; what a kill cut off is not written on to."""
    return path.read_bytes().rfind(b"\n") + 1


def _read(path: Path) -> dict[str, str]:
    """Whole lines of a journal; the last one may have been cut off, and is asked for again."""
    found: dict[str, str] = {}
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
        if line.endswith(b"\n"):
            entry: dict[str, Any] = json.loads(line)
            found[entry["prompt_digest"]] = entry["reply"]
    return found
