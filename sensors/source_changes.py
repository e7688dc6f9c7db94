"""Notices that a source's content moved, and asks for its documents to be read again."""

import json
from collections.abc import Iterator

import dagster as dg

from forge_dagster.corpus.snapshot import snapshot_config
from forge_dagster.declared import load_declared
from forge_dagster.errors import SourceError
from forge_dagster.home import home

INTERVAL = 60  # seconds between ticks


@dg.sensor(
    asset_selection=dg.AssetSelection.assets("raw_documents", "clean_documents"),
    minimum_interval_seconds=INTERVAL,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Asks for the partitions whose content changed; touching a file asks for nothing.",
)
def source_changes(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Pure: the same sources and cursor give the same requests, whose keys are content digests."""
    seen: dict[str, str] = json.loads(context.cursor or "{}")
    sources = load_declared().sources
    now: dict[str, str] = {}
    for name, placed in sources.items():
        try:
            now[name] = snapshot_config(placed).watermark()
        except (SourceError, OSError) as error:
            context.log.warning(f"{name} cannot be looked at: {error}")
    moved = [name for name in now if now[name] != seen.get(name)]
    for name in moved:
        for partition, shard in sources[name].source.partitions.items():
            place = snapshot_config(sources[name], shard)
            digest = place.content_digest(home().cache / "raw_documents" / partition)
            yield dg.RunRequest(run_key=f"raw_documents/{partition}@{digest}", partition_key=partition)
    if not moved:
        yield dg.SkipReason("no source moved")
    context.update_cursor(json.dumps(now, sort_keys=True))
