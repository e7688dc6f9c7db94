"""Finds what the rules look at in any manifest: pods, their containers, the name of an object."""

from collections.abc import Iterator, Mapping
from typing import Any

Object = Mapping[str, Any]

TEMPLATES: dict[str, tuple[str, ...]] = {
    "Pod": (),
    "PodTemplate": ("template",),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"), ("spec", "template")
    ),
}
"""Where the template of the pod lies, by kind."""


def title(found: Object) -> str:
    """Kind, namespace and name, as kubectl writes them."""
    head = _mapping(found.get("metadata"))
    name = head.get("name") or head.get("generateName") or "(no name)"
    return f"{found.get('kind', '(no kind)')} {head.get('namespace', '')}/{name}"


def pod_of(found: Object) -> Object | None:
    """The spec of the pods that an object makes; None if it makes none."""
    path = TEMPLATES.get(str(found.get("kind")))
    if path is None:
        return None
    for key in path:
        found = _mapping(found.get(key))
    return _mapping(found.get("spec"))


def job_of(found: Object) -> Object | None:
    """The spec of a Job, also of those that a CronJob makes."""
    if found.get("kind") == "Job":
        return _mapping(found.get("spec"))
    if found.get("kind") == "CronJob":
        return _mapping(_mapping(_mapping(found.get("spec")).get("jobTemplate")).get("spec"))
    return None


def containers(pod: Object) -> Iterator[tuple[str, Object]]:
    """Every container of a pod with its path, those that start first and those that debug too."""
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for each in pod.get(key) or ():
            yield f"{key}[{each.get('name', '?')}]", each


def inner(found: Object, *keys: str) -> Any:
    """What lies under the keys; None where one is missing."""
    for key in keys[:-1]:
        found = _mapping(found.get(key))
    return found.get(keys[-1])


def strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a manifest with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from strings(each, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for number, each in enumerate(value):
            yield from strings(each, f"{path}[{number}]")


def _mapping(value: Any) -> Object:
    return value if isinstance(value, Mapping) else {}
