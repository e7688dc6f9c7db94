"""A bundle as an archive or a folder: its files by name, each with its SHA-256, and whether its form is sound."""

import hashlib
import json
import tarfile
from io import FileIO
from pathlib import Path
from typing import Any

SMALL = 256 << 20  # bytes; a larger file, as weights are, is hashed and not kept
BLOCK = 1 << 18  # bytes a read, into one buffer that stays in the processor's cache


class Unreadable(Exception):
    """No bundle that can be read at all."""


class Opened:
    """Files of a bundle; `problems` names what is wrong with its form."""

    def __init__(self, path: Path) -> None:
        self.path, self.problems = path, list[str]()
        self.view = memoryview(bytearray(BLOCK))
        self.sha256: dict[str, str] = {}
        self.sizes: dict[str, int] = {}
        self.data: dict[str, bytes] = {}
        if path.is_dir():
            self._folder(path)
        elif path.is_file():
            self._archive(path)
        else:
            raise Unreadable(f"{path}: there is no such bundle")
        if "manifest.json" not in self.data:
            raise Unreadable(f"{path}: no bundle, or one that is cut off: it holds no manifest.json")

    def json(self, name: str) -> Any:
        """A JSON file. Raises ValueError if it is missing or none."""
        if name not in self.data:
            raise ValueError(f"{name} is missing")
        return json.loads(self.data[name])

    def below(self, folder: str) -> list[str]:
        """Names of the files in a folder."""
        return sorted(name for name in self.sha256 if name.startswith(f"{folder}/"))

    def _take(self, name: str, stream: FileIO, size: int) -> None:
        state, kept, read = hashlib.sha256(), list[bytes](), 0
        keep = size <= SMALL and not name.endswith(".safetensors")
        while count := stream.readinto(self.view[: min(BLOCK, size - read)]):
            state.update(self.view[:count])
            read += count
            if keep:
                kept.append(bytes(self.view[:count]))
        if read != size:
            self.problems.append(f"{name}: cut off after {read:,} of {size:,} bytes")
        if name in self.sha256:
            self.problems.append(f"{name}: there twice")
        self.sha256[name], self.sizes[name] = state.hexdigest(), read
        if kept or not size:
            self.data[name] = b"".join(kept)

    def _folder(self, folder: Path) -> None:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_symlink():
                self.problems.append(f"{name}: a link")
            elif path.is_file() and path.suffix != ".pyc":
                with path.open("rb", buffering=0) as stream:
                    self._take(name, stream, path.stat().st_size)

    def _archive(self, path: Path) -> None:
        end = 0
        try:
            with tarfile.open(path, "r:") as archive, path.open("rb", buffering=0) as raw:
                for member in archive:
                    if not member.isfile() or member.name.startswith("/") or ".." in member.name.split("/"):
                        self.problems.append(f"{member.name}: a link, a folder or a name that leads out")
                        continue
                    raw.seek(member.offset_data)
                    self._take(member.name, raw, member.size)
                    end = member.offset_data + member.size
                    if any(raw.read(-end % 512)):
                        self.problems.append(f"{member.name}: bytes behind its end")
                self._rest(raw, end + -end % 512)
        except (tarfile.TarError, EOFError, OSError) as error:
            self.problems.append(f"{path}: damaged or cut off ({error})")

    def _rest(self, raw: FileIO, end: int) -> None:
        """Behind the last file come zeros, at least two blocks of 512, to a whole record of 10,240 bytes."""
        raw.seek(end)
        rest = 0
        while block := raw.read(BLOCK):
            rest += len(block)
            if any(block):
                self.problems.append("the archive is damaged behind its last readable file")
                return
        if rest < 1024 or (end + rest) % 10240:
            self.problems.append("the archive is cut off at its end")
