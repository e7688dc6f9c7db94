"""The one socket: every hop is a function `run(inputs, config, out, context) -> Report`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

START, START_SHARDS = "start/checkpoint", "start/token_shards"
"""Inputs of a training that goes on from a model that serves: its checkpoint, and what that was trained on."""


class FrozenModel(BaseModel):
    """Base of all configuration: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NoConfig(FrozenModel):
    """Configuration of a stage that has nothing to choose."""


class Report(FrozenModel):
    """What a stage tells about its output: row counts and metrics, both part of the record."""

    counts: Mapping[str, int] = {}
    metrics: Mapping[str, float] = {}
    read: Mapping[str, str] = Field(default={}, exclude=True)
    """Digest of each external input that the stage read by itself, as it was then; no part of the record."""


class StageContext(Protocol):
    """What a stage may ask of the world around it."""

    @property
    def work(self) -> Path:
        """Locked folder of this fingerprint that survives a crash; mid-run checkpoints live here."""

    @property
    def cache(self) -> Path:
        """Folder of this artifact key that outlives its versions: rows by key of their content; may be lost."""

    @property
    def beside(self) -> Path:
        """Folder kept beside the content and outside its digest: times, plots, logs."""

    def progress(self, done: int, total: int, text: str = "") -> None:
        """Report `done` of `total` units; cheap enough to call at every step."""

    def cancelled(self) -> bool:
        """True once SIGTERM or SIGINT came: finish the step, save into `work`, raise InterruptedRun."""


class Finding(FrozenModel):
    """One named rule judged on an output in staging."""

    name: str
    passed: bool
    observed: Mapping[str, Any] = {}
    blocking: bool = True


Check = Callable[[Path], list[Finding]]


@dataclass(frozen=True)
class Stage:
    """A hop of the pipeline: its function, the checks that judge its output, and how it computes."""

    run: Callable[[Mapping[str, Path], Any, Path, StageContext], Report]
    check: Check | None = None
    check_names: tuple[str, ...] = ()
    computes_floats: bool = False
    """Whether numerics (dtype, threads, instruction set, library versions) belong to the fingerprint."""
    parallel: bool = False
    """Whether it runs as several processes where the compute profile says so."""


@dataclass
class LocalContext:
    """A StageContext over two plain folders: for tests, notebooks and workers."""

    work: Path
    beside: Path
    cache: Path
    seen: list[tuple[int, int, str]] = field(default_factory=list)

    def progress(self, done: int, total: int, text: str = "") -> None:
        self.seen.append((done, total, text))

    def cancelled(self) -> bool:
        return False


def local_context(folder: Path) -> LocalContext:
    """Return a context whose `work`, `beside` and `cache` folders lie under `folder`."""
    context = LocalContext(work=folder / "work", beside=folder / "beside", cache=folder / "cache")
    for each in (context.work, context.beside, context.cache):
        each.mkdir(parents=True, exist_ok=True)
    return context
