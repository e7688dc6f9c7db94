"""A training that is preempted, or that has no room for its checkpoints, in real runs."""

import subprocess
import sys
import time
from collections.abc import Callable

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


def test_a_disk_too_small_for_the_checkpoints_is_told_before_training(organisation: Callable[[], Organisation]):
    made = organisation()
    assert made.forge("run", "--select", UPSTREAM).returncode == 0
    work = made.home / "work" / "nano"
    work.mkdir(parents=True)
    forge = f"{sys.executable} -m forge_dagster.cli.main"
    script = f"mount -t tmpfs -o size=300k tmpfs {work} && {forge} run --select {BASE}"
    begun = time.monotonic()
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], env=made.environment, capture_output=True, text=True, timeout=300
    )
    if "Operation not permitted" in done.stderr and "mount" in done.stderr:
        pytest.skip("this kernel allows no mount in a user namespace")
    assert done.returncode == 6, done.stderr
    assert "the checkpoints of this training take" in done.stderr
    assert time.monotonic() - begun < 120
    assert made.forge("run", "--select", BASE).returncode == 0
