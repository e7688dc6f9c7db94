"""A tiny pre-training over hosts, as the tests of what starts them use it."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from small_run import SPEC, settings

from forge_dagster.stage import LocalContext, local_context
from forge_dagster.stages import base
from forge_dagster.training.execution import Execution
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.settings import Settings
from forge_dagster.training.work import Work

SETTINGS = settings(steps=60, rewind_steps=30, checkpoint_every_steps=5)
ENOUGH = 12
"""Steps after which a training is disturbed."""


def work_of(folder: Path, **changes: Any) -> Work:
    """A training of two hosts that nobody starts."""
    how = {"processes": 1, "hosts": 2, "zero_stage": 1} | changes
    return Work(
        seed=3, shape=SPEC, settings=SETTINGS, inputs={}, folder=folder, identity={"seed": "3"}, peak=None,
        execution=Execution(
            dtype="float32", threads=1, device="cpu", micro_batch_tokens=64, compiled=False, recompute=False, **how
        ),
    )  # fmt: skip


def train(inputs: dict[str, Path], folder: Path, context: LocalContext | None = None) -> dict[str, str]:
    """Digests of the content that a training made."""
    out = folder / "out"
    out.mkdir(parents=True, exist_ok=True)
    job = TrainingJob[Settings](seed=3, model=SPEC, settings=SETTINGS)
    base.STAGE.run(inputs, job, out, context or local_context(folder))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.iterdir())}


def steps_done(folder: Path) -> int:
    """Steps that the workers told of."""
    path = folder / "work" / "progress.json"
    return json.loads(path.read_text())[0] if path.is_file() else 0


class DisturbedContext(LocalContext):
    """Does something once enough steps are done; is told to stop if that says so."""

    def __init__(self, folder: Path, disturb: Callable[[], bool]) -> None:
        plain = local_context(folder)
        super().__init__(plain.work, plain.beside, plain.cache)
        self.disturb, self.done, self.told = disturb, False, False

    def cancelled(self) -> bool:
        if not self.done and self.seen and self.seen[-1][0] >= ENOUGH:
            self.done, self.told = True, self.disturb()
        return self.told
