"""What curating documents in shards takes, by arithmetic: pods, core hours, hours of the clock, bytes, money."""

import math
from dataclasses import dataclass

from forge_dagster.corpus.near_duplicates import band_groups
from forge_dagster.source import MOST_SHARDS


@dataclass(frozen=True)
class Rates:
    """What the hops were measured to cost on one core."""

    shard: float
    """Core seconds a byte: reading and cleaning, which each shard does by itself."""
    compared: float
    """Core seconds a byte: duplicates, which groups of bands look for side by side."""
    whole: float
    """Core seconds a document: split, benchmark and corpus, which look at all documents together in one process."""
    start: float
    """Seconds until a pod computes."""
    kept: float
    """Bytes in the store for each byte of documents."""


@dataclass(frozen=True)
class Documents:
    """What is to be curated, and by how much."""

    bytes: float
    count: int
    shards: int
    pods: int
    """Steps at one time."""
    cores: int
    """Of a pod; parsing uses them all."""
    price: float
    """Of one core for an hour."""


@dataclass(frozen=True)
class Plan:
    """What it takes."""

    sources: int
    """To which the documents are shared out, for one source has not so many shards."""
    shards_of_one: int
    groups: int
    """Of bands, each a step."""
    steps: int
    shard_bytes: float
    shard_seconds: float
    core_hours: float
    parallel_hours: float
    compared_hours: float
    serial_hours: float
    stored: float
    cost: float

    @property
    def hours(self) -> float:
        """By the clock."""
        return self.parallel_hours + self.compared_hours + self.serial_hours


def plan(documents: Documents, rates: Rates) -> Plan:
    """Add it up. Two steps a shard (raw_documents, clean_documents), in waves of `pods`; then a step a group of bands;
    then what sees them all.

    A wave lasts as long as its pods start and compute; shards are equal, for documents are dealt out by hash. Cores are
    paid from the start of a pod to its end, also while it starts.
    """
    one = documents.bytes / documents.shards
    computing = one * rates.shard / documents.cores
    waves = math.ceil(documents.shards / documents.pods)
    parallel = waves * (2 * rates.start + computing)
    serial = documents.count * rates.whole
    paid = documents.shards * documents.cores * (2 * rates.start + computing) + documents.cores * serial
    sources = math.ceil(documents.shards / MOST_SHARDS)
    shards_of_one = math.ceil(documents.shards / sources)
    groups = len(band_groups(shards_of_one))
    # One thread compares, whatever cores the pod has.
    comparing = documents.bytes * rates.compared / groups
    compared = math.ceil(groups / documents.pods) * (rates.start + comparing)
    paid += groups * documents.cores * (rates.start + comparing)
    return Plan(
        sources=sources,
        shards_of_one=shards_of_one,
        groups=groups,
        steps=2 * documents.shards + groups,
        shard_bytes=one,
        shard_seconds=computing,
        core_hours=paid / 3600,
        parallel_hours=parallel / 3600,
        compared_hours=compared / 3600,
        serial_hours=serial / 3600,
        stored=documents.bytes * rates.kept,
        cost=paid / 3600 * documents.price,
    )
