"""What trainings cost: when each was made, by the ledger, and how many hours it took, by the record of its run."""

import json
from collections.abc import Collection
from datetime import datetime
from typing import Literal, NamedTuple

from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.store import ArtifactStore

Unit = Literal["processor", "gpu"]


class Spent(NamedTuple):
    """One training: the artifact, when it was stated, and its hours of processor or GPU."""

    key: str
    digest: str
    made: datetime
    hours: float


class Took(NamedTuple):
    """What one version took: seconds by the clock, and hours of processor or GPU."""

    seconds: float
    hours: float


def spent(store: ArtifactStore, ledger: Ledger, keys: Collection[str], unit: Unit) -> list[Spent]:
    """Every training of these checkpoints, in the ledger's order, which no clock can change.

    A version that was deleted since costs nothing: what it took was deleted with it.
    """
    found: dict[tuple[str, str], Spent] = {}
    for entry in ledger.entries():
        statement = entry["statement"]
        if entry["kind"] != "artifact" or statement["key"] not in keys:
            continue
        key, digest = statement["key"], statement["digest"]
        if (key, digest) not in found:
            took = taken(store, key, digest, statement["fingerprint"], unit)
            if took is not None:
                found[key, digest] = Spent(key, digest, datetime.fromisoformat(entry["time"]), took.hours)
    return list(found.values())


def taken(
    store: ArtifactStore, key: str, digest: str, fingerprint: str | None, unit: Unit, *, anywhere: bool = False
) -> Took | None:
    """What a version took, by the record of its run; None if it was deleted since.

    Of GPUs none are counted where none computed, unless `anywhere`: then an hour of any device is one.
    """
    run = store.beside(key, digest, "run.json")
    if run is None:
        return None
    seconds: float = json.loads(run)["seconds"]
    numerics = store.record(key, digest, fingerprint).identity.numerics or {}
    share = 1 if unit == "gpu" else numerics.get("threads", 1)
    counted = anywhere or unit == "processor" or numerics.get("device") == "cuda"
    return Took(seconds, seconds / 3600 * share * numerics.get("world_size", 1) if counted else 0.0)
