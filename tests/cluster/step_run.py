"""A run of the small job on an emulated cluster, as a process, with Dagster's instance in a folder."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cluster import Cluster, running
from controller import Limits

from forge_dagster.compute_profile import KubernetesProfile, load_profile
from forge_dagster.home import PROJECT
from resources.pods import launcher_config

HERE = Path(__file__).parent
IMAGE = "registry.example.org/forge:0.1.0"
RUN = """
import dagster as dg, small
result = dg.execute_job(dg.reconstructable(small.small), dg.DagsterInstance.get(), raise_on_error=False)
raise SystemExit(not result.success)
"""


@dataclass
class SmallRun:
    """A run worker of the small job as a process of its own, and the cluster that its step goes to."""

    cluster: Cluster
    home: Path
    environment: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None

    def start(self, *, wait: bool = False) -> "SmallRun":
        """Start the run; with `wait`, its step's first try waits to be ended."""
        if wait:
            (self.home / "wait").touch()
        log = (self.home / "run.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN],
            cwd=HERE,  # Dagster loads the job from there, in pods too
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        return self

    def until(self, condition: Callable[[], Any], seconds: float = 60) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)
        return found

    def pod(self) -> str:
        """The pod whose step has begun."""
        self.until(lambda: (self.home / "begun").exists())
        return next(iter(self.cluster.objects("pods")))

    def succeeds(self, seconds: float = 90) -> bool:
        """Wait for the end of the run."""
        assert self.process is not None
        return self.process.wait(timeout=seconds) == 0

    def said(self) -> str:
        return (self.home / "run.log").read_text(errors="replace")

    @property
    def tries(self) -> int:
        return (self.home / "begun").read_text().count("begun") if (self.home / "begun").exists() else 0


@contextmanager
def small_run(folder: Path, limits: Limits, told: dict[str, Any]) -> Iterator[SmallRun]:
    home = folder / "home"
    (home / "dagster").mkdir(parents=True)
    with running(folder / "cluster", {"forge-database": {}}, limits=limits) as cluster:
        profile = {"kind": "kubernetes", "image": IMAGE, "kubeconfig": str(cluster.kubeconfig), "start_seconds": 3}
        (folder / "compute.yaml").write_text(yaml.safe_dump(profile | told))
        environment = {
            **os.environ,
            "PYTHONPATH": f"{HERE}:{PROJECT}",
            "FORGE_HOME": str(home),
            "FORGE_COMPUTE": str(folder / "compute.yaml"),
            "DAGSTER_HOME": str(home / "dagster"),
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }
        loaded = load_profile(folder / "compute.yaml")
        assert isinstance(loaded, KubernetesProfile)
        launcher = {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": launcher_config(loaded, environment)}
        (home / "dagster" / "dagster.yaml").write_text(
            yaml.safe_dump({"telemetry": {"enabled": False}, "run_launcher": launcher})
        )
        made = SmallRun(cluster, home, environment)
        yield made
        if made.process is not None and made.process.poll() is None:
            made.process.kill()
            made.process.wait()
