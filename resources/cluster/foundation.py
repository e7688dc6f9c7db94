"""Objects that everything else stands on: namespace, claim, accounts and their rights, priorities, settings."""

from typing import Any

import yaml

from forge_dagster.compute_profile import KubernetesProfile
from forge_dagster.environment import CLOSED
from forge_dagster.provenance.actor import HEADER_VARIABLE
from resources.cluster.parts import (
    COMPUTE,
    COMPUTE_FILE,
    COMPUTE_FOLDER,
    ENVIRONMENT,
    HOME,
    WHO,
    Manifest,
    manifest,
)
from resources.cluster.site import Site

RIGHTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("batch", "jobs", ("create", "delete", "get", "list", "watch")),
    ("batch", "jobs/status", ("get",)),
    ("", "pods", ("delete", "get", "list", "watch")),
    ("", "pods/log", ("get",)),
    ("", "services", ("create", "delete", "get", "list")),  # where the hosts of a training meet
    ("", "events", ("list",)),  # why a pod did not start
)
KUBEFLOW = (("kubeflow.org", "pytorchjobs", ("create", "delete", "get")),)
PRIORITIES = {
    "curation": (1000, "Never", "Documents, tokens, scores: steps that start again where they stopped."),
    "training": (2000, "PreemptLowerPriority", "Trainings: may take the place of curation, which starts again."),
}
SENSOR_SECONDS = 900
"""A tick may walk a large source; `forge ui` sets the same."""


def foundation(profile: KubernetesProfile, site: Site) -> list[Manifest]:
    """All of them, in the order in which they are applied."""
    return [
        _namespace(profile.namespace),
        *_priorities(profile.namespace),
        _claim(profile, site),
        *_accounts(profile),
        *_rights(profile),
        *_settings(profile, site),
    ]


def code_account(profile: KubernetesProfile) -> str:
    """Account of the code location, which asks nothing of the cluster."""
    return f"{profile.service_account}-code"


def entrance_account(profile: KubernetesProfile) -> str:
    """Account of the proxy and of the auditors' server, which ask nothing of the cluster."""
    return f"{profile.service_account}-entrance"


def priority(namespace: str, name: str) -> str:
    """Name of a PriorityClass, which belongs to the whole cluster."""
    return f"{namespace}-{name}"


def _namespace(name: str) -> Manifest:
    found = manifest("v1", "Namespace", name, None)
    found["metadata"]["labels"] = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    return found


def _priorities(namespace: str) -> list[Manifest]:
    return [
        manifest(
            "scheduling.k8s.io/v1",
            "PriorityClass",
            priority(namespace, name),
            None,
            value=value,
            preemptionPolicy=preemption,
            globalDefault=False,
            description=description,
        )
        for name, (value, preemption, description) in PRIORITIES.items()
    ]


def _claim(profile: KubernetesProfile, site: Site) -> Manifest:
    spec: dict[str, Any] = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": site.storage}}}
    if site.storage_class:
        spec["storageClassName"] = site.storage_class
    return manifest("v1", "PersistentVolumeClaim", profile.claim, profile.namespace, spec=spec)


def _accounts(profile: KubernetesProfile) -> list[Manifest]:
    names = (profile.service_account, code_account(profile), entrance_account(profile))
    return [
        # A pod that talks to the API server says so itself.
        manifest("v1", "ServiceAccount", name, profile.namespace, automountServiceAccountToken=False)
        for name in names
    ]


def _rights(profile: KubernetesProfile) -> list[Manifest]:
    api, name = "rbac.authorization.k8s.io", profile.service_account
    rights = RIGHTS + KUBEFLOW if profile.gang == "pytorchjob" else RIGHTS
    rules = [{"apiGroups": [group], "resources": [kind], "verbs": list(verbs)} for group, kind, verbs in rights]
    subject = {"kind": "ServiceAccount", "name": name, "namespace": profile.namespace}
    return [
        manifest(f"{api}/v1", "Role", name, profile.namespace, rules=rules),
        manifest(
            f"{api}/v1",
            "RoleBinding",
            name,
            profile.namespace,
            subjects=[subject],
            roleRef={"apiGroup": api, "kind": "Role", "name": name},
        ),
    ]


def _settings(profile: KubernetesProfile, site: Site) -> list[Manifest]:
    database = site.database
    environment = {
        **CLOSED,
        "DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS": str(SENSOR_SECONDS),
        "FORGE_HOME": HOME,
        "FORGE_COMPUTE": f"{COMPUTE_FOLDER}/{COMPUTE_FILE}",
        # Where it is, for messages; Dagster takes address and password from its own configuration.
        "FORGE_DATABASE": f"postgresql://{database.user}@{database.host}:{database.port}/{database.name}",
        HEADER_VARIABLE: WHO,
        **site.environment,
    }
    # A pod asks the cluster by its account.
    told = profile.model_dump(mode="json", exclude_none=True, exclude={"kubeconfig"})
    compute = yaml.safe_dump(told, sort_keys=False)
    return [
        manifest("v1", "ConfigMap", ENVIRONMENT, profile.namespace, data=environment),
        manifest("v1", "ConfigMap", COMPUTE, profile.namespace, data={COMPUTE_FILE: compute}),
    ]
