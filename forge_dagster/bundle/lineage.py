"""The chain of a release: the record of every artifact it was made from, and what is known of how each was made."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forge_dagster.errors import IntegrityError
from forge_dagster.home import Home
from forge_dagster.provenance.incumbent import FORMER, INPUT
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.record import Record
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.stage import START, START_SHARDS

OF_OTHERS = (INPUT, START, START_SHARDS, "serving/", FORMER)
"""How the names of inputs begin that are of another model, or of what this one learnt earlier."""
ROUTINE = ("artifact", "current", "tracked", "pushed", "pulled", "bundle", "kept", "compared")
"""Statements of ordinary work; all others are interventions, of people or of a repair."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """One artifact of a chain: its record, the record's bytes, its run (null if nobody kept it), findings and cost.

    `cost` is of a training that says so: `tokens`, `floating_point_operations`, `formula`.
    """

    record: Record
    data: bytes
    run: Mapping[str, Any] | None
    findings: list[Any]
    cost: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """`key@digest`."""
        return f"{self.record.key}@{self.record.digest}"

    @property
    def file(self) -> str:
        """Name that is a file's."""
        return f"{self.record.key.replace('/', '.')}@{self.record.digest[:16]}.{self.record.fingerprint[:8]}"


def chain(home: Home, key: str, digest: str) -> list[Link]:
    """Every artifact of a release, the release first. Raises IntegrityError if a record is missing or not stated."""
    store, stated = ArtifactStore(home.artifacts), _stated(home)
    found: dict[tuple[str, str], Link] = {}
    todo = [(key, digest)]
    while todo:
        at = todo.pop(0)
        if at in found:
            continue
        if at not in stated:
            raise IntegrityError(
                f"{at[0]}@{at[1][:12]} is not in the ledger",
                rule="what is bundled was stated",
                mend="forge verify --all",
            )
        link = _link(store, store.record(*at, stated[at]))
        found[at] = link
        inputs = sorted(link.record.identity.inputs.items())
        todo += [(ref.key, ref.digest) for _, ref in inputs if ref.key is not None]
    return list(found.values())


def own(links: Sequence[Link]) -> dict[str, Link]:
    """Of each artifact the version that the release, the first link, is made of.

    A chain holds other versions too: of the model that it was compared with, and of what it was gone on from.
    """
    by = {(link.record.key, link.record.digest): link for link in links}
    found: dict[str, Link] = {}
    todo = [links[0]]
    while todo:
        link = todo.pop(0)
        if link.record.key in found:
            continue
        found[link.record.key] = link
        for name, ref in sorted(link.record.identity.inputs.items()):
            if ref.key is not None and not name.startswith(OF_OTHERS):
                todo.append(by[ref.key, ref.digest])
    return found


def interventions(home: Home) -> Iterator[dict[str, Any]]:
    """Every statement of the ledger that is not ordinary work, oldest first."""
    return (entry for entry in Ledger(home.ledger).entries() if entry["kind"] not in ROUTINE)


def _stated(home: Home) -> dict[tuple[str, str], str]:
    """The first fingerprint that each (key, digest) was stated with."""
    found: dict[tuple[str, str], str] = {}
    for said in Ledger(home.ledger).statements("artifact"):
        found.setdefault((said["key"], said["digest"]), said["fingerprint"])
    return found


def _link(store: ArtifactStore, record: Record) -> Link:
    version = store.here(record.key, record.digest)
    costs = [version / part / "cost.json" for part in ("content", "beside")]
    run, findings = (version / "beside" / name for name in ("run.json", "findings.json"))
    return Link(
        record=record,
        data=(version / "records" / f"{record.fingerprint}.json").read_bytes(),
        run=json.loads(run.read_bytes()) if run.is_file() else None,
        findings=json.loads(findings.read_bytes()) if findings.is_file() else [],
        cost=next((json.loads(path.read_bytes()) for path in costs if path.is_file()), None),
    )
