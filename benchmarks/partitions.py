"""Eight partitions read and cleaned, and their duplicates found by bands: how near two processes come to half the time.

`python -m benchmarks partitions [--documents N] [--rounds N]`. A process has one core with all that it starts, as a pod
of one core has. What they share is what pods share: the home, with its locks, store and ledger.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path

from assets.documents import PER_SOURCE, document_hops
from forge_dagster.declared import Declared
from forge_dagster.home import Home
from forge_dagster.provenance.build import build
from forge_dagster.provenance.run import Run
from forge_dagster.sample.generate import generate
from forge_dagster.source import PlacedSource, Source
from resources.executor import DOCUMENTS

PARTITIONS = 8
TARGET = 0.85
SEED = 1


def main(*options: str) -> None:
    """Print seconds of both and the efficiency t1 / (2 t2) of every round."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks partitions", description=__doc__)
    parser.add_argument("--documents", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(options)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("partitions: two processes of one core need two cores")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        generate(given.documents, SEED, root / "company")
        source = Source(
            name="sample", kind="folder", location="sample", shards=PARTITIONS, owner="o", licence="internal",
            sensitivity="internal",
        )  # fmt: skip
        placed = PlacedSource(source=source, location=str(root / "company" / "documents"), facts=None)
        declared = Declared(sources={"sample": placed}, recipes={}, policies={}, pairs={})
        print(f"\n{given.documents:,} documents in {PARTITIONS} partitions")
        print(f"{'':<20}{'one process s':>14}{'two s':>9}{'efficiency':>12}")
        found: dict[str, list[float]] = {}
        for number in range(given.rounds):
            one, two = (_seconds(declared, root / f"home-{number}-{n}", cores[:n]) for n in (1, 2))
            for what in one:
                found.setdefault(what, []).append(one[what] / (2 * two[what]))
                print(f"{what:<20}{one[what]:>14.2f}{two[what]:>9.2f}{found[what][-1]:>12.2f}", flush=True)
        for what, each in found.items():
            print(f"{what}: median efficiency {statistics.median(each):.2f} (target {TARGET})")


def _units(declared: Declared) -> dict[str, list[list[str]]]:
    """Keys of what is made side by side, those of one unit one after the other."""
    partitions = declared.sources["sample"].source.partitions
    bands = [hop.key for hop in document_hops(declared) if hop.asset.startswith("near_duplicates/")]
    return {
        "read and cleaned": [[f"{asset}/{each}" for asset in PER_SOURCE] for each in partitions],
        "duplicates by bands": [[key] for key in bands],
    }


def _seconds(declared: Declared, home: Path, cores: list[int]) -> dict[str, float]:
    """Seconds in which a process on each of these cores, which has loaded its libraries, makes all units."""
    os.environ["FORGE_HOME"] = str(home)  # where the hops' caches lie
    run = Run(Home(home), "bench")
    run.freeze({"declared": declared.model_dump(mode="json")})
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(DOCUMENTS)
    free = server.SimpleQueue()
    for core in cores:
        free.put(core)
    with server.Pool(len(cores), _begin, (free, str(home))) as pool:
        ready = [pool.apply_async(os.getpid) for _ in cores]
        [each.get() for each in ready]
        found = {}
        for what, units in _units(declared).items():
            begun = time.perf_counter()
            pool.starmap(_make, [(str(home), declared.model_dump_json(), keys) for keys in units], chunksize=1)
            found[what] = time.perf_counter() - begun
        return found


def _begin(free: "multiprocessing.SimpleQueue[int]", home: str) -> None:
    os.environ["FORGE_HOME"] = home
    os.sched_setaffinity(0, {free.get()})


def _make(home: str, frozen: str, keys: list[str]) -> None:
    declared = Declared.model_validate_json(frozen)
    run = Run(Home(Path(home)), "bench")
    hops = {hop.key: hop for hop in document_hops(declared)}
    for key in keys:
        build(run, hops[key].order(declared), actor="bench", say=lambda _: None)
