"""The content-addressed artifact store: `<key>/<digest>/{content,beside,records}`, `<key>/CURRENT`, `<key>/SERVING`."""

import re
from pathlib import Path

from forge_dagster.errors import IntegrityError, UserError
from forge_dagster.provenance.files import content_digest, list_files, sync, sync_tree, write_atomically
from forge_dagster.provenance.record import Record

KEY = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*")
DIGEST = re.compile(r"[0-9a-f]{64}")


class ArtifactStore:
    """Immutable artifacts by key and digest, a pointer to the current one, an index by fingerprint."""

    def __init__(self, root: Path) -> None:
        self.root = root

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

    def content(self, key: str, digest: str) -> Path:
        """Content folder of one version."""
        return self.version(key, digest) / "content"

    def current(self, key: str) -> str | None:
        """Digest that CURRENT names, if any."""
        pointer = self.folder(key) / "CURRENT"
        return pointer.read_text().strip() if pointer.exists() else None

    def point(self, key: str, digest: str) -> None:
        """Move CURRENT; the caller holds the lock of the key."""
        write_atomically(self.folder(key) / "CURRENT", f"{digest}\n".encode())

    def promoted(self, key: str) -> str | None:
        """Digest that SERVING names, if any."""
        pointer = self.folder(key) / "SERVING"
        return pointer.read_text().strip() if pointer.exists() else None

    def serving(self, key: str) -> str | None:
        """Digest of the release that serves: the one promoted last, else the current one."""
        return self.promoted(key) or self.current(key)

    def unserve(self, key: str) -> None:
        """Remove SERVING, so that what is current serves; the caller holds the lock of the key."""
        (self.folder(key) / "SERVING").unlink(missing_ok=True)

    def serve(self, key: str, digest: str) -> None:
        """Let this version serve, whatever becomes current; the caller holds the lock of the key."""
        write_atomically(self.folder(key) / "SERVING", f"{digest}\n".encode())

    def unpoint(self, key: str) -> None:
        """Remove CURRENT; the caller holds the lock of the key."""
        (self.folder(key) / "CURRENT").unlink(missing_ok=True)

    def current_below(self, key: str) -> list[str]:
        """Keys right below `key` that have a current version, in sorted order."""
        return sorted(path.parent.relative_to(self.root).as_posix() for path in self.folder(key).glob("*/CURRENT"))

    def record(self, key: str, digest: str, fingerprint: str | None = None) -> Record:
        """Record of one version: the one made under `fingerprint`, else the first by name.

        Two identities can give the same bytes; each keeps its own record.
        Raises IntegrityError if it is missing or not readable.
        """
        folder = self.version(key, digest) / "records"
        names = [f"{fingerprint}.json"] if fingerprint else sorted(path.name for path in folder.glob("*.json"))
        path = folder / (names[0] if names else "none.json")
        try:
            return Record.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise IntegrityError(
                f"{path} is missing or damaged", mend="run `forge verify --all`, then `forge run --force`"
            ) from error

    def records(self, key: str, digest: str) -> list[Record]:
        """Every record of one version. Raises IntegrityError if there is none or one is not readable."""
        names = sorted(path.stem for path in (self.version(key, digest) / "records").glob("*.json"))
        return [self.record(key, digest, name) for name in names] or [self.record(key, digest)]

    def by_fingerprint(self, key: str, fingerprint: str) -> list[str]:
        """Digests made under `fingerprint`, the current one last; more than one is a conflict."""
        found = [path.parents[1].name for path in self.folder(key).glob(f"*/records/{fingerprint}.json")]
        current = self.current(key)
        return sorted(found, key=lambda digest: (digest == current, digest))

    def versions(self, key: str) -> list[str]:
        """Digests of every whole version of `key`."""
        return sorted({path.parents[1].name for path in self.folder(key).glob("*/records/*.json")})

    def all_keys(self) -> list[str]:
        """Every key that has a version, in sorted order."""
        versions = (path.parent for path in self.root.rglob("records") if DIGEST.fullmatch(path.parent.name))
        return sorted({version.parent.relative_to(self.root).as_posix() for version in versions})

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
