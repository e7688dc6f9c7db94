"""Hashing folders of files, and making them last on disk."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from forge_dagster.errors import IntegrityError
from forge_dagster.provenance.canonical import fingerprint

CHUNK = 1 << 20  # bytes a read: large enough that hashing, not calls, is the limit


def sha256_file(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def walk_files(folder: Path) -> Iterator[Path]:
    """Every regular file below `folder`, in sorted order. Raises IntegrityError on links and special files."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise IntegrityError(f"{path} is a link or a special file", rule="artifacts hold regular files only")
        if path.is_file():
            yield path


def list_files(folder: Path) -> dict[str, dict[str, str | int]]:
    """Relative posix path -> {sha256, bytes} of every file below `folder`."""
    return {
        path.relative_to(folder).as_posix(): {"sha256": sha256_file(path), "bytes": path.stat().st_size}
        for path in walk_files(folder)
    }


def content_digest(files: Mapping[str, Mapping[str, str | int]]) -> str:
    """One digest (hex) over names, sizes and hashes of a folder's files."""
    return fingerprint({name: dict(entry) for name, entry in files.items()})


def sync(path: Path) -> None:
    """Make a file's or a folder's entry last through a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """fsync every file and folder below and including `folder`."""
    for path in sorted(folder.rglob("*"), reverse=True):
        sync(path)
    sync(folder)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data` in one step that lasts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    with staged.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    staged.replace(path)
    sync(path.parent)


def remove(path: Path) -> None:
    """Remove a folder if it is there."""
    if path.exists():
        shutil.rmtree(path)
