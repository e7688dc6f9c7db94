"""A run whose process was killed is told from one that goes on, and its slots are free again."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from forge_dagster.home import Home
from resources import healing
from resources.healing import heal, slots_left_behind, stale_runs
from resources.instance import prepare_dagster_home
from resources.process import is_gone, mark_of_this_process
from resources.tags import LAUNCH_TAG, PROCESS_TAG, launch_of


@dg.op
def nothing() -> None: ...


@dg.job
def job() -> None:
    nothing()


@pytest.fixture
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    prepare_dagster_home()
    with dg.DagsterInstance.get() as opened:
        yield opened


@pytest.fixture
def started(instance: dg.DagsterInstance) -> Callable[..., dg.DagsterRun]:
    def make(**tags: str) -> dg.DagsterRun:
        run = instance.create_run_for_job(job, tags=tags)
        instance.report_dagster_event(dg.DagsterEvent("PIPELINE_START", job_name="job"), run.run_id)
        return instance.get_run_by_id(run.run_id)

    return make


def mark(instance: dg.DagsterInstance, marked: dg.DagsterRun, **changes: object) -> None:
    found = mark_of_this_process(marked.run_id).model_copy(update=changes)
    instance.add_run_tags(marked.run_id, {PROCESS_TAG: found.model_dump_json()})


def test_a_living_process_is_not_gone_and_a_killed_one_is():
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    ours = mark_of_this_process("r")
    theirs = ours.model_copy(
        update={"pid": child.pid, "started": int(Path(f"/proc/{child.pid}/stat").read_text().split()[21])}
    )
    assert not is_gone(ours)
    assert not is_gone(theirs)
    os.kill(child.pid, signal.SIGSTOP)
    assert not is_gone(theirs), "a stopped process may go on"
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(theirs), "a zombie computes nothing"
    child.join()
    assert is_gone(theirs)


@pytest.mark.parametrize(
    ("changes", "gone"),
    [({}, False), ({"boot": "another"}, True), ({"started": 1}, True), ({"host": "other", "pid": 2**22}, False)],
)
def test_a_process_is_known_by_host_boot_and_start(changes: dict[str, object], gone: bool):
    assert is_gone(mark_of_this_process("r").model_copy(update=changes)) is gone


def test_a_run_without_its_process_is_failed_and_its_slots_freed(
    instance: dg.DagsterInstance, started: Callable[..., dg.DagsterRun]
):
    dead, alive = started(), started()
    mark(instance, dead, started=1)
    mark(instance, alive)
    storage = instance.event_log_storage
    storage.initialize_concurrency_limit_to_default("cpu")
    assert storage.claim_concurrency_slot("cpu", dead.run_id, "step").is_claimed
    assert not storage.claim_concurrency_slot("cpu", alive.run_id, "step").is_claimed

    assert [run.run_id for run, _ in stale_runs(instance)] == [dead.run_id]
    assert instance.get_run_by_id(dead.run_id).status == dg.DagsterRunStatus.STARTED, "looking changes nothing"
    assert list(heal(instance)) == [dead.run_id]
    assert instance.get_run_by_id(dead.run_id).status == dg.DagsterRunStatus.FAILURE
    assert instance.get_run_by_id(dead.run_id).tags["dagster/will_retry"] == "true"
    assert instance.get_run_by_id(alive.run_id).status == dg.DagsterRunStatus.STARTED
    assert slots_left_behind(instance) == []
    assert storage.claim_concurrency_slot("cpu", alive.run_id, "step").is_claimed
    assert heal(instance) == {}


def test_the_mark_of_another_run_says_nothing(instance: dg.DagsterInstance, started: Callable[..., dg.DagsterRun]):
    retry = started()
    mark(instance, retry, run="the-run-before", started=1)
    assert stale_runs(instance) == []


def test_a_run_that_no_process_took_up_is_stale_after_a_while(
    instance: dg.DagsterInstance, started: Callable[..., dg.DagsterRun], monkeypatch: pytest.MonkeyPatch
):
    run = started()
    assert stale_runs(instance) == []
    monkeypatch.setattr(healing, "WITHOUT_A_MARK", -1.0)
    assert [found.run_id for found, _ in stale_runs(instance)] == [run.run_id]


def test_a_clock_that_was_set_back_fails_no_run(
    instance: dg.DagsterInstance, started: Callable[..., dg.DagsterRun], monkeypatch: pytest.MonkeyPatch
):
    marked, unmarked = started(), started()
    mark(instance, marked)
    monkeypatch.setattr(healing.time, "time", lambda: 1.0)
    assert stale_runs(instance) == []
    assert unmarked.status == dg.DagsterRunStatus.STARTED


def test_a_retry_goes_on_in_the_folder_of_its_run_and_a_person_begins_a_new_one():
    def run(run_id: str, parent: str | None = None, **tags: str) -> dg.DagsterRun:
        return dg.DagsterRun("job", run_id=run_id, parent_run_id=parent, root_run_id=parent, tags=tags)

    assert launch_of(run("a")) == "a"
    assert launch_of(run("a", **{LAUNCH_TAG: "cli"})) == "cli"
    assert launch_of(run("b", "a", **{LAUNCH_TAG: "a", "dagster/retry_number": "1"})) == "a"
    assert launch_of(run("b", "a", **{LAUNCH_TAG: "a"})) == "b"
