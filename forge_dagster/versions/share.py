"""What a home has and the store that it shares lacks, put there; and what was left behind there, swept."""

from collections.abc import Iterator, Sequence

from forge_dagster.errors import UserError
from forge_dagster.home import Home
from forge_dagster.provenance.place import SharedPlace, only_writer, place
from forge_dagster.provenance.store import CURRENT, SERVING, ArtifactStore
from forge_dagster.stage import FrozenModel
from forge_dagster.versions.needed import sound_ledger
from forge_dagster.versions.pointer import Version
from forge_dagster.versions.push import Progress

LOCK_WAIT = 60.0  # seconds for a run that is making a version of the same artifact


class Shared(FrozenModel):
    """What was done: versions put, statements and pointers put, versions of which leavings were deleted."""

    url: str
    versions: tuple[str, ...]
    statements: int
    pointers: tuple[str, ...]
    swept: tuple[str, ...]
    standing: int
    """Versions that the store has now."""


def share(
    home: Home,
    *,
    again: Sequence[Version] = (),
    sweep: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> Shared:
    """Put what the store lacks: versions, then statements, then pointers; the files of `again` once more.

    A pointer that the store has stays. `sweep` deletes files that a crash left there without a record.
    Raises UserError without FORGE_STORE, IntegrityError if bytes here differ from their record or the ledgers differ,
    RemoteError if the store fails.
    """
    shared = place(home.root)
    if not isinstance(shared, SharedPlace):
        raise UserError(
            f"{home.root} shares no store",
            rule="FORGE_STORE=s3://BUCKET/PREFIX names one",
            mend="set it, or see README",
        )
    ledger, store, carried, put = sound_ledger(home), ArtifactStore(home.artifacts), shared.carried, list[str]()
    ledger.lacking()  # before anything is put: a home of another chain has no business there
    here = store.standing()
    there = {(each.key, each.digest, each.fingerprint) for each in carried.named()}
    for number, (key, digest) in enumerate(here):
        progress("sharing", number, len(here))
        records = store.records(key, digest)
        repeated = (key, digest) in again
        wanted = [each for each in records if repeated or (key, digest, each.fingerprint) not in there]
        if wanted:
            with only_writer(home, key, wait=LOCK_WAIT, waiting=lambda _: None):
                for record in wanted:
                    carried.share(record, again=repeated)
            put.append(f"{key}@{digest}")
    return Shared(
        url=shared.bucket.url,
        versions=tuple(put),
        statements=ledger.offer(),
        pointers=tuple(_pointers(home, shared, sorted({key for key, _ in here}))),
        swept=tuple(_sweep(home, shared)) if sweep else (),
        standing=len({(each.key, each.digest) for each in carried.named()}),
    )


def _pointers(home: Home, shared: SharedPlace, keys: Sequence[str]) -> Iterator[str]:
    """Put the pointers that the store lacks; yield their names."""
    for key in keys:
        for path in (home.artifacts / key / CURRENT, home.artifacts / key / SERVING):
            name = path.relative_to(home.root).as_posix()
            if path.is_file() and shared.bucket.swap(name, path.read_bytes(), None):
                yield name.removeprefix("artifacts/")


def _sweep(home: Home, shared: SharedPlace) -> Iterator[str]:
    """Delete files without a record; nobody puts one while the key is held."""
    for key, digest in shared.carried.left_behind():
        with only_writer(home, key, wait=LOCK_WAIT, waiting=lambda _: None):
            for name in shared.carried.left_behind(f"{key}/{digest}/").get((key, digest), ()):
                shared.bucket.delete(name)
        yield f"{key}@{digest}"
