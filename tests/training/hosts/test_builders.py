"""What is handed to Slurm and Kubernetes: golden files, and in each the very command of `launch.command`."""

import shlex
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from gang_run import work_of

from forge_dagster.compute_profile import Gang, KubernetesProfile, Pod, SlurmProfile
from forge_dagster.training.hosts.slurm import script
from forge_dagster.training.launch import command, variables
from forge_dagster.training.manifests import TRAINING, job, name_of, pytorch_job, service
from forge_dagster.training.work import Work
from resources.cluster.rules import Limits, judge

GOLDEN = Path(__file__).with_name("golden")
FOLDER = "/srv/forge/work/tiny dense/base_checkpoint/0123abcd"
TOLD = {"FORGE_HOME": "/srv/forge", "FORGE_PULSE": "token", "NCCL_SOCKET_IFNAME": "eth0"}
OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "step-7", "uid": "6a1f"}
HOSTS = Pod.model_validate(
    {
        "cpu": "7500m",
        "memory": "64Gi",
        "gpu": 8,
        "queue": "training",
        "priority": "long",
        "node_selector": {"accelerator": "h200"},
        "tolerations": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}],
    }
)
CLUSTER = KubernetesProfile(
    kind="kubernetes",
    image="registry.example.org/forge:0.1.0",
    steps={"*/base_checkpoint": HOSTS},
    training=Gang(hosts=2, processes=8, zero_stage=3),
)
SLURM = SlurmProfile(
    kind="slurm", partition="gpu", account="forge", minutes=120, training=Gang(hosts=2, processes=8, zero_stage=3)
)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    monkeypatch.setenv("FORGE_HOME", "/srv/forge")
    monkeypatch.setattr(sys, "executable", "/opt/forge/bin/python")
    return work_of(Path(FOLDER), processes=8, zero_stage=3)


def same(name: str, text: str) -> None:
    assert text == (GOLDEN / name).read_text(encoding="utf-8")


def test_the_script_of_slurm(work: Work):
    text = script(work, SLURM, Pod(cpu="7500m", memory="64Gi", gpu=8), TOLD)
    same("sbatch.sh", text)
    (step,) = [line for line in text.splitlines() if line.startswith("srun ")]
    inner = shlex.split(step)[-2]  # behind it is the &
    assert shlex.split(inner)[1:] == command(work, host="$SLURM_PROCID", meeting="$FORGE_FIRST:29500")


def test_the_job_of_kubernetes(work: Work):
    made = job(work, CLUSTER, TOLD, OWNER)
    names = service(made["metadata"]["name"], 29500, OWNER)
    same("job.yaml", yaml.safe_dump_all([made, names], sort_keys=False))
    (container,) = made["spec"]["template"]["spec"]["containers"]
    name = name_of(work, CLUSTER)
    assert container["command"] == command(work, host="$(JOB_COMPLETION_INDEX)", meeting=f"{name}-0.{name}:29500")
    assert names["spec"]["selector"].items() <= made["spec"]["template"]["metadata"]["labels"].items()
    assert judge([made, names], Limits(save_seconds=CLUSTER.save_seconds, poll_seconds=10)) == []
    for version in ("1.30", "1.34", "1.37"):
        kubernetes_validate.validate(made, version, strict=True)
        kubernetes_validate.validate(names, version, strict=True)


def test_the_job_of_kubeflow(work: Work):
    made = pytorch_job(work, CLUSTER, TOLD, OWNER)
    same("pytorchjob.yaml", yaml.safe_dump(made, sort_keys=False))
    for replicas in made["spec"]["pytorchReplicaSpecs"].values():
        (container,) = replicas["template"]["spec"]["containers"]
        name = name_of(work, CLUSTER)
        assert container["command"] == command(work, host="$(RANK)", meeting=f"{name}-master-0:29500")
        assert replicas["template"]["metadata"]["labels"][TRAINING] == name


def test_another_folder_or_claim_has_another_name(work: Work):
    names = {
        name_of(work, CLUSTER),
        name_of(work, CLUSTER.model_copy(update={"claim": "other-home"})),
        name_of(work.model_copy(update={"folder": Path(f"{FOLDER}0")}), CLUSTER),
    }
    assert len(names) == 3


def test_what_a_host_is_told_holds_no_password(work: Work):
    environment: dict[str, Any] = {
        "FORGE_DATABASE": "postgresql://forge:secret@db/forge",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "GLOO_SOCKET_IFNAME": "eth1",
        "FORGE_HOME": "/srv/forge",
    }
    expected = {"FORGE_HOME": "/srv/forge", "GLOO_SOCKET_IFNAME": "eth1", "OMP_NUM_THREADS": "1"}
    assert variables(work, environment) == expected
