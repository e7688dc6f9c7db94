"""A source in shards: what each shard costs of what the undivided source costs, in processor time."""

import resource
import tempfile
from pathlib import Path

from forge_dagster.corpus import clean, snapshot
from forge_dagster.sample.generate import generate
from forge_dagster.source import Cleaning, PlacedSource, Shard, Source
from forge_dagster.stage import local_context

DOCUMENTS = 3000
SHARDS = (1, 4)


def _seconds() -> float:
    """Processor time of this process and of the parser processes that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _made(placed: PlacedSource, shard: Shard, to: Path) -> float:
    """Read and clean one shard; return its processor seconds."""
    start, context = _seconds(), local_context(to / "context")
    config = clean.CleanConfig(cleaning=placed.source.cleaning, labels=placed.labels, rank=placed.source.rank)
    for name in ("raw", "clean"):
        (to / name).mkdir()
    snapshot.run({}, snapshot.snapshot_config(placed, shard), to / "raw", context)
    clean.run({"raw_documents": to / "raw"}, config, to / "clean", context)
    return _seconds() - start


def main() -> None:
    """Print the processor time of the whole and of each of its shards; each starts parser processes of its own."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        generate(DOCUMENTS, 1, root / "company")
        print(f"\n{DOCUMENTS:,} documents read and cleaned, processor seconds")
        for count in SHARDS:
            terms = {"owner": "o", "licence": "internal", "sensitivity": "internal", "cleaning": Cleaning()}
            source = Source(name="sample", kind="folder", location="sample", shards=count, **terms)
            placed = PlacedSource(source=source, location=str(root / "company" / "documents"), facts=None)
            spent = []
            for partition, shard in source.partitions.items():
                (root / partition).mkdir()
                spent.append(_made(placed, shard, root / partition))
            print(f"in {count} {'shard ' if count == 1 else 'shards'}: {sum(spent):.1f}, the longest {max(spent):.1f}")
