"""Hosts as a PyTorchJob: made once, followed by its conditions, deleted at the end. The test is the operator."""

from collections.abc import Iterator
from pathlib import Path

import cluster
import kmock
import pytest
from gang_run import work_of

from forge_dagster.compute_profile import Gang, KubernetesProfile
from forge_dagster.errors import BusyError
from forge_dagster.stage import local_context
from forge_dagster.training.hosts.kubernetes import KUBEFLOW, KubernetesHosts
from forge_dagster.training.launch import Ended


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesHosts]:
    monkeypatch.setenv("FORGE_HOME", str(tmp_path))
    folder = tmp_path / "work" / "nano" / "base_checkpoint" / "0123"
    folder.mkdir(parents=True)
    plain = cluster.ApiServer._judge
    kind = kmock.resource(**KUBEFLOW)
    monkeypatch.setitem(cluster.NAMESPACED, kind, "PyTorchJob")
    monkeypatch.setitem(cluster.KINDS, kind.plural, ("PyTorchJob", kind.group))
    # Kubernetes' own schemas do not know the kind; the golden file shows what is sent.
    monkeypatch.setattr(
        cluster.ApiServer, "_judge", lambda self, body: None if body["kind"] == "PyTorchJob" else plain(self, body)
    )
    (tmp_path / "cluster").mkdir()
    with cluster.running(tmp_path / "cluster", {}) as served:
        profile = KubernetesProfile(
            kind="kubernetes", image="registry.example.org/forge:0.1.0", kubeconfig=served.kubeconfig,
            training=Gang(hosts=2), save_seconds=30, gang="pytorchjob",
        )  # fmt: skip
        made = KubernetesHosts(work_of(folder), profile)
        yield made
        made.end()
        assert not served.objects("pytorchjobs")
        assert not served.objects("pods")


def tell(hosts: KubernetesHosts, **conditions: str) -> None:
    status = {"conditions": [{"type": kind, "status": holds} for kind, holds in conditions.items()]}
    hosts.custom.patch_namespaced_custom_object(**KUBEFLOW, namespace="forge", name=hosts.name, body={"status": status})


@pytest.mark.parametrize(("end", "succeeded"), [("Succeeded", True), ("Failed", False)])
def test_it_is_followed_to_its_end(hosts: KubernetesHosts, end: str, succeeded: bool):
    hosts.clear()
    hosts.start(local_context(hosts.work.folder), "token")
    assert hosts.look() == "waiting"
    tell(hosts, Created="True", Running="True")
    assert hosts.look() == "waiting"  # no pod has a machine yet
    tell(hosts, Created="True", Running="False", **{end: "True"})
    found = hosts.look()
    assert isinstance(found, Ended)
    assert found.succeeded is succeeded


def test_a_second_one_is_refused(hosts: KubernetesHosts):
    hosts.start(local_context(hosts.work.folder), "token")
    second = KubernetesHosts(hosts.work, hosts.profile)
    with pytest.raises(BusyError, match=f"PyTorchJob {hosts.name}"):
        second.start(local_context(hosts.work.folder), "other")
    second.end()
    assert hosts.look() == "waiting"
