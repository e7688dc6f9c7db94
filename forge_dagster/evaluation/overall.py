"""The overall policy score: the mean over the policies that have a line of their own."""

import math
import re
from collections.abc import Mapping

from forge_dagster.evaluation.score import Score

OVERALL = "policy.kept"
LINE = re.compile(r"policy_\w+\.kept")


def overall(scores: Mapping[str, Score]) -> dict[str, Score]:
    """`policy.kept`: every policy weighs alike, `n` counts all groups; none if no policy has a line.

    The standard error takes the policies' errors as independent; it is null if one of them has none.
    """
    lines = [score for metric, score in scores.items() if LINE.fullmatch(metric)]
    if not lines:
        return {}
    errors = [line.stderr for line in lines if line.stderr is not None]
    error = math.hypot(*errors) / len(lines) if len(errors) == len(lines) else None
    value = sum(line.value for line in lines) / len(lines)
    return {OVERALL: Score(value=value, stderr=error, n=sum(line.n for line in lines))}
