"""Hosts through the API server: made once, refused twice, blamed, missed and deleted."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, running
from controller import Limits
from gang_run import work_of

from forge_dagster.compute_profile import Gang, KubernetesProfile
from forge_dagster.errors import BusyError, RecipeError, RemoteError, WorkerDied
from forge_dagster.stage import local_context
from forge_dagster.training import manifests, pulse
from forge_dagster.training.gang import follow
from forge_dagster.training.hosts import kubernetes
from forge_dagster.training.hosts.kubernetes import KubernetesHosts, connect
from forge_dagster.training.launch import Ended
from forge_dagster.training.pods import called_back
from forge_dagster.training.work import Work

IMAGE = "registry.example.org/forge:0.1.0"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("cluster"), {}) as found:
        yield found


@pytest.fixture
def profile(cluster: Cluster) -> KubernetesProfile:
    return KubernetesProfile(
        kind="kubernetes", image=IMAGE, kubeconfig=cluster.kubeconfig, training=Gang(hosts=2), save_seconds=30
    )


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    monkeypatch.setenv("FORGE_HOME", str(tmp_path))
    folder = tmp_path / "work" / "nano" / "base_checkpoint" / "0123"
    folder.mkdir(parents=True)
    return work_of(folder)


@pytest.fixture
def does(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have the hosts do this in place of a training."""

    def choose(code: str) -> None:
        monkeypatch.setattr(manifests, "command", lambda *_, host, **__: [sys.executable, "-c", code, host])

    choose("import time; time.sleep(300)")
    return choose


@pytest.fixture
def hosts(
    work: Work, profile: KubernetesProfile, does: Callable[[str], None], cluster: Cluster
) -> Iterator[KubernetesHosts]:
    made = KubernetesHosts(work, profile)
    yield made
    made.end()
    assert not any(cluster.objects(plural) for plural in ("jobs", "services", "pods"))


def start(hosts: KubernetesHosts) -> None:
    hosts.start(local_context(hosts.work.folder), "token")


def ended(hosts: KubernetesHosts) -> Ended:
    until = time.monotonic() + 30
    while not isinstance(state := hosts.look(), Ended):
        assert time.monotonic() < until, hosts.seen()
        time.sleep(0.1)
    return state


def pods_of(hosts: KubernetesHosts, cluster: Cluster) -> list[str]:
    until = time.monotonic() + 30
    while hosts.look() != "running" or len(cluster.controller.pods) < 2:
        assert time.monotonic() < until
        time.sleep(0.1)
    return sorted(cluster.objects("pods"))


def test_all_hosts_run_to_their_end(hosts: KubernetesHosts, does: Callable[[str], None], cluster: Cluster):
    does(
        "import pathlib, sys; pathlib.Path('/tmp/forge-' + sys.argv[1]).touch()".replace("/tmp", str(hosts.work.folder))
    )
    start(hosts)
    assert ended(hosts).succeeded
    assert sorted(path.name for path in hosts.work.folder.glob("forge-*")) == ["forge-0", "forge-1"]
    (names,) = cluster.objects("services").values()
    assert names["metadata"]["ownerReferences"][0]["kind"] == "Job"


def test_one_that_fails_ends_all_and_is_named(hosts: KubernetesHosts, does: Callable[[str], None]):
    does("import sys, time; time.sleep(60) if sys.argv[1] == '0' else sys.exit(3)")
    start(hosts)
    found = ended(hosts)
    assert not found.succeeded
    assert f"{hosts.name}-1-" in found.who
    assert "exit code 3" in found.who


@pytest.mark.parametrize(
    ("reason", "told"), [("OOMKilled", "OOMKilled, exit code 137"), ("Evicted", "low on resource")]
)
def test_what_the_cluster_did_to_a_host_is_told(hosts: KubernetesHosts, cluster: Cluster, reason: str, told: str):
    start(hosts)
    cluster.fail(pods_of(hosts, cluster)[1], reason)
    found = ended(hosts)
    assert not found.succeeded
    assert told in found.who


def test_a_job_that_somebody_deleted_has_ended(hosts: KubernetesHosts, cluster: Cluster):
    start(hosts)
    pods_of(hosts, cluster)
    hosts.batch.delete_namespaced_job(hosts.name, "forge")
    assert ended(hosts) == Ended(False, f"Job {hosts.name} is gone: somebody deleted it")


def test_a_second_job_in_one_folder_is_refused(hosts: KubernetesHosts, profile: KubernetesProfile, cluster: Cluster):
    start(hosts)
    pods = pods_of(hosts, cluster)
    second = KubernetesHosts(hosts.work, profile)
    with pulse.beating(hosts.work.folder, "token"), pytest.raises(BusyError, match=hosts.name):
        second.clear()
    with pytest.raises(BusyError, match="one job writes the checkpoints"):  # both looked, and the other was first
        second._make(second.batch.create_namespaced_job, body=second._body(manifests.job, "other"))
    second.end()
    assert sorted(cluster.objects("pods")) == pods


def test_what_a_dead_stage_left_is_deleted(
    hosts: KubernetesHosts, profile: KubernetesProfile, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pulse, "EVERY", 0.1)
    start(hosts)
    pods_of(hosts, cluster)
    (hosts.work.folder / pulse.PULSE).write_text("token 7")
    second = KubernetesHosts(hosts.work, profile)
    second.clear()
    assert not any(cluster.objects(plural) for plural in ("jobs", "services", "pods"))


def test_an_api_server_that_is_away_ends_nothing(
    hosts: KubernetesHosts, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    start(hosts)
    pods_of(hosts, cluster)
    cluster.api.faults += [503, 429, 500]
    assert [hosts.look() for _ in range(3)] == ["running"] * 3
    monkeypatch.setattr(kubernetes, "OUTAGE", -1.0)
    cluster.api.faults.append(503)
    with pytest.raises(RemoteError, match="the API server does not answer"):
        hosts.look()
    cluster.api.faults += [503, 503]  # and deleting goes on where it was not answered


@pytest.mark.parametrize(
    ("limits", "asked", "told"),
    [
        (Limits(most_pods=0), {}, r"no host got a machine within 1 s; .* no pod for host 0, 1 of 2: .*exceeded quota"),
        (Limits(most_pods=1), {}, r"not all hosts met within 1 s; .* no pod for host 1 of 2: .*exceeded quota"),
        (Limits(), {"default": {"gpu": 1}}, r"no host got a machine within 1 s; .*Insufficient nvidia.com/gpu"),
        (Limits(images=frozenset()), {}, r"not all hosts met within 1 s; .*ImagePullBackOff"),
        (Limits(), {"service_account": "nobody"}, r'no host got a machine within 1 s; .*account: "nobody" not found'),
    ],
    ids=["no room", "room for one", "no GPU", "no image", "no account"],
)
def test_hosts_that_never_begin_are_given_up_with_the_reason(
    work: Work, profile: KubernetesProfile, does: Callable[[str], None], cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch, limits: Limits, asked: dict[str, Any], told: str,
):  # fmt: skip
    monkeypatch.setattr(cluster.controller, "limits", limits)
    monkeypatch.setattr(KubernetesHosts, "every", 0.2)
    hosts = KubernetesHosts(work, KubernetesProfile(**{**profile.model_dump(), "start_seconds": 1, **asked}))
    context = local_context(work.folder)
    hosts.start(context, "token")
    with pytest.raises(WorkerDied, match=told):
        follow(hosts, work.folder, context, start_seconds=1, save_seconds=30)
    hosts.end()
    assert not any(cluster.objects(plural) for plural in ("jobs", "services", "pods"))


def test_hosts_that_a_queue_holds_are_waited_for(
    hosts: KubernetesHosts, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cluster.controller, "limits", Limits(most_pods=0))
    monkeypatch.setattr(hosts, "profile", hosts.profile.model_copy(update={"start_seconds": 0}))
    start(hosts)
    hosts.batch.patch_namespaced_job(hosts.name, "forge", {"spec": {"suspend": True}})
    assert [hosts.look() for _ in range(3)] == ["waiting"] * 3
    hosts.batch.patch_namespaced_job(hosts.name, "forge", {"spec": {"suspend": False}})
    with pytest.raises(WorkerDied, match="hosts that no queue holds begin within"):
        [hosts.look() for _ in range(3)]


def test_what_a_host_printed_is_told(hosts: KubernetesHosts, does: Callable[[str], None]):
    does("import sys, time; time.sleep(60) if sys.argv[1] == '0' else sys.exit('this host has no disk')")
    start(hosts)
    assert "this host has no disk" in ended(hosts).said


def test_what_the_cluster_forbids_is_told(hosts: KubernetesHosts, cluster: Cluster):
    cluster.api.faults.append(403)
    with pytest.raises(RecipeError, match=f"the API server refused Job {hosts.name}: 403"):
        start(hosts)


def test_inputs_that_no_pod_sees_are_refused(work: Work, profile: KubernetesProfile):
    outside = work.model_copy(update={"inputs": {"weights": Path("/usr/share/weights")}})
    with pytest.raises(RecipeError, match="weights lies in /usr/share/weights"):
        KubernetesHosts(outside, profile)


def test_outside_a_cluster_a_kubeconfig_is_needed(profile: KubernetesProfile):
    with pytest.raises(RecipeError, match="this process is in no pod"):
        connect(profile.model_copy(update={"kubeconfig": None}))


@pytest.mark.parametrize(
    ("reason", "expected"), [("PreemptionByScheduler", True), ("EvictionByEvictionAPI", True), ("OutOfMemory", False)]
)
def test_a_machine_that_was_taken_away_is_no_fault_of_the_pod(reason: str, expected: bool):
    conditions = [
        {"type": "Ready", "status": "False"},
        {"type": "DisruptionTarget", "status": "True", "reason": reason},
    ]
    assert called_back([{"status": {}}, {"status": {"conditions": conditions}}]) is expected
