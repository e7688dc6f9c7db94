"""Every file of every version held against what it should be: in the store, in DVC's cache, in the remote."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from forge_dagster.errors import IntegrityError
from forge_dagster.home import Home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.record import Record
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.provenance.verify import Findings, verify_ledger
from forge_dagster.stage import FrozenModel
from forge_dagster.versions.hashing import Expected, cores, faults, local
from forge_dagster.versions.needed import COLLECTED, last_heard, remotes_of
from forge_dagster.versions.pointer import Pointer, Version, ever_stated, listing, pointer_path, read_pointer
from forge_dagster.versions.push import Progress, standing
from forge_dagster.versions.repository import WAIT, Opened, Remote, opened

Place = Literal["ledger", "store", "cache", "remote"]


class Problem(FrozenModel):
    """One file that is not as it should be, and the command that mends it."""

    place: Place
    artifact: str
    path: str
    fault: str
    mend: str


@dataclass
class Checked:
    """What a check read and found; `unpushed` are versions that the remote does not have and never had from here."""

    versions: int = 0
    files: int = 0
    bytes: int = 0
    problems: list[Problem] = field(default_factory=list)
    untracked: list[str] = field(default_factory=list)
    unpushed: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One version and all that is known of its files."""

    key: str
    digest: str
    folder: Path
    content: Mapping[str, tuple[str, int]]
    """SHA-256 and bytes by path below the folder, by the records."""

    @property
    def artifact(self) -> str:
        return f"{self.key}@{self.digest[:12]}"

    def expected(self, path: str, name: str, md5: str | None) -> Expected | None:
        """What file `name` of the version should be, wherever it lies: by its record, else as DVC knows it."""
        if name in self.content:
            sha256, size = self.content[name]
            return Expected(path=path, algorithm="sha256", digest=sha256, bytes=size)
        return Expected(path=path, algorithm="md5", digest=md5) if md5 else None


class Check:
    """A check in the making: files to hash, each once however many versions share it, and who asks for them."""

    def __init__(self, home: Home, held: Opened) -> None:
        self.home, self.held = home, held
        self.store, self.ledger = ArtifactStore(home.artifacts), Ledger(home.ledger)
        self.pointers = {version: self._pointer(version, known) for version, known in ever_stated(self.ledger).items()}
        self.result = Checked()
        self.asked: dict[tuple[Any, ...], tuple[Expected, list[tuple[Place, Subject, str, str]]]] = {}

    def _pointer(self, version: Version, known: list[Pointer]) -> Pointer:
        """The one that this home has of those that the ledger states, else the last."""
        here = read_pointer(pointer_path(self.store, *version))
        return here if here in known else known[-1]

    def report(self, place: Place, version: Subject, path: object, fault: str, mend: str) -> None:
        self.result.problems.append(
            Problem(place=place, artifact=version.artifact, path=str(path), fault=fault, mend=mend)
        )

    def ask(self, place: Place, version: Subject, expected: Expected, mend: str, *, identity: object) -> None:
        """Have a file hashed; `identity` is the same for two names of the same bytes."""
        known = self.asked.setdefault((identity, expected.algorithm, expected.digest), (expected, []))
        known[1].append((place, version, expected.path, mend))

    def hash(self, open_file: Any, workers: int, progress: Progress) -> None:
        """Hash what was asked for and report what differs."""
        asked_by = {id(expected): askers for expected, askers in self.asked.values()}
        total = len(self.asked)
        wanted = [expected for expected, _ in self.asked.values()]
        for number, (expected, fault, size) in enumerate(faults(wanted, workers=workers, open_file=open_file), start=1):
            progress("hashing", number, total)
            self.result.files += 1
            self.result.bytes += size
            if fault:
                for place, version, path, mend in asked_by[id(expected)]:
                    self.report(place, version, path, fault, mend)
        self.asked.clear()

    def versions(self) -> Iterator[Subject]:
        """Every version that stands or should: tracked, and not deleted on purpose."""
        heard = last_heard(self.ledger)
        wanted = set(standing(self.home)) | {version for version, kind in heard.items() if kind != COLLECTED}
        findings = Findings()
        records = verify_ledger(self.home.ledger, findings)
        for problem in findings.problems:
            self.result.problems.append(
                Problem(place="ledger", artifact="", path=str(self.home.ledger), fault=problem, mend="restore a copy")
            )
        for key, digest in sorted(wanted):
            self.result.versions += 1
            yield self._version(key, digest, records)

    def _version(self, key: str, digest: str, said: dict[tuple[str, str, str], str]) -> Subject:
        folder = self.store.version(key, digest)
        content: dict[str, tuple[str, int]] = {}
        faulty: list[tuple[Path, str]] = []
        for path in sorted((folder / "records").glob("*.json")):
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != said.get((key, digest, path.stem)):
                faulty.append((path, "not the record that the ledger states"))
                continue
            record = Record.model_validate_json(data)
            content |= {f"content/{name}": (entry.sha256, entry.bytes) for name, entry in record.files.items()}
        version = Subject(key=key, digest=digest, folder=folder, content=content)
        for path, fault in faulty:
            self.report("store", version, path, fault, _pull(version))
        return version

    def local(self, version: Subject) -> None:
        """Ask for the files of a version in the store and in the cache."""
        pointer = self.pointers.get((version.key, version.digest))
        on_disk = read_pointer(pointer_path(self.store, version.key, version.digest))
        if not version.folder.is_dir():
            if self.store.stands(version.key, version.digest):
                return  # in the shared store: it is brought, and verified, when it is read
            self.report("store", version, version.folder, "missing", _pull(version))
            return
        if on_disk is None and self.store.place.is_shared:
            pointer = None  # another home let its DVC know of it; this one's does not have it yet
        files = self._listed(version, pointer, self.held.cache, "cache")
        if pointer is None or on_disk != pointer:
            self.result.untracked.append(version.artifact)
        found = {p.relative_to(version.folder).as_posix(): p for p in version.folder.rglob("*") if not p.is_dir()}
        for name in sorted({*version.content, *files}):
            path = found.pop(name, version.folder / name)
            expected = version.expected(str(path), name, files.get(name))
            if expected:
                self._ask_local("store", version, expected)
            if name in files:
                other = version.expected(self.held.cache.oid_to_path(files[name]), name, files[name])
                assert other is not None, "the list gives an MD5"
                self._ask_local("cache", version, other)
        # A file beside the content of a version that is not tracked yet is in no list.
        for name, path in found.items():
            if files or name.startswith("content/"):
                self.report("store", version, path, "in no record and no list", f"look at it, then {_pull(version)}")

    def _ask_local(self, place: Place, version: Subject, expected: Expected) -> None:
        path = Path(expected.path)
        if not path.is_file():
            self.report(place, version, path, "missing", _pull(version))
            return
        entry = path.stat()
        self.ask(place, version, expected, _pull(version), identity=(entry.st_dev, entry.st_ino))

    def _listed(self, version: Subject, pointer: Pointer | None, odb: Any, place: Place) -> Mapping[str, str]:
        if pointer is None:
            return {}
        try:
            return listing(odb, pointer)
        except FileNotFoundError:
            self.report(place, version, odb.oid_to_path(pointer.md5), "missing", _mend(place, version))
        except (IntegrityError, json.JSONDecodeError):
            self.report(place, version, odb.oid_to_path(pointer.md5), "flipped bytes", _mend(place, version))
        return {}

    def remote(self, version: Subject, there: Remote, pushed: list[str]) -> None:
        """Ask for the files of a version in the remote, if it was ever there."""
        pointer = self.pointers.get((version.key, version.digest))
        if pointer is None or (there.name not in pushed and not there.odb.exists(pointer.md5)):
            self.result.unpushed.append(version.artifact)
            return
        for name, md5 in self._listed(version, pointer, there.odb, "remote").items():
            expected = version.expected(there.odb.oid_to_path(md5), name, md5)
            assert expected is not None, "the list gives an MD5"
            self.ask("remote", version, expected, _mend("remote", version), identity=expected.path)


def _pull(version: Subject) -> str:
    return f"forge pull {version.artifact}"


def _mend(place: Place, version: Subject) -> str:
    return f"forge push --again {version.artifact}" if place == "remote" else _pull(version)


def fsck(
    home: Home,
    *,
    remote: str | None = None,
    with_remote: bool = False,
    workers: int | None = None,
    wait: float = WAIT,
    progress: Progress = lambda what, done, total: None,
) -> Checked:
    """Check store, cache and, if asked, the remote; reads every byte once. Raises RemoteError, BusyError, UserError."""
    with opened(home, wait=wait) as held:
        check = Check(home, held)
        versions = list(check.versions())
        for version in versions:
            check.local(version)
        check.hash(local, workers or cores(), progress)
        if with_remote:
            there, pushed = held.remote(remote), remotes_of(check.ledger)

            def look() -> None:
                for version in versions:
                    check.remote(version, there, pushed.get((version.key, version.digest), []))
                check.hash(lambda path: there.odb.fs.open(path, "rb"), workers or cores(), progress)

            there.trying("reading", look, tries=1)
    return check.result
