"""Paired comparison: known answers, the same numbers in any order, and no certainty from a few items."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.evaluation.score import Metric, Result, aggregate
from forge_dagster.evaluation.statistics import (
    holm,
    interval,
    items_needed,
    most_by_chance,
    noise_floor,
    noise_floors,
    paired,
    sign_flips,
    smallest_gain,
)

ACC, BITS = Metric(better="higher"), Metric(better="lower")


def results(values: list[float], per_cluster: int = 1, weight: float = 1.0) -> list[Result]:
    return [Result("m", str(n), "d", str(n // per_cluster), value, weight) for n, value in enumerate(values)]


def test_the_power_calculation_is_that_of_connor():
    # One-sided 5 %, power 80 %: (1.6449 * 0.5 + 0.8416 * sqrt(0.25 - 0.0025))^2 / 0.0025 = 616.3, and 2 / 0.05
    assert items_needed(0.05, 0.25) == 657
    assert smallest_gain(657, 0.25) == pytest.approx(0.05, abs=1e-4)
    assert smallest_gain(10, 0.25) == 1.0


def test_the_noise_floor_is_that_of_a_difference():
    assert noise_floor(0.01, 10_000) == pytest.approx(1.6449 * 2**0.5 * 0.01, rel=1e-3)


def test_few_seeds_tell_little_of_their_spread():
    assert noise_floor(0.01, 4) == pytest.approx(2.3534 * 2**0.5 * 0.01, rel=1e-4)  # t of 3 degrees of freedom
    chance = np.random.default_rng(1)
    measured = chance.normal(size=(20_000, 4)).std(axis=1, ddof=1)
    apart = chance.normal(size=(20_000, 2)) @ [1.0, -1.0]
    exceeded = np.mean(apart > [noise_floor(each, 4) for each in measured])
    assert exceeded == pytest.approx(0.05, abs=0.006)
    assert noise_floors({"a": 0.01}, 4) == {"a": noise_floor(0.01, 4)}
    assert noise_floors({}, None) == {}


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


def test_a_total_loss_is_no_chance_and_a_total_gain_is_bounded():
    right, wrong = results([1.0] * 100), results([0.0] * 100)
    lost, won = paired(wrong, right, ACC), paired(right, wrong, ACC)
    assert lost is not None
    assert won is not None
    assert (lost.difference, lost.p_gain) == (-1.0, 1.0)
    assert lost.p_loss < 0.001
    assert won.p_gain < 0.001
    # Bonett & Price: (100 - 0) / 102, with a standard error of sqrt((1 - 0.9804^2) / 101)
    assert won.low == pytest.approx(0.9804 - 1.6449 * 0.0196, abs=1e-4)
    assert lost.high == pytest.approx(-won.low)


@pytest.mark.parametrize(("won", "lost"), [(5, 0), (8, 2), (20, 9), (3, 3)])
def test_p_values_are_those_of_the_sign_test(won: int, lost: int):
    ours, theirs = results([1.0] * won + [0.0] * lost + [1.0] * 30), results([0.0] * won + [1.0] * (lost + 30))
    found = paired(ours, theirs, ACC)
    assert found is not None
    tail = sum(math.comb(won + lost, k) for k in range(won, won + lost + 1)) / 2 ** (won + lost)
    assert found.p_gain == pytest.approx(tail, abs=0.01)  # 10,000 draws: 0.005 of standard error at most


def test_flips_are_of_whole_documents():
    values, none = [1.0] * 25, [0.0] * 25
    found = paired(results(values, 5), results(none, 5), ACC)
    assert found is not None
    assert found.p_gain == pytest.approx(1 / 2**5, abs=0.01)


@given(st.lists(st.floats(0.1, 9.0), min_size=2, max_size=30))
def test_flips_that_add_up_to_the_same_count_as_the_same(values: list[float]):
    high, low = (sign_flips(np.array(values) * sign) for sign in (1, -1))
    for gain, loss in (high, low[::-1]):
        assert gain <= 1 / 2 ** len(values) + 0.02
        assert loss == 1.0


@pytest.mark.parametrize("items", [1, 4, 40, 200, 1500])
@pytest.mark.parametrize("chance", [0.1, 0.25, 0.5, 1.0])
def test_the_most_that_chance_gets_right_is_the_binomial_interval(items: int, chance: float):
    from scipy.stats import binom

    assert most_by_chance(items, chance, 0.999) == binom.interval(0.999, items, chance)[1]
