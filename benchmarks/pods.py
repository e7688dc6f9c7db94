"""What a step costs beside its work, as a process of this machine and as a Job: steps that do nothing, in a row.

`python -m benchmarks pods [--steps N]`. The run, its executor, the client, Dagster's storage (SQLite) and every process
are real; the API server and its controller are those of tests/cluster, so a row names their part: from the Job that is
asked for to the process that runs. A cluster has there what it takes to find a node and to start a container.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg

from benchmarks import _emulated
from forge_dagster.compute_profile import KubernetesProfile, profile
from forge_dagster.home import PROJECT
from resources.executor import step_executor
from resources.pods import step_config

STEPS = "FORGE_BENCH_STEPS"
PARTS = ("asked for, till it has a process", "till the step begins", "the step", "till the next is asked for")
RUN = """
import dagster as dg
from benchmarks import pods
result = dg.execute_job(dg.reconstructable(pods.steps_of_nothing), dg.DagsterInstance.get(), raise_on_error=False)
raise SystemExit(not result.success)
"""


def _tags() -> dict[str, Any]:
    found = profile()
    if not isinstance(found, KubernetesProfile):
        return {}
    config = step_config(found.default, cores=found.default.cores, starts_hosts=False)
    config["container_config"]["env"].append({"name": STEPS, "value": os.environ[STEPS]})
    return {"dagster-k8s/config": config}


@dg.op(ins={"after": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing), tags=_tags())
def nothing() -> None:
    """Do nothing."""


@dg.job(executor_def=step_executor())
def steps_of_nothing() -> None:
    """As many steps as the variable says, each after the one before."""
    last = None
    for number in range(int(os.environ.get(STEPS, "1"))):
        step = nothing.alias(f"step_{number:03}")
        last = step() if last is None else step(after=last)


def parts(home: Path, begun: Mapping[str, float]) -> dict[str, float]:
    """Median seconds of each part of a step, but the first and the last; by Dagster's own events.

    `begun`: when the process of a step began, where another than Dagster knows it.
    """
    os.environ["DAGSTER_HOME"] = str(home)
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
        told: dict[str, dict[str, float]] = {}
        for entry in instance.all_logs(run.run_id):
            if entry.step_key and entry.dagster_event:
                told.setdefault(entry.step_key, {}).setdefault(entry.dagster_event.event_type_value, entry.timestamp)
    rows = []
    for (key, step), (_, after) in list(pairwise(sorted(told.items())))[1:]:
        asked = step["STEP_WORKER_STARTING"]
        process = begun.get(key, step["STEP_WORKER_STARTED"])
        rows.append((process - asked, step["STEP_START"] - process, step["STEP_SUCCESS"] - step["STEP_START"],
                     after["STEP_WORKER_STARTING"] - step["STEP_SUCCESS"]))  # fmt: skip
    return dict(zip(PARTS, map(statistics.median, zip(*rows, strict=True)), strict=True))


def _run(environment: dict[str, str]) -> None:
    subprocess.run([sys.executable, "-c", RUN], cwd=PROJECT, env=environment, check=True, capture_output=True)


def main(*options: str) -> None:
    """Print seconds of each part of a step, both ways."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks pods", description=__doc__)
    parser.add_argument("--steps", type=int, default=8)
    steps = {STEPS: str(parser.parse_args(options).steps), "PYTHONPATH": str(PROJECT)}
    _emulated.findable()
    from controller import Limits
    from step_run import small_run

    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        (home / "dagster").mkdir(parents=True)
        (home / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        _run({**os.environ, **steps, "FORGE_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")})
        here = parts(home / "dagster", {})
    with tempfile.TemporaryDirectory() as name, small_run(Path(name), Limits(), {"start_seconds": 120}) as made:
        _run({**made.environment, **steps})
        pods = made.cluster.objects("pods").items()
        begun = {pod["metadata"]["labels"]["dagster/op"]: made.cluster.controller.begun[name] for name, pod in pods}
        there = parts(made.home / "dagster", begun)
    print(f"\n{'seconds of a step that does nothing':<40}{'process':>10}{'Job':>10}")
    for part in PARTS:
        print(f"{part:<40}{here[part]:>10.2f}{there[part]:>10.2f}")
    print(f"{'all':<40}{sum(here.values()):>10.2f}{sum(there.values()):>10.2f}")
