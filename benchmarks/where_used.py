"""How long it takes to say where a document was used: generated lineage, every release with versions of its own.

`python -m benchmarks where_used [DOCUMENTS [RELEASES]]`; the store is kept in FORGE_BENCH, else in a temporary folder.
"""

import os
import random
import statistics
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks._lineage import Lineage
from forge_dagster.lineage.graph import Graph
from forge_dagster.lineage.row_index import RowIndex
from forge_dagster.lineage.where_used import WhereUsed
from forge_dagster.provenance.store import ArtifactStore

DOCUMENTS, RELEASES = "20000", "3"
ASKED = 9


def main(documents: str = DOCUMENTS, releases: str = RELEASES) -> None:
    """Print seconds of the first question, which makes the indexes, and of others, each on a fresh graph."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(os.environ.get("FORGE_BENCH") or scratch) / f"lineage-{documents}-{releases}"
        if not (root / "whole").exists():
            lineage = Lineage(root, int(documents))
            for number in range(int(releases)):
                lineage.release(number)
            (root / "whole").touch()
        measure(root)


def measure(root: Path) -> None:
    """Ask where documents of the store were used."""
    store = ArtifactStore(root / "artifacts")
    graph = Graph(store)
    newest = graph.content(graph.of("corpus")[-1]) / "train.parquet"
    ids = pq.read_table(newest, columns=["id"])["id"].to_pylist()
    rows = sum(
        pq.read_metadata(path).num_rows for node in graph.records for path in graph.content(node).glob("*.parquet")
    )
    print(f"\n{len(graph.releases)} releases, {len(graph.records)} versions, {rows:,} rows in Parquet files")
    asked = random.Random(1).sample(ids, ASKED)
    print(f"first question, makes the indexes:   {_seconds(store, root, asked[0])[0]:8.2f} s")
    again = [_seconds(store, root, each) for each in asked[1:]]
    seconds = [each[0] for each in again]
    print(
        f"median of {len(again)} others, fresh graph:   {statistics.median(seconds):8.2f} s "
        f"({min(seconds):.2f}..{max(seconds):.2f}); uses found: {min(e[1] for e in again)}..{max(e[1] for e in again)}"
    )
    size = sum(path.stat().st_size for path in (root / "cache").iterdir())
    print(f"indexes: {size / 1e6:,.0f} MB")


def _seconds(store: ArtifactStore, root: Path, document: str) -> tuple[float, int]:
    start = time.perf_counter()
    graph = Graph(store)
    uses = WhereUsed(graph, RowIndex(graph, root / "cache")).uses(document)
    return time.perf_counter() - start, len(uses)
