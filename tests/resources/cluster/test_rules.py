"""Each rule lets a sound Job pass and names what breaks it; Jobs that Dagster makes of the values are sound."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from resources.cluster.parts import Manifest
from resources.cluster.rules import RULES, Limits, judge, judge_all

LIMITS = Limits(save_seconds=900, poll_seconds=10)
SOUND: Manifest = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "step", "namespace": "forge", "labels": {"app.kubernetes.io/component": "step_worker"}},
    "spec": {
        "backoffLimit": 0,
        "ttlSecondsAfterFinished": 100,
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 900,
                "automountServiceAccountToken": False,
                "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [
                    {
                        "name": "step",
                        "image": "registry.example.org:5000/forge:1",
                        "args": ["dagster", "api", "execute_step"],
                        "env": [{"name": "FORGE_HOME", "value": "/forge/home"}],
                        "resources": {
                            "requests": {"cpu": "1", "memory": "1Gi"},
                            "limits": {"cpu": "1", "memory": "1Gi"},
                        },
                        "securityContext": {
                            "runAsNonRoot": True,
                            "readOnlyRootFilesystem": True,
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }
                ],
                "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": "forge-home"}}],
            }
        },
    },
}
Change = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], Any]
"""Of Job, pod and container."""
BREAKS: dict[str, tuple[str, Change]] = {
    "restarts": ("job_restarts_nothing", lambda j, p, c: p.update(restartPolicy="OnFailure")),
    "restarts by default": ("job_restarts_nothing", lambda j, p, c: p.pop("restartPolicy")),
    "backoff": ("job_restarts_nothing", lambda j, p, c: j.update(backoffLimit=6)),
    "backoff by default": ("job_restarts_nothing", lambda j, p, c: j.pop("backoffLimit")),
    "gone too soon": ("job_stays_until_seen", lambda j, p, c: j.update(ttlSecondsAfterFinished=99)),
    "stays for ever": ("job_stays_until_seen", lambda j, p, c: j.pop("ttlSecondsAfterFinished")),
    "no time": ("job_has_time_to_save", lambda j, p, c: p.update(terminationGracePeriodSeconds=899)),
    "30 s by default": ("job_has_time_to_save", lambda j, p, c: p.pop("terminationGracePeriodSeconds")),
    "token": ("tokens_are_for_who_asks", lambda j, p, c: p.update(automountServiceAccountToken=True)),
    "token by default": ("tokens_are_for_who_asks", lambda j, p, c: p.pop("automountServiceAccountToken")),
    "no limits": ("resources_are_stated", lambda j, p, c: c["resources"].pop("limits")),
    "no memory": ("resources_are_stated", lambda j, p, c: c["resources"]["requests"].pop("memory")),
    "no resources": ("resources_are_stated", lambda j, p, c: c.pop("resources")),
    "may be root": ("nobody_is_root", lambda j, p, c: c["securityContext"].pop("runAsNonRoot")),
    "is root": ("nobody_is_root", lambda j, p, c: p["securityContext"].update(runAsUser=0)),
    "is root again": ("nobody_is_root", lambda j, p, c: c["securityContext"].update(runAsUser=0)),
    "writes": ("containers_are_confined", lambda j, p, c: c["securityContext"].pop("readOnlyRootFilesystem")),
    "escalates": ("containers_are_confined", lambda j, p, c: c["securityContext"].pop("allowPrivilegeEscalation")),
    "privileged": ("containers_are_confined", lambda j, p, c: c["securityContext"].update(privileged=True)),
    "capabilities": ("containers_are_confined", lambda j, p, c: c["securityContext"].pop("capabilities")),
    "adds one": (
        "containers_are_confined",
        lambda j, p, c: c["securityContext"]["capabilities"].update(add=["SYS_ADMIN"]),
    ),
    "no filter": ("containers_are_confined", lambda j, p, c: p["securityContext"].pop("seccompProfile")),
    "no context": ("containers_are_confined", lambda j, p, c: c.update(securityContext={"runAsNonRoot": True})),
    "latest": ("images_stay", lambda j, p, c: c.update(image="registry.example.org:5000/forge:latest")),
    "no tag": ("images_stay", lambda j, p, c: c.update(image="registry.example.org:5000/forge")),
    "no image": ("images_stay", lambda j, p, c: c.pop("image")),
    "init container": (
        "images_stay",
        lambda j, p, c: p.update(initContainers=[{**copy.deepcopy(c), "image": "busybox"}]),
    ),
    "host path": (
        "nodes_are_left_alone",
        lambda j, p, c: p["volumes"].append({"name": "docker", "hostPath": {"path": "/var/run"}}),
    ),
    "host network": ("nodes_are_left_alone", lambda j, p, c: p.update(hostNetwork=True)),
    "password": (
        "secrets_are_references",
        lambda j, p, c: c["env"].append({"name": "DAGSTER_PG_PASSWORD", "value": "hunter2"}),
    ),
    "argument": ("secrets_are_references", lambda j, p, c: c["args"].append("--client-secret=hunter2")),
    "two arguments": ("secrets_are_references", lambda j, p, c: c["args"].extend(["--token", "hunter2"])),
    "address": (
        "secrets_are_references",
        lambda j, p, c: c["env"].append({"name": "FORGE_DATABASE", "value": "postgresql://forge:hunter2@db/forge"}),
    ),
}


def broken(case: str) -> tuple[str, Manifest]:
    rule, change = BREAKS[case]
    job = copy.deepcopy(SOUND)
    pod = job["spec"]["template"]["spec"]
    change(job["spec"], pod, pod["containers"][0])
    return rule, job


def rules_of(found: Manifest) -> set[str]:
    return {rule.__name__ for rule in RULES if list(rule(found, LIMITS))}


def test_a_sound_job_passes():
    assert judge([SOUND], LIMITS) == []


@pytest.mark.parametrize("case", BREAKS)
def test_each_rule_names_object_value_rule_and_mend(case: str):
    rule, job = broken(case)
    assert rules_of(job) == {rule}
    for finding in judge([job], LIMITS):
        assert finding.object == "Job forge/step"
        assert all((finding.value, finding.rule, finding.mend))
        assert "hunter2" not in str(finding), "a finding is printed"


def test_every_rule_has_a_case():
    assert {rule for rule, _ in BREAKS.values()} == {rule.__name__ for rule in RULES}


def test_a_digest_a_file_and_a_reference_pass():
    job = copy.deepcopy(SOUND)
    container = job["spec"]["template"]["spec"]["containers"][0]
    container["image"] = f"forge@sha256:{'0' * 64}"
    reference = {"secretKeyRef": {"name": "forge-database", "key": "postgresql-password"}}
    container["env"] += [
        {"name": "DAGSTER_PG_PASSWORD", "valueFrom": reference},
        {"name": "TOKEN_FILE", "value": "/run/token"},
    ]
    container["args"] += ["--token-file=/run/token", "--cookie-secure=true"]
    assert judge([job], LIMITS) == []


@pytest.mark.parametrize("kind", ["Pod", "CronJob", "StatefulSet"])
def test_pods_are_found_in_every_kind_that_makes_them(kind: str):
    job = broken("latest")[1]["spec"]
    spec = {
        "Pod": job["template"]["spec"],
        "CronJob": {"jobTemplate": {"spec": job}},
        "StatefulSet": {"template": job["template"]},
    }[kind]
    assert rules_of({"kind": kind, "metadata": {"name": "x"}, "spec": spec}) == {"images_stay"}


@pytest.mark.parametrize(
    "found",
    [{"kind": "Secret", "stringData": {"a": "b"}}, {"kind": "ConfigMap", "data": {"API_KEY": "x"}}],
    ids=["Secret", "ConfigMap"],
)
def test_secrets_are_found_beside_pods_too(found: Manifest):
    assert rules_of(found) == {"secrets_are_references"}


@pytest.mark.parametrize("found", [{}, {"kind": "Job"}, {"kind": "Job", "spec": None}, {"kind": "Gizmo", "spec": []}])
def test_whatever_it_is_it_is_judged(found: Manifest):
    judge_all([found], LIMITS)


def test_a_namespace_that_denies_nothing_is_found():
    deny: Manifest = {
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny-all", "namespace": "forge"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    }
    assert judge_all([SOUND, deny], LIMITS) == []
    [finding] = judge_all([SOUND], LIMITS)
    assert finding.object == "Namespace forge"
    for change in ({"egress": [{}]}, {"policyTypes": ["Ingress"]}, {"podSelector": {"matchLabels": {"a": "b"}}}):
        assert judge_all([SOUND, {**deny, "spec": {**deny["spec"], **change}}], LIMITS)
