"""Whether the last checkpoint passes the gates of its recipe, from the results of items; the release asks it again.

Every gate must pass, so an error of 5 % at each is one of 5 % for the release, whatever their number (an
intersection-union test, Berger 1982); p-values of several metrics shown together are adjusted instead (Holm 1979).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from forge_dagster.errors import RecipeError
from forge_dagster.evaluation.evidence import Evidence
from forge_dagster.evaluation.score import Metric, Score
from forge_dagster.evaluation.statistics import Paired, paired
from forge_dagster.recipe import BOUNDS, INCUMBENT, UNTRAINED, Gate
from forge_dagster.stage import FrozenModel

Outcome = Literal["passed", "failed", "not compared"]


class Case(NamedTuple):
    """What is judged: the scores of all checkpoints in order, the results they follow from, and what `forgetting`
    is measured against."""

    scores: Mapping[str, Mapping[str, Score]]
    evidence: Evidence
    metrics: Mapping[str, Metric]
    beginning: str


class Verdict(FrozenModel):
    """One bound of one gate judged; `limit` is null where the scores give none, `paired` where it compares no items.

    `not compared`: no model serves yet, so there is nothing that could have become worse or better.
    """

    metric: str
    rule: str
    value: float | None
    limit: float | None
    outcome: Outcome
    reason: str
    paired: Paired | None = None


def known(gates: Sequence[Gate], metrics: Mapping[str, Metric]) -> None:
    """Raise RecipeError if a gate names a metric that nothing measures or that cannot be compared item by item."""
    for gate in gates:
        if gate.metric not in metrics:
            raise RecipeError(
                f"gate {gate.metric}: there is no such metric here",
                rule=f"a gate names one of {', '.join(sorted(metrics))}",
                mend="correct `gates` in the recipe, or add the documents, facts or policies it is measured on",
            )
        compares = gate.no_regression is not None or gate.gain is not None or gate.forgetting is not None
        if compares and metrics[gate.metric].aggregate != "mean":
            raise RecipeError(
                f"gate {gate.metric} compares a {metrics[gate.metric].aggregate}",
                rule="means over items are compared item by item",
                mend="use minimum or maximum",
            )


def judge(gates: Sequence[Gate], case: Case) -> list[Verdict]:
    """Judge the last checkpoint, one verdict for each bound of each gate, in order.

    A score that is missing, not a number or infinite fails its gate.
    """
    return [
        _judged(gate, bound, getattr(gate, bound), case)
        for gate in gates
        for bound in BOUNDS
        if getattr(gate, bound) is not None
    ]


def passed(verdicts: Sequence[Verdict]) -> bool:
    """True if a verdict passed and none failed: where nothing was judged, nothing passed."""
    outcomes = [verdict.outcome for verdict in verdicts]
    return "passed" in outcomes and "failed" not in outcomes


def _judged(gate: Gate, bound: str, wanted: float, case: Case) -> Verdict:
    last = list(case.scores)[-1] if case.scores else UNTRAINED
    value = _score(case, last, gate.metric)
    if value is None:
        return Verdict(
            metric=gate.metric, rule=bound, value=None, limit=None, outcome="failed",
            reason=f"{gate.metric} has no score of the last checkpoint that is a number",
        )  # fmt: skip
    if bound in ("minimum", "maximum"):
        return _bounded(gate.metric, bound, value, wanted)
    if bound == "below_untrained_by":
        start = _score(case, UNTRAINED, gate.metric)
        return _bounded(gate.metric, bound, value, None if start is None else start - wanted)
    if bound == "forgetting":
        return _no_worse(gate.metric, bound, value, wanted, case, last, case.beginning)
    if INCUMBENT not in case.scores:
        return Verdict(
            metric=gate.metric, rule=bound, value=value, limit=wanted, outcome="not compared",
            reason=f"{gate.metric} = {value:.6g}: no other model of this recipe serves, nothing to compare it with "
            f"({bound} {wanted:g})",
        )  # fmt: skip
    if bound == "no_regression":
        return _no_worse(gate.metric, bound, value, wanted, case, last, INCUMBENT)
    return _better(gate.metric, value, wanted, case, last)


def _score(case: Case, checkpoint: str, metric: str) -> float | None:
    score = case.scores.get(checkpoint, {}).get(metric)
    return score.value if score is not None and math.isfinite(score.value) else None


def _bounded(metric: str, rule: str, value: float, limit: float | None) -> Verdict:
    if limit is None:
        good, reason = False, f"{metric} has no score of the untrained model to compare with"
    else:
        good = value >= limit if rule == "minimum" else value <= limit
        relation = "at least" if rule == "minimum" else "at most"
        reason = f"{metric} = {value:.6g}, must be {relation} {limit:.6g} ({rule})"
    return Verdict(
        metric=metric, rule=rule, value=value, limit=limit, outcome="passed" if good else "failed", reason=reason
    )


def _compared(metric: str, case: Case, last: str, other: str) -> Paired | None:
    ours, theirs = (case.evidence.get(name, {}).get(metric, ()) for name in (last, other))
    return paired(ours, theirs, case.metrics[metric]) if metric in case.metrics else None


def _no_worse(metric: str, rule: str, value: float, margin: float, case: Case, last: str, other: str) -> Verdict:
    """Passes if the lower bound of the difference lies above what may be lost: too few items do not pass."""
    found = _compared(metric, case, last, other)
    good = found is not None and found.low is not None and found.low >= -margin
    return Verdict(
        metric=metric, rule=rule, value=value, limit=margin, outcome="passed" if good else "failed", paired=found,
        reason=f"{metric} = {value:.6g}, {_said(found, other)}; may be worse by {margin:g} ({rule})",
    )  # fmt: skip


def _better(metric: str, value: float, least: float, case: Case, last: str) -> Verdict:
    """Passes if the difference is at least `least` and beyond what chance of items and seed of training bring together.

    Both spread the difference, so their margins add up as squares: one after the other they let twice as much pass.
    """
    found = _compared(metric, case, last, INCUMBENT)
    floor = case.scores[last][metric].noise
    good = (
        found is not None
        and found.low is not None
        and floor is not None
        and found.difference >= least
        and found.difference > math.hypot(found.difference - found.low, floor)
    )
    beyond = "noise over seeds was never measured" if floor is None else f"another seed brings up to {floor:.4g}"
    return Verdict(
        metric=metric, rule="gain", value=value, limit=least, outcome="passed" if good else "failed", paired=found,
        reason=f"{metric} = {value:.6g}, {_said(found, INCUMBENT)}; must be better by {least:g}, {beyond} (gain)",
    )  # fmt: skip


def _said(found: Paired | None, other: str) -> str:
    if found is None:
        return f"no item in common with {other}"
    low, high = ("unknown" if bound is None else f"{bound:+.4f}" for bound in (found.low, found.high))
    return f"better than {other} by {found.difference:+.4f} ({low} to {high}, {found.pairs} items)"
