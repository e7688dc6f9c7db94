"""What all objects share: names and labels, where things lie in a pod, and how little a pod may do."""

from collections.abc import Iterable
from typing import Any

from forge_dagster.compute_profile import KubernetesProfile
from resources.pods import PART

Manifest = dict[str, Any]

WEBSERVER, DAEMON, CODE, AUDITOR, PROXY = "webserver", "daemon", "code", "auditor", "proxy"
"""Values of the label PART; pods of runs and steps carry RUN."""

RELEASE = "dagster"
"""Name of the Helm release: the chart derives the names of its objects from it."""
WEBSERVER_SERVICE = f"{RELEASE}-webserver"
WEBSERVER_PORT, CODE_PORT, AUDITOR_PORT, PROXY_PORT = 3000, 3030, 3001, 4180

SHARED_MEMORY: tuple[Manifest, Manifest] = (
    {"name": "shm", "emptyDir": {"medium": "Memory"}},
    {"name": "shm", "mountPath": "/dev/shm"},
)
"""Volume and mount where processes that train together meet; it counts against the memory of the pod."""
HOME = "/forge/home"
DAGSTER_HOME = "/opt/dagster/dagster_home"
COMPUTE_FOLDER = "/etc/forge"
COMPUTE_FILE = "compute.yaml"
ENVIRONMENT, COMPUTE = "forge-environment", "forge-compute"
"""ConfigMaps: the variables of every pod; the compute profile."""
DAGSTER_DATABASE_PASSWORD = "DAGSTER_PG_PASSWORD"
WHO = "X-Forwarded-Email"
"""Header that tells the web server who asks; nothing but the proxy reaches that server."""
PASSWORD_KEY = "postgresql-password"
"""Key of the Secret, as the chart wants it."""


def manifest(api: str, kind: str, name: str, namespace: str | None, **rest: Any) -> Manifest:
    """An object with its head; one without a namespace is the cluster's own."""
    metadata: Manifest = {"name": name} if namespace is None else {"name": name, "namespace": namespace}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}


def selected(*parts: str) -> Manifest:
    """A label selector of pods of these parts; of all without any."""
    return {"matchExpressions": [{"key": PART, "operator": "In", "values": list(parts)}]} if parts else {}


def container_security() -> Manifest:
    """Security context of a container: no root, no more rights, no writing beside its volumes."""
    return {
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def volumes(profile: KubernetesProfile, *, read_only: bool = False) -> list[Manifest]:
    """What every pod of the image mounts: the home, the compute profile, a place for temporary files."""
    claim: Manifest = {"claimName": profile.claim}
    if read_only:
        claim["readOnly"] = True
    return [
        {"name": "home", "persistentVolumeClaim": claim},
        {"name": "compute", "configMap": {"name": COMPUTE}},
        {"name": "tmp", "emptyDir": {}},
    ]


def mounts(*, read_only: bool = False) -> list[Manifest]:
    """Where those volumes lie."""
    home: Manifest = {"name": "home", "mountPath": HOME}
    if read_only:
        home["readOnly"] = True
    return [
        home,
        {"name": "compute", "mountPath": COMPUTE_FOLDER, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},
    ]


def from_secret(variable: str, secret: str, key: str) -> Manifest:
    """A variable whose value is in a Secret that people make."""
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def pull_secrets(names: Iterable[str | None]) -> list[Manifest]:
    """References to the Secrets of registries."""
    return [{"name": name} for name in names if name]
