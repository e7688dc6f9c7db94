"""Values fit Dagster's Helm chart: its schema, its templates, and the dagster.yaml that it makes of them.

The chart is not part of this project. FORGE_HELM_CHART names an unpacked one (`helm pull dagster/dagster --untar`); to
render it, `pip install helm-python-sdk`. Without them those tests are skipped.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from forge_dagster.compute_profile import KubernetesProfile
from resources.cluster.chart_values import chart_values
from resources.cluster.lookup import pod_of, strings
from resources.cluster.parts import Manifest
from resources.cluster.rules import Limits, judge
from resources.cluster.site import Site
from resources.pods import PART

MINORS = ("1.32", "1.34", "1.36")


@pytest.fixture(scope="module")
def values(profile: KubernetesProfile, site: Site, instance: Mapping[str, Any]) -> Manifest:
    return chart_values(profile, site, instance)


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy whose schemas ask the network for nothing: Kubernetes' own parts are judged when they are rendered."""
    named = os.environ.get("FORGE_HELM_CHART")
    if not named:
        pytest.skip("FORGE_HELM_CHART names no chart: helm pull dagster/dagster --untar")
    copy = tmp_path_factory.mktemp("chart") / "dagster"
    shutil.copytree(named, copy)
    for path in copy.rglob("values.schema.json"):
        path.write_text(json.dumps(_here(json.loads(path.read_text()))))
    return copy


def _here(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _here(each) for key, each in schema.items() if not (key == "$ref" and _is_remote(each))}
    return [_here(each) for each in schema] if isinstance(schema, list) else schema


def _is_remote(reference: Any) -> bool:
    return isinstance(reference, str) and "://" in reference


def _merged(under: Any, over: Any) -> Any:
    """As Helm does: mappings key by key, all else replaced."""
    if isinstance(under, dict) and isinstance(over, dict):
        return {**under, **{key: _merged(under.get(key), each) for key, each in over.items()}}
    return over


def test_no_secret_is_in_the_values(values: Manifest):
    assert values["postgresql"]["postgresqlPassword"] == ""
    assert values["generatePostgresqlPasswordSecret"] is False
    assert not [path for path, text in strings(values) if text == "postgresql-password"]


def test_what_one_machine_sets_holds_in_the_cluster(values: Manifest, instance: Mapping[str, Any]):
    daemon, added = values["dagsterDaemon"], values["additionalInstanceConfig"]
    assert daemon["runCoordinator"]["config"]["customRunCoordinator"] == instance["run_coordinator"]
    assert daemon["runRetries"]["retryOnAssetOrOpFailure"] is False
    assert values["telemetry"]["enabled"] is False
    assert added["concurrency"]["runs"] == instance["concurrency"]["runs"]
    reached = {"telemetry", "run_coordinator", "run_monitoring", "run_retries", *added}
    assert set(instance) <= reached, "a key of dagster.yaml is lost on the way to the cluster"


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("forge:1", {"repository": "forge", "tag": "1"}),
        ("registry:5000/a/forge:1", {"repository": "registry:5000/a/forge", "tag": "1"}),
        (f"a/forge@sha256:{'0' * 64}", {"repository": "a/forge", "digest": f"sha256:{'0' * 64}"}),
    ],
)
def test_the_chart_takes_an_image_in_parts(
    profile: KubernetesProfile, site: Site, instance: Mapping[str, Any], image: str, told: dict[str, str]
):
    values = chart_values(profile.model_copy(update={"image": image}), site, instance)
    assert values["dagsterWebserver"]["image"] == {**told, "pullPolicy": "IfNotPresent"}


def test_the_schema_of_the_chart_takes_the_values(chart: Path, values: Manifest):
    import jsonschema

    defaults = yaml.safe_load((chart / "values.yaml").read_text())
    jsonschema.validate(_merged(defaults, values), json.loads((chart / "values.schema.json").read_text()))
    assert values.keys() <= defaults.keys(), "Helm passes over a key that it does not know"
    inner = yaml.safe_load((chart / "charts/dagster-user-deployments/values.yaml").read_text())
    assert values["dagster-user-deployments"].keys() <= inner.keys() | defaults["dagster-user-deployments"].keys()
    for part in ("dagsterWebserver", "dagsterDaemon"):
        broken = _merged(defaults, {**values, part: {**values[part], "labelz": {}}})
        with pytest.raises(jsonschema.ValidationError, match="labelz"):
            jsonschema.validate(broken, json.loads((chart / "values.schema.json").read_text()))


@pytest.fixture(scope="module")
def rendered(chart: Path, values: Manifest) -> list[Manifest]:
    helm = pytest.importorskip("helm_python.chart", reason="pip install helm-python-sdk")
    with helm.Chart.load(chart) as loaded:
        texts = loaded.render(values, name="dagster", namespace="forge")
    return [each for name, text in texts.items() if name.endswith(".yaml") for each in yaml.safe_load_all(text) if each]


def test_what_the_chart_makes_is_valid_and_breaks_no_rule(rendered: list[Manifest], limits: Limits):
    assert judge(rendered, limits) == []
    for each in rendered:
        assert each["kind"] in {"ConfigMap", "Deployment", "Service"}, "rights and secrets are not the chart's"
        for minor in MINORS:
            kubernetes_validate.validate(each, minor, strict=True)


def test_every_pod_carries_its_part_and_account(rendered: list[Manifest]):
    parts = {}
    for each in rendered:
        pod = pod_of(each)
        if pod is not None:
            parts[each["spec"]["template"]["metadata"]["labels"][PART]] = pod["serviceAccountName"]
    assert parts == {"webserver": "forge", "daemon": "forge", "code": "forge-code"}


def test_names_are_those_that_the_manifests_expect(rendered: list[Manifest]):
    services = {
        each["metadata"]["name"]: each["spec"]["ports"][0]["port"] for each in rendered if each["kind"] == "Service"
    }
    assert services == {"dagster-webserver": 3000, "forge": 3030}


def test_dagster_takes_the_instance_that_the_chart_makes(
    rendered: list[Manifest], values: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import dagster as dg
    from dagster._config import process_config
    from dagster._core.instance.ref import InstanceRef
    from dagster_k8s.launcher import K8sRunLauncher

    [config] = [each for each in rendered if each["metadata"]["name"] == "dagster-instance"]
    text = config["data"]["dagster.yaml"]
    (tmp_path / "dagster.yaml").write_text(text)
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "unused")
    ref = InstanceRef.from_dir(str(tmp_path))
    assert ref.settings["concurrency"] == values["additionalInstanceConfig"]["concurrency"]
    launcher = yaml.safe_load(text)["run_launcher"]
    assert process_config(dg.Shape(K8sRunLauncher.config_type()), launcher["config"]).success
    assert yaml.safe_load(text)["run_storage"]["config"]["postgres_db"]["scheme"] == "postgresql+psycopg2"
