"""What a number of tokens supports: the limits, the arithmetic, and a source for each figure."""

import pytest

from forge_dagster.corpus.readiness.support import REFERENCES, THRESHOLDS, amount, routes, verdict


@pytest.mark.parametrize(
    ("tokens", "scratch", "continued", "lora"),
    [
        (20_000, "no", "no", "no"),
        (150_000, "no", "no", "partly"),
        (2_000_000, "no", "no", "yes"),
        (20_000_000, "partly", "partly", "yes"),
        (200_000_000, "partly", "yes", "yes"),
        (2_000_000_000, "yes", "yes", "partly"),
    ],
)
def test_verdicts_by_size(tokens: int, scratch: str, continued: str, lora: str):
    assert [route.verdict for route in routes(tokens)] == [scratch, continued, lora, "yes"]


def test_a_verdict_changes_just_where_the_ruler_says():
    for name, least in THRESHOLDS.items():
        below, at = ([route.verdict for route in routes(tokens)] for tokens in (least - 10, least + 10))
        assert below != at, name


def test_the_arithmetic_is_shown():
    scratch, continued, lora, _ = routes(100_000_000)
    assert (
        "100 M tokens / 20 = 5 M parameters; in 4 passes 20 M, for 6 x 20 M x 400 M = 4.8 x 10^16" in scratch.arithmetic
    )
    assert "4 passes x 100 M tokens / 524 k an update = 763 updates" in continued.arithmetic
    assert "= 50 M adapter parameters" in lora.arithmetic
    assert "rank 44." in lora.arithmetic


def test_every_route_names_sources_that_are_listed():
    for route in routes(1_000_000):
        assert route.sources
        assert set(route.sources) <= set(REFERENCES)


def test_every_size_has_its_sentence():
    said = {verdict(tokens) for tokens in (1, 150_000, 2_000_000, 20_000_000, 200_000_000, 2_000_000_000)}
    assert len(said) == 6


@pytest.mark.parametrize(("number", "words"), [(7, "7"), (1234, "1.23 k"), (5_000_000, "5 M"), (2.5e9, "2.5 B")])
def test_amounts(number: float, words: str):
    assert amount(number) == words
