"""Versions in a shared store: files first, each by the name of its SHA-256, the record last; brought back verified.

`versions/<key>/<digest>/<sha256>` are the files, `records/<key>/<fingerprint>/<digest>.json` the records: a version
without one does not exist.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import NamedTuple

from pydantic import ValidationError

from forge_dagster.errors import IntegrityError
from forge_dagster.provenance.bucket import CONNECTIONS, Bucket
from forge_dagster.provenance.canonical import canonical_json
from forge_dagster.provenance.files import content_digest, list_files, remove, sync, sync_tree, write_atomically
from forge_dagster.provenance.locks import lock
from forge_dagster.provenance.record import FileEntry, Record
from forge_dagster.stage import FrozenModel

RECORD = re.compile(r"records/(?P<key>.+)/(?P<fingerprint>[0-9a-f]{64})/(?P<digest>[0-9a-f]{64})\.json")
FILE = re.compile(r"versions/(?P<key>.+)/(?P<digest>[0-9a-f]{64})/[0-9a-f]{64}")
WORKERS = CONNECTIONS // 2
"""Files that are carried side by side; the lease and the ledger have connections left."""
OTHER_WAIT = 3600.0  # seconds for another process of this machine that brings the same version
LEFT_SECONDS = 7 * 86400.0
"""How long files without a record lie before they count as left behind: nothing takes so long to carry."""


class CarriedRecord(FrozenModel):
    """What a record's object says: the record, and the files beside the content, which no record lists."""

    record: Record
    beside: Mapping[str, FileEntry]


class Named(NamedTuple):
    """A version by the name of one of its records."""

    key: str
    fingerprint: str
    digest: str

    @property
    def object(self) -> str:
        return f"records/{self.key}/{self.fingerprint}/{self.digest}.json"


class Carried:
    """The versions of the store behind `bucket`, for the home at `root`."""

    def __init__(self, root: Path, bucket: Bucket) -> None:
        self.root, self.bucket = root, bucket
        self._read: dict[Named, CarriedRecord] = {}

    def named(self, key: str | None = None, fingerprint: str | None = None) -> list[Named]:
        """Every version that exists: of all keys, of a key and those below it, of one fingerprint of a key."""
        below = "/".join(["records", *filter(None, (key, fingerprint)), ""])
        found = (RECORD.fullmatch(name) for name in self.bucket.names(below))
        return [Named(each["key"], each["fingerprint"], each["digest"]) for each in found if each]

    def records(self, key: str, digest: str, fingerprint: str | None = None) -> list[CarriedRecord]:
        """The records of a version, by fingerprint; of one alone if it is given. Raises IntegrityError."""
        if fingerprint is not None:
            named = [Named(key, fingerprint, digest)]
        else:
            named = [each for each in self.named(key) if (each.key, each.digest) == (key, digest)]
        return [found for each in named if (found := self._record(each)) is not None]

    def beside(self, key: str, digest: str, name: str) -> bytes | None:
        """A file beside the content of a version. Raises IntegrityError if it is not the one that was put."""
        for found in self.records(key, digest):
            if entry := found.beside.get(name):
                self.root.joinpath("work").mkdir(parents=True, exist_ok=True)
                with TemporaryDirectory(prefix="beside-", dir=self.root / "work") as folder:
                    self._fetch(key, digest, Path(folder) / "file", entry)
                    return (Path(folder) / "file").read_bytes()
        return None

    def bring(self, key: str, digest: str) -> None:
        """Let a version stand in the home, if the store has it: staged, every file hashed, renamed into place.

        Raises IntegrityError naming the object that differs from its record.
        """
        target = self.root / "artifacts" / key / digest
        if target.exists() or not (found := self.records(key, digest)):
            return
        staging = self.root / "work" / "bringing" / key / digest
        busy = self.root / "work" / "locks" / "bringing" / f"{digest}.lock"
        with lock(busy, what=f"{key}@{digest[:12]}", wait=OTHER_WAIT, waiting=lambda _: None):
            if target.exists():
                return
            remove(staging)
            wanted = [
                *((staging / "content" / name, entry) for name, entry in found[0].record.files.items()),
                *((staging / "beside" / name, entry) for name, entry in found[0].beside.items()),
            ]
            try:
                for folder in ("content", "beside"):
                    (staging / folder).mkdir(parents=True)
                _side_by_side(lambda each: self._fetch(key, digest, *each), wanted)
                for each in found:
                    write_atomically(staging / "records" / f"{each.record.fingerprint}.json", each.record.to_bytes())
                sync_tree(staging)
                target.parent.mkdir(parents=True, exist_ok=True)
                staging.rename(target)
                sync(target.parent)
            finally:
                remove(staging)

    def share(self, record: Record, *, again: bool = False) -> Record:
        """Put a version that stands in the home, unless the store has it or it is to be put `again`.

        Returns the record that stands for it: the first that was put, which then stands here too.
        Raises IntegrityError if bytes here differ from the record.
        """
        key, digest = record.key, record.digest
        named, version = Named(key, record.fingerprint, digest), self.root / "artifacts" / key / digest
        standing = self._record(named, fresh=True)
        if standing is None or again:
            beside = list_files(version / "beside")
            carried = CarriedRecord(record=record, beside={k: FileEntry.model_validate(v) for k, v in beside.items()})
            entries = {version / "content" / name: entry for name, entry in record.files.items()}
            entries |= {version / "beside" / name: entry for name, entry in carried.beside.items()}
            _side_by_side(
                lambda each: self.bucket.send(_object(key, digest, each[1]), each[0], each[1].sha256), entries.items()
            )
            data = canonical_json(carried.model_dump(mode="json")) + b"\n"
            if standing is None and not self.bucket.swap(named.object, data, None):
                standing = self._record(named, fresh=True)
        if standing is not None and standing.record != record:
            write_atomically(version / "records" / f"{record.fingerprint}.json", standing.record.to_bytes())
        return record if standing is None else standing.record

    def left_behind(self, below: str = "") -> dict[tuple[str, str], list[str]]:
        """Files of versions without a record, of which none was put in the last LEFT_SECONDS, by version."""
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        young: set[tuple[str, str]] = set()
        for each in self.bucket.listed(f"versions/{below}"):
            if match := FILE.fullmatch(each.name):
                found[match["key"], match["digest"]].append(each.name)
                if each.age < LEFT_SECONDS:
                    young.add((match["key"], match["digest"]))
        standing = {(each.key, each.digest) for each in self.named()}
        return {version: names for version, names in found.items() if version not in young | standing}

    def _record(self, named: Named, *, fresh: bool = False) -> CarriedRecord | None:
        """A record that says what its name says. Raises IntegrityError on one that does not."""
        if not fresh and named in self._read:
            return self._read[named]
        seen = self.bucket.read(named.object)
        if seen is None:
            return None
        try:
            found = CarriedRecord.model_validate_json(seen.data)
        except ValidationError as error:
            raise self._false(named, "is damaged") from error
        record = found.record
        files = {name: entry.model_dump() for name, entry in record.files.items()}
        if (record.key, record.identity.fingerprint(), record.digest, record.fingerprint) != (
            *named,
            named.fingerprint,
        ):
            raise self._false(named, "is the record of another version")
        if content_digest(files) != named.digest:
            raise self._false(named, "lists files that do not give its digest")
        _inside(self.bucket.url_of(named.object), [*record.files.items(), *found.beside.items()])
        self._read[named] = found
        return found

    def _false(self, named: Named, what: str) -> IntegrityError:
        return IntegrityError(
            f"{self.bucket.url_of(named.object)} {what}",
            rule="a record says what its name says",
            mend="see who else writes to this bucket; delete it, and make the version again or share it from a home "
            "that has it: forge share",
        )

    def _fetch(self, key: str, digest: str, path: Path, entry: FileEntry) -> None:
        self.bucket.fetch(_object(key, digest, entry), path, entry.sha256, entry.bytes)


def _side_by_side(act: Callable[[tuple[Path, FileEntry]], None], files: Iterable[tuple[Path, FileEntry]]) -> None:
    """Carry files; after a first failure, which is raised, no other is begun."""
    pool = ThreadPoolExecutor(WORKERS)
    try:
        for each in as_completed([pool.submit(act, file) for file in files]):
            each.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _object(key: str, digest: str, entry: FileEntry) -> str:
    return f"versions/{key}/{digest}/{entry.sha256}"


def _inside(url: str, files: Iterable[tuple[str, FileEntry]]) -> None:
    """Raise IntegrityError if a name would leave the folder of its version, or a hash is none."""
    for name, entry in files:
        path = PurePosixPath(name)
        sound = path.parts and not path.is_absolute() and ".." not in path.parts and path.as_posix() == name
        if not sound or "\0" in name or not re.fullmatch(r"[0-9a-f]{64}", entry.sha256):
            raise IntegrityError(
                f"{url} lists {name!r} with SHA-256 {entry.sha256!r}",
                rule="names stay in the folder of their version",
                mend="see who else writes to this bucket",
            )
