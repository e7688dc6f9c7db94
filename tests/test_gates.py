"""Gates: every bound, every way in which a score can be absent, and comparison with the model that serves."""

import math
from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from forge_dagster.errors import RecipeError
from forge_dagster.evaluation.score import Metric, Result, Score, aggregate
from forge_dagster.gates import Case, Verdict, judge, known, passed
from forge_dagster.recipe import BOUNDS, Gate

LOSS, ACC = Metric(better="lower"), Metric(better="higher")


def scores(value: float, noise: float | None = None) -> dict[str, Score]:
    return {"t.loss": Score.model_construct(value=value, stderr=None, n=4, noise=noise, settings=None)}


def case(**values: float) -> Case:
    return Case({name: scores(value) for name, value in values.items()}, {}, {"t.loss": LOSS}, "untrained")


def compared(noise: float | None = None, beginning: str = "untrained", **answers: Sequence[float]) -> Case:
    """Answers of each checkpoint to the same items."""
    evidence = {
        name: {"t.acc": [Result("acc", str(n), "d", str(n), float(value)) for n, value in enumerate(values)]}
        for name, values in answers.items()
    }
    found = {
        name: {"t.acc": aggregate(results["t.acc"], ACC).model_copy(update={"noise": noise})}
        for name, results in evidence.items()
    }
    return Case(found, evidence, {"t.acc": ACC}, beginning)


def right(count: int, items: int = 400) -> list[float]:
    return [float(number < count) for number in range(items)]


def one(case: Case, **bounds: float) -> Verdict:
    (verdict,) = judge([Gate(metric="t.acc", **bounds)], case)
    return verdict


@pytest.mark.parametrize(
    ("gate", "value", "expected"),
    [
        (Gate(metric="t.loss", minimum=2.0), 2.0, "passed"),
        (Gate(metric="t.loss", minimum=2.0), 1.9, "failed"),
        (Gate(metric="t.loss", maximum=2.0), 2.0, "passed"),
        (Gate(metric="t.loss", maximum=2.0), 2.1, "failed"),
        (Gate(metric="t.loss", below_untrained_by=1.0), 7.0, "passed"),
        (Gate(metric="t.loss", below_untrained_by=1.0), 7.1, "failed"),
    ],
)
def test_a_bound(gate: Gate, value: float, expected: str):
    (verdict,) = judge([gate], case(untrained=8.0, base=0.0, sft=value))
    assert (verdict.outcome, verdict.value) == (expected, value)
    assert "t.loss" in verdict.reason


def test_each_bound_of_a_gate_is_judged():
    verdicts = judge([Gate(metric="t.loss", minimum=1.0, maximum=2.0)], case(untrained=8.0, base=3.0))
    assert [(verdict.rule, verdict.outcome) for verdict in verdicts] == [("minimum", "passed"), ("maximum", "failed")]
    assert not passed(verdicts)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("bound", BOUNDS)
def test_what_is_no_number_fails(value: float, bound: str):
    gates = [Gate(metric="t.loss", **{bound: 0.0})]
    assert [verdict.outcome for verdict in judge(gates, case(untrained=8.0, base=value))] == ["failed"]


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_missing_metric_fails(bound: str):
    (verdict,) = judge([Gate(metric="t.other", **{bound: 0.0})], case(untrained=8.0, base=1.0))
    assert (verdict.outcome, verdict.value) == ("failed", None)


def test_no_untrained_score_fails():
    (verdict,) = judge([Gate(metric="t.loss", below_untrained_by=1.0)], case(base=1.0))
    assert (verdict.outcome, verdict.limit) == ("failed", None)


def test_nothing_judged_is_not_passed():
    assert not passed([])
    assert not passed(judge([Gate(metric="t.loss", minimum=0.0)], case()))


def test_without_a_model_that_serves_nothing_is_compared_and_it_is_said():
    verdict = one(compared(untrained=right(100), base=right(300)), no_regression=0.02)
    assert verdict.outcome == "not compared"
    assert "no other model of this recipe serves" in verdict.reason
    assert not passed([verdict])


@pytest.mark.parametrize(
    ("serves", "candidate", "margin", "expected"),
    [
        (300, 300, 0.05, "passed"),
        (300, 320, 0.05, "passed"),
        (300, 296, 0.05, "passed"),
        (300, 280, 0.05, "failed"),  # worse by 5 points: exactly what may not be
        (300, 240, 0.05, "failed"),
        (300, 298, 0.0, "failed"),
    ],
)
def test_no_regression(serves: int, candidate: int, margin: float, expected: str):
    found = one(compared(untrained=right(0), incumbent=right(serves), base=right(candidate)), no_regression=margin)
    assert found.outcome == expected
    assert found.paired is not None
    assert found.paired.difference == pytest.approx((candidate - serves) / 400)


def test_a_few_items_on_which_two_models_agree_prove_nothing():
    few = compared(untrained=right(0, 8), incumbent=right(6, 8), base=right(6, 8))
    assert one(few, no_regression=0.05).outcome == "failed"


def test_other_items_than_those_of_the_incumbent_prove_nothing():
    found = compared(untrained=right(0), incumbent=right(200), base=right(400))
    others = [result._replace(digest="other") for result in found.evidence["incumbent"]["t.acc"]]
    alone = found._replace(evidence={**found.evidence, "incumbent": {"t.acc": others}})
    verdict = one(alone, no_regression=0.5)
    assert (verdict.outcome, verdict.paired) == ("failed", None)
    assert "no item in common" in verdict.reason


@pytest.mark.parametrize(
    ("candidate", "noise", "least", "expected"),
    [
        (330, 0.02, 0.0, "passed"),
        (330, 0.02, 0.1, "failed"),  # less than was asked for
        (330, 0.09, 0.0, "failed"),  # 7.5 points, and another seed alone brings 9
        (330, None, 0.0, "failed"),  # noise that nobody measured
        (300, 0.0, 0.0, "failed"),
        (303, 0.0, 0.0, "failed"),  # 3 of 400 items may be chance
    ],
)
def test_a_gain_counts_beyond_chance_and_beyond_noise(candidate: int, noise: float | None, least: float, expected: str):
    found = compared(noise, untrained=right(0), incumbent=right(300), base=right(candidate))
    assert one(found, gain=least).outcome == expected


def test_a_total_gain_passes_and_a_total_loss_does_not():
    """All of 100 items won or lost: no spread for a bootstrap to draw from."""
    won = compared(0.01, untrained=right(0, 100), incumbent=right(0, 100), base=right(100, 100))
    lost = compared(0.01, untrained=right(0, 100), incumbent=right(100, 100), base=right(0, 100))
    assert [one(won, gain=0.5).outcome, one(won, no_regression=0.0).outcome] == ["passed", "passed"]
    assert [one(lost, gain=0.0).outcome, one(lost, no_regression=0.9).outcome] == ["failed", "failed"]


@pytest.mark.parametrize(("after", "expected"), [(300, "passed"), (297, "passed"), (260, "failed")])
def test_forgetting_is_measured_against_the_beginning(after: int, expected: str):
    found = compared(beginning="base", untrained=right(0), base=right(300), sft=right(after))
    verdict = one(found, forgetting=0.05)
    assert verdict.outcome == expected
    assert "better than base by" in verdict.reason


def test_a_gate_on_a_metric_that_nothing_measures_is_an_error():
    with pytest.raises(RecipeError, match=r"gate t\.speed: there is no such metric here") as refused:
        known([Gate(metric="t.speed", minimum=0.0)], {"t.acc": ACC, "t.loss": LOSS})
    assert "t.acc, t.loss" in refused.value.rule


def test_a_largest_value_is_not_compared_item_by_item():
    with pytest.raises(RecipeError, match="compares a maximum"):
        known([Gate(metric="t.acc", no_regression=0.0)], {"t.acc": Metric(better="lower", aggregate="maximum")})


@pytest.mark.parametrize("bounds", [{}, {"minimum": None}, {"minimum": math.nan}, {"no_regression": -0.1}])
def test_a_gate_asks_something_sound(bounds: dict[str, float]):
    with pytest.raises(ValidationError):
        Gate.model_validate({"metric": "t.acc", **bounds})
