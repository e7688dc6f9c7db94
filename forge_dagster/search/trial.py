"""One trial, trained through the base stage piece by piece; each goes on from the checkpoint of the one before."""

import shutil
from collections.abc import Mapping
from math import isfinite
from pathlib import Path

from forge_dagster.errors import InterruptedRun, RecipeError
from forge_dagster.provenance.locks import lock
from forge_dagster.search.space import METRICS, OF_A_SOURCE
from forge_dagster.stage import FrozenModel, LocalContext
from forge_dagster.stages import base
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.settings import Settings

STOP = "stop"
"""A file in the folder of all trials: finish the step, save, and end."""
PEAK, LOG = "matmul-peak.json", "log.jsonl"
WAIT = 60.0  # seconds for the process of an earlier run, which dies with that run, to be gone


class Piece(FrozenModel):
    """The training of one trial up to a step."""

    folder: Path
    """Of the trial; the folder above is of all trials, and holds the measured peak of this machine if one is there."""
    inputs: Mapping[str, Path]
    job: TrainingJob[Settings]
    metric: str
    until: int
    """Steps done at its end; the last piece ends with the training."""

    @property
    def is_last(self) -> bool:
        return self.until == self.job.settings.steps


class Measured(FrozenModel):
    """What a trial is worth after a piece, and what all of its pieces have cost."""

    value: float | None
    """The metric, lower is better; none if the training diverged."""
    tokens: int
    operations: int
    diverged: str = ""
    """Why it was given up."""


class _Until(LocalContext):
    """Is told to stop after a step, or by a file."""

    def __init__(self, plain: LocalContext, last: int, stop: Path) -> None:
        super().__init__(plain.work, plain.beside, plain.cache)
        self._last, self._stop, self._done = last, stop, 0

    def progress(self, done: int, total: int, text: str = "") -> None:
        self._done = done

    @property
    def is_there(self) -> bool:
        return self._done >= self._last

    def cancelled(self) -> bool:
        return self.is_there or self._stop.exists()


def told(piece: str) -> str | None:
    """Train a piece that is given as JSON, and answer so: typed jobs do not travel between processes as they are."""
    measured = train(Piece.model_validate_json(piece))
    return None if measured is None else measured.model_dump_json()


def train(piece: Piece) -> Measured | None:
    """Train a trial up to the end of a piece and measure it; none if it was told to stop before, which is saved.

    Raises what the base stage raises, but for a training that diverges: that is an outcome.
    """
    from forge_dagster.training import checkpoint

    piece.folder.mkdir(parents=True, exist_ok=True)
    folders = {name: piece.folder / name for name in ("work", "beside", "cache")}
    plain = LocalContext(folders["work"], folders["beside"], folders["cache"])
    with lock(piece.folder / "lock", what=f"trial {piece.folder.name}", wait=WAIT, waiting=lambda _: None):
        for folder in folders.values():
            folder.mkdir(exist_ok=True)
        if (piece.folder.parent / PEAK).is_file():
            shutil.copyfile(piece.folder.parent / PEAK, plain.cache / PEAK)
        newest = checkpoint.checkpoints(plain.work / "checkpoints")[:1]
        if not piece.is_last and newest and checkpoint.step_of(newest[0]) >= piece.until:
            return _so_far(piece, plain.work)  # whoever trained it died before it said so
        out = piece.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        context = _Until(plain, piece.until, piece.folder.parent / STOP)
        try:
            report = base.STAGE.run(piece.inputs, piece.job, out, context)
        except InterruptedRun:
            return _so_far(piece, plain.work) if context.is_there else None
        except RecipeError as error:  # the settings were checked before: what is left is a loss that runs away
            if not (plain.work / LOG).is_file():
                raise
            return _so_far(piece, plain.work, diverged=error.problem)
        value = report.metrics[piece.metric]
        return Measured(
            value=value if isfinite(value) else None,
            tokens=report.counts["tokens"],
            operations=int(report.metrics["floating_point_operations"]),
            diverged="" if isfinite(value) else f"{piece.metric} is {value}",
        )


def _so_far(piece: Piece, work: Path, *, diverged: str = "") -> Measured:
    """Read the log of a training at the end of a piece, or where it diverged."""
    from forge_dagster.training.log import read

    rows = read(work / LOG)[: piece.until]
    value = None if diverged else _value(rows, piece.metric)
    return Measured(
        value=value,
        tokens=len(rows) * piece.job.settings.batch_tokens,
        operations=rows[-1]["flops"],
        diverged=diverged or ("" if value is not None else f"no {piece.metric} after step {piece.until}"),
    )


def _value(rows: list[dict[str, float]], metric: str) -> float | None:
    """The metric at the last row, if it was a number; sources alike, where the end of a training weighs their bytes."""
    if metric == METRICS[1]:
        found = [row["loss"] for row in rows[-base.LAST_ROWS :] if "loss" in row]
    elif metric == METRICS[0]:
        found = [value for name, value in rows[-1].items() if name.startswith("validation/")]
    else:
        name = f"validation/{metric.removeprefix(OF_A_SOURCE)}"
        found = [rows[-1][name]] if name in rows[-1] else []
    return sum(found) / len(found) if found else None
