"""A Kubernetes API server in memory, over real HTTP: admission by schema, quotas and faults on demand.

It is kmock's emulator with what that leaves out: names, uids and times of new objects, selectors, and a refusal of what
a real API server would refuse. Nothing runs in it; `controller.py` does that.
"""

import asyncio
import datetime
import threading
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp.web
import attrs
import kmock
import kubernetes_validate
import yaml
from controller import Controller

VERSION = "1.34"
NAMESPACED = {
    kmock.resource(group="batch", version="v1", plural="jobs"): "Job",
    kmock.resource(group="", version="v1", plural="pods"): "Pod",
    kmock.resource(group="", version="v1", plural="services"): "Service",
    kmock.resource(group="", version="v1", plural="events"): "Event",
}
KINDS = {resource.plural: (kind, resource.group) for resource, kind in NAMESPACED.items()}


@attrs.define(kw_only=True)
class ApiServer(kmock.KubernetesEmulator):
    """kmock's emulator with admission and label selectors."""

    faults: list[int] = attrs.field(factory=list)
    """Status codes that the next requests for jobs are answered with, instead of being served."""
    made: list[str] = attrs.field(factory=list)
    """Names of all jobs that were ever taken in, in order."""
    logs: Path = attrs.field()

    async def _handle(self, request: Any) -> Any:
        if request.resource is not None and request.resource.plural == "jobs" and self.faults:
            return await self._render_error(
                kmock.KubernetesError(status=self.faults.pop(0), reason="Fault", message="as the test asked")
            )
        if request.subresource == "log":
            return self._log(request.name, int(request.params.get("tailLines", 0)))
        if request.action != kmock.action.CREATE:
            return await super()._handle(request)
        self.admit(request.resource.plural, request.namespace, request.data)
        answer = await super()._handle(request)
        if request.resource.plural == "jobs" and answer.status < 300:
            self.made.append(request.data["metadata"]["name"])
        return answer

    def _log(self, pod: str, lines: int) -> aiohttp.web.Response:
        """The end of what a pod printed, which is gone with it."""
        if not any(
            key[0].plural == "pods" and key[2] == pod and not each.deleted for key, each in self.objects.items()
        ):
            raise kmock.KubernetesError(status=404, reason="NotFound", message=f'pods "{pod}" not found')
        path = self.logs / f"{pod}.log"
        printed = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return aiohttp.web.Response(text="".join(printed.splitlines(keepends=True)[-lines:]))

    def admit(self, plural: str, namespace: str, body: dict[str, Any]) -> None:
        """Complete a new object, or refuse it as a real server would."""
        kind, group = KINDS[plural]
        body.setdefault("apiVersion", f"{group}/v1" if group else "v1")
        body.setdefault("kind", kind)
        metadata = body.setdefault("metadata", {})
        if "generateName" in metadata and "name" not in metadata:
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
        self._judge(body)
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata |= {"namespace": namespace, "uid": str(uuid.uuid4()), "creationTimestamp": now}
        metadata.setdefault("labels", {})
        body.setdefault("status", {})

    def _judge(self, body: Mapping[str, Any]) -> None:
        try:
            kubernetes_validate.validate(body, VERSION, strict=True)
        except kubernetes_validate.ValidationError as error:
            raise kmock.KubernetesError(status=422, reason="Invalid", message=error.message) from error
        if body["kind"] == "Job":
            spec = body["spec"]["template"]["spec"]
            if spec.get("restartPolicy") not in ("Never", "OnFailure"):
                raise kmock.KubernetesError(
                    status=422,
                    reason="Invalid",
                    message='spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
                )

    async def _serve_list(self, request: Any) -> Any:
        found = await super()._serve_list(request)
        labels, fields = (_pairs(request.params.get(name, "")) for name in ("labelSelector", "fieldSelector"))
        items = [
            item
            for item in found["items"]
            if labels.items() <= item["metadata"].get("labels", {}).items()
            and all(str(_field(item, path)) == value for path, value in fields.items())
        ]
        kind, group = KINDS[request.resource.plural]
        version = f"{group}/v1" if group else "v1"
        return {**found, "kind": f"{kind}List", "apiVersion": version, "items": items}


def _pairs(selector: str) -> dict[str, str]:
    """An equality-based selector."""
    return dict(part.split("=", 1) for part in selector.split(",") if part)


def _field(item: Any, path: str) -> Any:
    for name in path.split("."):
        item = item.get(name, {})
    return item


class Cluster:
    """A server and its controller in a thread of their own; its methods are called from the test's."""

    def __init__(self, api: ApiServer, controller: Controller, loop: asyncio.AbstractEventLoop, kubeconfig: Path):
        self.api, self.controller, self.kubeconfig = api, controller, kubeconfig
        self._loop = loop

    def objects(self, plural: str) -> dict[str, dict[str, Any]]:
        """What stands now, by name."""
        return self._ask(self._objects(plural))

    async def _objects(self, plural: str) -> dict[str, dict[str, Any]]:
        found = self.api.objects.items()
        return {key[2]: dict(each.raw) for key, each in found if key[0].plural == plural and not each.deleted}

    def fail(self, pod: str, reason: str) -> None:
        """End a pod as OOMKilled, Evicted or Vanished (gone without a word)."""
        self._ask(self.controller.end(pod, reason))

    def _ask(self, coroutine: Any) -> Any:
        answer: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return answer.result(timeout=30)


@contextmanager
def running(folder: Path, secrets: Mapping[str, Mapping[str, str]], **options: Any) -> Iterator[Cluster]:
    """A cluster with these secrets; its kubeconfig and the logs of its pods lie in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="cluster", daemon=True)
    thread.start()
    api, ended = ApiServer(logs=folder / "logs"), asyncio.Event()
    started: Future[Cluster] = Future()

    async def serve() -> None:
        for resource, kind in NAMESPACED.items():
            api.resources[resource] = kmock.ResourceInfo(
                kind=kind, namespaced=True, verbs={"list", "create", "get", "patch", "delete", "watch"}
            )
        async with api, kmock.Server(api) as server:
            kubeconfig = folder / "kubeconfig"
            kubeconfig.write_text(yaml.safe_dump(_kubeconfig(str(server.url).rstrip("/"))), encoding="utf-8")
            controller = Controller(api, NAMESPACED, secrets, folder / "logs", **options)
            working = asyncio.create_task(controller.work())
            started.set_result(Cluster(api, controller, loop, kubeconfig))
            await ended.wait()
            working.cancel()
            await controller.stop()

    served = asyncio.run_coroutine_threadsafe(serve(), loop)
    served.add_done_callback(
        lambda done: done.exception() and not started.done() and started.set_exception(done.exception())
    )
    try:
        yield started.result(timeout=30)
    finally:
        loop.call_soon_threadsafe(ended.set)
        served.result(timeout=60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def _kubeconfig(url: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "emulated", "cluster": {"server": url}}],
        "users": [{"name": "emulated", "user": {}}],
        "contexts": [
            {"name": "emulated", "context": {"cluster": "emulated", "user": "emulated", "namespace": "forge"}}
        ],
        "current-context": "emulated",
    }
