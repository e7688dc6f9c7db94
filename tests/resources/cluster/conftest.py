"""The examples of deploy/, and what is made of them."""

from collections.abc import Mapping
from typing import Any

import pytest

from forge_dagster.compute_profile import KubernetesProfile, load_profile
from forge_dagster.home import PROJECT
from forge_dagster.source import read_yaml
from resources.cluster.manifests import manifests
from resources.cluster.parts import Manifest
from resources.cluster.rules import Limits
from resources.cluster.site import Site, load_site


@pytest.fixture(scope="session")
def profile() -> KubernetesProfile:
    found = load_profile(PROJECT / "deploy/compute.kubernetes.yaml")
    assert isinstance(found, KubernetesProfile)
    return found


@pytest.fixture(scope="session")
def site() -> Site:
    return load_site(PROJECT / "deploy/site.yaml")


@pytest.fixture(scope="session")
def instance() -> Mapping[str, Any]:
    return read_yaml(PROJECT / "dagster.yaml")


@pytest.fixture(scope="session")
def made(profile: KubernetesProfile, site: Site, instance: Mapping[str, Any]) -> list[Manifest]:
    return manifests(profile, site, instance)


@pytest.fixture(scope="session")
def limits(profile: KubernetesProfile, instance: Mapping[str, Any]) -> Limits:
    return Limits(save_seconds=profile.save_seconds, poll_seconds=instance["run_monitoring"]["poll_interval_seconds"])
