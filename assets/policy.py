"""What holds for assets alike: owners, and how fresh they have to be by what the sources say."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._utils.schedules import cron_string_iterator

from forge_dagster.source import PlacedSource

OWNERS = ["team:ml-platform"]
FROM = datetime(2026, 1, 1, tzinfo=UTC)  # any day: the time between two ticks is taken from here on


def freshness(sources: Mapping[str, PlacedSource], time_zone: str) -> dict[dg.AssetKey, dg.FreshnessPolicy]:
    """Freshness of the assets per source, by the busiest `schedule` of the sources; none if no source has one.

    It fails if a whole period passed and no source was looked at. Dagster knows one policy an asset, not a partition.
    """
    crons = {placed.source.schedule for placed in sources.values() if placed.source.schedule}
    if not crons:
        return {}
    busiest = min(sorted(crons), key=lambda cron: _period(cron, time_zone))
    policy = dg.FreshnessPolicy.cron(
        deadline_cron=busiest, lower_bound_delta=_period(busiest, time_zone), timezone=time_zone
    )
    return {dg.AssetKey([name]): policy for name in ("raw_documents", "clean_documents")}


def _period(cron: str, time_zone: str) -> timedelta:
    ticks = cron_string_iterator(FROM.timestamp(), cron, time_zone)
    first, second = next(ticks), next(ticks)
    return second - first
