"""What `forge deploy` writes of the examples: the golden files, valid to Kubernetes, and closed where it must be.

To renew the golden files: rm -r tests/resources/cluster/golden, then
forge deploy --profile deploy/compute.kubernetes.yaml --out tests/resources/cluster/golden
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from forge_dagster.compute_profile import KubernetesProfile
from resources.cluster.lookup import pod_of, strings
from resources.cluster.manifests import files
from resources.cluster.parts import Manifest
from resources.cluster.rules import Limits, judge_all
from resources.cluster.site import Destination, Site

GOLDEN = Path(__file__).with_name("golden")
MINORS = ("1.32", "1.34", "1.36")


def of_kind(made: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in made if each["kind"] == kind}


def test_the_examples_give_the_golden_files(profile: KubernetesProfile, site: Site, instance: Mapping[str, Any]):
    golden = {path.relative_to(GOLDEN).as_posix(): path.read_text() for path in GOLDEN.rglob("*.yaml")}
    assert files(profile, site, instance) == golden, "see the head of this file for how to renew them"


@pytest.mark.parametrize("minor", MINORS)
def test_kubernetes_takes_every_manifest(made: list[Manifest], minor: str):
    for each in made:
        kubernetes_validate.validate(each, minor, strict=True)


def test_a_key_that_kubernetes_does_not_know_is_found(made: list[Manifest]):
    wrong = {**of_kind(made, "Deployment")["forge-proxy"], "specs": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, MINORS[0], strict=True)


def test_no_rule_is_broken(made: list[Manifest], limits: Limits):
    assert judge_all(made, limits) == []


def test_a_file_holds_one_object_and_they_come_in_order(
    profile: KubernetesProfile, site: Site, instance: Mapping[str, Any], made: list[Manifest]
):
    texts = files(profile, site, instance)
    read = [yaml.safe_load(text) for name, text in sorted(texts.items()) if name.startswith("manifests/")]
    assert read == made
    kinds = [each["kind"] for each in made]
    assert kinds[0] == "Namespace"
    assert kinds.index("NetworkPolicy") < kinds.index("Deployment")


def test_pods_may_be_no_more_than_restricted(made: list[Manifest]):
    [namespace] = of_kind(made, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_only_runs_and_servers_may_ask_the_cluster_and_for_little(made: list[Manifest]):
    [role] = of_kind(made, "Role").values()
    assert not of_kind(made, "ClusterRole")
    assert {kind for rule in role["rules"] for kind in rule["resources"]} <= {
        "jobs", "jobs/status", "pods", "pods/log", "services", "events",
    }  # fmt: skip
    assert not [text for _, text in strings(role["rules"]) if text in {"*", "secrets", "deletecollection"}]
    [binding] = of_kind(made, "RoleBinding").values()
    assert [each["name"] for each in binding["subjects"]] == ["forge"]
    for deployment in of_kind(made, "Deployment").values():
        pod = pod_of(deployment)
        assert pod is not None
        assert pod["serviceAccountName"] == "forge-entrance"
        assert pod["automountServiceAccountToken"] is False


def test_without_sources_there_is_no_way_to_them(profile: KubernetesProfile, site: Site, instance: Mapping[str, Any]):
    names = {name.partition("-")[2] for name in files(profile, site.model_copy(update={"sources": ()}), instance)}
    assert "networkpolicy-sources.yaml" not in names
    assert "networkpolicy-database.yaml" in names


def test_the_login_passes_on_the_address_and_takes_secrets_by_reference(made: list[Manifest]):
    pod = pod_of(of_kind(made, "Deployment")["forge-proxy"])
    assert pod is not None
    [login] = pod["containers"]
    assert "--pass-user-headers=true" in login["args"]
    assert "--upstream=http://dagster-webserver:3000/" in login["args"]
    assert "--allowed-group=model-team" in login["args"]
    assert [each["valueFrom"]["secretKeyRef"]["name"] for each in login["env"]] == ["forge-login"] * 3


def test_auditors_reach_a_read_only_server_on_loopback_over_a_home_that_nobody_writes(made: list[Manifest]):
    pod = pod_of(of_kind(made, "Deployment")["forge-auditor"])
    assert pod is not None
    server, login = pod["containers"]
    assert server["args"] == ["forge", "ui", "--read-only", "--port", "3001"]
    assert "ports" not in server
    assert "--upstream=http://127.0.0.1:3001/" in login["args"]
    assert "--allowed-group=model-auditors" in login["args"]
    [home] = [each for each in server["volumeMounts"] if each["name"] == "home"]
    assert home["readOnly"] is True
    [claim] = [each for each in pod["volumes"] if each["name"] == "home"]
    assert claim["persistentVolumeClaim"]["readOnly"] is True
    config = yaml.safe_load(of_kind(made, "ConfigMap")["forge-auditor-instance"]["data"]["dagster.yaml"])
    assert config["storage"]["postgres"]["postgres_db"]["password"] == {"env": "DAGSTER_PG_PASSWORD"}
    assert "run_launcher" not in config


def test_dagster_takes_the_instance_of_the_auditors(
    made: list[Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from dagster._core.instance.ref import InstanceRef

    text = of_kind(made, "ConfigMap")["forge-auditor-instance"]["data"]["dagster.yaml"]
    (tmp_path / "dagster.yaml").write_text(text)
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "unused")
    ref = InstanceRef.from_dir(str(tmp_path))
    assert ref.run_storage_data is not None
    assert ref.run_storage_data.class_name == "PostgresRunStorage"
    assert ref.settings["telemetry"] == {"enabled": False}


def test_the_profile_of_pods_is_the_profile(made: list[Manifest], profile: KubernetesProfile):
    text = of_kind(made, "ConfigMap")["forge-compute"]["data"]["compute.yaml"]
    assert KubernetesProfile.model_validate(yaml.safe_load(text)) == profile


def test_texts_that_look_like_yaml_stay_texts(profile: KubernetesProfile, site: Site, instance: Mapping[str, Any]):
    hostile = "a: [b, {c: d}] # e --- {{ .Values.x }} *f &g !!python/object"
    group = site.login.model_copy(update={"groups": (hostile,)})
    told = site.model_copy(
        update={
            "login": group,
            "environment": {"FORGE_SOURCES": hostile},
            "sources": (Destination(cidrs=("2001:db8::/32",), port=443),),
        }
    )
    read = [yaml.safe_load(text) for text in files(profile, told, instance).values()]
    found = [text for each in read for _, text in strings(each) if "python/object" in text]
    assert sorted(found) == sorted([f"--allowed-group={hostile}", hostile])
