"""The auditors' web server: `forge ui --read-only` on loopback, with a login beside it in the same pod.

It has no account at the cluster, and the home is mounted so that nothing can be written.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from forge_dagster.compute_profile import KubernetesProfile
from forge_dagster.training.manifests import pod_security
from resources.cluster.foundation import entrance_account
from resources.cluster.parts import (
    AUDITOR,
    AUDITOR_PORT,
    DAGSTER_DATABASE_PASSWORD,
    DAGSTER_HOME,
    ENVIRONMENT,
    PASSWORD_KEY,
    Manifest,
    container_security,
    from_secret,
    manifest,
    mounts,
    pull_secrets,
    volumes,
)
from resources.cluster.proxy import deployment, entrance_service, login_container
from resources.cluster.site import Site
from resources.cluster.storage import compute_logs, database_config, local_storage

INSTANCE = "forge-auditor-instance"
ANSWERS = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{AUDITOR_PORT}/server_info', timeout=5).read()"


def auditor(profile: KubernetesProfile, site: Site, instance: Mapping[str, Any]) -> list[Manifest]:
    """ConfigMap, Deployment and Service. It launches nothing, so its instance has no run launcher."""
    config = {
        "telemetry": instance["telemetry"],
        "nux": instance["nux"],
        "storage": {"postgres": {"postgres_db": database_config(site)}},
        "local_artifact_storage": local_storage(),
        "compute_logs": compute_logs(),
    }
    settings = manifest(
        "v1",
        "ConfigMap",
        INSTANCE,
        profile.namespace,
        data={"dagster.yaml": yaml.safe_dump(config, sort_keys=False)},
    )
    return [settings, deployment(profile, AUDITOR, _pod(profile, site)), entrance_service(profile, AUDITOR)]


def _pod(profile: KubernetesProfile, site: Site) -> Manifest:
    login = login_container(
        site,
        host=site.entrance.auditor_host,
        upstream=f"http://127.0.0.1:{AUDITOR_PORT}/",
        groups=site.login.auditor_groups,
    )
    instance = {"name": "instance", "mountPath": f"{DAGSTER_HOME}/dagster.yaml", "subPath": "dagster.yaml"}
    server = {
        "name": "server",
        "image": profile.image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["forge", "ui", "--read-only", "--port", str(AUDITOR_PORT)],
        "envFrom": [{"configMapRef": {"name": ENVIRONMENT}}],
        "env": [
            {"name": "DAGSTER_HOME", "value": DAGSTER_HOME},
            from_secret(DAGSTER_DATABASE_PASSWORD, profile.database_secret, PASSWORD_KEY),
        ],
        "volumeMounts": [*mounts(read_only=True), {**instance, "readOnly": True}],
        # It listens on loopback, so that only the login beside it is answered; a probe from outside is not.
        "readinessProbe": {
            "exec": {"command": ["python", "-c", ANSWERS]},
            "initialDelaySeconds": 10,
            "periodSeconds": 30,
            "timeoutSeconds": 10,
        },
        "resources": site.services.amounts,
        "securityContext": container_security(),
    }
    return {
        "serviceAccountName": entrance_account(profile),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "imagePullSecrets": pull_secrets([site.pull_secret]),
        "containers": [server, login],
        "volumes": [*volumes(profile, read_only=True), {"name": "instance", "configMap": {"name": INSTANCE}}],
    }
