"""A base training over two pods of an Indexed Job: to its end, killed, stopped; the API server is emulated."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from cluster import Cluster, running
from container import can_confine
from controller import Limits
from gang_run import ENOUGH, DisturbedContext, train
from slurm import free_ports
from small_run import inputs_of

from forge_dagster.errors import BusyError, InterruptedRun, WorkerDied
from forge_dagster.stage import local_context
from forge_dagster.training.hosts.kubernetes import KubernetesHosts
from forge_dagster.training.log import read

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def inputs(home: Path) -> dict[str, Path]:
    return inputs_of(home, documents=60)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("cluster"), {}) as found:
        yield found


@pytest.fixture(scope="module")
def on_one_host(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What two processes of this machine make."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("PROCESSES", "2"), ("ZERO", "1"), ("THREADS", "1"), ("MICRO_BATCH", "64")):
            patch.setenv(f"FORGE_{name}", value)
        return train(inputs, tmp_path_factory.mktemp("one_host"))


@pytest.fixture
def folder(home: Path, cluster: Cluster, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the home, for a stage whose profile names the cluster."""
    profile = {
        "kind": "kubernetes",
        "image": "registry.example.org/forge:0.1.0",
        "kubeconfig": str(cluster.kubeconfig),
        "training": {"hosts": 2, "processes": 1, "zero_stage": 1, "port": free_ports(1)[0]},
    }
    made = home / request.node.name
    made.mkdir()
    (made / "compute.yaml").write_text(yaml.safe_dump(profile))
    variables = {
        "FORGE_HOME": str(home), "FORGE_COMPUTE": str(made / "compute.yaml"), "GLOO_SOCKET_IFNAME": "lo",
        "FORGE_THREADS": "1", "FORGE_MICRO_BATCH": "64",
    }  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(KubernetesHosts, "every", 0.5)
    return made


@pytest.fixture
def limits(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Callable[[Limits], None]:
    """Have the cluster refuse things for the length of a test."""
    return lambda told: monkeypatch.setattr(cluster.controller, "limits", told)


def nothing_left(cluster: Cluster) -> bool:
    return not any(cluster.objects(plural) for plural in ("jobs", "pods", "services"))


def test_two_pods_learn_what_one_host_learns(
    inputs: dict[str, Path], on_one_host: dict[str, str], folder: Path, cluster: Cluster
):
    context = local_context(folder)
    assert train(inputs, folder, context) == on_one_host
    assert any("in namespace forge, 2 hosts" in text for _, _, text in context.seen)
    assert nothing_left(cluster)


def test_a_pod_killed_for_memory_ends_all_and_another_job_goes_on(
    inputs: dict[str, Path], on_one_host: dict[str, str], folder: Path, cluster: Cluster
):
    def kill() -> bool:
        cluster.fail(max(cluster.objects("pods")), "OOMKilled")
        return False

    with pytest.raises(WorkerDied, match="OOMKilled, exit code 137"):
        train(inputs, folder, DisturbedContext(folder, kill))
    assert nothing_left(cluster)
    context = local_context(folder)
    assert train(inputs, folder, context) == on_one_host
    assert min(done for done, _, _ in context.seen if done) >= ENOUGH // 5 * 5


def test_stopped_all_save_and_nothing_is_left(
    inputs: dict[str, Path], on_one_host: dict[str, str], folder: Path, cluster: Cluster
):
    with pytest.raises(InterruptedRun, match=r"training stopped after step .* of 60, which is saved"):
        train(inputs, folder, DisturbedContext(folder, lambda: True))
    assert nothing_left(cluster)
    assert train(inputs, folder) == on_one_host


@pytest.mark.skipif(not can_confine(), reason="no mounts in a user namespace here")
def test_a_claim_that_takes_no_writes_ends_the_training_and_says_so(
    inputs: dict[str, Path], folder: Path, cluster: Cluster, limits: Callable[[Limits], None]
):
    limits(Limits(read_only=True))
    with pytest.raises(WorkerDied, match="Read-only file system"):
        train(inputs, folder)
    assert nothing_left(cluster)
    assert not (folder / "work" / "log.jsonl").exists()


def test_a_host_that_never_begins_is_named(
    inputs: dict[str, Path], folder: Path, cluster: Cluster, limits: Callable[[Limits], None]
):
    limits(Limits(most_pods=1))
    profile = yaml.safe_load((folder / "compute.yaml").read_text())
    profile["training"]["start_seconds"] = 10
    (folder / "compute.yaml").write_text(yaml.safe_dump(profile))
    with pytest.raises(WorkerDied, match=r"not all hosts met within 10 s; .*no pod for host 1 of 2: .*exceeded quota"):
        train(inputs, folder)
    assert nothing_left(cluster)


def test_a_second_stage_in_one_folder_is_refused_and_the_training_is_done_once(
    inputs: dict[str, Path], on_one_host: dict[str, str], folder: Path, cluster: Cluster
):
    before = len(cluster.api.made)
    refused: list[BusyError] = []

    def begin_too() -> bool:
        with pytest.raises(BusyError, match="one job writes the checkpoints of a training") as told:
            train(inputs, folder, local_context(folder))
        refused.append(told.value)
        return False

    assert train(inputs, folder, DisturbedContext(folder, begin_too)) == on_one_host
    assert len(refused) == 1
    assert len(cluster.api.made) == before + 1
    assert [row["step"] for row in read(folder / "work" / "log.jsonl")] == list(range(60))
