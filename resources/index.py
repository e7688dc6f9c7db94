"""Dagster's index of the store: what stands there told as materializations, so that a lost database is no loss."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_TAG,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)

from forge_dagster.home import Home
from forge_dagster.provenance.beside import load_findings
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.record import Record
from forge_dagster.provenance.store import ArtifactStore
from resources.presentation import check_results, metadata_of

PAGE = 200  # records of one read

PlaceOf = Callable[[str], tuple[str, str | None]]
"""Artifact key -> asset name and partition."""


@dataclass
class Index:
    """What Dagster knows of the store."""

    instance: dg.DagsterInstance
    home: Home
    place_of: PlaceOf
    _known: dict[dg.AssetKey, set[tuple[str | None, str]]] = field(default_factory=dict)

    def mirror(self, key: str, digest: str) -> None:
        """Tell Dagster of a version unless it is the latest that it knows."""
        if self._latest(key) != digest:
            self._tell(key, digest)

    def rebuild(self) -> dict[str, int]:
        """Tell Dagster of every version that it does not know, in the order of the ledger, the current ones last.

        Returns how many were told, were known, and are stated in the ledger but not in the store any more.
        """
        counts = {"told": 0, "known": 0, "gone": 0}
        store = ArtifactStore(self.home.artifacts)
        for entry in Ledger(self.home.ledger).entries():
            if entry["kind"] != "artifact":
                continue
            key, digest = entry["statement"]["key"], entry["statement"]["digest"]
            if digest not in store.versions(key):
                counts["gone"] += 1
            elif self._knows(key, digest):
                counts["known"] += 1
            else:
                self._tell(key, digest, entry["statement"]["fingerprint"])
                counts["told"] += 1
        for key in store.all_keys():
            current = store.current(key)
            if current is not None:
                self.mirror(key, current)
                self._tell_checks(key, current)
        return counts

    def _asset(self, key: str) -> tuple[dg.AssetKey, str | None]:
        asset, partition = self.place_of(key)
        return dg.AssetKey(asset.split("/")), partition

    def _tell(self, key: str, digest: str, fingerprint: str | None = None) -> None:
        store = ArtifactStore(self.home.artifacts)
        record = store.record(key, digest, fingerprint)
        asset, partition = self._asset(key)
        event = dg.AssetMaterialization(
            asset_key=asset,
            partition=partition,
            metadata=metadata_of(record, store.version(key, digest)),
            tags={DATA_VERSION_TAG: digest, CODE_VERSION_TAG: record.identity.code_version, **self._inputs(record)},
        )
        self.instance.report_runless_asset_event(event)
        self._known.setdefault(asset, set()).add((partition, digest))

    def _inputs(self, record: Record) -> dict[str, str]:
        """Tags by which Dagster knows what a version was made from; of several partitions, the hash that it takes."""
        read: dict[dg.AssetKey, dict[str | None, str]] = {}
        for ref in record.identity.inputs.values():
            if ref.key is not None:
                asset, partition = self._asset(ref.key)
                read.setdefault(asset, {})[partition] = ref.digest
        tags = {}
        for asset, digests in read.items():
            tags[get_input_data_version_tag(asset)] = _version_of(digests)
            latest = self.instance.fetch_materializations(asset, limit=1).records
            if latest:
                tags[get_input_event_pointer_tag(asset)] = str(latest[0].storage_id)
        return tags

    def _tell_checks(self, key: str, digest: str) -> None:
        asset, partition = self._asset(key)
        if partition is not None:
            return  # Dagster's checks know no partition
        for result in check_results(load_findings(ArtifactStore(self.home.artifacts), key, digest)):
            check = dg.AssetCheckKey(asset, str(result.check_name))
            if self.instance.event_log_storage.get_latest_asset_check_execution_by_key([check]):
                continue
            evaluation = dg.AssetCheckEvaluation(
                asset_key=asset,
                check_name=check.name,
                passed=result.passed,
                severity=result.severity,
                metadata=result.metadata or {},
            )
            self.instance.report_runless_asset_event(evaluation)

    def _knows(self, key: str, digest: str) -> bool:
        asset, partition = self._asset(key)
        if asset not in self._known:
            self._known[asset] = self._read(asset)
        return (partition, digest) in self._known[asset]

    def _read(self, asset: dg.AssetKey) -> set[tuple[str | None, str]]:
        found: set[tuple[str | None, str]] = set()
        cursor, more = None, True
        while more:
            page = self.instance.fetch_materializations(asset, limit=PAGE, cursor=cursor)
            cursor, more = page.cursor, page.has_more
            found |= {(record.partition_key, digest_of(record)) for record in page.records}
        return found

    def _latest(self, key: str) -> str | None:
        asset, partition = self._asset(key)
        wanted = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[partition] if partition else None)
        records = self.instance.fetch_materializations(wanted, limit=1).records
        return digest_of(records[0]) if records else None


def digest_of(record: dg.EventLogRecord) -> str:
    """Content digest that a materialization tells of; empty if it tells none."""
    event = record.asset_materialization
    return (event.tags or {}).get(DATA_VERSION_TAG, "") if event is not None else ""


def _version_of(digests: Mapping[str | None, str]) -> str:
    if set(digests) == {None}:
        return digests[None]
    joined = "".join(digest for _, digest in sorted(digests.items(), key=lambda item: str(item[0])))
    return hashlib.sha256(joined.encode()).hexdigest()
