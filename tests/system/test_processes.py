"""Base checkpoints of two processes: killed, stopped, exchanged with one process, and on two hosts."""

import hashlib
import json
import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import torch
from gang_run import DisturbedContext
from nano import workers
from safetensors.torch import load_file
from slurm import free_ports
from small_run import SPEC, inputs_of, settings

from forge_dagster.compute_profile import Gang
from forge_dagster.errors import InterruptedRun, WorkerDied
from forge_dagster.stage import LocalContext, StageContext, local_context
from forge_dagster.stages import base
from forge_dagster.training import gang
from forge_dagster.training.blame import last_words
from forge_dagster.training.execution import Execution
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.launch import MET, PROGRESS, TRAINED, WORK, Ended, State, command
from forge_dagster.training.log import read
from forge_dagster.training.settings import Settings
from forge_dagster.training.work import Work

pytestmark = pytest.mark.system

SETTINGS = settings(steps=60, rewind_steps=30, checkpoint_every_steps=5)
ENOUGH = 12
"""Steps after which a training is disturbed."""
SILENCE = 20
"""Seconds without a step after which hosts are given up."""


class StoppedContext(LocalContext):
    """Is told to stop once enough steps are done."""

    def cancelled(self) -> bool:
        return bool(self.seen) and self.seen[-1][0] >= ENOUGH


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return inputs_of(tmp_path_factory.mktemp("inputs"), documents=60)


@pytest.fixture(autouse=True)
def profile(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Say how many processes, and which stage of ZeRO."""

    def choose(processes: int, stage: int) -> None:
        monkeypatch.setenv("FORGE_PROCESSES", str(processes))
        monkeypatch.setenv("FORGE_ZERO", str(stage))

    monkeypatch.setenv("FORGE_THREADS", "1")
    monkeypatch.setenv("FORGE_MICRO_BATCH", "64")
    choose(2, 1)
    return choose


def _train(inputs: dict[str, Path], folder: Path, context: LocalContext | None = None) -> dict[str, str]:
    """Digests of the content that a training made."""
    out = folder / "out"
    out.mkdir(parents=True, exist_ok=True)
    job = TrainingJob[Settings](seed=3, model=SPEC, settings=SETTINGS)
    base.STAGE.run(inputs, job, out, context or local_context(folder))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.iterdir())}


def _stopped(folder: Path) -> StoppedContext:
    plain = local_context(folder)
    return StoppedContext(plain.work, plain.beside, plain.cache)


@pytest.fixture(scope="module")
def undisturbed(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("PROCESSES", "2"), ("ZERO", "1"), ("THREADS", "1"), ("MICRO_BATCH", "64")):
            patch.setenv(f"FORGE_{name}", value)
        yield _train(inputs, folder)


def _kill_when(folder: Path, rank: int, killed: list[psutil.Process]) -> None:
    while not killed:
        progress = folder / "work" / "progress.json"
        if progress.is_file() and json.loads(progress.read_text())[0] >= ENOUGH:
            killed.extend(workers(psutil.Process()))
            killed[rank].kill()
        time.sleep(0.01)


@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.sweep), 1])
def test_one_killed_stops_all_and_a_retry_goes_on(
    inputs: dict[str, Path], undisturbed: dict[str, str], tmp_path: Path, rank: int
) -> None:
    killed: list[psutil.Process] = []
    killer = threading.Thread(target=_kill_when, args=(tmp_path, rank, killed), daemon=True)
    killer.start()
    with pytest.raises(WorkerDied, match=f"rank {rank} ended with exit code -9"):
        _train(inputs, tmp_path)
    killer.join()
    assert len(killed) == 2
    assert not any(worker.is_running() for worker in killed)

    context = local_context(tmp_path)
    assert _train(inputs, tmp_path, context) == undisturbed
    assert min(done for done, _, _ in context.seen if done) >= ENOUGH // 5 * 5
    assert [row["step"] for row in read(tmp_path / "work" / "log.jsonl")] == list(range(60))


def test_told_to_stop_all_save_and_leave_no_trace(
    inputs: dict[str, Path], undisturbed: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(InterruptedRun, match=r"training stopped after step .* of 60, which is saved"):
        _train(inputs, tmp_path, _stopped(tmp_path))
    assert not workers(psutil.Process())
    assert _train(inputs, tmp_path) == undisturbed


@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param((1, 1), (2, 3), marks=pytest.mark.sweep),
        pytest.param((2, 3), (1, 1), marks=pytest.mark.sweep),
        ((2, 2), (2, 1)),
    ],
)
def test_a_checkpoint_of_one_resumes_in_the_other(
    inputs: dict[str, Path],
    undisturbed: dict[str, str],
    profile: Callable[[int, int], None],
    tmp_path: Path,
    first: tuple[int, int],
    then: tuple[int, int],
) -> None:
    profile(*first)
    with pytest.raises(InterruptedRun):
        _train(inputs, tmp_path, _stopped(tmp_path))
    before = read(tmp_path / "work" / "log.jsonl")
    profile(*then)
    made = _train(inputs, tmp_path)
    rows = read(tmp_path / "work" / "log.jsonl")
    assert rows[: len(before)] == before
    assert [row["step"] for row in rows] == list(range(60))
    assert rows[len(before)]["loss"] == pytest.approx(before[-1]["loss"], abs=0.5)
    assert made.keys() == undisturbed.keys()


def test_a_host_that_nobody_starts_is_not_waited_for_for_ever(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("PROCESSES", "1"), ("HOSTS", "2"), ("RENDEZVOUS", f"127.0.0.1:{free_ports(1)[0]}")):
        monkeypatch.setenv(f"FORGE_{name}", value)
    monkeypatch.setattr(gang, "Gang", lambda: Gang(start_seconds=10))
    with pytest.raises(WorkerDied, match="not all hosts met within 10 s"):
        _train(inputs, tmp_path)
    here = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    assert not [child for child in here if "torch.distributed.run" in child.cmdline()]


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    """Two network namespaces on one cable; each has its own loopback and one address."""
    names = [f"forge{os.getpid()}{side}" for side in "ab"]
    commands = [["ip", "netns", "add", name] for name in names]
    commands += [["ip", "link", "add", "va", "netns", names[0], "type", "veth", "peer", "vb", "netns", names[1]]]
    for name, side, number in zip(names, ("va", "vb"), (1, 2), strict=True):
        inside = ["ip", "-n", name]
        commands += [[*inside, "addr", "add", f"10.77.0.{number}/24", "dev", side]]
        commands += [[*inside, "link", "set", side, "up"], [*inside, "link", "set", "lo", "up"]]
    try:
        for each in commands:
            try:
                subprocess.run(each, check=True, capture_output=True, text=True)
            except (FileNotFoundError, subprocess.CalledProcessError) as error:
                pytest.skip(f"no network namespaces here: {error} {getattr(error, 'stderr', '')}")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


class InNamespaces:
    """Hosts that are network namespaces of this machine; each speaks through its end of the cable."""

    every = 0.2

    def __init__(self, work: Work, names: list[str]) -> None:
        self.work, self.names = work, names
        self.running: list[subprocess.Popen[bytes]] = []

    def clear(self) -> None: ...

    def start(self, context: StageContext, token: str) -> None:
        count, folder = self.work.execution.hosts, self.work.folder
        meeting = str(folder / f"meeting-{token}") if count == 1 else f"10.77.0.1:{free_ports(1)[0]}"
        for host, name, side in zip(range(count), self.names, ("va", "vb"), strict=False):
            variables = {"GLOO_SOCKET_IFNAME": "lo" if count == 1 else side, "OMP_NUM_THREADS": "1"}
            inside = ["ip", "netns", "exec", name, *command(self.work, host=host, meeting=meeting)]
            with (folder / f"host-{host}.log").open("wb") as said:
                self.running.append(
                    subprocess.Popen(inside, env=os.environ | variables, stderr=said, start_new_session=True)
                )

    def look(self) -> State:
        codes = [process.poll() for process in self.running]
        if None in codes:
            return "running"
        return Ended(not any(codes), f"ended with {codes}", self.seen())

    def seen(self) -> str:
        return last_words((path.name, path.read_text()) for path in self.work.folder.glob("host-*.log"))

    def end(self) -> None:
        for process in self.running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _train_in(
    names: list[str], inputs: dict[str, Path], folder: Path, context: LocalContext, silence: int = 600, *,
    hosts: int, stage: int,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """Weights that two processes on one host or two learn; given up after so many seconds without a step."""
    work = Work(
        seed=3,
        shape=SPEC,
        settings=SETTINGS,
        inputs=inputs,
        folder=folder,
        identity={"seed": "3"},
        execution=Execution(
            dtype="float32", threads=1, device="cpu", micro_batch_tokens=64, compiled=False, recompute=False,
            processes=2 // hosts, hosts=hosts, zero_stage=stage,
        ),
        peak=1e9,
    )  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / WORK).write_text(work.model_dump_json())
    for left in (MET, PROGRESS):
        (folder / left).unlink(missing_ok=True)
    machines = InNamespaces(work, names)
    try:
        machines.start(context, uuid.uuid4().hex)
        ended = gang.follow(machines, folder, context, start_seconds=300, save_seconds=60, silence_seconds=silence)
    finally:
        machines.end()
    if not ended.succeeded:
        raise WorkerDied(f"{ended.who}: {ended.said}")
    (trained,) = (folder / TRAINED).glob("step-*")
    return load_file(trained / "model.safetensors")


def _same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


@pytest.mark.parametrize("stage", [pytest.param(1, marks=pytest.mark.sweep), 3])
def test_two_hosts_learn_what_one_host_learns(
    inputs: dict[str, Path], hosts: list[str], tmp_path: Path, stage: int
) -> None:
    context = local_context(tmp_path)
    one, two = (_train_in(hosts, inputs, tmp_path / f"{count}", context, hosts=count, stage=stage) for count in (1, 2))
    assert _same(one, two)


def test_a_host_cut_off_in_mid_step_is_given_up_and_a_retry_goes_on(
    inputs: dict[str, Path], hosts: list[str], tmp_path: Path
) -> None:
    cable = ["ip", "-n", hosts[1], "link", "set", "vb"]

    cut_off: list[psutil.Process] = []

    def cut() -> bool:
        cut_off.extend(workers(psutil.Process()))
        subprocess.run([*cable, "down"], check=True)
        return False

    one, two = tmp_path / "one", tmp_path / "two"
    expected = _train_in(hosts, inputs, one, local_context(tmp_path), hosts=1, stage=2)
    begun = time.monotonic()
    with pytest.raises(WorkerDied, match=f"no step was done within {SILENCE} s|ended with"):
        _train_in(hosts, inputs, two, DisturbedContext(tmp_path, cut), SILENCE, hosts=2, stage=2)
    assert time.monotonic() < begun + 120
    assert len(cut_off) == 2
    assert psutil.wait_procs(cut_off, timeout=10)[1] == []
    subprocess.run([*cable, "up"], check=True)
    before = read(two / "log.jsonl")
    assert ENOUGH // 5 * 5 <= len(before) < SETTINGS.steps
    assert _same(_train_in(hosts, inputs, two, local_context(tmp_path), hosts=2, stage=2), expected)
    rows = [read(folder / "log.jsonl") for folder in (one, two)]
    assert [row["step"] for row in rows[1]] == list(range(SETTINGS.steps))
    assert [row["loss"] for row in rows[1]] == [row["loss"] for row in rows[0]]
