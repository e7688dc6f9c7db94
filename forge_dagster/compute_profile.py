"""Where steps compute and what each may take: the type behind the file that FORGE_COMPUTE names.

A recipe never says where it runs. Without the variable every step is a process of this machine.
"""

import os
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, model_validator

from forge_dagster.source import explain, read_yaml
from forge_dagster.stage import FrozenModel

QUANTITY = r"^\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"
NAME = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
"""A label of RFC 1123, as Kubernetes takes them."""
UNITS = {"": 1, "m": 1e-3, "k": 1e3} | {
    f"{letter}{i}": (1024 if i else 1000) ** power for power, letter in enumerate("KMGT", 1) for i in ("", "i")
}
USER = 1000
"""User and group of every container, who own what lies in the claim."""
FLOATING = re.compile(r"(^|:)latest$")


def _pinned(image: str) -> str:
    name, _, tag = image.rpartition("/")[2].partition(":")
    if "@sha256:" not in image and (not tag or FLOATING.search(tag)):
        raise ValueError(f"an image is named by a digest or a tag that stays, not {name}:latest")
    return image


Quantity = Annotated[str, Field(pattern=QUANTITY)]
Name = Annotated[str, Field(pattern=NAME)]
Image = Annotated[str, AfterValidator(_pinned)]


class Toleration(FrozenModel):
    """A taint of nodes that a pod accepts."""

    key: str
    operator: Literal["Exists", "Equal"] = "Exists"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


class Pod(FrozenModel):
    """What the pod of a step asks for; requests and limits are the same, so that no neighbour can take it away."""

    cpu: Quantity = Field(default="1", description="cores")
    memory: Quantity = "4Gi"
    gpu: int = Field(default=0, ge=0, description="whole GPUs (nvidia.com/gpu)")
    node_selector: Mapping[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()
    queue: Name | None = Field(default=None, description="local queue of Kueue that admits it")
    priority: Name | None = Field(default=None, description="PriorityClass")

    @property
    def amounts(self) -> dict[str, dict[str, str]]:
        """Requests that are limits too, as a container of Kubernetes states them."""
        asked = {"cpu": self.cpu, "memory": self.memory, **({"nvidia.com/gpu": str(self.gpu)} if self.gpu else {})}
        return {"requests": dict(asked), "limits": dict(asked)}

    @property
    def cores(self) -> int:
        """Whole cores, at least one."""
        return max(int(number(self.cpu)), 1)


class Gang(FrozenModel):
    """How a pre-training is spread: all of its processes run, or none."""

    hosts: int = Field(default=1, ge=1)
    processes: int = Field(default=1, ge=1, description="of each host, usually one a GPU")
    zero_stage: Literal[1, 2, 3] = 1
    port: int = Field(default=29500, ge=1024, le=65535, description="of the first host, where the others meet it")
    start_seconds: int = Field(default=600, ge=10, description="until all hosts must have met")
    silence_seconds: int = Field(
        default=1800,
        ge=10,
        description="without a step, after which hosts that train are given up; a checkpoint may take its time",
    )
    stage: Pod | None = Field(
        default=None,
        description="what the step takes that starts several hosts and takes up their work; else `default`",
    )


class Steps(FrozenModel):
    """What steps take, by asset key."""

    default: Pod = Pod()
    steps: Mapping[str, Pod] = Field(default={}, description="pattern of asset keys, as */base_checkpoint; first match")
    training: Gang = Gang()
    save_seconds: int = Field(default=600, ge=30, description="after SIGTERM, to finish a step and save")

    def pod(self, asset: str) -> Pod:
        """What the step of an asset takes, on each host if it runs on several."""
        return next((pod for pattern, pod in self.steps.items() if fnmatchcase(asset, pattern)), self.default)

    def starts_hosts(self, *, parallel: bool) -> bool:
        """Whether a step has hosts of its own that train; `parallel`: whether it may run as several processes."""
        return parallel and self.training.hosts > 1

    def step(self, asset: str, *, parallel: bool) -> Pod:
        """What the pod of the step itself takes: where hosts of their own train, it only follows them."""
        if self.starts_hosts(parallel=parallel):
            return self.training.stage or self.default
        return self.pod(asset)


class KubernetesProfile(Steps):
    """Runs and steps are Jobs of a cluster."""

    kind: Literal["kubernetes"]
    image: Image
    namespace: Name = "forge"
    claim: Name = Field(default="forge-home", description="PersistentVolumeClaim, ReadWriteMany, that holds FORGE_HOME")
    service_account: Name = "forge"
    database_secret: Name = Field(
        default="forge-database",
        description="Secret with FORGE_DATABASE and FORGE_DATABASE_WITH_DRIVER; for the chart, postgresql-password",
    )
    start_seconds: int = Field(default=600, ge=1, description="until a step's pod must run; it may wait for a new node")
    kubeconfig: Path | None = Field(default=None, description="of a run outside the cluster; else that of its pod")
    gang: Literal["job", "pytorchjob"] = Field(
        default="job", description="what starts the hosts of a training: an Indexed Job, or Kubeflow's PyTorchJob"
    )


class SlurmProfile(Steps):
    """Trainings of several hosts are batch jobs of Slurm; all else runs where the run does."""

    kind: Literal["slurm"]
    partition: str | None = Field(default=None, pattern=r"^[\w.-]+$")
    account: str | None = Field(default=None, pattern=r"^[\w.-]+$")
    minutes: int = Field(default=24 * 60, ge=1, description="time limit of a training job; it goes on in another")

    @model_validator(mode="after")
    def _can_be_followed(self) -> "SlurmProfile":
        if self.minutes * 60 < 2 * self.save_seconds:
            raise ValueError(f"{self.minutes} minutes leave no time to train before {self.save_seconds} s of saving")
        for asset, pod in {"default": self.default, **self.steps}.items():
            foreign = sorted(pod.model_fields_set & {"node_selector", "tolerations", "queue", "priority"})
            if foreign:
                raise ValueError(f"{asset} asks for {', '.join(foreign)}, which Slurm knows not; it takes partition")
        return self


def number(quantity: str) -> float:
    """A quantity of Kubernetes as a number: cores, or bytes."""
    digits = quantity.rstrip("mkKMGTi")
    return float(digits) * UNITS[quantity[len(digits) :]]


Profile = KubernetesProfile | SlurmProfile
_PROFILE: TypeAdapter[Profile] = TypeAdapter(Annotated[Profile, Field(discriminator="kind")])


def profile_file(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The file of FORGE_COMPUTE, if it is set."""
    named = environment.get("FORGE_COMPUTE")
    return Path(named).resolve() if named else None


def load_profile(path: Path) -> Profile:
    """Read a profile. Raises RecipeError, naming key and rule, if the file breaks one."""
    try:
        return _PROFILE.validate_python(read_yaml(path))
    except ValidationError as error:
        raise explain(path, error) from error


def profile() -> Profile | None:
    """The profile of this process; None where every step runs on this machine."""
    path = profile_file()
    return None if path is None else load_profile(path)
