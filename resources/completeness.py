"""Whether the ledger is complete: a statement for each materialization of Dagster, an event for each statement."""

from collections import defaultdict
from collections.abc import Collection, Iterator

import dagster as dg

from forge_dagster.home import Home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.stage import FrozenModel
from forge_dagster.versions.needed import COLLECTED
from resources.index import PAGE, PlaceOf, digest_of

COMPARED = "compared"

Place = tuple[dg.AssetKey, str | None, str]
"""Asset, partition and content digest."""


class Completeness(FrozenModel):
    """What a comparison found; `unstated` and `untold` are empty where the records are complete."""

    events: int
    statements: int
    unstated: tuple[str, ...]
    """Materializations that the ledger has no statement of: somebody reported them to Dagster by hand."""
    untold: tuple[str, ...]
    """Statements that Dagster has no materialization of: its history was wiped, or its database lost."""
    wiped: tuple[str, ...]
    """Wipes that Dagster itself remembers: time, asset and partitions."""

    @property
    def problems(self) -> list[str]:
        """One line each."""
        return [
            *(f"Dagster has {each}, and the ledger no statement of it" for each in self.unstated),
            *(f"the ledger states {each}, and Dagster has no materialization of it" for each in self.untold),
        ]


def compare(instance: dg.DagsterInstance, home: Home, place_of: PlaceOf, keys: Collection[str]) -> Completeness:
    """Compare all that Dagster and the ledger say of the artifacts `keys`, and of those that the ledger states.

    A version that was collected before the index was made anew has no event, and none is asked for. While a run is
    under way its newest statement may be ahead of its event.
    """
    stated: dict[Place, str] = {}
    collected: set[Place] = set()
    assets: dict[dg.AssetKey, None] = {}
    for key in keys:
        assets[_place(place_of, key, "")[0]] = None
    for entry in Ledger(home.ledger).entries():
        if entry["kind"] in ("artifact", COLLECTED):
            key, digest = entry["statement"]["key"], entry["statement"]["digest"]
            at = _place(place_of, key, digest)
            assets[at[0]] = None
            if entry["kind"] == COLLECTED:
                collected.add(at)
            else:
                stated[at] = f"{key}@{digest[:12]}"
    seen: dict[Place, int] = defaultdict(int)
    for asset in assets:
        for at in _told(instance, asset):
            seen[at] += 1
    return Completeness(
        events=sum(seen.values()),
        statements=len(stated),
        unstated=tuple(sorted(_name(at) for at in seen if at not in stated)),
        untold=tuple(sorted(name for at, name in stated.items() if at not in seen and at not in collected)),
        wiped=tuple(_wipes(instance)),
    )


def note(home: Home, found: Completeness) -> None:
    """State in the ledger what a comparison found, so that a bundle has it."""
    Ledger(home.ledger).append(COMPARED, found.model_dump(mode="json"))


def _place(place_of: PlaceOf, key: str, digest: str) -> Place:
    asset, partition = place_of(key)
    return dg.AssetKey(asset.split("/")), partition, digest


def _name(at: Place) -> str:
    asset, partition, digest = at
    return "/".join([*asset.path, *([partition] if partition else [])]) + f"@{digest[:12] or 'no data version'}"


def _told(instance: dg.DagsterInstance, asset: dg.AssetKey) -> Iterator[Place]:
    """Every materialization that Dagster has of an asset."""
    cursor, more = None, True
    while more:
        page = instance.fetch_materializations(asset, limit=PAGE, cursor=cursor)
        cursor, more = page.cursor, page.has_more
        for record in page.records:
            yield asset, record.partition_key, digest_of(record)


def _wipes(instance: dg.DagsterInstance) -> Iterator[str]:
    wanted = dg.EventRecordsFilter(event_type=dg.DagsterEventType.ASSET_WIPED)
    for record in instance.event_log_storage.get_event_records(wanted, ascending=True):
        event = record.event_log_entry.dagster_event
        if event is not None:
            said = event.asset_wiped_data
            partitions = f", partitions {', '.join(said.partition_keys)}" if said.partition_keys else ""
            yield f"{record.timestamp:.0f} {said.asset_key.to_user_string()}{partitions}"
