"""From a killed process of a training over two hosts to its next step: seconds, and where they go.

`python -m benchmarks rejoin [--rounds N]`. The hosts are pods of the emulated API server of tests/cluster and train the
small mixture of experts of tests/training: what is real is the launcher, the client, torchrun, DeepSpeed and every
process; a cluster adds what it takes to give a pod a machine. Dagster's own part, a step that is tried again, is in
`benchmarks pods`.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import yaml

from benchmarks import _emulated
from forge_dagster.errors import WorkerDied
from forge_dagster.stage import LocalContext, StageContext, local_context
from forge_dagster.training import gang
from forge_dagster.training.launch import MET, PROGRESS, WORK, Ended

TARGET = 60.0
PARTS = ("the stage knows it", "all else is ended", "hosts are started", "they met", "the next step is done")
"""Each until then, from the one before; the first from the kill on."""


class Watched:
    """Hosts, and the times at which things happen to them."""

    def __init__(self, inner: Any, times: dict[str, float]) -> None:
        self.inner, self.times = inner, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def start(self, context: StageContext, token: str) -> None:
        self.inner.start(context, token)
        self.times["hosts are started"] = time.time()

    def look(self) -> Any:
        state = self.inner.look()
        if isinstance(state, Ended):
            self.times["the stage knows it"] = time.time()
        return state

    def end(self) -> None:
        self.inner.end()
        self.times["all else is ended"] = time.time()


class TimedContext(LocalContext):
    """Notes when each step was first told of."""

    def __init__(self, folder: Path) -> None:
        plain = local_context(folder)
        super().__init__(plain.work, plain.beside, plain.cache)
        self.times: dict[int, float] = {}

    def progress(self, done: int, total: int, text: str = "") -> None:
        if done:
            self.times.setdefault(done, time.time())


def last_worker(folder: Path) -> psutil.Process:
    """The process of the highest rank that trains in a folder."""
    found = {}
    for each in psutil.Process().children(recursive=True):
        line = each.cmdline() if each.status() != psutil.STATUS_ZOMBIE else []
        if "forge_dagster.training.worker" in line and str(folder / WORK) in line and "RANK" in each.environ():
            found[int(each.environ()["RANK"])] = each
    return found[max(found)]


@contextmanager
def watched(times: dict[str, float]) -> Iterator[None]:
    """Have the hosts of the block's training be watched."""
    plain = gang.hosts_of
    with patch.object(gang, "hosts_of", lambda work: Watched(plain(work), times)):
        yield


def measured(inputs: dict[str, Path], folder: Path) -> dict[str, float]:
    """Seconds of each part of one round: train, kill, train on."""
    from gang_run import DisturbedContext, train

    work, first, second = folder / "work", dict[str, float](), dict[str, float]()

    def kill() -> bool:
        last_worker(work).kill()
        first["killed"] = time.time()
        return False

    with watched(first), suppress(WorkerDied):
        train(inputs, folder, DisturbedContext(folder, kill))
    if "killed" not in first:
        raise RuntimeError("the training ended before it was disturbed")
    (work / PROGRESS).unlink()
    context = TimedContext(folder)
    with watched(second):
        train(inputs, folder, context)
    moments = [first[name] for name in ("killed", *PARTS[:2])]
    # What is told first is the step gone on from.
    moments += [second["hosts are started"], (work / MET).stat().st_mtime, context.times[sorted(context.times)[1]]]
    return {name: late - early for name, early, late in zip(PARTS, moments, moments[1:], strict=False)}


def main(*options: str) -> None:
    """Print the median of each part, and the whole against the target."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks rejoin", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(options)
    _emulated.findable()
    from cluster import running
    from small_run import inputs_of

    rounds = []
    with tempfile.TemporaryDirectory() as name, running(Path(name) / "cluster", {}) as cluster:
        home = Path(name) / "home"
        home.mkdir()
        training = {"hosts": 2, "processes": 1, "zero_stage": 1}
        profile = {"kind": "kubernetes", "image": _emulated.IMAGE, "kubeconfig": str(cluster.kubeconfig)}
        (home / "compute.yaml").write_text(yaml.safe_dump({**profile, "training": training}))
        os.environ |= {
            "FORGE_HOME": str(home), "FORGE_COMPUTE": str(home / "compute.yaml"), "FORGE_THREADS": "1",
            "FORGE_MICRO_BATCH": "64", "GLOO_SOCKET_IFNAME": "lo",
        }  # fmt: skip
        inputs = inputs_of(home, documents=60)
        for number in range(given.rounds):
            (home / str(number)).mkdir()
            rounds.append(measured(inputs, home / str(number)))
    print(f"\na killed process of two hosts, {given.rounds} rounds, seconds until")
    for part in PARTS:
        print(f"{part:<28}{statistics.median(each[part] for each in rounds):>8.1f}")
    whole = statistics.median(sum(each.values()) for each in rounds)
    print(f"{'from the kill on':<28}{whole:>8.1f} (target {TARGET:.0f})")
