"""Containers of documents opened in memory, with limits: zip, tar, mbox; and files compressed one by one."""

import bz2
import gzip
import io
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, cast

from forge_dagster.errors import DataError

LARGEST = 256 << 20  # bytes that may come out of one container or compressed file
SUSPECT = 16 << 20  # bytes from which the ratio counts
HIGHEST_RATIO = 100
MOST_MEMBERS = 10_000
DEEPEST = 2  # containers within containers
PIECE = 1 << 20  # bytes read at a time
INSIDE = "!/"  # between a container's path and a member's
UNSAFE = re.compile(r"\A(?:[/\\]|[A-Za-z]:[/\\])|(?:\A|[/\\])\.\.(?:[/\\]|\Z)|\0")  # leads outside, on some system
EXTENSION = re.compile(r"(\.[^./]*)?\Z")
MESSAGE = re.compile(rb"(?:\A|\n\n)From [^\n]+\n")
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError)


@dataclass(frozen=True)
class Member:
    """One entry of a container: its bytes, or the reason it has none."""

    path: str
    data: bytes | None
    reason: str = ""


class _Budget:
    """How much may still come out of a container of a given size."""

    def __init__(self, compressed: int) -> None:
        self._most = LARGEST if compressed * HIGHEST_RATIO > LARGEST else max(SUSPECT, compressed * HIGHEST_RATIO)
        self._out = self._members = 0

    def read(self, stream: IO[bytes]) -> bytes:
        """All of a stream. Raises DataError once too much came out."""
        pieces = []
        while piece := stream.read(PIECE):
            self._out += len(piece)
            if self._out > self._most:
                raise DataError(
                    f"more than {self._most >> 20} MiB come out of it",
                    rule=f"at most {HIGHEST_RATIO} times its size, and {LARGEST >> 20} MiB",
                )
            pieces.append(piece)
        return b"".join(pieces)

    def count(self) -> None:
        """Note one more member. Raises DataError beyond MOST_MEMBERS."""
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise DataError(f"more than {MOST_MEMBERS} members", rule="a container holds fewer")


def _zip(data: bytes, budget: _Budget) -> Iterator[Member]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            budget.count()
            if info.is_dir():
                continue
            if info.flag_bits & 1:
                raise DataError("encrypted", rule="a container is readable without a password")
            if stat.S_ISLNK(info.external_attr >> 16):
                yield Member(info.filename, None, "symlink")
                continue
            with archive.open(info) as stream:
                yield Member(info.filename, budget.read(stream))


def _tar(data: bytes, budget: _Budget) -> Iterator[Member]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as archive:
        for info in archive:
            budget.count()
            if info.isdir():
                continue
            stream = archive.extractfile(info) if info.isreg() else None
            if stream is None:
                yield Member(
                    info.name, None, "symlink" if info.issym() else "hardlink" if info.islnk() else "special-file"
                )
            else:
                yield Member(info.name, budget.read(stream))
        if archive.fileobj is not None:
            budget.read(cast("IO[bytes]", archive.fileobj))  # to the end, where a compressed archive has its checksum


def _mbox(data: bytes, budget: _Budget) -> Iterator[Member]:
    starts = [found.start() + (0 if found.start() == 0 else 2) for found in MESSAGE.finditer(data)]
    if not starts:
        raise DataError("no message begins in it", rule="messages of an mbox begin with `From `")
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(data)], strict=True), start=1):
        budget.count()
        yield Member(f"{number:06}.eml", data[data.index(b"\n", start) + 1 : end])


CONTAINERS: dict[str, Callable[[bytes, _Budget], Iterator[Member]]] = {
    "zip": _zip, "tar": _tar, "tgz": _tar, "tbz2": _tar, "txz": _tar,
    "tar.gz": _tar, "tar.bz2": _tar, "tar.xz": _tar, "mbox": _mbox,
}  # fmt: skip
COMPRESSIONS: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    "gz": lambda stream: gzip.GzipFile(fileobj=stream),  # type: ignore[dict-item, return-value]
    "bz2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
}


def container_of(path: str) -> str | None:
    """The kind of container that a name tells; office documents, which are zip files too, are none."""
    name = PurePosixPath(path).name.lower()
    return next((suffix for suffix in sorted(CONTAINERS, key=len, reverse=True) if name.endswith(f".{suffix}")), None)


def members(data: bytes, path: str) -> Iterator[Member]:
    """Every entry of a container and of the containers in it, in order; a name that comes again gets a number.

    Raises DataError if it is damaged, encrypted, a bomb, or nested deeper than DEEPEST.
    """
    seen: Counter[str] = Counter()
    for member in _members(data, path, _Budget(len(data)), depth=1):
        path = member.path
        while path in seen:
            seen[member.path] += 1
            path = EXTENSION.sub(rf"#{seen[member.path]}\1", member.path, count=1)
        seen[path] = 1
        yield Member(path, member.data, member.reason)


def _members(data: bytes, path: str, budget: _Budget, depth: int) -> Iterator[Member]:
    kind = container_of(path)
    assert kind is not None, path
    if depth > DEEPEST:
        raise DataError(f"containers nested deeper than {DEEPEST}", rule="a container in a container, no more")
    try:
        for member in CONTAINERS[kind](data, budget):
            if UNSAFE.search(member.path):
                yield Member(member.path.replace("\0", "?"), None, "unsafe-path")
            elif member.data is not None and container_of(member.path):
                for inner in _members(member.data, member.path, budget, depth + 1):
                    yield Member(f"{member.path}{INSIDE}{inner.path}", inner.data, inner.reason)
            else:
                yield member
    except DAMAGED as error:
        raise DataError(f"damaged: {error}", rule="a container can be read to its end") from error


def decompressed(data: bytes, path: str) -> tuple[bytes, str]:
    """What a compressed file holds, and its path without the suffix; other files as they are.

    Raises DataError if it is damaged or a bomb.
    """
    stem, _, suffix = path.rpartition(".")
    if not stem or suffix.lower() not in COMPRESSIONS:
        return data, path
    try:
        with COMPRESSIONS[suffix.lower()](io.BytesIO(data)) as stream:
            return _Budget(len(data)).read(stream), stem
    except DAMAGED as error:
        raise DataError(f"damaged: {error}", rule="a compressed file can be read to its end") from error
