"""Rules that a schema does not know, as pure functions over manifests: each finding names object, value, rule, mend.

They take what Kubernetes is sent: dicts with camelCase keys (`ApiClient().sanitize_for_serialization` of an object).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from resources.cluster.lookup import Object, containers, inner, job_of, pod_of, strings, title
from resources.pods import STARTS

SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|PRIVATE|API_?KEY|ACCESS_?KEY", re.IGNORECASE)
URL_WITH_PASSWORD = re.compile(r"\w+://[^/\s:@]*:[^/\s@]+@")
REFERENCE = re.compile(r"[_-](FILE|PATH|NAME)$", re.IGNORECASE)
COMPONENT, COMPUTING = "app.kubernetes.io/component", frozenset({"step_worker", "training"})
"""Label of Jobs, and what it says of those of steps (by dagster-k8s) and of hosts that train."""
KUBERNETES_GRACE_SECONDS = 30
POLLS = 10


@dataclass(frozen=True)
class Limits:
    """What the rules are measured by."""

    save_seconds: int
    """Of the compute profile."""
    poll_seconds: int
    """How often Dagster looks at Jobs."""


@dataclass(frozen=True)
class Finding:
    """A broken rule."""

    object: str
    value: str
    rule: str
    mend: str

    def __str__(self) -> str:
        return f"{self.object}: {self.value}\nRule: {self.rule}\nMend: {self.mend}"


Broken = Iterator[tuple[str, str, str]]
"""Value, rule, mend."""


def job_restarts_nothing(found: Object, limits: Limits) -> Broken:
    """Dagster tries again; a cluster that also does would run a step twice."""
    job, pod = job_of(found), pod_of(found)
    if job is None or pod is None:
        return
    if pod.get("restartPolicy") != "Never":
        yield (
            f"restartPolicy = {pod.get('restartPolicy')}",
            "a Job never restarts its container: Dagster decides what is tried again",
            "set restartPolicy: Never",
        )
    if job.get("backoffLimit") != 0:
        yield (
            f"backoffLimit = {job.get('backoffLimit', '6 (default)')}",
            "a Job makes no second pod: Dagster decides what is tried again",
            "set backoffLimit: 0",
        )


def job_stays_until_seen(found: Object, limits: Limits) -> Broken:
    """A Job that is gone before Dagster looked seems lost."""
    job = job_of(found)
    if job is None:
        return
    least, ttl = POLLS * limits.poll_seconds, job.get("ttlSecondsAfterFinished")
    if not isinstance(ttl, int) or ttl < least:
        yield (
            f"ttlSecondsAfterFinished = {ttl}",
            f"a finished Job stays for {POLLS} polls of Dagster, {least} s, and not for ever",
            f"set ttlSecondsAfterFinished to {least} or more",
        )


def job_has_time_to_save(found: Object, limits: Limits) -> Broken:
    """Between SIGTERM and SIGKILL a training finishes its step and saves."""
    pod = pod_of(found)
    if job_of(found) is None or pod is None:
        return
    grace = pod.get("terminationGracePeriodSeconds", KUBERNETES_GRACE_SECONDS)
    if not isinstance(grace, int) or grace < limits.save_seconds:
        yield (
            f"terminationGracePeriodSeconds = {grace}",
            f"a pod has save_seconds of the compute profile, {limits.save_seconds}, to save when it is told to stop",
            f"set terminationGracePeriodSeconds to {limits.save_seconds} or more, or save_seconds lower",
        )


def tokens_are_for_who_asks(found: Object, limits: Limits) -> Broken:
    """With the account's token a step could delete the Jobs of other runs."""
    job, pod, labels = job_of(found), pod_of(found), inner(found, "metadata", "labels") or {}
    if job is None or pod is None or labels.get(COMPONENT) not in COMPUTING or STARTS in labels:
        return
    if pod.get("automountServiceAccountToken") is not False:
        yield (
            f"automountServiceAccountToken = {pod.get('automountServiceAccountToken')}",
            f"a pod that computes and starts no hosts (label {STARTS}) holds no token of the API server",
            "set automountServiceAccountToken: false",
        )


def resources_are_stated(found: Object, limits: Limits) -> Broken:
    """A pod without a request is evicted first; one without a limit takes its neighbours' memory."""
    for where, container in containers(pod_of(found) or {}):
        for kind in ("requests", "limits"):
            stated = inner(container, "resources", kind) or {}
            if missing := [name for name in ("cpu", "memory") if name not in stated]:
                yield (
                    f"{where}.resources.{kind} lacks {' and '.join(missing)}",
                    "every container states requests and limits of cpu and memory",
                    "give the step a Pod in the compute profile",
                )


def nobody_is_root(found: Object, limits: Limits) -> Broken:
    """A container's own security context goes before its pod's."""
    pod = pod_of(found) or {}
    for where, container in containers(pod):
        for key, right in (("runAsNonRoot", True), ("runAsUser", None), ("runAsGroup", None)):
            value = inner(container, "securityContext", key)
            value = inner(pod, "securityContext", key) if value is None else value
            if (right is not None and value is not right) or (right is None and value == 0):
                yield (
                    f"{where}.securityContext.{key} = {value}",
                    "no container runs as root",
                    "set runAsNonRoot: true, and the user of the image",
                )


def containers_are_confined(found: Object, limits: Limits) -> Broken:
    """What the `restricted` standard of pod security asks, and a root filesystem that nobody writes."""
    pod = pod_of(found) or {}
    for where, container in containers(pod):
        context = container.get("securityContext") or {}
        if context.get("readOnlyRootFilesystem") is not True:
            yield (
                f"{where}.securityContext.readOnlyRootFilesystem = {context.get('readOnlyRootFilesystem')}",
                "a container writes into its volumes alone",
                "set readOnlyRootFilesystem: true, and mount an emptyDir where it writes",
            )
        if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
            yield (
                f"{where}.securityContext.allowPrivilegeEscalation = {context.get('allowPrivilegeEscalation')}, "
                f"privileged = {context.get('privileged', False)}",
                "no process gets more rights than its container has",
                "set allowPrivilegeEscalation: false and leave privileged out",
            )
        capabilities = context.get("capabilities") or {}
        if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
            yield (
                f"{where}.securityContext.capabilities = {dict(capabilities)}",
                "a container has no capability of root",
                "set capabilities: {drop: [ALL]}",
            )
        profile = inner(context, "seccompProfile", "type") or inner(pod, "securityContext", "seccompProfile", "type")
        if profile not in {"RuntimeDefault", "Localhost"}:
            yield (
                f"{where}: seccompProfile = {profile}",
                "system calls are filtered",
                "set seccompProfile: {type: RuntimeDefault}",
            )


def images_stay(found: Object, limits: Limits) -> Broken:
    """A tag that moves gives two pods of one run different code."""
    for where, container in containers(pod_of(found) or {}):
        image = str(container.get("image", ""))
        name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
        if not name or ("@sha256:" not in image and tag in {"", "latest"}):
            yield (
                f"{where}.image = {image or None}",
                "an image is named by a digest or a tag that stays",
                "name it as registry/name@sha256:...",
            )


def nodes_are_left_alone(found: Object, limits: Limits) -> Broken:
    """Files, network and processes of a node belong to all of its pods."""
    pod = pod_of(found) or {}
    for volume in pod.get("volumes") or ():
        if "hostPath" in volume:
            yield (
                f"volumes[{volume.get('name', '?')}].hostPath = {inner(volume, 'hostPath', 'path')}",
                "no pod reads or writes files of its node",
                "use the claim, or an emptyDir",
            )
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            yield f"{key} = {pod[key]}", "no pod shares network or processes with its node", f"leave {key} out"


def secrets_are_references(found: Object, limits: Limits) -> Broken:
    """Manifests are kept in repositories and shown on screens."""
    rule = "a secret is in no manifest: people make a Secret, manifests name it"
    if found.get("kind") == "Secret":
        yield "a Secret with its data", rule, "make it with kubectl or a secrets operator, and leave it out here"
        return
    for where, container in containers(pod_of(found) or {}):
        for variable in container.get("env") or ():
            name = str(variable.get("name", ""))
            if variable.get("value") and _names_a_secret(name):
                yield f"{where}.env[{name}] has a value", rule, "use valueFrom: {secretKeyRef: ...}"
        words = [str(word) for word in [*(container.get("command") or ()), *(container.get("args") or ())]]
        for word, next_word in zip(words, [*words[1:], "-"], strict=True):
            name, _, value = word.partition("=")
            if name.startswith("-") and _names_a_secret(name) and (value or not next_word.startswith("-")):
                yield f"{where}: {name} with a value", rule, "hand it over as a variable by reference"
    if found.get("kind") == "ConfigMap":
        for name in found.get("data") or {}:
            if _names_a_secret(name):
                yield f"data.{name}", rule, "move it into a Secret"
    for path, text in strings(found):
        if URL_WITH_PASSWORD.search(text):
            yield f"{path} holds an address with a password", rule, "leave the password out of the address"


def _names_a_secret(name: str) -> bool:
    return bool(SECRET_NAME.search(name)) and not REFERENCE.search(name)


Rule = Callable[[Object, Limits], Broken]
RULES: tuple[Rule, ...] = (
    job_restarts_nothing,
    job_stays_until_seen,
    job_has_time_to_save,
    tokens_are_for_who_asks,
    resources_are_stated,
    nobody_is_root,
    containers_are_confined,
    images_stay,
    nodes_are_left_alone,
    secrets_are_references,
)
"""Of one object."""


def judge(manifests: Iterable[Object], limits: Limits) -> list[Finding]:
    """What single objects break, such as the Jobs of runs and steps."""
    return [Finding(title(found), *broken) for found in manifests for rule in RULES for broken in rule(found, limits)]


def judge_all(manifests: Iterable[Object], limits: Limits) -> list[Finding]:
    """What a whole deployment breaks: its objects, and namespaces whose pods may talk to anybody."""
    every = list(manifests)
    closed = {inner(found, "metadata", "namespace") for found in every if _closes(found)}
    crowded = {inner(found, "metadata", "namespace") for found in every if pod_of(found) is not None}
    open_ = [
        Finding(
            f"Namespace {name}",
            "no NetworkPolicy denies what no other allows",
            "pods of a namespace reach nothing that a policy does not name, and nothing reaches them",
            "add a NetworkPolicy with podSelector {}, policyTypes [Ingress, Egress] and no rules",
        )
        for name in sorted(str(each) for each in crowded - closed)
    ]
    return judge(every, limits) + open_


def _closes(found: Object) -> bool:
    if found.get("kind") != "NetworkPolicy":
        return False
    spec = found.get("spec") or {}
    return (
        not spec.get("podSelector")
        and {"Ingress", "Egress"} <= set(spec.get("policyTypes") or ())
        and not spec.get("egress")
        and not spec.get("ingress")
    )
