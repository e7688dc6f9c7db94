"""A version brought back: fetched by DVC, held against its record and the ledger, renamed into place whole."""

import hashlib
import shutil
import time
from pathlib import Path

from forge_dagster.errors import IntegrityError, RemoteError, UserError
from forge_dagster.home import Home
from forge_dagster.provenance.files import content_digest, list_files, remove, sync_tree
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.locks import lock
from forge_dagster.provenance.record import Record
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.stage import FrozenModel
from forge_dagster.versions import summaries
from forge_dagster.versions.hashing import Expected, cores, faults
from forge_dagster.versions.needed import PULLED, sound_ledger
from forge_dagster.versions.pointer import Pointer, listing, pointer_path, read_pointer, stated, write_pointer
from forge_dagster.versions.push import Progress, counting
from forge_dagster.versions.repository import WAIT, Opened, Remote, opened
from forge_dagster.versions.track import link, take_in

LOCK_WAIT = 60.0  # seconds for a run that is making a version of the same artifact


class Pulled(FrozenModel):
    """What a pull did: `whole` where everything stood already, `restored` where it was fetched."""

    key: str
    digest: str
    state: str
    remote: str | None
    fetched: int
    bytes: int
    path: str


def pull(
    home: Home,
    key: str,
    digest: str,
    *,
    remote: str | None = None,
    jobs: int | None = None,
    wait: float = WAIT,
    progress: Progress = lambda what, done, total: None,
) -> Pulled:
    """Let a version stand here as the ledger states it; what of it is sound here is not fetched.

    What stood in its place and was damaged is moved to work/damaged. Raises IntegrityError if the ledger does not
    know the version or the remote's bytes differ, RemoteError if the remote fails, UserError without a remote.
    """
    store, ledger = ArtifactStore(home.artifacts), sound_ledger(home)
    version = store.version(key, digest)
    with (
        lock(home.work / "locks" / f"{key}.lock", what=key, wait=LOCK_WAIT, waiting=lambda _: None),
        opened(home, wait=wait) as held,
    ):
        fetched, there, state = 0, None, "restored"
        whole = _is_whole(store, ledger, key, digest)
        if whole and (key, digest) not in stated(ledger):
            take_in(held, home, key, digest)
        pointer = _pointer(ledger, key, digest)
        if whole and _as_listed(held, version, pointer, progress):
            if _drop_damaged(held, pointer, progress):
                pointer = take_in(held, home, key, digest)
            else:
                state = "whole"
        else:
            there = held.remote(remote) if _drop_damaged(held, pointer, progress) else None
            if there is not None:
                fetched = there.trying("pulling from", lambda: _fetch(held, there, pointer, jobs, progress))
            _place(home, held, store, ledger, pointer, key, digest, there)
            ledger.append(PULLED, {"key": key, "digest": digest, "remote": there.name if there else None})
        if read_pointer(pointer_path(store, key, digest)) != pointer:
            write_pointer(pointer_path(store, key, digest), pointer)
        if store.current(key) is None and _was_current(ledger, key) == digest:
            store.point(key, digest)
        summaries.write(store)
    return Pulled(
        key=key,
        digest=digest,
        state=state,
        remote=there.name if there else None,
        fetched=fetched,
        bytes=pointer.size,
        path=str(version),
    )


def _pointer(ledger: Ledger, key: str, digest: str) -> Pointer:
    """What the ledger says of the version; the `.dvc` file itself may be lost."""
    pointer = stated(ledger).get((key, digest))
    if pointer is None:
        raise UserError(
            f"{key}@{digest[:12]} was never tracked",
            rule="the ledger states the files of each version that DVC keeps",
            mend=f"make it: forge run --select {key}",
        )
    return pointer


def _was_current(ledger: Ledger, key: str) -> str | None:
    """Digest that the ledger last called current, None if the artifact was withdrawn since."""
    found = None
    for entry in ledger.entries():
        if entry["kind"] in ("current", "withdrawn") and entry["statement"]["key"] == key:
            found = entry["statement"]["digest"] if entry["kind"] == "current" else None
    return found


def _is_whole(store: ArtifactStore, ledger: Ledger, key: str, digest: str) -> bool:
    """Whether the version stands, and stands as stated."""
    if not store.version(key, digest).is_dir():
        return False
    try:
        verify_folder(store.version(key, digest), ledger, key, digest)
    except IntegrityError:
        return False
    return True


def verify_folder(folder: Path, ledger: Ledger, key: str, digest: str) -> None:
    """Hash the content in `folder` and hold it, and each record, against the ledger. Raises IntegrityError."""
    said = {
        entry["statement"]["fingerprint"]: entry["statement"]["record"]
        for entry in ledger.entries()
        if entry["kind"] == "artifact" and (entry["statement"]["key"], entry["statement"]["digest"]) == (key, digest)
    }
    records = sorted((folder / "records").glob("*.json"))
    if not records:
        raise IntegrityError(f"{folder} has no record")
    found = list_files(folder / "content")
    if content_digest(found) != digest:
        raise IntegrityError(f"{key}@{digest[:12]}: the content has another digest")
    for path in records:
        if hashlib.sha256(path.read_bytes()).hexdigest() != said.get(path.stem):
            raise IntegrityError(f"{key}@{digest[:12]}: record {path.stem[:12]} is not the one that the ledger states")
        record = Record.model_validate_json(path.read_bytes())
        if {name: entry.model_dump() for name, entry in record.files.items()} != found:
            raise IntegrityError(f"{key}@{digest[:12]}: the files are not those of record {path.stem[:12]}")


def _objects(held: Opened, pointer: Pointer) -> list[Expected]:
    """The list of files and every file of a version in the cache. Raises FileNotFoundError, IntegrityError."""
    oids = [pointer.md5, *sorted(set(listing(held.cache, pointer).values()))]
    return [Expected(path=held.cache.oid_to_path(oid), algorithm="md5", digest=oid) for oid in oids]


def _as_listed(held: Opened, version: Path, pointer: Pointer, progress: Progress) -> bool:
    """Whether what lies beside the content is as DVC's list has it, too; true where the list itself is lost."""
    try:
        listed = listing(held.cache, pointer).items()
    except (FileNotFoundError, IntegrityError):
        return True
    wanted = [Expected(path=str(version / name), algorithm="md5", digest=md5) for name, md5 in listed]
    return not any(fault for _, fault, _ in _hashed(wanted, progress))


def _drop_damaged(held: Opened, pointer: Pointer, progress: Progress) -> bool:
    """Take objects with flipped bytes out of the cache, else DVC would trust them. Return whether some are lacking."""
    listed = Path(held.cache.oid_to_path(pointer.md5))
    try:
        wanted = _objects(held, pointer)
    except FileNotFoundError:
        return True
    except IntegrityError:
        listed.unlink()
        return True
    lacking = False
    for expected, fault, _ in _hashed(wanted, progress):
        if fault:
            lacking = True
            Path(expected.path).unlink(missing_ok=True)
    return lacking


def _hashed(wanted: list[Expected], progress: Progress) -> list[tuple[Expected, str | None, int]]:
    done = []
    for each in faults(wanted, workers=cores()):
        done.append(each)
        progress("verifying", len(done), len(wanted))
    return done


def _fetch(held: Opened, there: Remote, pointer: Pointer, jobs: int | None, progress: Progress) -> int:
    """Copy what the cache lacks; return how many files came. Raises what DVC raises."""
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.transfer import transfer

    if not there.odb.exists(pointer.md5):
        raise RemoteError(
            f"remote {there.name} ({there.url}) does not have this version: no {pointer.md5}",
            rule="what was pushed can be pulled",
            mend="pull from another remote (--remote), or make it again: forge run",
        )
    result = transfer(
        there.odb,
        held.cache,
        {HashInfo("md5", pointer.md5)},
        jobs=jobs,
        verify=True,
        shallow=False,
        cache_odb=there.odb,  # the list of files is read from the remote: it may be the first thing to be lost here
        callback=counting("pulling", progress),
    )
    if result.failed:
        raise OSError(f"{len(result.failed)} files were not carried over")
    return len(result.transferred)


def _place(
    home: Home, held: Opened, store: ArtifactStore, ledger: Ledger, pointer: Pointer, key: str, digest: str,
    there: Remote | None,
) -> None:  # fmt: skip
    """Link the files of a version into staging, verify them, rename the folder into place."""
    version = store.version(key, digest)
    staging = store.folder(key) / f".staging-pull-{digest[:12]}"
    source = f"remote {there.name} ({there.url})" if there else "the cache"
    remove(staging)
    try:
        for name, md5 in listing(held.cache, pointer).items():
            target, cached = staging / name, Path(held.cache.oid_to_path(md5))
            target.parent.mkdir(parents=True, exist_ok=True)
            link(cached, target)
        verify_folder(staging, ledger, key, digest)
        if version.exists():
            aside = home.work / "damaged" / key / f"{digest}-{time.time_ns()}"
            aside.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(version, aside)
        sync_tree(staging)
        staging.rename(version)
    except (FileNotFoundError, IntegrityError) as error:
        what = error.problem if isinstance(error, IntegrityError) else "files are missing or their bytes are flipped"
        raise IntegrityError(
            f"{key}@{digest[:12]} as {source} has it is not the version that the ledger states: {what}",
            rule="a version is restored when every file has the SHA-256 of its record",
            mend="pull from another remote (--remote), or make it again: forge run --force --select " + key,
        ) from error
    finally:
        remove(staging)
