"""What a cluster's controllers do with Jobs, with each container's command as a process of this machine.

A Job gets its pods, an Indexed one as many as it has completions; a pod waits, runs and ends, and its Job's status
follows. Emulated: a container sees this machine's files, its interpreter stands for the image, a claim lies at its
mount path, and the name that a headless Service gives the first pod is the loopback address; limits of memory are not
kept, so a test ends a pod as OOMKilled where it needs that.
"""

import asyncio
import contextlib
import datetime
import os
import signal
import sys
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from container import command_of, confined

INDEX = "batch.kubernetes.io/job-completion-index"
LOOK_EVERY = 0.1
CLEAN = ("PATH", "HOME", "LANG", "PYTHONPATH", "PYTHONNOUSERSITE", "COVERAGE_PROCESS_START")
"""What a container inherits of this process: the interpreter stands for its image."""
NODE = "node-1"
CODES = {"OOMKilled": 137, "Evicted": 137, "Vanished": 137, "Error": 1}


@dataclass
class Limits:
    """What the cluster has, and what it refuses."""

    most_pods: int = 100
    gpus: int = 0
    service_accounts: frozenset[str] = frozenset({"default", "forge"})
    images: frozenset[str] | None = None
    """Images that can be pulled; None for any."""
    grace: float = 30
    """Most seconds between SIGTERM and SIGKILL, whatever a pod asks for: tests do not wait for ten minutes."""
    idle: bool = False
    """A broken cluster: pods are said to have succeeded, and nothing ran."""
    tokens: bool = False
    """A pod without the account's token cannot ask the API server: it finds the kubeconfig empty."""
    read_only: bool = False
    """The storage of claims takes no writes: containers see them through a bind mount that is really read-only."""


@dataclass
class Running:
    """The process of a pod."""

    job: str
    process: asyncio.subprocess.Process
    waiter: "asyncio.Task[None]"
    reason: str | None = None
    """What the cluster ended it for."""


@dataclass
class Controller:
    """Brings pods to jobs and statuses to both, until it is stopped."""

    api: Any
    kinds: Mapping[Any, str]
    secrets: Mapping[str, Mapping[str, str]]
    logs: Path
    limits: Limits = field(default_factory=Limits)
    pods: dict[str, Running] = field(default_factory=dict)
    begun: dict[str, float] = field(default_factory=dict)
    """When the process of a pod began, in seconds of the epoch."""
    lost: Counter[str] = field(default_factory=Counter)
    """Pods of a job that were taken away; they count as failed, as a real Job controller's finalizers see to."""

    def __post_init__(self) -> None:
        self._resources = {resource.plural: resource for resource in self.kinds}
        self.logs.mkdir(parents=True, exist_ok=True)

    async def work(self) -> None:
        """Reconcile for ever."""
        while True:
            await self._reconcile()
            await asyncio.sleep(LOOK_EVERY)

    async def stop(self) -> None:
        """End every process."""
        for running in list(self.pods.values()):
            await self._kill(running, grace=1)

    async def end(self, pod: str, reason: str) -> None:
        """End a pod for a reason the container does not know of."""
        running = self.pods[pod]
        running.reason = reason
        if reason == "Vanished":
            self.lost[running.job] += 1
            self.api.objects[self._key("pods", pod)].delete()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.process.pid, signal.SIGKILL)

    def _key(self, plural: str, name: str) -> tuple[Any, str, str]:
        resource = self._resources[plural]
        return next(key for key in self.api.objects if key[0] == resource and key[2] == name)

    def _standing(self, plural: str) -> dict[str, Any]:
        return {
            key[2]: each
            for key, each in self.api.objects.items()
            if key[0] == self._resources[plural] and not each.deleted
        }

    async def _reconcile(self) -> None:
        jobs, pods = self._standing("jobs"), self._standing("pods")
        for name, job in jobs.items():
            if not job.raw["status"].get("startTime"):
                job.patch({"status": {"startTime": _now()}})
            if not job.raw["status"].get("conditions"):
                await self._advance(name, job, pods)
        for pod, running in list(self.pods.items()):
            if (running.job not in jobs or pod not in pods) and running.reason is None:
                running.reason = "Deleted"
                asyncio.get_running_loop().create_task(self._kill(running, self._grace(pods.get(pod))))
        for name, pod in pods.items():
            if _owner(pod.raw) not in jobs and name not in self.pods:
                pod.delete()

    def _grace(self, pod: Any) -> float:
        asked = 30 if pod is None else pod.raw["spec"].get("terminationGracePeriodSeconds", 30)
        return min(asked, self.limits.grace)

    async def _advance(self, name: str, job: Any, pods: Mapping[str, Any]) -> None:
        """Start the pods of a job that are missing, and count those that are there."""
        spec = job.raw["spec"]
        wanted = spec.get("completions", 1)
        mine = {pod: each for pod, each in pods.items() if _owner(each.raw) == name}
        if len(mine) < wanted and not self.lost[name] and not any(_phase(each) == "Failed" for each in mine.values()):
            taken = {each.raw["metadata"]["annotations"][INDEX] for each in mine.values()}
            for index in range(wanted):
                if str(index) not in taken:
                    self._create(name, job.raw, index)
            return
        phases = [_phase(each) for each in mine.values()]
        failed = phases.count("Failed") + self.lost[name]
        status: dict[str, Any] = {
            "active": sum(phase in ("Pending", "Running") for phase in phases),
            "succeeded": phases.count("Succeeded"),
            "failed": failed,
        }
        if failed > spec.get("backoffLimit", 6) or (failed and spec.get("completionMode") == "Indexed"):
            status["conditions"] = [_condition("Failed", "BackoffLimitExceeded")]
        elif status["succeeded"] == wanted:
            status |= {"conditions": [_condition("Complete", "")], "completionTime": _now()}
        job.patch({"status": status})

    def _create(self, name: str, job: Mapping[str, Any], index: int) -> None:
        """One pod of a job, or an event that says why there is none."""
        template = job["spec"]["template"]
        account = template["spec"].get("serviceAccountName", "default")
        if account not in self.limits.service_accounts:
            self._tell(job, f'pods "{name}-" is forbidden: error looking up service account: "{account}" not found')
            return
        if len(self._standing("pods")) >= self.limits.most_pods:
            self._tell(job, f'pods "{name}-" is forbidden: exceeded quota: pods={self.limits.most_pods}')
            return
        indexed = job["spec"].get("completionMode") == "Indexed"
        pod = f"{name}-{index}-{uuid.uuid4().hex[:5]}" if indexed else f"{name}-{uuid.uuid4().hex[:5]}"
        body = {
            "metadata": {
                "name": pod,
                "labels": {**template["metadata"].get("labels", {}), "job-name": name},
                "annotations": {INDEX: str(index)},
                "ownerReferences": [{**_reference(job), "controller": True}],
            },
            "spec": dict(template["spec"]),
        }
        namespace = job["metadata"]["namespace"]
        self.api.admit("pods", namespace, body)
        body["status"] = self._status(body)
        if not any(each["type"] == "PodScheduled" for each in body["status"].get("conditions", [])):
            body["spec"]["nodeName"] = NODE
        self.api.objects[(self._resources["pods"], namespace, pod)] = body
        if body["status"]["phase"] == "Running":
            task = asyncio.get_running_loop().create_task(self._start(name, pod, body, index))
            task.add_done_callback(lambda done: done.exception() and print(done.exception(), file=sys.stderr))

    def _tell(self, job: Mapping[str, Any], message: str) -> None:
        name = f"{job['metadata']['name']}.{uuid.uuid4().hex[:8]}"
        event = {
            "metadata": {"name": name},
            "involvedObject": _reference(job),
            "reason": "FailedCreate",
            "message": message,
            "type": "Warning",
        }
        told = self._standing("events").values()
        if not any(each.raw["message"] == message for each in told):
            self.api.admit("events", job["metadata"]["namespace"], event)
            self.api.objects[(self._resources["events"], job["metadata"]["namespace"], name)] = event

    def _status(self, pod: Mapping[str, Any]) -> dict[str, Any]:
        (container,) = pod["spec"]["containers"]
        asked = int(container.get("resources", {}).get("limits", {}).get("nvidia.com/gpu", 0))
        if asked > self.limits.gpus:
            message = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
            condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
            return {"phase": "Pending", "conditions": [condition]}
        if self.limits.images is not None and container["image"] not in self.limits.images:
            waiting = {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{container["image"]}"'}
            return {"phase": "Pending", "containerStatuses": [_container(container, {"waiting": waiting})]}
        if self.limits.idle:
            ended = {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": _now()}}
            return {"phase": "Succeeded", "containerStatuses": [_container(container, ended)]}
        running = {"running": {"startedAt": _now()}}
        return {"phase": "Running", "startTime": _now(), "containerStatuses": [_container(container, running)]}

    async def _start(self, job: str, name: str, pod: Mapping[str, Any], index: int) -> None:
        (container,) = pod["spec"]["containers"]
        environment = {name: os.environ[name] for name in CLEAN if name in os.environ}
        environment |= {"HOSTNAME": name, "JOB_COMPLETION_INDEX": str(index)}
        for source in container.get("envFrom") or []:
            environment |= self.secrets[source["secretRef"]["name"]]
        environment |= {each["name"]: each.get("value", "") for each in container.get("env") or []}
        command = command_of(pod, environment, f"{job}-0.{pod['spec'].get('subdomain', '')}")
        closed = self.limits.tokens and pod["spec"].get("automountServiceAccountToken") is False
        hidden = self.logs.with_name("kubeconfig") if closed else None
        command = confined(command, pod, read_only=self.limits.read_only, hidden=hidden)
        with (self.logs / f"{name}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command, env=environment, stdout=log, stderr=asyncio.subprocess.STDOUT, start_new_session=True
            )
        self.begun[name] = time.time()
        running = Running(job, process, asyncio.get_running_loop().create_task(asyncio.sleep(0)))
        self.pods[name] = running
        running.waiter = asyncio.get_running_loop().create_task(self._await(name, running, container))

    async def _await(self, name: str, running: Running, container: Mapping[str, Any]) -> None:
        code = await running.process.wait()
        del self.pods[name]
        pod = self._standing("pods").get(name)
        if pod is None:
            return
        code = CODES.get(running.reason or "", code if code >= 0 else 128 - code)
        reason = running.reason or ("Completed" if code == 0 else "Error")
        status = {"phase": "Succeeded" if code == 0 else "Failed"}
        if running.reason == "Evicted":
            status |= {"reason": "Evicted", "message": "The node was low on resource: memory."}
        ended = {"terminated": {"exitCode": code, "reason": reason, "finishedAt": _now()}}
        pod.patch({"status": {**status, "containerStatuses": [_container(container, ended)]}})

    async def _kill(self, running: Running, grace: float) -> None:
        with contextlib.suppress(ProcessLookupError):
            running.process.send_signal(signal.SIGTERM)  # to the first process of the container, as a runtime does
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(running.process.wait(), grace)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.process.pid, signal.SIGKILL)
        await running.process.wait()


def _reference(job: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}


def _owner(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"].get("labels", {}).get("job-name", ""))


def _phase(pod: Any) -> str:
    return str(pod.raw["status"].get("phase", "Pending"))


def _condition(kind: str, reason: str) -> dict[str, str]:
    return {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": _now()}


def _container(container: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": container["name"], "image": container["image"], "imageID": container["image"], "restartCount": 0,
        "ready": "running" in state, "state": dict(state),
    }  # fmt: skip


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
