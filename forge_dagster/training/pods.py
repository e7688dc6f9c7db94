"""What the API server of Kubernetes tells of Jobs and pods, read as plain data."""

from collections.abc import Mapping
from typing import Any

SUCCEEDED, FAILED = frozenset({"Complete", "Succeeded"}), frozenset({"Failed", "FailureTarget"})
"""Conditions of Jobs and PyTorchJobs that have ended."""

JOB_INDEX = "batch.kubernetes.io/job-completion-index"
"""Annotation with the number of a pod of an Indexed Job."""
REPLICA_INDEX, REPLICA_TYPE = "training.kubeflow.org/replica-index", "training.kubeflow.org/replica-type"
"""Labels of the pods of a PyTorchJob: a number for each type, and the master or a worker."""
CALLED_BACK = frozenset({"PreemptionByScheduler", "EvictionByEvictionAPI"})
"""Reasons of the condition DisruptionTarget that are no fault of the pod: a more urgent one, a node that is drained."""


def reference(found: Mapping[str, Any]) -> dict[str, Any]:
    """An object as the owner of others: they are deleted with it."""
    metadata = found["metadata"]
    return {key: found[key] for key in ("apiVersion", "kind")} | {key: metadata[key] for key in ("name", "uid")}


def conditions(found: Mapping[str, Any]) -> set[str]:
    """The conditions of an object that hold."""
    told = found.get("status", {}).get("conditions") or []
    return {each["type"] for each in told if each["status"] == "True"}


def has_a_node(pod: Mapping[str, Any]) -> bool:
    """Whether a pod waits no longer for a machine."""
    return bool(pod["spec"].get("nodeName")) or pod.get("status", {}).get("phase") not in (None, "Pending")


def queued(found: Mapping[str, Any]) -> bool:
    """Whether a queue holds a Job or PyTorchJob back."""
    spec = found["spec"]
    return bool(spec.get("suspend") or spec.get("runPolicy", {}).get("suspend"))


def host_of(pod: Mapping[str, Any]) -> int:
    """The number of a pod among the hosts, as its controller gave it."""
    metadata = pod["metadata"]
    index = metadata.get("annotations", {}).get(JOB_INDEX)
    if index is not None:
        return int(index)
    labels = metadata.get("labels", {})
    return int(labels.get(REPLICA_INDEX, 0)) + (labels.get(REPLICA_TYPE) == "worker")


def told_of(pod: Mapping[str, Any]) -> str:
    """All that the cluster says of a pod: phase, reasons, messages, exit codes."""
    status = pod.get("status", {})
    said = [status.get("phase", "no phase"), status.get("reason"), status.get("message")]
    said += [each.get("message") for each in status.get("conditions") or [] if each["status"] == "False"]
    for state in _states(pod):
        for found in (state.get("waiting"), state.get("terminated")):
            if found:
                code = f"exit code {found['exitCode']}" if "exitCode" in found else None
                said += [found.get("reason"), found.get("message"), code]
    return f"{pod['metadata']['name']}: {', '.join(str(each) for each in said if each)}"


def called_back(pods: list[dict[str, Any]]) -> bool:
    """Whether the cluster took a machine away from one of these pods."""
    told = [each for pod in pods for each in pod.get("status", {}).get("conditions") or []]
    return any(each["type"] == "DisruptionTarget" and each.get("reason") in CALLED_BACK for each in told)


def first_to_fail(pods: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The pod whose container ended first, of those that failed."""
    failed = [pod for pod in pods if pod.get("status", {}).get("phase") == "Failed"]
    return min(failed, key=_finished, default=None)


def _finished(pod: Mapping[str, Any]) -> str:
    return str(next((state["terminated"].get("finishedAt") for state in _states(pod) if "terminated" in state), ""))


def _states(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [each.get("state") or {} for each in pod.get("status", {}).get("containerStatuses") or []]
