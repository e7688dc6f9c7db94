"""One run from a folder to its corpus, each hop in a process of its own, with its seconds and its peak memory."""

import multiprocessing
import multiprocessing.connection
import os
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from assets.documents import document_hops
from forge_dagster.declared import Declared
from forge_dagster.home import Home
from forge_dagster.provenance.build import build
from forge_dagster.provenance.run import Run
from forge_dagster.source import PlacedSource, Source
from resources.executor import DOCUMENTS

HOPS = ("raw_documents", "clean_documents", "document_split", "domain_benchmark", "corpus")
SAMPLED = 0.25  # seconds between two looks at the memory


@dataclass(frozen=True)
class Hop:
    """What one hop took: seconds of the clock, and MiB of its processes together at their peak."""

    name: str
    seconds: float
    processor: float
    """Processor seconds of its processes together, which other work on the machine changes little."""
    anonymous: float
    """Memory that no file backs: what the machine must have."""
    resident: float
    """With the pages of mapped files, which the kernel takes back when it needs them; shared pages counted once."""
    digest: str


def curated(folder: Path, root: Path) -> list[Hop]:
    """Bring a folder's corpus up to date in the home `root`, hop after hop."""
    os.environ["FORGE_HOME"] = str(root)  # where the hops' caches lie
    source = Source(
        name="source", kind="folder", location=str(folder), owner="o", licence="internal", sensitivity="internal"
    )
    placed = PlacedSource(source=source, location=str(folder), facts=None)
    declared = Declared(sources={"source": placed}, recipes={}, policies={}, pairs={})
    run = Run(Home(root), f"bench-{time.time_ns()}")
    run.freeze({"declared": declared.model_dump(mode="json")})
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(DOCUMENTS)
    start = server.Process(target=_nothing)  # the server has loaded the libraries before the clock runs
    start.start()
    start.join()
    return [_made(server, root, run.run_id, declared, name) for name in HOPS]


def _made(
    server: multiprocessing.context.ForkServerContext, root: Path, run_id: str, declared: Declared, name: str
) -> Hop:
    told, tell = server.Pipe(duplex=False)
    process = server.Process(target=_build, args=(str(root), run_id, declared.model_dump_json(), name, tell))
    begun = time.perf_counter()
    process.start()
    peaks = [(0, 0)]
    while process.is_alive():
        peaks.append(_memory(process.pid))
        process.join(SAMPLED)
    seconds = time.perf_counter() - begun
    if process.exitcode:
        raise RuntimeError(f"{name} ended with {process.exitcode}")
    anonymous, resident = (max(sizes) / 1024 for sizes in zip(*peaks, strict=True))
    key = f"{name}/source" if name.endswith("documents") else name
    return Hop(name, seconds, told.recv(), anonymous, resident, str(Run(Home(root), run_id).store.current(key)))


def _nothing() -> None:
    pass


def _build(root: str, run_id: str, declared: str, name: str, tell: multiprocessing.connection.Connection) -> None:
    frozen = Declared.model_validate_json(declared)
    run = Run(Home(Path(root)), run_id)
    hop = next(hop for hop in document_hops(frozen) if hop.asset == name)
    build(run, hop.order(frozen), actor="bench", say=print)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    tell.send(sum(each.ru_utime + each.ru_stime for each in used))


def _memory(pid: int | None) -> tuple[int, int]:
    """KiB of a process and all below it: without a file behind, and proportional resident."""
    anonymous = resident = 0
    for each in _tree(pid):
        try:
            rollup = Path(f"/proc/{each}/smaps_rollup").read_text()
        except OSError:  # it has ended
            continue
        sizes = {line.split(":")[0]: int(line.split()[1]) for line in rollup.splitlines()[1:]}
        anonymous += sizes["Anonymous"]
        resident += sizes["Pss"]
    return anonymous, resident


def _tree(pid: int | None) -> Iterator[int]:
    try:
        process = psutil.Process(pid)
        yield process.pid
        yield from (child.pid for child in process.children(recursive=True))
    except psutil.NoSuchProcess:
        return
