"""The one finalizer: every version that stands gets its pointer, and dvc.lock says what is current."""

import errno
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from forge_dagster.errors import ForgeError, IntegrityError, StorageError
from forge_dagster.home import Home
from forge_dagster.provenance.files import walk_files
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.versions import lockfile, summaries
from forge_dagster.versions.hashing import Expected, fault
from forge_dagster.versions.pointer import (
    TRACKED,
    Pointer,
    Version,
    ever_stated,
    listing,
    pointer_path,
    read_pointer,
    stated,
    write_pointer,
)
from forge_dagster.versions.repository import WAIT, Opened, opened, root_of


@dataclass
class Tracked:
    """What a call tracked, and the damaged versions it left alone."""

    versions: list[Version] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def untracked(home: Home) -> list[Version]:
    """Versions that stand and have no pointer, or one that the ledger does not know or that lacks a file."""
    store, known = ArtifactStore(home.artifacts), ever_stated(Ledger(home.ledger))
    found = []
    for key, digest in store.standing():
        pointer = read_pointer(pointer_path(store, key, digest))
        files = sum(1 for path in store.version(key, digest).rglob("*") if path.is_file())
        if pointer is None or pointer not in known.get((key, digest), ()) or pointer.nfiles != files:
            found.append((key, digest))
    return found


def track(
    home: Home, *, wait: float = WAIT, progress: Callable[[int, int, str], None] = lambda done, total, text: None
) -> Tracked:
    """Track every version that stands; costs a look at the files where nothing is new.

    A version is hashed anew first, for what DVC takes in it takes for the truth.
    Raises BusyError if the repository stays taken, StorageError if the disk is full.
    """
    store = ArtifactStore(home.artifacts)
    summaries.write(store)
    todo, done = untracked(home), Tracked()
    if not todo and not lockfile.stale_stages(root_of(home)):
        return done
    with opened(home, wait=wait) as held:
        for number, (key, digest) in enumerate(todo):
            progress(number, len(todo), f"{key}@{digest[:12]}")
            try:
                store.verify(key, digest)
            except IntegrityError as error:
                done.problems.append(error.problem)
                continue
            take_in(held, home, key, digest)
            done.versions.append((key, digest))
        lockfile.commit(held)
    return done


def after_runs(home: Home) -> list[str]:
    """What ends every run, by command or by the daemon: track what stands. What hinders it is returned, not raised.

    The artifacts themselves are made; the next run, or `forge push`, gives them their pointers.
    """
    try:
        return track(home).problems
    except (ForgeError, OSError) as error:
        return [str(error)]


def take_in(held: Opened, home: Home, key: str, digest: str) -> Pointer:
    """Let DVC's cache hold a version that stands, write its pointer, state it in the ledger."""
    from dvc.fs import LocalFileSystem
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db import add_update_tree
    from dvc_data.hashfile.transfer import transfer
    from dvc_data.hashfile.tree import Tree

    store = ArtifactStore(home.artifacts)
    version = store.version(key, digest)
    staging, _, tree = build(held.cache, str(version), LocalFileSystem(), "md5")
    assert isinstance(tree, Tree), "a folder was built"
    add_update_tree(held.cache, tree)
    held.said.errors.clear()
    if transfer(staging, held.cache, {tree.hash_info}, shallow=False, hardlink=True).failed:
        raise StorageError(
            f"DVC's cache {held.cache.path} could not take in {key}@{digest[:12]}: {held.said.errors[:1]}",
            rule="the version stands in the store all the same",
            mend="see that its disk has room and lets you write, then: forge push, or forge run",
        )
    files = list(walk_files(version))
    pointer = Pointer(md5=str(tree.hash_info.value), size=sum(path.stat().st_size for path in files), nfiles=len(files))
    share(version, list(listing(held.cache, pointer).items()), held.cache.oid_to_path)
    write_pointer(pointer_path(store, key, digest), pointer)
    ledger = Ledger(home.ledger)
    if stated(ledger).get((key, digest)) != pointer:
        ledger.append(TRACKED, {"key": key, "digest": digest, **pointer.model_dump()})
    return pointer


def share(version: Path, files: Sequence[tuple[str, str]], cached: Callable[[str], str]) -> None:
    """Let each file of a version, which was verified, be the cache's own: the bytes are on the disk once.

    DVC would remove a file and then link it; whoever reads the version meanwhile would miss it. Bytes that were in
    the cache before are hashed, so that one that flipped there does not get into the store.
    """
    for name, md5 in files:
        path, other = version / name, Path(cached(md5))
        if path.samefile(other):
            continue
        if fault(Expected(path=str(other), algorithm="md5", digest=md5))[0]:
            other.unlink()
            link(path, other)
            other.chmod(0o444)
        else:
            linked = path.with_name(f".{path.name}.linked")
            linked.unlink(missing_ok=True)
            link(other, linked)
            linked.replace(path)


def link(source: Path, target: Path) -> None:
    """Give a file a second name; a second disk, or one without hard links, gets a copy."""
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        shutil.copyfile(source, target)
