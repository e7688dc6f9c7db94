"""The content-addressed artifact store: `<key>/<digest>/{content,beside,records}`, `<key>/CURRENT`, `<key>/SERVING`.

Where the home shares a store with others (`place`), pointers and records are asked there, and a version that is not
here is brought when its content is.
"""

import re
from pathlib import Path

from forge_dagster.errors import BusyError, IntegrityError, UserError
from forge_dagster.provenance.files import content_digest, list_files, sync, sync_tree, write_atomically
from forge_dagster.provenance.place import Place, place
from forge_dagster.provenance.record import Record

KEY = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*")
DIGEST = re.compile(r"[0-9a-f]{64}")
CURRENT, SERVING = "CURRENT", "SERVING"
MOST_MOVES = 20  # of a pointer by others, in the time of one write


class ArtifactStore:
    """Immutable artifacts by key and digest, a pointer to the current one, an index by fingerprint."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def place(self) -> Place:
        """Where the home of this store keeps what others may share."""
        return place(self.root.parent)

    def folder(self, key: str) -> Path:
        """Folder of all versions of `key`. Raises UserError on a key that could leave the store."""
        if not KEY.fullmatch(key):
            raise UserError(f"artifact key {key!r}", rule="lower-case names joined by /", mend="see `forge status`")
        return self.root / key

    def version(self, key: str, digest: str) -> Path:
        """Folder of one version."""
        if not DIGEST.fullmatch(digest):
            raise UserError(f"digest {digest!r} of {key}", rule="64 hexadecimal digits", mend="see `forge status`")
        return self.folder(key) / digest

    def here(self, key: str, digest: str) -> Path:
        """Folder of one version, which is brought here if only the shared store has it. Raises IntegrityError."""
        folder = self.version(key, digest)
        if not folder.exists():
            self.place.bring(key, digest)
        return folder

    def content(self, key: str, digest: str) -> Path:
        """Content folder of one version, brought as by `here`."""
        return self.here(key, digest) / "content"

    def stands(self, key: str, digest: str) -> bool:
        """Whether the version is here, or in the shared store."""
        return self.version(key, digest).exists() or self.place.record(key, digest) is not None

    def current(self, key: str) -> str | None:
        """Digest that CURRENT names, if any."""
        return self._named(key, CURRENT)

    def move(self, key: str, digest: str, seen: str | None) -> bool:
        """Move CURRENT if it still is what was seen; return whether it was. The caller holds the lock of the key."""
        pointer = self._pointer(key, CURRENT)
        standing = self.place.read(pointer)
        return _digest(standing) == seen and self.place.swap(pointer, _line(digest), standing)

    def point(self, key: str, digest: str) -> None:
        """Move CURRENT; the caller holds the lock of the key."""
        self._set(key, CURRENT, digest)

    def promoted(self, key: str) -> str | None:
        """Digest that SERVING names, if any."""
        return self._named(key, SERVING)

    def serving(self, key: str) -> str | None:
        """Digest of the release that serves: the one promoted last, else the current one."""
        return self.promoted(key) or self.current(key)

    def unserve(self, key: str) -> None:
        """Remove SERVING, so that what is current serves; the caller holds the lock of the key."""
        self._set(key, SERVING, None)

    def serve(self, key: str, digest: str) -> None:
        """Let this version serve, whatever becomes current; the caller holds the lock of the key."""
        self._set(key, SERVING, digest)

    def unpoint(self, key: str) -> None:
        """Remove CURRENT; the caller holds the lock of the key."""
        self._set(key, CURRENT, None)

    def current_below(self, key: str) -> list[str]:
        """Keys right below `key` that have a current version, in sorted order."""
        here = {path.parent.relative_to(self.root).as_posix() for path in self.folder(key).glob(f"*/{CURRENT}")}
        keys = here | {each for each in self.place.keys(key) if each.rpartition("/")[0] == key}
        return sorted(each for each in keys if self.current(each))

    def _pointer(self, key: str, name: str) -> str:
        return (self.folder(key) / name).relative_to(self.root.parent).as_posix()

    def _named(self, key: str, name: str) -> str | None:
        return _digest(self.place.read(self._pointer(key, name)))

    def _set(self, key: str, name: str, digest: str | None) -> None:
        pointer = self._pointer(key, name)
        for _ in range(MOST_MOVES):
            if self.place.swap(pointer, _line(digest), self.place.read(pointer)):
                return
        raise BusyError(
            f"{name} of {key} was moved by others {MOST_MOVES} times meanwhile",
            rule="one at a time moves a pointer",
            mend="run the same command again",
        )

    def record(self, key: str, digest: str, fingerprint: str | None = None) -> Record:
        """Record of one version: the one made under `fingerprint`, else the first by name.

        Two identities can give the same bytes; each keeps its own record.
        Raises IntegrityError if it is missing or not readable.
        """
        folder = self.version(key, digest) / "records"
        names = [f"{fingerprint}.json"] if fingerprint else sorted(path.name for path in folder.glob("*.json"))
        path = folder / (names[0] if names else "none.json")
        if not path.exists() and (elsewhere := self.place.record(key, digest, fingerprint)):
            return elsewhere
        try:
            return Record.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise IntegrityError(
                f"{path} is missing or damaged", mend="run `forge verify --all`, then `forge run --force`"
            ) from error

    def records(self, key: str, digest: str) -> list[Record]:
        """Every record of one version. Raises IntegrityError if there is none or one is not readable."""
        names = sorted(path.stem for path in (self.version(key, digest) / "records").glob("*.json"))
        names = names or self.place.fingerprints(key, digest)
        return [self.record(key, digest, name) for name in names] or [self.record(key, digest)]

    def beside(self, key: str, digest: str, name: str) -> bytes | None:
        """A file beside the content of a version; None if it has none of this name. Brings nothing else."""
        path = self.version(key, digest) / "beside" / name
        return path.read_bytes() if path.is_file() else self.place.beside(key, digest, name)

    def by_fingerprint(self, key: str, fingerprint: str) -> list[str]:
        """Digests made under `fingerprint`, the current one last; more than one is a conflict."""
        found = {path.parents[1].name for path in self.folder(key).glob(f"*/records/{fingerprint}.json")}
        current = self.current(key)
        return sorted(found | set(self.place.digests(key, fingerprint)), key=lambda digest: (digest == current, digest))

    def standing(self) -> list[tuple[str, str]]:
        """Key and digest of every whole version that is here, in sorted order."""
        versions = {path.parent for path in self.root.rglob("records") if DIGEST.fullmatch(path.parent.name)}
        whole = (version for version in versions if any((version / "records").glob("*.json")))
        return sorted((version.parent.relative_to(self.root).as_posix(), version.name) for version in whole)

    def versions(self, key: str) -> list[str]:
        """Digests of every whole version of `key`, here or in the shared store."""
        here = {path.parents[1].name for path in self.folder(key).glob("*/records/*.json")}
        return sorted(here | set(self.place.digests(key)))

    def all_keys(self) -> list[str]:
        """Every key that has a version, here or in the shared store, in sorted order."""
        versions = (path.parent for path in self.root.rglob("records") if DIGEST.fullmatch(path.parent.name))
        here = {version.parent.relative_to(self.root).as_posix() for version in versions}
        return sorted(here | set(self.place.keys()))

    def verify(self, key: str, digest: str, fingerprint: str | None = None) -> Record:
        """Re-hash the content of one version. Raises IntegrityError naming the file that differs."""
        record = self.record(key, digest, fingerprint)
        found = list_files(self.content(key, digest))
        stated = {name: entry.model_dump() for name, entry in record.files.items()}
        for name in sorted(set(found) | set(stated)):
            if found.get(name) != stated.get(name):
                raise IntegrityError(
                    f"{self.content(key, digest) / name} differs from its record",
                    rule=f"{key}@{digest[:12]} states {stated.get(name)}, found {found.get(name)}",
                    mend=f"restore the file from a copy, or rebuild with `forge run --force --select {key}`",
                )
        if content_digest(found) != digest:
            raise IntegrityError(f"{self.version(key, digest)} has another digest than its folder name")
        return record

    def commit(self, staging: Path, record: Record) -> Path:
        """Move a staged version into place: record last, fsync, rename. The caller holds the lock of the key."""
        target = self.version(record.key, record.digest)
        name = f"records/{record.fingerprint}.json"
        if target.exists():
            write_atomically(target / name, record.to_bytes())
            return target
        sync_tree(staging)
        write_atomically(staging / name, record.to_bytes())
        staging.rename(target)
        sync(target.parent)
        return target

    def share(self, record: Record) -> Record:
        """Let a version that stands here be had in the shared store; return the record that stands for it.

        That of another machine stands if it came first. Raises IntegrityError if bytes here differ from the record.
        """
        return self.place.share(record)


def _line(digest: str | None) -> bytes | None:
    return None if digest is None else f"{digest}\n".encode()


def _digest(line: bytes | None) -> str | None:
    return None if line is None else line.decode().strip()
