"""One score of one checkpoint with its uncertainty, the results of items it is made of, and which weights it is of."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from forge_dagster.stage import FrozenModel

Better = Literal["higher", "lower"]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Metric(FrozenModel):
    """Which way a metric is better, and how the values of its items become one score."""

    better: Better
    aggregate: Literal["mean", "maximum"] = "mean"
    chance: float | None = Field(default=None, description="score of a model that guesses, where there is one")


class Result(NamedTuple):
    """One metric of one item: what was asked is known by `digest`; items of one `cluster` are drawn together.

    `weight` is the item's part in the mean: bits per byte of a document weigh as much as its bytes.
    """

    metric: str
    item: str
    digest: str
    cluster: str
    value: float
    weight: float = 1.0


class Score(FrozenModel):
    """A metric's value over `n` items; `stderr` is null where the metric has none.

    `noise` is the difference that another seed of training exceeds in one of 20 cases, null where nobody measured it;
    `settings` is the digest of what was asked and how.
    """

    value: Finite
    stderr: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    n: int = Field(ge=1)
    noise: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    settings: str | None = None


def aggregate(results: Iterable[Result], metric: Metric) -> Score:
    """The score of one metric's items. Raises ValueError if there is none or one is no number.

    The standard error is that of a ratio estimator over clusters (Cochran 1977, section 6.6; Miller 2024, section
    2.2); with single items of equal weight it is the sample standard deviation over the root of n.
    """
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    values = []
    for result in results:
        if not (math.isfinite(result.value) and 0 < result.weight < math.inf):
            raise ValueError(f"item {result.item} has the value {result.value} and the weight {result.weight}")
        sums[result.cluster][0] += result.value * result.weight
        sums[result.cluster][1] += result.weight
        values.append(result.value)
    if not values:
        raise ValueError("there is no item")
    if metric.aggregate == "maximum":
        return Score(value=max(values), stderr=None, n=len(values))
    total = math.fsum(weight for _, weight in sums.values())
    mean = math.fsum(value for value, _ in sums.values()) / total
    clusters = len(sums)
    spread = math.fsum((value - mean * weight) ** 2 for value, weight in sums.values())
    error = math.sqrt(spread * clusters / (clusters - 1)) / total if clusters > 1 else None
    return Score(value=mean, stderr=error, n=len(values))


SCORED = ("config.json", "model.safetensors", "tokenizer.json")
"""Files of a checkpoint that decide its scores."""


def scored_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a checkpoint that decides its scores; a scorecard holds for these bytes alone."""
    found = {}
    for name in SCORED:
        with (folder / name).open("rb") as stream:
            found[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found
