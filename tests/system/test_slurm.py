"""A base training over two nodes of a real Slurm: to its end, killed, stopped, called back, refused and left behind."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import slurm
import yaml
from gang_run import ENOUGH, DisturbedContext, steps_done, train, work_of
from small_run import inputs_of

from forge_dagster.compute_profile import load_profile
from forge_dagster.errors import BusyError, InterruptedRun, RecipeError, WorkerDied
from forge_dagster.stage import local_context
from forge_dagster.training.hosts.slurm import SlurmHosts, name_of
from forge_dagster.training.log import read

pytestmark = pytest.mark.system

PROFILE = {
    "kind": "slurm",
    "minutes": 60,
    "default": {"cpu": "1", "memory": "1Gi"},
    "training": {"hosts": 2, "processes": 1, "zero_stage": 1},
}
HERE = Path(__file__).parent
STAGE_ALONE = """
import sys
from pathlib import Path
from gang_run import train
inputs = {path.name: path for path in Path(sys.argv[1]).iterdir()}
train(inputs, Path(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    with slurm.running() as configuration:
        yield configuration


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return inputs_of(tmp_path_factory.mktemp("inputs"), documents=60)


@pytest.fixture(scope="module")
def on_one_host(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What two processes of this machine make."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("PROCESSES", "2"), ("ZERO", "1"), ("THREADS", "1"), ("MICRO_BATCH", "64")):
            patch.setenv(f"FORGE_{name}", value)
        return train(inputs, tmp_path_factory.mktemp("one_host"))


@pytest.fixture(autouse=True)
def compute(cluster: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    path = tmp_path_factory.mktemp("profile") / "compute.yaml"
    port = slurm.free_ports(1)[0]
    path.write_text(yaml.safe_dump({**PROFILE, "training": {**PROFILE["training"], "port": port}}))
    variables = {
        "SLURM_CONF": str(cluster), "FORGE_COMPUTE": str(path), "GLOO_SOCKET_IFNAME": "lo",
        "FORGE_THREADS": "1", "FORGE_MICRO_BATCH": "64",
    }  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(SlurmHosts, "every", 0.5)
    return variables


def workers(folder: Path) -> list[psutil.Process]:
    """Processes that train in a folder, by rank; they are Slurm's children, not the test's."""
    found = {}
    for process in psutil.process_iter():
        try:
            line, told = process.cmdline(), process.environ()
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue  # of others, or ended meanwhile
        if "forge_dagster.training.worker" in line and str(folder / "work" / "work.json") in line and "RANK" in told:
            found[told["RANK"]] = process
    return [found[rank] for rank in sorted(found)]


def jobs() -> list[str]:
    return subprocess.run(
        ["squeue", "--noheader", "--format=%A"], capture_output=True, text=True, check=True
    ).stdout.split()


def test_two_nodes_learn_what_one_host_learns(inputs: dict[str, Path], on_one_host: dict[str, str], tmp_path: Path):
    context = local_context(tmp_path)
    assert train(inputs, tmp_path, context) == on_one_host
    assert any("of Slurm, 2 hosts" in text for _, _, text in context.seen)
    nodes = {(tmp_path / "work" / f"torchrun-{host}.log").is_file() for host in range(2)}
    assert nodes == {True}
    assert jobs() == []


@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.sweep), 1])
def test_one_killed_ends_all_and_another_job_goes_on(
    inputs: dict[str, Path], on_one_host: dict[str, str], tmp_path: Path, rank: int
):
    killed: list[psutil.Process] = []

    def kill() -> bool:
        killed.extend(workers(tmp_path))
        killed[rank].kill()
        return False

    with pytest.raises(WorkerDied, match=f"rank {rank} ended with exit code -9"):
        train(inputs, tmp_path, DisturbedContext(tmp_path, kill))
    assert len(killed) == 2
    assert not any(worker.is_running() for worker in killed)
    assert jobs() == []

    context = local_context(tmp_path)
    assert train(inputs, tmp_path, context) == on_one_host
    assert min(done for done, _, _ in context.seen if done) >= ENOUGH // 5 * 5
    assert [row["step"] for row in read(tmp_path / "work" / "log.jsonl")] == list(range(60))


def call_back() -> bool:
    """What Slurm does before the time limit and when a job of higher priority wants the nodes."""
    (job,) = jobs()
    subprocess.run(["scancel", "--signal=TERM", "--batch", job], check=True)
    return False


@pytest.mark.parametrize(
    "disturb",
    [
        pytest.param(lambda: True, id="the stage is stopped", marks=pytest.mark.sweep),
        pytest.param(call_back, id="Slurm calls it back"),
    ],
)
def test_stopped_all_save_and_no_job_is_left(
    inputs: dict[str, Path], on_one_host: dict[str, str], tmp_path: Path, disturb: Callable[[], bool]
):
    with pytest.raises(InterruptedRun, match=r"training stopped after step .* of 60, which is saved"):
        train(inputs, tmp_path, DisturbedContext(tmp_path, disturb))
    assert jobs() == []
    assert not workers(tmp_path)
    assert train(inputs, tmp_path) == on_one_host


def test_what_the_partition_never_has_is_refused(inputs: dict[str, Path], compute: dict[str, str], tmp_path: Path):
    path = Path(compute["FORGE_COMPUTE"])
    path.write_text(path.read_text().replace("memory: 1Gi", "memory: 1Ti"))
    with pytest.raises(RecipeError, match="correct partition, account, minutes or what the step takes"):
        train(inputs, tmp_path)
    assert jobs() == []


def test_a_second_job_in_one_folder_is_refused(inputs: dict[str, Path], compute: dict[str, str], tmp_path: Path):
    refused: list[BusyError] = []

    def begin_too() -> bool:
        second = SlurmHosts(work_of(tmp_path / "work"), load_profile(Path(compute["FORGE_COMPUTE"])))
        with pytest.raises(BusyError, match=name_of(second.work)) as told:
            second.clear()
        refused.append(told.value)
        return False

    train(inputs, tmp_path, DisturbedContext(tmp_path, begin_too))
    assert len(refused) == 1


def test_what_a_killed_stage_left_is_ended_and_gone_on_from(
    inputs: dict[str, Path], on_one_host: dict[str, str], compute: dict[str, str], tmp_path: Path
):
    folders = os.pathsep.join([*sys.path, str(HERE.parent / "training"), str(HERE.parent)])
    root = next(iter(inputs.values())).parent
    given = tmp_path / "given"
    given.mkdir()
    for name in inputs:
        (given / name).symlink_to(root / name)
    stage = subprocess.Popen(
        [sys.executable, "-c", STAGE_ALONE, str(given), str(tmp_path)],
        env={**os.environ, **compute, "PYTHONPATH": folders},
        start_new_session=True,
    )
    until = time.monotonic() + 600
    while steps_done(tmp_path) < ENOUGH:
        assert stage.poll() is None, "the stage ended before it was killed"
        assert time.monotonic() < until
        time.sleep(0.05)
    stage.kill()
    stage.wait()
    left = workers(tmp_path)
    for worker in left:
        worker.suspend()  # as if it were in a long step: the training does not end by itself
    assert len(jobs()) == 1
    context = local_context(tmp_path)
    assert train(inputs, tmp_path, context) == on_one_host
    assert not any(worker.is_running() for worker in left)
    assert min(done for done, _, _ in context.seen if done) >= ENOUGH // 5 * 5
    assert jobs() == []
