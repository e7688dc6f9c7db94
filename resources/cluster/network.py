"""Who may talk to whom: nothing by default, then one policy for each conversation that is needed."""

from typing import Any

from forge_dagster.compute_profile import KubernetesProfile
from forge_dagster.training.manifests import TRAINING
from resources.cluster.parts import (
    AUDITOR,
    CODE,
    CODE_PORT,
    DAEMON,
    PROXY,
    PROXY_PORT,
    WEBSERVER,
    WEBSERVER_PORT,
    Manifest,
    manifest,
    selected,
)
from resources.cluster.site import Destination, Site
from resources.pods import RUN

ASK_CODE = (WEBSERVER, DAEMON, RUN)
ASK_CLUSTER = (WEBSERVER, DAEMON, RUN)
ASK_DATABASE = (WEBSERVER, DAEMON, CODE, RUN, AUDITOR)
HOSTS = {"matchExpressions": [{"key": TRAINING, "operator": "Exists"}]}
"""Pods of a training that is spread over hosts."""
NAMESPACE_NAME = "kubernetes.io/metadata.name"


def network_policies(profile: KubernetesProfile, site: Site) -> list[Manifest]:
    """Policies add up: what none of them allows is refused."""
    to_proxy = {"from": [_namespace(site.entrance.controller_namespace)], "ports": _ports(PROXY_PORT)}
    found = {
        "deny-all": _policy((), ingress=[], egress=[]),
        "names": _policy((), egress=[_to_names(site)]),
        "database": _policy(ASK_DATABASE, egress=[_to(site.database)]),
        "api-server": _policy(ASK_CLUSTER, egress=[_to(site.api_server)]),
        "code-location": _policy(
            (CODE,), ingress=[{"from": [{"podSelector": selected(*ASK_CODE)}], "ports": _ports(CODE_PORT)}]
        ),
        "to-code-location": _policy(
            ASK_CODE, egress=[{"to": [{"podSelector": selected(CODE)}], "ports": _ports(CODE_PORT)}]
        ),
        # Hosts of a training exchange gradients on whatever ports are free; they ask nobody else for anything.
        "trainings": {
            "podSelector": HOSTS,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"podSelector": HOSTS}]}],
            "egress": [{"to": [{"podSelector": HOSTS}]}],
        },
        "ui": _policy(
            (WEBSERVER,), ingress=[{"from": [{"podSelector": selected(PROXY)}], "ports": _ports(WEBSERVER_PORT)}]
        ),
        "to-ui": _policy(
            (PROXY,), egress=[{"to": [{"podSelector": selected(WEBSERVER)}], "ports": _ports(WEBSERVER_PORT)}]
        ),
        "entrance": _policy((PROXY, AUDITOR), ingress=[to_proxy], egress=[_to(site.login)]),
    }
    if site.sources:
        found["sources"] = _policy((CODE, RUN), egress=[_to(each) for each in site.sources])
    return [
        manifest("networking.k8s.io/v1", "NetworkPolicy", name, profile.namespace, spec=spec)
        for name, spec in found.items()
    ]


def _policy(
    parts: tuple[str, ...], *, ingress: list[Manifest] | None = None, egress: list[Manifest] | None = None
) -> Manifest:
    """Each direction that is named is closed but for what is listed."""
    spec: dict[str, Any] = {"podSelector": selected(*parts), "policyTypes": []}
    for kind, rules in (("Ingress", ingress), ("Egress", egress)):
        if rules is not None:
            spec["policyTypes"].append(kind)
            if rules:
                spec[kind.lower()] = rules
    return spec


def _ports(*numbers: int, protocols: tuple[str, ...] = ("TCP",)) -> list[Manifest]:
    return [{"protocol": protocol, "port": number} for number in numbers for protocol in protocols]


def _to(destination: Destination) -> Manifest:
    blocks = [{"ipBlock": {"cidr": cidr}} for cidr in destination.cidrs]
    return {"to": blocks, "ports": _ports(destination.port)}


def _to_names(site: Site) -> Manifest:
    peer = {**_namespace(site.dns.namespace), "podSelector": {"matchLabels": dict(site.dns.labels)}}
    return {"to": [peer], "ports": _ports(site.dns.port, protocols=("UDP", "TCP"))}


def _namespace(name: str) -> Manifest:
    return {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: name}}}
