"""Versions carried to a remote: hashed first, so that no damaged byte is kept as if it were sound."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from forge_dagster.errors import IntegrityError
from forge_dagster.home import Home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.stage import FrozenModel
from forge_dagster.versions.hashing import Expected, cores, faults
from forge_dagster.versions.needed import PUSHED
from forge_dagster.versions.pointer import Pointer, Version, listing, stated
from forge_dagster.versions.repository import WAIT, Opened, Remote, opened
from forge_dagster.versions.track import take_in, track

Progress = Callable[[str, int, int], None]
"""What is done, how many units of how many."""


class Pushed(FrozenModel):
    """What a push did."""

    remote: str
    url: str
    versions: tuple[str, ...]
    files: int
    carried: int
    bytes: int


def standing(home: Home) -> list[Version]:
    """Every version that stands here."""
    return ArtifactStore(home.artifacts).standing()


def push(
    home: Home,
    wanted: Sequence[Version],
    *,
    remote: str | None = None,
    again: bool = False,
    jobs: int | None = None,
    wait: float = WAIT,
    progress: Progress = lambda what, done, total: None,
) -> Pushed:
    """Carry versions to the remote; what it has is not carried twice, unless `again`.

    Raises IntegrityError if bytes here differ from their record, RemoteError if the remote fails, UserError if
    there is none, BusyError if another writer does not end in `wait` seconds.
    """
    track(home, wait=wait, progress=lambda done, total, text: progress("tracking", done, total))
    ledger = Ledger(home.ledger)
    pointers = stated(ledger)
    with opened(home, wait=wait) as held:
        there = held.remote(remote)
        files = {version: _files(home, held, version, pointers) for version in wanted}
        _verify(home, held, files, progress)
        carried = there.trying(
            "pushing to", lambda: _carry(held, there, [pointers[version] for version in wanted], again, jobs, progress)
        )
    told = {(entry["statement"]["key"], entry["statement"]["digest"], entry["statement"]["url"])
            for entry in ledger.entries() if entry["kind"] == PUSHED}  # fmt: skip
    for key, digest in wanted:
        if (key, digest, there.url) not in told:
            ledger.append(PUSHED, {"key": key, "digest": digest, "remote": there.name, "url": there.url})
    return Pushed(
        remote=there.name,
        url=there.url,
        versions=tuple(f"{key}@{digest}" for key, digest in wanted),
        files=sum(len(each) for each in files.values()),
        carried=carried,
        bytes=sum(pointers[version].size for version in wanted),
    )


def _files(home: Home, held: Opened, version: Version, pointers: dict[Version, Pointer]) -> dict[str, str]:
    """MD5 of each file of a version; a cache that lost some takes them from the store again."""
    key, digest = version
    if version not in pointers:
        raise IntegrityError(
            f"{key}@{digest[:12]} is damaged or not here",
            rule="a version is pushed when it is whole here",
            mend=f"see `forge fsck`; forge pull {key}@{digest[:12]}",
        )
    try:
        found = dict(listing(held.cache, pointers[version]))
        if all(Path(held.cache.oid_to_path(md5)).is_file() for md5 in found.values()):
            return found
    except FileNotFoundError:
        pass
    ArtifactStore(home.artifacts).verify(key, digest)
    pointers[version] = take_in(held, home, key, digest)
    return dict(listing(held.cache, pointers[version]))


def _verify(home: Home, held: Opened, files: dict[Version, dict[str, str]], progress: Progress) -> None:
    """Hash what would leave: content by the record's SHA-256, the rest by MD5. Raises IntegrityError."""
    wanted: dict[str, Expected] = {}
    for (key, digest), named in files.items():
        record = ArtifactStore(home.artifacts).record(key, digest)
        for name, md5 in named.items():
            path = held.cache.oid_to_path(md5)
            entry = record.files.get(name.removeprefix("content/")) if name.startswith("content/") else None
            wanted[path] = (
                Expected(path=path, algorithm="sha256", digest=entry.sha256, bytes=entry.bytes)
                if entry
                else Expected(path=path, algorithm="md5", digest=md5)
            )
    for number, (expected, fault, _) in enumerate(faults(wanted.values(), workers=cores()), start=1):
        progress("verifying", number, len(wanted))
        if fault:
            raise IntegrityError(
                f"{expected.path}: {fault}",
                rule="nothing damaged is pushed: a remote with bad bytes restores bad bytes",
                mend="`forge fsck` names the versions; forge pull KEY@DIGEST restores them from a remote",
            )


def _carry(
    held: Opened, there: Remote, pointers: list[Pointer], again: bool, jobs: int | None, progress: Progress
) -> int:
    """Copy what the remote lacks, or everything; return how many files went over. Raises what DVC raises."""
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.transfer import transfer

    if again:
        oids = sorted({md5 for each in pointers for md5 in [*listing(held.cache, each).values(), each.md5]})
        failed: list[str] = []
        there.odb.add(
            [held.cache.oid_to_path(oid) for oid in oids],
            held.cache.fs,
            oids,
            check_exists=False,
            verify=False,
            on_error=lambda oid, error: failed.append(f"{type(error).__name__}: {error}"),
            callback=counting("pushing", progress),
        )
        if failed:
            there.said.errors[:0] = failed
            raise OSError(failed[0])
        return len(oids)
    # DVC's index of what a remote has is not asked: a file lost there would be taken for one that is there.
    result = transfer(
        held.cache,
        there.odb,
        {HashInfo("md5", each.md5) for each in pointers},
        jobs=jobs,
        shallow=False,
        cache_odb=held.cache,
        callback=counting("pushing", progress),
    )
    if result.failed:
        raise OSError(f"{len(result.failed)} files were not carried over")
    return len(result.transferred)


def counting(what: str, progress: Progress) -> Any:
    """An fsspec callback that tells `progress` of whole files."""
    from fsspec.callbacks import Callback

    class Counting(Callback):
        def call(self, hook_name: str | None = None, **kwargs: Any) -> None:
            progress(what, self.value, self.size or 0)

    return Counting()
