"""Jobs that Dagster makes, of the chart's values and of a launcher outside the cluster, keep the rules."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes.client
import kubernetes_validate
import pytest
from dagster import DagsterRun
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import UserDefinedDagsterK8sConfig, construct_dagster_k8s_job
from dagster_k8s.launcher import K8sRunLauncher

from forge_dagster.compute_profile import KubernetesProfile
from resources.cluster.chart_values import run_launcher
from resources.cluster.parts import Manifest
from resources.cluster.rules import Limits, judge
from resources.cluster.site import Site
from resources.pods import PART, RUN, launcher_config, step_config

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: nobody, user: {}}]
contexts: [{name: none, context: {cluster: none, user: nobody}}]
current-context: none
"""


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    return tmp_path / "kubeconfig"


def of_chart(profile: KubernetesProfile, site: Site, kubeconfig: Path) -> K8sRunLauncher:
    """The launcher that Dagster makes of the values, which the chart hands to it under other names."""
    values = run_launcher(profile, site)
    raw = values["runK8sConfig"]
    return K8sRunLauncher(
        dagster_home="/opt/dagster/dagster_home",
        instance_config_map="dagster-instance",
        postgres_password_secret=profile.database_secret,
        service_account_name=profile.service_account,
        load_incluster_config=False,
        kubeconfig_file=str(kubeconfig),
        image_pull_policy=values["imagePullPolicy"],
        job_namespace=values["jobNamespace"],
        env_config_maps=[each["name"] for each in values["envConfigMaps"]],
        volume_mounts=values["volumeMounts"],
        volumes=values["volumes"],
        labels=values["labels"],
        resources=values["resources"],
        security_context=values["securityContext"],
        run_k8s_config={"pod_spec_config": raw["podSpecConfig"], "job_spec_config": raw["jobSpecConfig"]},
    )


def of_home(profile: KubernetesProfile, site: Site, kubeconfig: Path) -> K8sRunLauncher:
    """The launcher of `forge ui` and `forge run` outside the cluster."""
    outside = profile.model_copy(update={"kubeconfig": kubeconfig})
    return K8sRunLauncher(**launcher_config(outside, {"FORGE_HOME": "/forge/home"}))


def job_of(launcher: K8sRunLauncher, profile: KubernetesProfile, step: Mapping[str, Any] | None) -> Manifest:
    """The Job of a run, or of a step with its tag."""
    context = launcher.get_container_context_for_run(DagsterRun(job_name="recipe"))
    if step is not None:
        context = context.merge(K8sContainerContext(run_k8s_config=UserDefinedDagsterK8sConfig.from_dict(step)))
    job = construct_dagster_k8s_job(
        context.get_k8s_job_config(profile.image, launcher),
        ["dagster", "api", "execute_run" if step is None else "execute_step"],
        "dagster-1",
        context.run_k8s_config,
        component="run_worker" if step is None else "step_worker",
        labels={"dagster/job": "recipe"},
    )
    found: Manifest = kubernetes.client.ApiClient().sanitize_for_serialization(job)
    return found


@pytest.mark.parametrize("make", [of_chart, of_home])
@pytest.mark.parametrize("asset", [None, "tiny-dense/base_checkpoint", "corpus"])
def test_jobs_of_runs_and_steps_are_sound(
    profile: KubernetesProfile, site: Site, limits: Limits, kubeconfig: Path, make: Any, asset: str | None
):
    launcher = make(profile, site, kubeconfig)
    starts_hosts = asset == "tiny-dense/base_checkpoint"
    step = None if asset is None else step_config(profile.pod(asset), cores=2, starts_hosts=starts_hosts)
    job = job_of(launcher, profile, step)
    assert judge([job], limits) == []
    for minor in ("1.32", "1.34", "1.36"):
        kubernetes_validate.validate(job, minor, strict=True)
    template = job["spec"]["template"]
    assert template["metadata"]["labels"][PART] == RUN, "network policies know it by that"
    assert template["spec"]["serviceAccountName"] == "forge"
    assert template["spec"]["automountServiceAccountToken"] is (asset is None or starts_hosts)
    if asset is not None:
        pod = profile.pod(asset)
        assert template["spec"]["priorityClassName"] == pod.priority
        assert template["spec"]["containers"][0]["resources"]["limits"]["memory"] == pod.memory


def test_pods_know_the_shared_store_and_no_credentials(profile: KubernetesProfile):
    store = {"FORGE_STORE": "s3://bucket/forge", "AWS_ENDPOINT_URL": "https://s3.example.org"}
    config = launcher_config(profile, {"FORGE_HOME": "/forge/home", "AWS_SECRET_ACCESS_KEY": "secret", **store})
    assert set(config["env_vars"]) == {"FORGE_HOME=/forge/home", *(f"{name}={value}" for name, value in store.items())}


def test_pods_of_the_chart_take_their_settings_from_one_place(profile: KubernetesProfile, site: Site, kubeconfig: Path):
    job = job_of(of_chart(profile, site, kubeconfig), profile, None)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": "forge-environment"}}]
    (password,) = [each for each in container["env"] if each["name"] == "DAGSTER_PG_PASSWORD"]
    assert password["valueFrom"]["secretKeyRef"]["name"] == "forge-database"
