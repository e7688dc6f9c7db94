"""Who reaches whom, worked out from the policies as a cluster adds them up."""

from collections.abc import Mapping

import pytest

from resources.cluster.parts import AUDITOR, CODE, DAEMON, PROXY, WEBSERVER, Manifest
from resources.pods import PART, RUN


def of_kind(made: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in made if each["kind"] == kind}


def selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes pods with these labels."""
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    for each in selector.get("matchExpressions", []):
        value = labels.get(each["key"])
        wanted = wanted and value is not None and (each["operator"] == "Exists" or value in each["values"])
    return wanted


def allowed(made: list[Manifest], direction: str, labels: Mapping[str, str]) -> list[tuple[Manifest, set[int]]]:
    """Peers and ports that some policy allows to pods with these labels; no ports: all."""
    found = []
    for policy in of_kind(made, "NetworkPolicy").values():
        if selects(policy["spec"]["podSelector"], labels):
            for rule in policy["spec"].get(direction.lower(), []):
                ports = {each["port"] for each in rule.get("ports", [])}
                found += [(peer, ports) for peer in rule["to" if direction == "Egress" else "from"]]
    return found


PODS = {part: {PART: part} for part in (WEBSERVER, DAEMON, CODE, RUN, AUDITOR, PROXY)} | {
    "training": {"forge-dagster/training": "forge-1"},
    "foreign": {"app": "foreign"},
}


def test_pods_reach_those_that_they_need_and_no_other(made: list[Manifest]):
    reached = {}
    for source, labels in PODS.items():
        for target, others in PODS.items():
            out = [ports for peer, ports in allowed(made, "Egress", labels) if selects_pod(peer, others)]
            into = [ports for peer, ports in allowed(made, "Ingress", others) if selects_pod(peer, labels)]
            if out and into:
                reached[source, target] = (out, into)
    code, ui = [{3030}], [{3000}]
    assert reached == {
        (WEBSERVER, CODE): (code, code),
        (DAEMON, CODE): (code, code),
        (RUN, CODE): (code, code),
        (PROXY, WEBSERVER): (ui, ui),
        ("training", "training"): ([set()], [set()]),
    }


def selects_pod(peer: Manifest, labels: Mapping[str, str]) -> bool:
    """Whether a peer of a policy is pods with these labels, of the same namespace."""
    return "podSelector" in peer and "namespaceSelector" not in peer and selects(peer["podSelector"], labels)


@pytest.mark.parametrize("part", PODS)
def test_from_elsewhere_only_logins_are_reached_and_only_from_the_controller(made: list[Manifest], part: str):
    found = [(peer, ports) for peer, ports in allowed(made, "Ingress", PODS[part]) if "podSelector" not in peer]
    controller = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}
    assert found == ([(controller, {4180})] if part in {PROXY, AUDITOR} else [])


@pytest.mark.parametrize(
    ("part", "addresses"),
    [
        (WEBSERVER, {"192.0.2.20/32", "192.0.2.30/32", "10.96.0.1/32"}),
        (DAEMON, {"192.0.2.20/32", "192.0.2.30/32", "10.96.0.1/32"}),
        (RUN, {"192.0.2.20/32", "192.0.2.30/32", "10.96.0.1/32", "192.0.2.40/32"}),
        (CODE, {"192.0.2.20/32", "192.0.2.40/32"}),
        (AUDITOR, {"192.0.2.20/32", "192.0.2.10/32"}),
        (PROXY, {"192.0.2.10/32"}),
        ("training", set()),
        ("foreign", set()),
    ],
)
def test_each_pod_reaches_the_addresses_that_it_needs(made: list[Manifest], part: str, addresses: set[str]):
    found = {peer["ipBlock"]["cidr"] for peer, _ in allowed(made, "Egress", PODS[part]) if "ipBlock" in peer}
    assert found == addresses
