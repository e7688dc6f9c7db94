"""What the hosts of a training look like on Kubernetes: an Indexed Job with a headless Service, or a PyTorchJob."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from forge_dagster.compute_profile import USER, KubernetesProfile
from forge_dagster.home import home
from forge_dagster.training.launch import asset_of, command

if TYPE_CHECKING:
    from forge_dagster.training.work import Work

TRAINING = "forge-dagster/training"
"""Label of the pods of one training, with its name."""
ASSET = "forge-dagster/asset"
KEPT_SECONDS = 3600
"""How long what has ended is kept where no stage lives to delete it."""
Object = dict[str, Any]


def name_of(work: "Work", profile: KubernetesProfile) -> str:
    """One name for all that would write into one folder: the API server takes it once, and answers 409 then."""
    return f"forge-{hashlib.sha256(f'{profile.claim}:{work.folder}'.encode()).hexdigest()[:16]}"


def job(
    work: "Work", profile: KubernetesProfile, environment: Mapping[str, str], owner: Mapping[str, Any] | None
) -> Object:
    """An Indexed Job: a pod a host, all of which end as soon as one fails, for torchrun takes none of them back."""
    name, hosts = name_of(work, profile), work.execution.hosts
    meeting = f"{name}-0.{name}:{profile.training.port}"
    # The Job's controller tells each container its number; the kubelet fills it in.
    told = command(work, host="$(JOB_COMPLETION_INDEX)", meeting=meeting)
    template = _template(work, profile, told, environment)
    template["spec"]["subdomain"] = name
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(work, profile, owner),
        "spec": {
            "completionMode": "Indexed",
            "completions": hosts,
            "parallelism": hosts,
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": template,
        },
    }


def service(name: str, port: int, owner: Mapping[str, Any]) -> Object:
    """Gives the pods their names, before they are ready: they are once they have met."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {TRAINING: name}, "ownerReferences": [dict(owner)]},
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {TRAINING: name},
            "ports": [{"name": "rendezvous", "port": port}],
        },
    }


def pytorch_job(
    work: "Work", profile: KubernetesProfile, environment: Mapping[str, str], owner: Mapping[str, Any] | None
) -> Object:
    """The same for Kubeflow's training operator, which brings the Service and tells each container its number."""
    name, port = name_of(work, profile), profile.training.port
    told = command(work, host="$(RANK)", meeting=f"{name}-master-0:{port}")

    def replicas(count: int) -> Object:
        template = _template(work, profile, told, environment)
        (container,) = template["spec"]["containers"]
        container |= {"name": "pytorch", "ports": [{"name": "pytorchjob-port", "containerPort": port}]}
        del template["spec"]["restartPolicy"]  # the operator sets it
        return {"replicas": count, "restartPolicy": "Never", "template": template}

    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": _metadata(work, profile, owner),
        "spec": {
            "runPolicy": {"backoffLimit": 0, "cleanPodPolicy": "Running", "ttlSecondsAfterFinished": KEPT_SECONDS},
            "pytorchReplicaSpecs": {"Master": replicas(1), "Worker": replicas(work.execution.hosts - 1)},
        },
    }


def _metadata(work: "Work", profile: KubernetesProfile, owner: Mapping[str, Any] | None) -> Object:
    name, queue = name_of(work, profile), profile.pod(asset_of(work)).queue
    labels = {"app.kubernetes.io/name": "forge-dagster", "app.kubernetes.io/component": "training", TRAINING: name}
    return {
        "name": name,
        "namespace": profile.namespace,
        "labels": labels | ({"kueue.x-k8s.io/queue-name": queue} if queue else {}),
        "annotations": {ASSET: asset_of(work)},
        **({"ownerReferences": [dict(owner)]} if owner else {}),
    }


def pod_security() -> Object:
    """Security context of a pod, as the `restricted` standard asks."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        # A claim with millions of files is not walked at each start.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _template(work: "Work", profile: KubernetesProfile, told: list[str], environment: Mapping[str, str]) -> Object:
    pod = profile.pod(asset_of(work))
    optional = {
        "nodeSelector": dict(pod.node_selector),
        "tolerations": [each.model_dump(exclude_none=True) for each in pod.tolerations],
        "priorityClassName": pod.priority,
    }
    mounts = {"home": str(home().root), "tmp": "/tmp", "shm": "/dev/shm"}
    return {
        "metadata": {
            "labels": {
                "app.kubernetes.io/name": "forge-dagster",
                "app.kubernetes.io/component": "training",
                TRAINING: name_of(work, profile),
            },
            "annotations": {ASSET: asset_of(work)},
        },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": profile.save_seconds,
            "serviceAccountName": profile.service_account,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": pod_security(),
            **{key: value for key, value in optional.items() if value},
            "containers": [
                {
                    "name": "training",
                    "image": profile.image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": told,
                    "env": [{"name": name, "value": value} for name, value in environment.items()],
                    "resources": pod.amounts,
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts.items()],
                }
            ],
            "volumes": [
                {"name": "home", "persistentVolumeClaim": {"claimName": profile.claim}},
                {"name": "tmp", "emptyDir": {}},
                # Processes of one host exchange tensors here; it counts as memory of the container.
                {"name": "shm", "emptyDir": {"medium": "Memory"}},
            ],
        },
    }
