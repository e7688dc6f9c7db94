"""Steps as Jobs of a cluster, each of which must run within a bounded time or is given up with its reason.

Dagster takes a Job that has not failed for a healthy one. One that never gets a pod (a quota, a service account), or
whose pod never runs (no such node, no such image), has not failed: its step would wait for ever.
"""

import time
from collections.abc import Iterator
from typing import Any

import dagster as dg
import kubernetes
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.step_delegating import (
    CheckStepHealthResult,
    StepDelegatingExecutor,
    StepHandlerContext,
)
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.executor import K8sStepHandler

from forge_dagster.compute_profile import KubernetesProfile

LOOK_EVERY = 5
"""Seconds between two looks at the Jobs of running steps."""


class BoundedSteps(K8sStepHandler):
    """Dagster's own handler, which also looks whether a step's pod came to run."""

    def __init__(self, profile: KubernetesProfile) -> None:
        super().__init__(
            image=profile.image,
            container_context=K8sContainerContext(namespace=profile.namespace),
            load_incluster_config=profile.kubeconfig is None,
            kubeconfig_file=str(profile.kubeconfig) if profile.kubeconfig else None,
        )
        self._profile = profile
        self._waiting_since: dict[str, float] = {}

    @property
    def name(self) -> str:
        return type(self).__name__

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """Unhealthy if the Job failed or is gone, or if its pod does not run in time; such a Job is deleted."""
        found = super().check_step_health(step_handler_context)
        job = self._get_k8s_step_job_name(step_handler_context)
        if not found.is_healthy:
            why = self._ended(job)
            reason = f"{found.unhealthy_reason} {why}".strip()
            return CheckStepHealthResult.unhealthy(reason=reason)
        why = self._kept_from_running(job)
        if not why:
            self._waiting_since.pop(job, None)
            return found
        if time.monotonic() - self._waiting_since.setdefault(job, time.monotonic()) < self._profile.start_seconds:
            return found
        self._api_client.delete_job(job_name=job, namespace=self._profile.namespace)
        return CheckStepHealthResult.unhealthy(
            reason=f"Job {job} did not run within {self._profile.start_seconds} s (start_seconds of the compute "
            f"profile): {why} The Job is deleted; mend the cluster or the profile and run again."
        )

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[dg.DagsterEvent]:
        """Delete the Job of a step. One that is gone already needs no deleting."""
        try:
            yield from super().terminate_step(step_handler_context)
        except kubernetes.client.ApiException as error:
            if error.status != 404:
                raise

    def _pods(self, job: str) -> list[Any]:
        found: list[Any] = self._api_client.get_pods_in_job(job, self._profile.namespace)
        return found

    def _kept_from_running(self, job: str) -> str:
        """Why no pod of a Job runs while its step does; empty if one runs, or failed."""
        pods = self._pods(job)
        if not pods:
            return self._told_of(job) or "no pod was made for it."
        (pod, *_) = pods
        if pod.status.phase == "Succeeded":
            return "its pod ended well, and no step told so: it cannot reach Dagster's storage, or nothing ran in it."
        if pod.status.phase != "Pending":
            return ""
        unmet = [each.message for each in pod.status.conditions or [] if each.status == "False" and each.message]
        waiting = [each.state.waiting for each in pod.status.container_statuses or [] if each.state.waiting]
        said = [*unmet, *(f"{each.reason}: {each.message or ''}" for each in waiting), self._told_of(pod.metadata.name)]
        return " ".join(filter(None, said)) or "its pod is pending."

    def _told_of(self, name: str) -> str:
        """The last warning among the events of an object."""
        events = self._api_client.core_api.list_namespaced_event(
            self._profile.namespace, field_selector=f"involvedObject.name={name},type=Warning"
        )
        return next((f"{each.reason}: {each.message}" for each in reversed(events.items)), "")

    def _ended(self, job: str) -> str:
        """How the containers of a Job's pods ended, as far as the cluster tells."""
        said = []
        for pod in self._pods(job):
            if pod.status.reason:
                said.append(f"{pod.status.reason}: {pod.status.message or ''}")
            ended = [each.state.terminated for each in pod.status.container_statuses or [] if each.state.terminated]
            said += [f"{each.reason}, exit code {each.exit_code}" for each in ended]
        return " ".join(said)


def steps_in_pods(profile: KubernetesProfile) -> dg.Executor:
    """The executor of a run whose steps are Jobs."""
    return StepDelegatingExecutor(
        BoundedSteps(profile),
        retries=RetryMode.ENABLED,
        check_step_health_interval_seconds=LOOK_EVERY,
        should_verify_step=True,  # a pod that comes late finds that another try has begun, and leaves
    )
