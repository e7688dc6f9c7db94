"""Base checkpoints of two processes: killed, stopped, exchanged with one process, and on two hosts."""

import hashlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from nano import workers
from safetensors.torch import load_file
from slurm import free_ports
from small_run import SPEC, inputs_of, settings

from forge_dagster.compute_profile import Gang
from forge_dagster.errors import InterruptedRun, WorkerDied
from forge_dagster.stage import LocalContext, local_context
from forge_dagster.stages import base
from forge_dagster.training import gang
from forge_dagster.training.execution import Execution
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.launch import TRAINED, WORK, command
from forge_dagster.training.log import read
from forge_dagster.training.settings import Settings
from forge_dagster.training.work import Work

pytestmark = pytest.mark.system

SETTINGS = settings(steps=60, rewind_steps=30, checkpoint_every_steps=5)
ENOUGH = 12
"""Steps after which a training is disturbed."""


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


@pytest.mark.parametrize("rank", [0, 1])
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


@pytest.mark.parametrize(("first", "then"), [((1, 1), (2, 3)), ((2, 3), (1, 1)), ((2, 2), (2, 1))])
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


@pytest.mark.parametrize("stage", [1, 3])
def test_two_hosts_learn_what_one_host_learns(
    inputs: dict[str, Path], hosts: list[str], tmp_path: Path, stage: int
) -> None:
    trained = {}
    for count in (1, 2):
        work = Work(
            seed=3,
            shape=SPEC,
            settings=SETTINGS,
            inputs=inputs,
            folder=tmp_path / str(count),
            identity={"seed": "3"},
            execution=Execution(
                dtype="float32", threads=1, device="cpu", micro_batch_tokens=64, compiled=False, recompute=False,
                processes=2 // count, hosts=count, zero_stage=stage,
            ),
            peak=1e9,
        )  # fmt: skip
        work.folder.mkdir()
        (work.folder / WORK).write_text(work.model_dump_json())
        meeting = str(work.folder / "meeting") if count == 1 else "10.77.0.1:29517"
        running = []
        for host, name, side in zip(range(count), hosts, ("va", "vb"), strict=False):
            variables = {"GLOO_SOCKET_IFNAME": "lo" if count == 1 else side, "OMP_NUM_THREADS": "1"}
            inside = ["ip", "netns", "exec", name, *command(work, host=host, meeting=meeting)]
            running.append(subprocess.Popen(inside, env=os.environ | variables, stderr=subprocess.PIPE, text=True))
        for process in running:
            _, err = process.communicate(timeout=600)
            assert process.returncode == 0, err[-3000:]
        (folder,) = (work.folder / TRAINED).glob("step-*")
        trained[count] = load_file(folder / "model.safetensors")
    assert trained[1].keys() == trained[2].keys()
    assert all(trained[1][name].equal(trained[2][name]) for name in trained[1])
