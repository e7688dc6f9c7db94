"""Values of Dagster's Helm chart, of the version that constraints.txt pins; dagster.yaml says the rest.

What one machine's dagster.yaml sets holds in the cluster too, but for storage and launching.
"""

from collections.abc import Mapping
from typing import Any

from forge_dagster.compute_profile import KubernetesProfile, Pod
from forge_dagster.training.manifests import pod_security
from resources.cluster.foundation import code_account
from resources.cluster.parts import (
    CODE,
    CODE_PORT,
    DAEMON,
    DAGSTER_HOME,
    ENVIRONMENT,
    RELEASE,
    SHARED_MEMORY,
    WEBSERVER,
    WEBSERVER_PORT,
    Manifest,
    container_security,
    mounts,
    pull_secrets,
    volumes,
)
from resources.cluster.site import Site
from resources.cluster.storage import DATABASE_SCHEME, LOGS, local_storage
from resources.pods import KEPT_SECONDS, PART, RUN

WAITS = Pod(cpu="50m", memory="64Mi")
"""What the init containers take that wait for the code location."""
LAST_WORDS_SECONDS = 60
"""What a run has after its steps have saved."""
ADDED = ("nux", "retention", "freshness")
"""Keys of dagster.yaml that the chart passes on as they are."""


def chart_values(profile: KubernetesProfile, site: Site, instance: Mapping[str, Any]) -> Manifest:
    """All that differs from the chart's own defaults; `instance` is the project's dagster.yaml."""
    return {
        "fullnameOverride": RELEASE,
        # Narrower rights than the chart's stand in the manifests.
        "rbacEnabled": False,
        "serviceAccount": {"create": False, "name": profile.service_account},
        "global": {"dagsterHome": DAGSTER_HOME, "postgresqlSecretName": profile.database_secret},
        "imagePullSecrets": pull_secrets([site.pull_secret]),
        "telemetry": {"enabled": False},
        "dagsterWebserver": {
            "nameOverride": WEBSERVER,
            "service": {"type": "ClusterIP", "port": WEBSERVER_PORT},
            "readinessProbe": {"httpGet": {"path": "/server_info", "port": WEBSERVER_PORT}},
            **_server(profile, site, WEBSERVER),
        },
        "dagsterDaemon": {**_server(profile, site, DAEMON), **_daemon(profile, instance)},
        "dagster-user-deployments": _code(profile, site),
        "runLauncher": {"type": "K8sRunLauncher", "config": {"k8sRunLauncher": run_launcher(profile, site)}},
        "computeLogManager": {
            "type": "LocalComputeLogManager",
            "config": {"localComputeLogManager": {"baseDir": LOGS}},
        },
        "postgresql": _postgresql(site),
        "generatePostgresqlPasswordSecret": False,
        "generateCeleryConfigSecret": False,
        "busybox": {"image": _image(site.busybox)},
        "additionalInstanceConfig": {
            **{key: instance[key] for key in ADDED},
            "concurrency": _concurrency(site, instance),
            "local_artifact_storage": local_storage(),
        },
    }


def run_launcher(profile: KubernetesProfile, site: Site) -> Manifest:
    """How the Job of a run looks; the Jobs of its steps take the same settings."""
    return {
        "imagePullPolicy": "IfNotPresent",
        "loadInclusterConfig": True,
        "jobNamespace": profile.namespace,
        "envConfigMaps": [{"name": ENVIRONMENT}],
        "volumes": [*volumes(profile), SHARED_MEMORY[0]],
        "volumeMounts": [*mounts(), SHARED_MEMORY[1]],
        "labels": {PART: RUN},
        "resources": site.runs.amounts,
        "securityContext": container_security(),
        "runK8sConfig": {
            "podSpecConfig": {
                "securityContext": pod_security(),
                "enableServiceLinks": False,
                "terminationGracePeriodSeconds": profile.save_seconds + LAST_WORDS_SECONDS,
            },
            "jobSpecConfig": {"backoffLimit": 0, "ttlSecondsAfterFinished": KEPT_SECONDS},
        },
    }


def _pod(profile: KubernetesProfile, site: Site, part: str) -> Manifest:
    """What every server of the chart takes alike."""
    return {
        "labels": {PART: part},
        "envConfigMaps": [{"name": ENVIRONMENT}],
        "volumes": volumes(profile),
        "volumeMounts": mounts(),
        "podSecurityContext": pod_security(),
        "securityContext": container_security(),
        "resources": site.services.amounts,
    }


def _server(profile: KubernetesProfile, site: Site, part: str) -> Manifest:
    return {
        "image": _image(profile.image),
        **_pod(profile, site, part),
        "initContainerResources": WAITS.amounts,
        # A server that finds no database ends and is started again; that needs no image of PostgreSQL.
        "checkDbReadyInitContainer": False,
    }


def _daemon(profile: KubernetesProfile, instance: Mapping[str, Any]) -> Manifest:
    queue, monitoring, retries = instance["run_coordinator"], instance["run_monitoring"], instance["run_retries"]
    return {
        "runCoordinator": {
            "enabled": True,
            "type": "CustomRunCoordinator",
            "config": {"customRunCoordinator": dict(queue)},
        },
        "runMonitoring": {
            "enabled": monitoring["enabled"],
            "startTimeoutSeconds": profile.start_seconds,
            "cancelTimeoutSeconds": profile.save_seconds + 2 * LAST_WORDS_SECONDS,
            "pollIntervalSeconds": monitoring["poll_interval_seconds"],
            "freeSlotsAfterRunEndSeconds": monitoring["free_slots_after_run_end_seconds"],
        },
        "runRetries": {
            "enabled": retries["enabled"],
            "maxRetries": retries["max_retries"],
            "retryOnAssetOrOpFailure": retries["retry_on_asset_or_op_failure"],
        },
    }


def _concurrency(site: Site, instance: Mapping[str, Any]) -> Manifest:
    # One machine has one slot of each pool; in a cluster steps have nodes of their own.
    pools = {**instance["concurrency"]["pools"], "default_limit": site.slots}
    return {**instance["concurrency"], "pools": pools}


def _code(profile: KubernetesProfile, site: Site) -> Manifest:
    location = {
        "name": "forge",
        "image": _image(profile.image),
        # A code server loads definitions anew when a person reloads the location.
        "codeServerArgs": ["-m", "forge_dagster.definitions"],
        "port": CODE_PORT,
        # Runs take their settings from the launcher alone.
        "includeConfigInLaunchedRuns": {"enabled": False},
        **_pod(profile, site, CODE),
    }
    return {
        "enabled": True,
        "enableSubchart": True,
        "rbacEnabled": False,
        "serviceAccount": {"create": False, "name": code_account(profile)},
        "imagePullSecrets": pull_secrets([site.pull_secret]),
        "deployments": [location],
    }


def _postgresql(site: Site) -> Manifest:
    database = site.database
    return {
        "enabled": False,
        "postgresqlHost": database.host,
        "postgresqlUsername": database.user,
        "postgresqlPassword": "",
        "postgresqlDatabase": database.name,
        "postgresqlParams": {"sslmode": database.sslmode},
        "postgresqlScheme": DATABASE_SCHEME,
        "service": {"port": database.port},
    }


def _image(image: str) -> Manifest:
    """The chart takes repository, tag and digest apart."""
    name, _, digest = image.partition("@")
    folder, slash, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    found: Manifest = {"repository": f"{folder}{slash}{repository}", "pullPolicy": "IfNotPresent"}
    if tag:
        found["tag"] = tag
    if digest:
        found["digest"] = digest
    return found
