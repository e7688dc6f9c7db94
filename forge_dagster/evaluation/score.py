"""One score of one checkpoint."""

from collections.abc import Mapping

from forge_dagster.stage import FrozenModel


class Score(FrozenModel):
    """A metric's value over `n` items; `stderr` is null where the metric has none."""

    value: float
    stderr: float | None
    n: int


def plain(scores: Mapping[str, Mapping[str, Score]]) -> dict[str, dict[str, dict[str, float | int | None]]]:
    """Scores as plain data, metrics in order of their names."""
    return {name: {metric: score.model_dump() for metric, score in sorted(by.items())} for name, by in scores.items()}
