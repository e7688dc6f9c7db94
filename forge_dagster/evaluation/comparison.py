"""Two checkpoints beside each other, metric by metric, on the items that both answered."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from forge_dagster.evaluation.score import Metric, Result, Score
from forge_dagster.evaluation.statistics import ALPHA, Paired, holm, paired
from forge_dagster.stage import FrozenModel

Results = Mapping[str, Sequence[Result]]
"""Results of one checkpoint by metric."""
Scores = Mapping[str, Score]
Seen = Literal["better", "worse", "no difference seen", "within the noise", "not comparable"]


class Compared(FrozenModel):
    """One metric of two checkpoints. `adjusted` is the p-value that holds for all metrics of the table together."""

    metric: str
    value: float
    other: float
    paired: Paired | None
    p_value: float | None
    adjusted: float | None
    noise_floor: float | None
    seen: Seen


def compare(
    scores: tuple[Scores, Scores], results: tuple[Results, Results], metrics: Mapping[str, Metric]
) -> list[Compared]:
    """Compare every metric that the first and the second checkpoint have."""
    found = {
        name: paired(results[0].get(name, ()), results[1].get(name, ()), metrics[name])
        for name in sorted({*scores[0]} & {*scores[1]} & {*metrics})
    }
    adjusted = holm({name: each.p_equal for name, each in found.items() if each is not None})
    return [_row(name, each, scores, adjusted) for name, each in found.items()]


def _row(name: str, found: Paired | None, scores: tuple[Scores, Scores], adjusted: Mapping[str, float]) -> Compared:
    floor = scores[0][name].noise
    return Compared(
        metric=name,
        value=scores[0][name].value,
        other=scores[1][name].value,
        paired=found,
        p_value=found.p_equal if found else None,
        adjusted=adjusted.get(name),
        noise_floor=floor,
        seen=_seen(found, adjusted.get(name), floor),
    )


def _seen(found: Paired | None, p_value: float | None, floor: float | None) -> Seen:
    if found is None or p_value is None:
        return "not comparable"
    if p_value > ALPHA:
        return "no difference seen"
    nearest = found.low if found.difference > 0 else found.high
    reach = math.inf if nearest is None else math.hypot(found.difference - nearest, floor or 0.0)
    if abs(found.difference) <= reach:
        return "no difference seen" if floor is None else "within the noise"
    return "better" if found.difference > 0 else "worse"
