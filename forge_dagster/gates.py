"""Whether the scores of the last checkpoint pass the gates of its recipe; pure, shared by scorecard and release."""

import math
from collections.abc import Mapping, Sequence

from forge_dagster.recipe import UNTRAINED, Gate
from forge_dagster.stage import FrozenModel

Scores = Mapping[str, Mapping[str, float | int | str | None]]
"""Metric -> {"value", "stderr", "n"}."""


class Verdict(FrozenModel):
    """One gate judged; `limit` is null where the scores give none."""

    metric: str
    rule: str
    value: float | None
    limit: float | None
    passed: bool
    reason: str


def judge(gates: Sequence[Gate], checkpoints: Mapping[str, Scores]) -> list[Verdict]:
    """Judge the last of `checkpoints`, one verdict for each bound of each gate, in order.

    A score that is missing, not a number or infinite fails its gate.
    """
    last = list(checkpoints)[-1] if checkpoints else UNTRAINED
    verdicts = []
    for gate in gates:
        value = _score(checkpoints, last, gate.metric)
        if gate.minimum is not None:
            verdicts.append(_verdict(gate.metric, "minimum", value, gate.minimum, at_least=True))
        if gate.maximum is not None:
            verdicts.append(_verdict(gate.metric, "maximum", value, gate.maximum, at_least=False))
        if gate.below_untrained_by is not None:
            start = _score(checkpoints, UNTRAINED, gate.metric)
            limit = None if start is None else start - gate.below_untrained_by
            verdicts.append(_verdict(gate.metric, "below_untrained_by", value, limit, at_least=False))
    return verdicts


def passed(verdicts: Sequence[Verdict]) -> bool:
    """True if there is a verdict and every one passed."""
    return bool(verdicts) and all(verdict.passed for verdict in verdicts)


def _score(checkpoints: Mapping[str, Scores], checkpoint: str, metric: str) -> float | None:
    value = checkpoints.get(checkpoint, {}).get(metric, {}).get("value")
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def _verdict(metric: str, rule: str, value: float | None, limit: float | None, *, at_least: bool) -> Verdict:
    if value is None:
        good, reason = False, f"{metric} has no score of the last checkpoint that is a number"
    elif limit is None:
        good, reason = False, f"{metric} has no score of the untrained model to compare with"
    else:
        good = value >= limit if at_least else value <= limit
        relation = "at least" if at_least else "at most"
        reason = f"{metric} = {value:.6g}, must be {relation} {limit:.6g} ({rule})"
    return Verdict(metric=metric, rule=rule, value=value, limit=limit, passed=good, reason=reason)
