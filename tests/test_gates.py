"""Gates: every bound, and every way in which a score can be absent."""

import math

import pytest

from forge_dagster.gates import judge, passed
from forge_dagster.recipe import Gate


def scores(value: float | None) -> dict[str, dict[str, float | int | None]]:
    return {"loss": {"value": value, "stderr": None, "n": 4}}


@pytest.mark.parametrize(
    ("gate", "value", "expected"),
    [
        (Gate(metric="loss", minimum=2.0), 2.0, True),
        (Gate(metric="loss", minimum=2.0), 1.9, False),
        (Gate(metric="loss", maximum=2.0), 2.0, True),
        (Gate(metric="loss", maximum=2.0), 2.1, False),
        (Gate(metric="loss", below_untrained_by=1.0), 7.0, True),
        (Gate(metric="loss", below_untrained_by=1.0), 7.1, False),
    ],
)
def test_a_bound(gate: Gate, value: float, expected: bool):
    (verdict,) = judge([gate], {"untrained": scores(8.0), "base": scores(0.0), "sft": scores(value)})
    assert verdict.passed is expected
    assert verdict.value == value
    assert "loss" in verdict.reason


def test_each_bound_of_a_gate_is_judged():
    verdicts = judge([Gate(metric="loss", minimum=1.0, maximum=2.0)], {"untrained": scores(8.0), "base": scores(3.0)})
    assert [(verdict.rule, verdict.passed) for verdict in verdicts] == [("minimum", True), ("maximum", False)]
    assert not passed(verdicts)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_what_is_no_number_fails(value: float | None):
    gates = [Gate(metric="loss", minimum=-1e9), Gate(metric="loss", maximum=1e9)]
    assert not any(v.passed for v in judge(gates, {"untrained": scores(8.0), "base": scores(value)}))


def test_a_missing_metric_fails():
    (verdict,) = judge([Gate(metric="other", minimum=0.0)], {"untrained": scores(8.0), "base": scores(1.0)})
    assert not verdict.passed
    assert verdict.value is None


def test_no_untrained_score_fails():
    (verdict,) = judge([Gate(metric="loss", below_untrained_by=1.0)], {"base": scores(1.0)})
    assert not verdict.passed
    assert verdict.limit is None


def test_nothing_judged_is_not_passed():
    assert not passed([])
    assert not passed(judge([Gate(metric="loss", minimum=0.0)], {}))
