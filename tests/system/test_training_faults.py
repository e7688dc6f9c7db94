"""A training that is preempted, or that has no room for its checkpoints, in real runs."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import psutil
import pytest
from nano import Organisation

pytestmark = pytest.mark.system

BASE = "nano/base_checkpoint"
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


def test_sigterm_to_a_training_step_is_saved_taken_up_again_and_leaves_no_trace(
    organisation: Callable[[], Organisation], undisturbed: Organisation, monkeypatch: pytest.MonkeyPatch
):
    preempted = organisation()
    process = preempted.start("run", "--select", f"{UPSTREAM},{BASE}")
    assert preempted.wait_for(process, BASE)
    first = _step_of(process)
    first.terminate()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert not first.is_running()

    monkeypatch.setenv("DAGSTER_HOME", str(preempted.home / "dagster"))
    with dg.DagsterInstance.get() as instance:
        records = [record for run in instance.get_runs() for record in instance.all_logs(run.run_id)]
    retried = [event for event in records if event.is_dagster_event and event.dagster_event.is_step_up_for_retry]
    assert [event.step_key for event in retried] == [BASE.replace("/", "__")]
    assert any("training stopped after step" in event.user_message for event in records)
    assert preempted.digests()[BASE] == undisturbed.digests()[BASE]


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
        timeout=300,
    )
    if "Operation not permitted" in done.stderr and "mount" in done.stderr:
        pytest.skip("this kernel allows no mount in a user namespace")
    assert done.returncode == 0, done.stderr
    first, second, problem, *_ = done.stdout.splitlines()
    assert (first, second) == ("no space", "going on from 1")
    assert "MB free, the checkpoints of this training take" in problem
