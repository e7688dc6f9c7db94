"""What is known of a step's pod before it runs: who asks from elsewhere plans what the pod will make."""

from pathlib import Path

import pytest

from assets.asset import pod_of
from assets.graph import all_hops
from forge_dagster.declared import load_declared
from forge_dagster.provenance.build import stage_of
from forge_dagster.training.execution import execution

PROFILE = """
kind: kubernetes
image: registry.example.org/forge:0.1.0
default: {cpu: "2"}
steps:
  "*/base_checkpoint": {cpu: "12", gpu: 8}
  "*/scorecard": {cpu: 3500m}
training: {hosts: HOSTS, processes: 4, zero_stage: 1, stage: {cpu: "1"}}
"""


@pytest.mark.parametrize("hosts", [1, 2])
def test_pod_and_reader_agree_on_the_numerics_of_every_hop(hosts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "compute.yaml").write_text(PROFILE.replace("HOSTS", str(hosts)))
    monkeypatch.setenv("FORGE_COMPUTE", str(tmp_path / "compute.yaml"))
    declared = load_declared()
    threads = {}
    for hop in all_hops(declared):
        stage = stage_of(hop.module)
        monkeypatch.setenv("FORGE_THREADS", "7")  # of who asks
        asked = hop.order(declared).numerics
        config = pod_of(hop)["dagster-k8s/config"]
        (told,) = config["container_config"]["env"]
        monkeypatch.setenv(told["name"], told["value"])  # as in the pod
        assert hop.order(declared).numerics == asked
        assert config["pod_spec_config"]["automount_service_account_token"] is (stage.parallel and hosts > 1)
        if asked is not None:
            assert asked["threads"] == execution(parallel=stage.parallel).threads  # what the stage computes with
            threads[hop.asset.rpartition("/")[2]] = asked["threads"]
    assert threads["base_checkpoint"] == 12 // 4
    assert threads["scorecard"] == 3
    assert threads["sft_checkpoint"] == 2
