"""One score of one checkpoint, and which weights it is a score of."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from forge_dagster.stage import FrozenModel


class Score(FrozenModel):
    """A metric's value over `n` items; `stderr` is null where the metric has none."""

    value: Annotated[float, Field(allow_inf_nan=False)]
    stderr: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    n: int = Field(ge=1)


SCORED = ("config.json", "model.safetensors", "tokenizer.json")
"""Files of a checkpoint that decide its scores."""


def scored_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a checkpoint that decides its scores; a scorecard holds for these bytes alone."""
    found = {}
    for name in SCORED:
        with (folder / name).open("rb") as stream:
            found[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def plain(scores: Mapping[str, Mapping[str, Score]]) -> dict[str, dict[str, dict[str, float | int | None]]]:
    """Scores as plain data, metrics in order of their names."""
    return {name: {metric: score.model_dump() for metric, score in sorted(by.items())} for name, by in scores.items()}
