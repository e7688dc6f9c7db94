"""All files of a deployment, by name: manifests in the order in which they are applied, and values of the chart."""

from collections.abc import Mapping
from typing import Any

import yaml

from forge_dagster.compute_profile import KubernetesProfile
from resources.cluster.auditor import auditor
from resources.cluster.chart_values import chart_values
from resources.cluster.foundation import PRIORITIES, foundation, priority
from resources.cluster.network import network_policies
from resources.cluster.parts import PASSWORD_KEY, Manifest
from resources.cluster.proxy import SECRETS, ingress, proxy
from resources.cluster.site import Site

FOLDER, VALUES = "manifests", "values.yaml"


def manifests(profile: KubernetesProfile, site: Site, instance: Mapping[str, Any]) -> list[Manifest]:
    """What the chart lacks; network policies stand before the first pod."""
    return [
        *foundation(profile, site),
        *network_policies(profile, site),
        *auditor(profile, site, instance),
        *proxy(profile, site),
        ingress(profile, site),
    ]


def files(profile: KubernetesProfile, site: Site, instance: Mapping[str, Any]) -> dict[str, str]:
    """Text by path: one object a file, numbered so that `kubectl apply --filename` takes them in order."""
    found = {
        f"{FOLDER}/{number:02}-{each['kind'].lower()}-{each['metadata']['name']}.yaml": _text(each)
        for number, each in enumerate(manifests(profile, site, instance))
    }
    return {**found, VALUES: _text(chart_values(profile, site, instance))}


def needs(profile: KubernetesProfile, site: Site) -> list[str]:
    """What these files name and do not make: people, or the cluster, must have it."""
    pods = (profile.default, *profile.steps.values())
    ours = {priority(profile.namespace, name) for name in PRIORITIES}
    priorities = {pod.priority for pod in pods if pod.priority} - ours
    return [
        f"Secret {profile.database_secret} with {PASSWORD_KEY}",
        f"Secret {site.login.secret} with {', '.join(SECRETS.values())}",
        f"Secret {site.entrance.tls_secret} with tls.crt, tls.key",
        *([f"Secret {site.pull_secret} of type kubernetes.io/dockerconfigjson"] if site.pull_secret else []),
        f"StorageClass {site.storage_class or '(default)'} with ReadWriteMany",
        *(f"PriorityClass {name}" for name in sorted(priorities)),
        *(f"LocalQueue {name} of Kueue" for name in sorted({pod.queue for pod in pods if pod.queue})),
    ]


class _Plain(yaml.SafeDumper):
    """Writes what is used twice twice: an alias would hide what an object holds."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _readable(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """A file within a file keeps its lines."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _readable)


def _text(value: Manifest) -> str:
    return yaml.dump(value, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)
