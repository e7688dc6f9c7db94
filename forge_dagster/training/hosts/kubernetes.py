"""Hosts that a cluster of Kubernetes gives: a pod each, through the API server and nothing else."""

import os
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from forge_dagster.compute_profile import KubernetesProfile
from forge_dagster.errors import BusyError, ForgeError, RecipeError, RemoteError, WorkerDied
from forge_dagster.home import home
from forge_dagster.stage import StageContext
from forge_dagster.training import pulse
from forge_dagster.training.blame import first_failure, last_words
from forge_dagster.training.launch import CARRIED_WHOLE, Ended, State, variables
from forge_dagster.training.manifests import TRAINING, job, name_of, pytorch_job, service
from forge_dagster.training.pods import (
    FAILED,
    SUCCEEDED,
    called_back,
    conditions,
    first_to_fail,
    has_a_node,
    host_of,
    queued,
    reference,
    told_of,
)

if TYPE_CHECKING:
    from forge_dagster.training.work import Work

TIMEOUT = (5, 60)
"""Seconds to reach the API server in, and until it has answered: the client itself would wait for ever."""
OUTAGE = 3600.0
"""Seconds that the API server may be away; the hosts train on meanwhile."""
GRACE = 10
"""Seconds for a pod that is deleted: who was to save has saved."""
OWN_POD = "FORGE_POD"
"""Variable with the name of the stage's pod, where its host is called otherwise."""
IMAGE_HAS = frozenset(CARRIED_WHOLE) - {"FORGE_HOME"}
KUBEFLOW = {"group": "kubeflow.org", "version": "v1", "plural": "pytorchjobs"}
LINES = 1000
"""Of the log of a pod that failed."""


class KubernetesHosts:
    """One Indexed Job or PyTorchJob, and its pods."""

    every = 5.0

    def __init__(self, work: "Work", profile: KubernetesProfile) -> None:
        from kubernetes import client

        _refuse_outside(work)
        self.work, self.profile, self.name = work, profile, name_of(work, profile)
        self.kubeflow = profile.gang == "pytorchjob"
        self.kind = "PyTorchJob" if self.kubeflow else "Job"
        self.api = connect(profile)
        self.core, self.batch = client.CoreV1Api(self.api), client.BatchV1Api(self.api)
        self.custom = client.CustomObjectsApi(self.api)
        self.mine, self.answered = False, time.monotonic()
        self.state: State = "waiting"
        self.idle_since: float | None = None

    def clear(self) -> None:
        found = self._read()
        if found is None:
            return
        if pulse.lives(self.work.folder):  # also of one that has ended: its stage is about to take up what it made
            raise self._busy()
        self._delete()

    def start(self, context: StageContext, token: str) -> None:
        if self.kubeflow:
            self._make(self.custom.create_namespaced_custom_object, **KUBEFLOW, body=self._body(pytorch_job, token))
        else:
            self._ask(self.core.delete_namespaced_service, name=self.name)  # of a Job that is gone
            body = self._body(job, token)
            made = self._make(self.batch.create_namespaced_job, body=body)
            names = service(self.name, self.profile.training.port, reference({**body, **made}))
            self._ask(self.core.create_namespaced_service, body=names)
        where = f"{self.kind} {self.name} in namespace {self.profile.namespace}"
        context.progress(0, 0, f"{where}, {self.work.execution.hosts} hosts")

    def look(self) -> State:
        try:
            found, pods = self._read(), self._pods()
        except RemoteError:
            if time.monotonic() - self.answered > OUTAGE:
                raise
            return self.state
        self.answered = time.monotonic()
        if found is None:
            self.state = Ended(False, f"{self.kind} {self.name} is gone: somebody deleted it")
        elif conditions(found) & SUCCEEDED:
            self.state = Ended(True)
        elif conditions(found) & FAILED:
            self.state = self._failed(pods)
        else:
            self.state = "running" if any(map(has_a_node, pods)) else "waiting"
            self._bound(self.state == "waiting" and not queued(found))
        return self.state

    def seen(self) -> str:
        pods, hosts = self._pods(), self.work.execution.hosts
        missing = sorted(set(range(hosts)) - {host_of(pod) for pod in pods})
        said = [told_of(pod) for pod in pods]
        if missing:
            said.append(
                f"no pod for host {', '.join(map(str, missing))} of {hosts}: {self._warning() or 'no word why'}"
            )
        return f"{self.kind} {self.name}: {'; '.join(said)}"

    def end(self) -> None:
        if self.mine:
            self._delete()

    def _bound(self, idle: bool) -> None:
        """Give up hosts that got no machine in time, unless a queue holds them: that may take days."""
        if not idle:
            self.idle_since = None
            return
        self.idle_since = self.idle_since or time.monotonic()
        if time.monotonic() > self.idle_since + self.profile.start_seconds:
            raise WorkerDied(
                f"no host got a machine within {self.profile.start_seconds} s; {self.seen()}",
                rule="hosts that no queue holds begin within start_seconds of the compute profile",
                mend="mend the cluster, or what the compute profile asks for, and run again",
            )

    def _warning(self) -> str:
        """The last warning that the cluster gave about the Job."""
        fields = f"involvedObject.name={self.name},type=Warning"
        told = self._ask(self.core.list_namespaced_event, field_selector=fields)["items"]
        return f"{told[-1].get('reason')}: {told[-1].get('message')}" if told else ""

    def _body(self, build: Callable[..., dict[str, Any]], token: str) -> dict[str, Any]:
        told = {name: value for name, value in os.environ.items() if name not in IMAGE_HAS}
        environment = {**variables(self.work, told), "HOME": "/tmp", pulse.TOKEN: token}
        return build(self.work, self.profile, environment, self._stage_pod())

    def _make(self, call: Callable[..., Any], **arguments: Any) -> Any:
        self.mine = True  # even if the answer is lost
        try:
            return self._ask(call, **arguments)
        except BusyError:
            self.mine = False
            raise

    def _failed(self, pods: list[dict[str, Any]]) -> Ended:
        outputs = [(pod["metadata"]["name"], self._log(pod["metadata"]["name"])) for pod in pods]
        first, printed = first_to_fail(pods), first_failure(output for _, output in outputs)
        how = told_of(first) if first else f"{self.kind} {self.name} failed and left no pod that did"
        who = f"{printed} ({how})" if printed else how
        return Ended(False, who, last_words(outputs), called_back=called_back(pods))

    def _log(self, pod: str) -> str:
        """The end of what a pod printed, or why that is not known."""

        def read(**arguments: Any) -> str:
            # The client itself would make the text of a bytes literal of it.
            answer = self.core.read_namespaced_pod_log(_preload_content=False, **arguments)
            return bytes(answer.data).decode("utf-8", errors="replace")

        try:
            return self._ask(read, name=pod, tail_lines=LINES) or "(no log)"
        except ForgeError as error:
            return f"(no log: {error.problem})"

    def _read(self) -> Any:
        if self.kubeflow:
            return self._ask(self.custom.get_namespaced_custom_object, **KUBEFLOW, name=self.name)
        return self._ask(self.batch.read_namespaced_job, name=self.name)

    def _pods(self) -> list[dict[str, Any]]:
        found = self._ask(self.core.list_namespaced_pod, label_selector=f"{TRAINING}={self.name}")
        return sorted(found["items"], key=lambda pod: str(pod["metadata"]["name"]))

    def _ask(self, call: Callable[..., Any], **arguments: Any) -> Any:
        """The answer of the API server as plain data; None if it knows no such object.

        Raises RemoteError if it does not answer, BusyError if what is to be made is there, RecipeError if it refuses.
        """
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            answer = call(namespace=self.profile.namespace, _request_timeout=TIMEOUT, **arguments)
        except HTTPError as error:
            raise self._unanswered(error) from error
        except ApiException as error:
            if error.status == 404:
                return None
            if error.status == 409:
                raise self._busy() from error
            if error.status == 429 or error.status >= 500:
                raise self._unanswered(error) from error
            raise RecipeError(
                f"the API server refused {self.kind} {self.name}: {error.status} {error.reason} {error.body or ''}",
                rule="namespace, quota and the rights of the service account allow what the compute profile asks for",
                mend="correct the profile, or have the cluster allow it",
            ) from error
        return self.api.sanitize_for_serialization(answer)

    def _delete(self) -> None:
        """Delete everything of this name and return when it is gone."""
        until = time.monotonic() + self.profile.save_seconds
        if self.kubeflow:
            main = partial(self.custom.delete_namespaced_custom_object, **KUBEFLOW, name=self.name)
        else:
            main = partial(self.batch.delete_namespaced_job, name=self.name)
        while True:
            try:
                self._ask(main, propagation_policy="Foreground")
                if not self.kubeflow:
                    self._ask(self.core.delete_namespaced_service, name=self.name)
                for pod in self._pods():
                    name = pod["metadata"]["name"]
                    self._ask(self.core.delete_namespaced_pod, name=name, grace_period_seconds=GRACE)
                if not self._pods() and self._read() is None:
                    return
            except RemoteError:
                if time.monotonic() > until:
                    raise
            if time.monotonic() > until:
                raise RemoteError(
                    f"{self.kind} {self.name} still stands after it was deleted: {self.seen()}",
                    rule="nothing is left of a training when its step ends",
                    mend=f"kubectl -n {self.profile.namespace} describe pods --selector {TRAINING}={self.name}",
                )
            time.sleep(1)

    def _stage_pod(self) -> dict[str, Any] | None:
        """The pod of this stage, whose end ends the hosts too; None outside the cluster."""
        name = os.environ.get(OWN_POD, "" if self.profile.kubeconfig else socket.gethostname())
        found = self._ask(self.core.read_namespaced_pod, name=name) if name else None
        return reference({"apiVersion": "v1", "kind": "Pod", **found}) if found else None

    def _busy(self) -> BusyError:
        return BusyError(
            f"{self.kind} {self.name} in namespace {self.profile.namespace} trains in {self.work.folder}",
            rule="one job writes the checkpoints of a training",
            mend="wait for it, or stop the run that started it",
        )

    def _unanswered(self, error: Exception) -> RemoteError:
        return RemoteError(
            f"the API server does not answer: {error}",
            rule=f"it may be away for {OUTAGE:.0f} s while hosts train",
            mend="run again once it does; hosts that train save and end by themselves",
        )


def connect(profile: KubernetesProfile) -> Any:
    """A client of the API server: by the profile's kubeconfig, else as the pod that this is."""
    from kubernetes import client, config

    if profile.kubeconfig:
        return config.new_client_from_config(str(profile.kubeconfig))
    settings = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=settings)
    except config.ConfigException as error:
        raise RecipeError(
            f"this process is in no pod ({error})",
            rule="a compute profile of kind kubernetes without kubeconfig is for pods of the cluster",
            mend="add kubeconfig to the profile, or run in the cluster",
        ) from error
    return client.ApiClient(settings)


def _refuse_outside(work: "Work") -> None:
    for name, path in {"the work folder": work.folder, **work.inputs}.items():
        if not path.resolve().is_relative_to(home().root):
            raise RecipeError(
                f"{name} lies in {path}",
                rule=f"pods see what the claim holds, which is mounted at FORGE_HOME ({home().root})",
                mend="move it there",
            )
