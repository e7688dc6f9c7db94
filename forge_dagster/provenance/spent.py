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
        path = store.version(key, digest) / "beside" / "run.json"
        if path.is_file() and (key, digest) not in found:
            seconds = json.loads(path.read_bytes())["seconds"]
            numerics = store.record(key, digest, statement["fingerprint"]).identity.numerics or {}
            share = 1 if unit == "gpu" else numerics.get("threads", 1)
            counted = unit == "processor" or numerics.get("device") == "cuda"
            hours = seconds / 3600 * share * numerics.get("world_size", 1) if counted else 0.0
            found[key, digest] = Spent(key, digest, datetime.fromisoformat(entry["time"]), hours)
    return list(found.values())
