"""What may be deleted here: versions that no release, pointer or keep-list needs; a plan first, then the deed."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from forge_dagster.errors import IntegrityError, UserError
from forge_dagster.home import Home
from forge_dagster.provenance.canonical import fingerprint
from forge_dagster.provenance.files import remove
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.locks import lock
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.stage import FrozenModel
from forge_dagster.versions.needed import COLLECTED, DROP, KEEP, needed, remotes_of, sound_ledger
from forge_dagster.versions.pointer import listing, pointer_path, stated
from forge_dagster.versions.push import standing
from forge_dagster.versions.repository import WAIT, Opened, opened

LOCK_WAIT = 5.0  # seconds for a run that is making a version of the same artifact


class Doomed(FrozenModel):
    """A version that nothing needs; `remotes` names where it was pushed to and can be pulled from."""

    key: str
    digest: str
    remotes: tuple[str, ...]


class Plan(FrozenModel):
    """What a collection would delete. `digest` names exactly this plan."""

    versions: tuple[Doomed, ...]
    objects: tuple[str, ...]
    """Files of DVC's cache that only these versions use."""
    bytes: int
    """What becomes free: bytes that nothing else on this machine names are counted once."""
    kept: int

    @property
    def digest(self) -> str:
        """SHA-256 over the versions and objects."""
        return fingerprint(self.model_dump(mode="json", exclude={"kept"}))


def plan(home: Home, *, wait: float = WAIT) -> Plan:
    """What may go. Raises IntegrityError if the ledger's chain is broken, BusyError."""
    with opened(home, wait=wait) as held:
        return _plan(home, held)


def _plan(home: Home, held: Opened) -> Plan:
    ledger, store = sound_ledger(home), ArtifactStore(home.artifacts)
    reasons, remotes = needed(home, ledger), remotes_of(ledger)
    doomed = [version for version in standing(home) if version not in reasons]
    objects = _objects_of_none_but(held, set(doomed), ledger)
    paths = [path for version in doomed for path in store.version(*version).rglob("*")]
    return Plan(
        versions=tuple(Doomed(key=k, digest=d, remotes=tuple(remotes.get((k, d), ()))) for k, d in doomed),
        objects=tuple(objects),
        bytes=_freed([path for path in [*paths, *map(Path, objects)] if path.is_file()]),
        kept=len(standing(home)) - len(doomed),
    )


def _objects_of_none_but(held: Opened, doomed: set[tuple[str, str]], ledger: Ledger) -> list[str]:
    """Cache files that only `doomed` versions list; none where the cache lies outside the repository: it is shared."""
    cache = Path(held.cache.path)
    if not doomed or not cache.is_relative_to(Path(held.repo.root_dir)):
        return []
    used: dict[bool, set[str]] = {True: set(), False: set()}
    for version, pointer in stated(ledger).items():
        try:
            used[version in doomed] |= {pointer.md5, *listing(held.cache, pointer).values()}
        except FileNotFoundError:
            continue  # a version that is not on this machine
        except IntegrityError:
            if version not in doomed:
                raise
    gone = used[True] - used[False]
    return sorted(path for path in map(held.cache.oid_to_path, gone) if Path(path).is_file())


def _freed(paths: list[Path]) -> int:
    """Bytes of the files whose every name is among `paths`."""
    names: dict[tuple[int, int], int] = {}
    entries: dict[tuple[int, int], os.stat_result] = {}
    for path in paths:
        entry = path.stat()
        entries[entry.st_dev, entry.st_ino] = entry
        names[entry.st_dev, entry.st_ino] = names.get((entry.st_dev, entry.st_ino), 0) + 1
    return sum(entry.st_size for inode, entry in entries.items() if names[inode] >= entry.st_nlink)


def collect(
    home: Home,
    agreed: str,
    *,
    wait: float = WAIT,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> Plan:
    """Delete what the plan of digest `agreed` names; remotes are left alone.

    Each deletion is stated in the ledger before it is done, so that a version which is gone on purpose is told from
    one that was lost. Raises UserError if the plan is another by now, BusyError if a run is making one of the keys.
    """
    store, ledger = ArtifactStore(home.artifacts), Ledger(home.ledger)
    with opened(home, wait=wait) as held:
        found = _plan(home, held)
        if found.digest != agreed:
            raise UserError(
                f"the plan is {found.digest[:12]} by now, not {agreed[:12]}",
                rule="what was looked at is what is deleted",
                mend="look at the plan again: forge gc",
            )
        for number, each in enumerate(found.versions):
            progress(number, len(found.versions), f"{each.key}@{each.digest[:12]}")
            busy = home.work / "locks" / f"{each.key}.lock"
            with lock(busy, what=each.key, wait=LOCK_WAIT, waiting=lambda _: None):
                ledger.append(COLLECTED, {"key": each.key, "digest": each.digest})
                # A folder under this name is swept away by whoever makes the artifact next, if we are killed here.
                aside = store.folder(each.key) / f".staging-collected-{each.digest[:12]}"
                store.version(each.key, each.digest).rename(aside)
                pointer_path(store, each.key, each.digest).unlink(missing_ok=True)
                remove(aside)
        for path in found.objects:
            Path(path).unlink(missing_ok=True)
    return found


def keep(home: Home, kind: Literal["keep", "drop"], key: str, digest: str, reason: str, actor: str) -> None:
    """Put a version on the keep-list, or take it off. Raises UserError without a reason."""
    if not reason.strip():
        raise UserError("no reason is given", rule="who reads the ledger learns why", mend="--reason 'why'")
    said = {"key": key, "digest": digest, "reason": reason.strip(), "actor": actor}
    Ledger(home.ledger).append(KEEP if kind == "keep" else DROP, said)
