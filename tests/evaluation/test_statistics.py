"""Paired comparison: known answers, the same numbers in any order, and no certainty from a few items."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.evaluation.score import Metric, Result, aggregate
from forge_dagster.evaluation.statistics import holm, interval, items_needed, noise_floor, paired, smallest_gain

ACC, BITS = Metric(better="higher"), Metric(better="lower")


def results(values: list[float], per_cluster: int = 1, weight: float = 1.0) -> list[Result]:
    return [Result("m", str(n), "d", str(n // per_cluster), value, weight) for n, value in enumerate(values)]


def test_the_power_calculation_is_that_of_connor():
    # One-sided 5 %, power 80 %: (1.6449 * 0.5 + 0.8416 * sqrt(0.25 - 0.0025))^2 / 0.0025 = 616.3
    assert items_needed(0.05, 0.25) == 617
    assert smallest_gain(617, 0.25) == pytest.approx(0.05, abs=1e-4)
    assert smallest_gain(10, 0.25) == 1.0


def test_the_noise_floor_is_that_of_a_difference():
    assert noise_floor(0.01) == pytest.approx(1.6449 * 2**0.5 * 0.01, rel=1e-4)


def test_holm_is_that_of_the_textbook():
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})


def test_the_standard_error_of_shares_is_that_of_lm_eval():
    score = aggregate(results([1.0] * 30 + [0.0] * 70), ACC)
    assert (score.value, score.stderr) == pytest.approx((0.3, (0.3 * 0.7 / 99) ** 0.5))


def test_items_of_one_document_are_worth_less():
    values = [float(n // 5 % 2) for n in range(100)]
    alone, together = (aggregate(results(values, size), ACC).stderr or 0 for size in (1, 5))
    assert together == pytest.approx(alone * 5**0.5, rel=0.05)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60), st.integers(0, 9))
def test_order_and_sides(pairs: list[tuple[bool, bool]], seed: int):
    ours, theirs = (results([float(pair[side]) for pair in pairs]) for side in (0, 1))
    found, turned = paired(ours, theirs, ACC), paired(theirs, ours, ACC)
    shuffled = random.Random(seed).sample(ours, len(ours))
    assert found is not None
    assert turned is not None
    assert paired(shuffled, theirs, ACC) == found
    assert turned.difference == pytest.approx(-found.difference)
    low, high = found.low, found.high
    assert low is None or high is None or low <= high
    lower = paired(ours, theirs, BITS)
    assert lower is not None
    assert lower.difference == pytest.approx(-found.difference)


def test_nothing_in_common_is_no_comparison():
    assert paired(results([1.0]), [Result("m", "0", "other", "0", 1.0)], ACC) is None
    assert paired(results([1.0]), results([1.0]), Metric(better="lower", aggregate="maximum")) is None


def test_one_document_bounds_nothing():
    found = paired(results([1.2]), results([1.9]), BITS)
    assert found is not None
    assert (found.low, found.high, found.smallest) == (None, None, None)


def test_an_interval_of_a_perfect_score_is_not_a_point():
    right = results([1.0] * 20)
    low, high = interval(right, aggregate(right, ACC)) or (0, 0)
    assert 0.8 < low < 0.9  # Wilson: 0.839
    assert high == pytest.approx(1.0)
