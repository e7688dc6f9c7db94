"""The evidence of a scorecard: the result of every item of every task on every checkpoint, from which all follows."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from forge_dagster.errors import VerdictError
from forge_dagster.evaluation.score import Metric, Result, Score, aggregate

FILE = "items.parquet"
ROWS = pa.schema(
    [
        *((name, pa.string()) for name in ("checkpoint", "task", "metric", "item", "digest", "cluster")),
        ("value", pa.float64()),
        ("weight", pa.float64()),
    ]
)
"""`digest` is that of the item as it was asked: results of one digest can be paired."""

Evidence = Mapping[str, Mapping[str, Sequence[Result]]]
"""Checkpoint -> `task.metric` -> results of its items."""


def write_evidence(found: Mapping[str, Mapping[str, Sequence[Result]]], path: Path) -> None:
    """Write results by checkpoint and task, in their order."""
    rows = [
        {"checkpoint": checkpoint, "task": task, **result._asdict()}
        for checkpoint, tasks in found.items()
        for task, results in tasks.items()
        for result in results
    ]
    pq.write_table(pa.Table.from_pylist(rows, ROWS), path, compression="zstd")


def read_evidence(path: Path) -> Evidence:
    """Results by checkpoint and metric. Raises VerdictError if the file is none of ours."""
    try:
        table = pq.read_table(path)
        if table.schema != ROWS:
            raise ValueError(f"its columns are {table.schema.names}")
        rows = table.to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise VerdictError(
            f"{path} is no evidence: {error}",
            rule="a score follows from the results of its items",
            mend="make the scorecard again",
        ) from error
    found: dict[str, dict[str, list[Result]]] = {}
    for row in rows:
        metrics = found.setdefault(row.pop("checkpoint"), {})
        metrics.setdefault(f"{row.pop('task')}.{row['metric']}", []).append(Result(**row))
    return found


def by_metric(task: str, results: Iterable[Result]) -> dict[str, list[Result]]:
    """Results of a task by `task.metric`."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(f"{task}.{result.metric}", []).append(result)
    return found


def scores_of(
    results: Mapping[str, Sequence[Result]],
    metrics: Mapping[str, Metric],
    *,
    noise: Mapping[str, float],
    settings: Mapping[str, str],
) -> dict[str, Score]:
    """The score of each metric from the results of its items. Raises VerdictError if one has no number."""
    scores = {}
    for name, metric in metrics.items():
        items = [(result.item) for result in results.get(name, ())]
        try:
            if len(set(items)) < len(items):
                raise ValueError("an item is there twice")
            score = aggregate(results.get(name, ()), metric)
        except ValueError as error:
            raise VerdictError(
                f"{name} has no score: {error}", rule="a score is a number over items, each counted once"
            ) from error
        extra: dict[str, Any] = {"noise": noise.get(name), "settings": settings[name.rpartition(".")[0]]}
        scores[name] = score.model_copy(update=extra)
    return scores
