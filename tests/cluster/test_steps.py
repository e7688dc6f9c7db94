"""Steps in pods end well, are tried again, or fail with their reason within a bounded time; nothing is left behind."""

import signal
import subprocess
from collections.abc import Callable

import pytest
from container import can_confine
from controller import Limits
from step_run import SmallRun

pytestmark = pytest.mark.system

Small = Callable[..., SmallRun]


def test_a_step_runs_in_a_pod_once(small: Small):
    run = small().start()
    assert run.succeeds(), run.said()
    assert run.tries == 1
    (job,) = run.cluster.objects("jobs").values()
    assert job["status"]["succeeded"] == 1
    assert job["metadata"]["labels"]["dagster/op"] == "small_step"


@pytest.mark.skipif(not can_confine(), reason="no mounts in a user namespace here")
def test_a_step_works_without_the_token_of_the_account(small: Small):
    run = small(Limits(tokens=True)).start()
    assert run.succeeds(), run.said()
    assert run.tries == 1
    (job,) = run.cluster.objects("jobs").values()
    assert job["spec"]["template"]["spec"]["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("OOMKilled", "OOMKilled, exit code 137"),
        ("Evicted", "low on resource: memory"),
        ("Vanished", "failed Kubernetes job"),
    ],
)
def test_a_pod_that_was_ended_is_tried_again(small: Small, reason: str, told: str):
    run = small().start(wait=True)
    run.cluster.fail(run.pod(), reason)
    assert run.succeeds(), run.said()
    assert run.tries == 2
    assert told in run.said()


@pytest.mark.parametrize(
    ("limits", "profile", "told"),
    [
        (Limits(images=frozenset()), {}, "ImagePullBackOff"),
        (Limits(), {"service_account": "nobody"}, 'service account: "nobody" not found'),
        (Limits(most_pods=0), {}, "exceeded quota"),
        (Limits(), {"default": {"gpu": 1}}, "Insufficient nvidia.com/gpu"),
        (Limits(idle=True), {}, "no step told so"),
    ],
)
def test_a_pod_that_never_works_fails_the_step_with_its_reason(small: Small, limits: Limits, profile: dict, told: str):
    run = small(limits, **profile).start()
    assert not run.succeeds()
    assert told in run.said()
    assert "start_seconds of the compute profile" in run.said()
    run.until(lambda: not run.cluster.objects("jobs") and not run.cluster.objects("pods"))
    assert run.tries == 0


@pytest.mark.parametrize("status", [409, 410])
def test_an_answer_that_no_second_try_changes_fails_the_run(small: Small, status: int):
    run = small()
    run.cluster.api.faults.append(status)
    assert not run.start().succeeds()
    assert f"({status})" in run.said()
    assert run.tries == 0


def test_an_error_of_the_moment_is_asked_again(small: Small):
    run = small()
    run.cluster.api.faults.append(500)
    assert run.start().succeeds(), run.said()
    assert run.tries == 1


def test_a_manifest_that_breaks_the_schema_is_refused(small: Small):
    run = small()
    broken = run.environment | {"BROKEN_MANIFEST": "1"}
    run.environment = broken
    assert not run.start().succeeds()
    assert "(422)" in run.said()


def test_a_run_that_is_stopped_leaves_no_job(small: Small):
    run = small().start(wait=True)
    run.pod()
    assert run.process is not None
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(timeout=60) != 0
    run.until(lambda: not run.cluster.objects("jobs") and not run.cluster.objects("pods"))
    left = subprocess.run(["pgrep", "-f", str(run.home)], capture_output=True, text=True, check=False).stdout
    assert not left.split()
