"""Runs raw and clean documents over bad inputs, and watches what the parser processes cost and leave behind."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from hostile import LISTENER, SAID, Inputs

from forge_dagster.corpus import clean, snapshot
from forge_dagster.corpus.parse import SECONDS, Answer, Worker
from forge_dagster.corpus.parse_worker import MEMORY, PROCESSOR_SECONDS
from forge_dagster.source import Cleaning
from forge_dagster.stage import LocalContext

NEIGHBOUR = "neighbour.txt"


@dataclass(frozen=True)
class Cost:
    """What one document cost: processor and wall seconds, and the peak of its process, in resident bytes, so far."""

    seconds: float
    wall: float
    peak: int


@dataclass(frozen=True)
class Outcome:
    """Disposition with reason of every entry, raw then clean; clean texts; what each document cost."""

    told: dict[str, str]
    texts: dict[str, str]
    costs: dict[str, Cost]

    def wrong(self, inputs: Inputs, **more: str) -> dict[str, tuple[str | None, str]]:
        """Entries that became something else than they should: what, and what they should."""
        expected = {name: reason for name, (_, reason) in inputs.items()} | {NEIGHBOUR: "kept"} | more
        return {
            name: (self.told.get(name), reason)
            for name, reason in expected.items()
            if not (self.told.get(name) == "kept" if reason == "kept" else self.told.get(name, "").startswith(reason))
        }


def spent(process: psutil.Process) -> tuple[float, int]:
    """Processor seconds and peak resident bytes of a process so far."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    times = process.cpu_times()
    return times.user + times.system, peak << 10


@contextmanager
def followed(process: psutil.Process) -> Iterator[list[tuple[float, int]]]:
    """What the process has spent, over and over until the block ends or the process does.

    The system's own account of ended children is no measure of a peak: a child counts as large as the process that
    started it was, for the moment before it became another program.
    """
    seen, ended = [spent(process)], threading.Event()

    def follow() -> None:
        while not ended.wait(0.002):
            try:
                seen.append(spent(process))
            except (OSError, StopIteration, psutil.NoSuchProcess):  # it has ended: what was seen last is what it took
                return

    follower = threading.Thread(target=follow)
    follower.start()
    try:
        yield seen
    finally:
        ended.set()
        follower.join()


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Cost]:
    """What each document cost its parser process, or its death."""
    found: dict[str, Cost] = {}
    ask = Worker.ask

    def watched(self: Worker, head: dict[str, Any], data: bytes) -> Answer:
        self._process = self._process or self._start()
        process, start = psutil.Process(self._process.pid), time.monotonic()
        with followed(process) as seen:
            answer = ask(self, head, data)
        wall = time.monotonic() - start
        if self._process:
            seen.append(spent(process))
        if "path" in head:
            found[head["path"]] = Cost(seen[-1][0] - seen[0][0], wall, seen[-1][1])
        return answer

    monkeypatch.setattr(Worker, "ask", watched)
    return found


@pytest.fixture
def become(
    tmp_path: Path,
    context: LocalContext,
    rows: Callable[[Path], list[dict[str, Any]]],
    clean_config: clean.CleanConfig,
    costs: dict[str, Cost],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Outcome]]:
    """Write the inputs into a folder, read and clean it; nothing may be left, called or spent beyond the caps."""
    at, elsewhere = tmp_path / "documents", tmp_path / "elsewhere"
    at.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("TMPDIR", str(elsewhere))

    def run(inputs: Inputs, prepare: Callable[[Path], None] = lambda folder: None) -> Outcome:
        for name, (data, _) in inputs.items():
            (at / name).write_bytes(data() if callable(data) else data)
        (at / NEIGHBOUR).write_text(SAID)
        prepare(at)
        before = listing(at)
        reading = snapshot.SnapshotConfig(source="notes", kind="folder", settings={}, location=str(at))
        for name in ("raw", "clean"):
            (tmp_path / name).mkdir()
        snapshot.run({}, reading, tmp_path / "raw", context)
        # The same sentence in every document is no furniture here.
        config = clean_config.model_copy(update={"cleaning": Cleaning(boilerplate=False)})
        clean.run({"raw_documents": tmp_path / "raw"}, config, tmp_path / "clean", context)
        assert listing(at) == before, "the documents are as they were"
        told = {}
        for stage in ("raw", "clean"):
            for row in rows(tmp_path / stage / "dispositions.parquet"):
                told[row["path"]] = f"{row['disposition']}:{row['reason']}".rstrip(":")
        texts = {row["path"]: row["text"] for row in rows(tmp_path / "clean" / "documents.parquet")}
        return Outcome(told, texts, costs)

    opened, before = len(os.listdir("/proc/self/fd")), set(psutil.Process().children())
    yield run
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clean", "context", "documents", "elsewhere", "raw"]
    assert not list(elsewhere.iterdir()), "no file is written elsewhere"
    LISTENER.setblocking(False)
    with pytest.raises(BlockingIOError):
        LISTENER.accept()
    assert set(psutil.Process().children()) <= before, "no process is left"
    assert len(os.listdir("/proc/self/fd")) <= opened, "no file is left open"
    dear = {
        path: cost
        for path, cost in costs.items()
        if cost.seconds > PROCESSOR_SECONDS / 2 or cost.wall > SECONDS / 2 or cost.peak > MEMORY
    }
    assert not dear


def listing(folder: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and times of what lies in a folder."""
    found = ((path.name, path.lstat()) for path in sorted(folder.iterdir()))
    return [(name, status.st_size, status.st_mtime_ns) for name, status in found]
