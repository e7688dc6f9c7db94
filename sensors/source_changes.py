"""Notices that a source's content moved, and asks for its documents to be read again."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from forge_dagster.corpus.walk import tree_digest
from forge_dagster.declared import load_declared
from forge_dagster.provenance.canonical import fingerprint

INTERVAL = 60  # seconds between ticks


def stat_fingerprint(folder: Path) -> str:
    """A cheap fingerprint of a folder from names, sizes and mtimes; no content is read."""
    entries: list[list[str | int]] = []
    for root, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            status = os.lstat(os.path.join(root, name))
            relative = os.path.relpath(os.path.join(root, name), folder)
            entries.append([relative.encode("utf-8", "surrogateescape").hex(), status.st_size, status.st_mtime_ns])
    return fingerprint(entries)


@dg.sensor(
    asset_selection=dg.AssetSelection.assets("raw_documents", "clean_documents"),
    minimum_interval_seconds=INTERVAL,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Asks for the partition of a source whose content changed; touching a file asks for nothing.",
)
def source_changes(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Pure: the same folders and cursor give the same requests, whose keys are content digests."""
    seen: dict[str, str] = json.loads(context.cursor or "{}")
    now = {
        name: stat_fingerprint(placed.folder)
        for name, placed in load_declared().sources.items()
        if placed.folder.is_dir()
    }
    moved = [name for name in now if now[name] != seen.get(name)]
    for name in moved:
        digest = tree_digest(load_declared().sources[name].folder)
        yield dg.RunRequest(run_key=f"raw_documents/{name}@{digest}", partition_key=name)
    if not moved:
        yield dg.SkipReason("no source moved")
    context.update_cursor(json.dumps(now, sort_keys=True))
