"""A job of one step, for a cluster to run: what the step does, and what its pod asks for, is told from outside."""

import os
import time
from pathlib import Path

import dagster as dg

from forge_dagster.compute_profile import KubernetesProfile, profile
from resources.executor import step_executor
from resources.pods import step_config

found = profile()
assert isinstance(found, KubernetesProfile)
pod = step_config(found.default, cores=found.default.cores, starts_hosts=False)
if os.environ.get("BROKEN_MANIFEST"):
    pod["pod_spec_config"]["restart_policy"] = "Always"


@dg.op(retry_policy=dg.RetryPolicy(max_retries=1), tags={"dagster-k8s/config": pod})
def small_step() -> None:
    """Say that it began; the first try then waits, if it is to, for the cluster to end it."""
    begun = Path(os.environ["FORGE_HOME"]) / "begun"
    first = not begun.exists()
    with begun.open("a") as file:
        file.write("begun\n")
    if first and (begun.parent / "wait").exists():
        time.sleep(600)


@dg.job(executor_def=step_executor())
def small() -> None:
    small_step()
