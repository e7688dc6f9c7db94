"""A training that is preempted, loses a process, or has no room for its checkpoints, in real runs."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import psutil
import pytest
from nano import Organisation, workers

from forge_dagster.training.log import read

pytestmark = pytest.mark.system

BASE = "nano/base_checkpoint"
ENOUGH = 12
"""Steps after which a process of a training is killed; the nano recipe saves every 5."""
UPSTREAM = "raw_documents,clean_documents,document_split,domain_benchmark,corpus,tokenizer/bpe-512,token_shards/bpe-512"


def _step_of(process: "subprocess.Popen[str]") -> psutil.Process:
    """The process of the step at work: the child of the run's fork server."""
    children = psutil.Process(process.pid).children(recursive=True)
    (step,) = [
        child
        for child in children
        if child.ppid() != process.pid and "multiprocessing.forkserver" in " ".join(child.cmdline())
    ]
    return step


def _retried(organisation: Organisation, said: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Steps that Dagster took up again, by its event log, which has a message with `said` in it."""
    monkeypatch.setenv("DAGSTER_HOME", str(organisation.home / "dagster"))
    with dg.DagsterInstance.get() as instance:
        records = [record for run in instance.get_runs() for record in instance.all_logs(run.run_id)]
    assert any(said in event.user_message for event in records)
    found = [event for event in records if event.is_dagster_event and event.dagster_event.is_step_up_for_retry]
    return [event.step_key for event in found]


def test_sigterm_to_a_training_step_is_saved_taken_up_again_and_leaves_no_trace(
    organisation: Callable[[], Organisation], undisturbed: Organisation, monkeypatch: pytest.MonkeyPatch
):
    preempted = organisation()
    process = preempted.start("run", "--select", f"{UPSTREAM},{BASE}")
    assert preempted.wait_for(process, BASE)
    first = _step_of(process)
    first.terminate()
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert not first.is_running()

    assert _retried(preempted, "training stopped after step", monkeypatch) == [BASE.replace("/", "__")]
    assert preempted.digests()[BASE] == undisturbed.digests()[BASE]


def _work(organisation: Organisation) -> list[Path]:
    """The work folder of the training, once some steps are done."""
    found = (organisation.home / "work" / BASE).glob("*/progress.json")
    return [path.parent for path in found if json.loads(path.read_text())[0] >= ENOUGH]


@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.sweep), 1])
def test_one_process_of_two_is_killed_and_dagster_goes_on_at_the_same_step(
    organisation: Callable[[], Organisation], monkeypatch: pytest.MonkeyPatch, rank: int
):
    made = organisation()
    made.environment |= {"FORGE_PROCESSES": "2", "FORGE_ZERO": "1", "FORGE_THREADS": "1"}
    process = made.start("run", "--select", f"{UPSTREAM},{BASE}")
    while not (work := _work(made)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    both = workers(psutil.Process(process.pid))
    both[rank].kill()
    before = read(work[0] / "log.jsonl")
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert len(both) == 2
    assert not any(worker.is_running() for worker in both)
    died = f"rank {rank} ended with exit code -9"
    assert _retried(made, died, monkeypatch) == [BASE.replace("/", "__")]

    first = made.digests()[BASE]
    (log,) = (made.home / "artifacts" / BASE / first).rglob("log.jsonl")
    saved = ENOUGH // 5 * 5
    assert read(log)[:saved] == before[:saved]  # with their times: these steps were not taken again
    again = made.forge("run", "--select", BASE, "--force")
    assert again.returncode == 0, again.stderr
    assert made.digests()[BASE] == first


FULL_DISK = """
import errno, sys
from pathlib import Path
import torch
from forge_dagster.errors import StorageError
from forge_dagster.training import checkpoint

folder = Path(sys.argv[1])
def save(step, numbers):
    checkpoint.save(folder, step, {"model": {"w": torch.zeros(numbers)}}, {"identity": {}}, keep=())
save(1, 1000)
try:
    save(2, 100_000)
except OSError as error:
    assert error.errno == errno.ENOSPC, error
    print("no space")
assert [path.name for path in folder.iterdir()] == ["step-000000001"]
print("going on from", checkpoint.load_newest(folder, tell=print).step)
save(3, 1000)
try:
    checkpoint.preflight(folder, 50_000)
except StorageError as error:
    print(error)
"""


def test_a_full_disk_costs_the_checkpoint_in_the_making_alone(tmp_path: Path):
    mount = f'mount -t tmpfs -o size=200k tmpfs {tmp_path} && "$@"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount, "sh", sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    if "Operation not permitted" in done.stderr and "mount" in done.stderr:
        pytest.skip("this kernel allows no mount in a user namespace")
    assert done.returncode == 0, done.stderr
    first, second, problem, *_ = done.stdout.splitlines()
    assert (first, second) == ("no space", "going on from 1")
    assert "MB free, the checkpoints of this training take" in problem
