"""What a source's partition was last made from, and whether what the source lists now may be taken for its content.

A source that vanished, or lost most of its entries, is rather a disk that is not mounted than a decision to forget
everything. It is held until a person accepts what it lists now; what was made from it before stays current meanwhile.
"""

from collections.abc import Iterable
from typing import NamedTuple

from forge_dagster.corpus.snapshot import EXTERNAL, Seen, SnapshotConfig, snapshot_config
from forge_dagster.errors import SourceError
from forge_dagster.home import Home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.source import PlacedSource

ACCEPTED = "source-accepted"
"""Kind of the ledger's statement by which a person accepts what a source lists."""


class Standing(NamedTuple):
    """The current version of a partition's raw documents."""

    contents: frozenset[str]
    """Digests of the contents that gave it: two may, such as an archive that was packed anew."""
    listed: int
    """Entries that the source listed then."""


def raw_key(partition: str) -> str:
    """Artifact key of a partition's raw documents."""
    return f"raw_documents/{partition}"


def standing(store: ArtifactStore, partition: str) -> Standing | None:
    """What is current; None if nothing was made yet."""
    current = store.current(raw_key(partition))
    if current is None:
        return None
    records = store.records(raw_key(partition), current)
    contents = frozenset(record.identity.inputs[EXTERNAL].digest for record in records)
    return Standing(contents, max(record.report.counts.get("listed", 0) for record in records))


def accepted(ledger: Ledger, partition: str) -> set[str]:
    """Digests of the contents that a person accepted for a partition."""
    return {
        entry["statement"]["content"]
        for entry in ledger.entries()
        if entry["kind"] == ACCEPTED and entry["statement"]["partition"] == partition
    }


def refused(seen: Seen, before: Standing | None, least_share: float) -> str:
    """Why what is seen now is not taken for the source's content; empty if it is."""
    if before is None or seen.content in before.contents or seen.listed >= least_share * before.listed:
        return ""
    return f"lists {seen.listed:,} entries, {before.listed:,} when it was last read"


def look(home: Home, partition: str, place: SnapshotConfig) -> Seen:
    """What the partition holds now. Raises SourceError if it cannot be reached."""
    return place.look(home.cache / raw_key(partition))


def content_of(home: Home, partition: str, place: SnapshotConfig, least_share: float) -> str:
    """Digest of the partition's content. Raises SourceError if it vanished or lost most of its entries."""
    seen = look(home, partition, place)
    why = refused(seen, standing(ArtifactStore(home.artifacts), partition), least_share)
    if why and seen.content not in accepted(Ledger(home.ledger), partition):
        raise SourceError(
            f"{place.location} {why}",
            rule=f"a source that keeps less than {least_share:.0%} of its entries is held: a disk may not be mounted",
            mend=f"bring the documents back; or, if they are gone for good: forge sources accept {place.source}",
        )
    return seen.content


def held(home: Home, placed: PlacedSource) -> dict[str, str]:
    """Partition -> why it is held, for those of a source that are."""
    found = {}
    for partition, shard in placed.source.partitions.items():
        try:
            content_of(home, partition, snapshot_config(placed, shard), placed.source.watch.least_share)
        except SourceError as error:
            found[partition] = error.problem
    return found


def accept(home: Home, placed: PlacedSource, *, by: str) -> list[str]:
    """State that what the source lists now is its content; return the partitions that were held.

    Raises SourceError if it cannot be reached: nothing is there to accept.
    """
    store, ledger, found = ArtifactStore(home.artifacts), Ledger(home.ledger), []
    for partition, shard in placed.source.partitions.items():
        seen = look(home, partition, snapshot_config(placed, shard))
        before = standing(store, partition)
        why = refused(seen, before, placed.source.watch.least_share)
        if not why or seen.content in accepted(ledger, partition):
            continue
        assert before is not None, "nothing is refused before something stands"
        statement = {"partition": partition, "listed": seen.listed, "listed_before": before.listed}
        ledger.append(ACCEPTED, {**statement, "content": seen.content, "by": by})
        found.append(partition)
    return found


def moves(ledger: Ledger, keys: Iterable[str]) -> dict[str, int]:
    """Of each key the sequence number of the last statement that moved what is current; -1 if none did."""
    found = dict.fromkeys(keys, -1)
    for entry in ledger.entries():
        key = entry["statement"].get("key")
        if key in found and entry["kind"] in ("current", "withdrawn"):
            found[key] = entry["sequence"]
    return found
