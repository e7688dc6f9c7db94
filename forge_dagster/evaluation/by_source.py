"""A measure: bits per byte of held-out documents of each source, where there are several."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from forge_dagster.evaluation.held_out import documents_in, text_task
from forge_dagster.evaluation.measure import Measuring, Task

SIDES = ("validation", "test")


def by_source(inputs: Mapping[str, Path], config: Measuring, work: Path) -> Sequence[Task]:
    """`source_NAME.bits_per_byte`; sources share the bytes that are read."""
    sources = sorted({name for side in SIDES for name in _sources(inputs["corpus"] / f"{side}.parquet")})
    if len(sources) < 2:
        return []
    most = config.validation_bytes // len(sources)
    found = _documents([inputs["corpus"] / f"{side}.parquet" for side in SIDES], sources, most)
    return [text_task(f"source_{name.replace('-', '_')}", rows) for name, rows in sorted(found.items()) if rows]


def _sources(path: Path) -> list[str]:
    if not path.is_file():
        return []
    found: list[str] = pc.unique(pq.read_table(path, columns=["source"])["source"]).to_pylist()
    return found


def _documents(paths: Sequence[Path], sources: Sequence[str], most: int) -> dict[str, list[dict[str, Any]]]:
    """The first documents of each source, whole ones, at least one and about `most` bytes."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    left = dict.fromkeys(sources, most)
    for path in (path for path in paths if path.is_file()):
        for row in documents_in(path):
            size = len(row["text"].encode())
            if size and (size <= left[row["source"]] or not found[row["source"]]):
                found[row["source"]].append(row)
                left[row["source"]] -= size
                if max(left.values()) <= 0:
                    return found
    return found
