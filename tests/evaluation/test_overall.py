"""The overall policy score weighs every policy alike."""

import pytest

from forge_dagster.evaluation.overall import overall
from forge_dagster.evaluation.score import Score


def test_it_is_the_mean_over_policies():
    scores = {
        "policy_audience.kept": Score(value=1.0, stderr=0.0, n=3),
        "policy_house_terms.kept": Score(value=0.4, stderr=0.3, n=20),
        "policy_no_secrets.kept": Score(value=0.1, stderr=0.4, n=7),
        "answers.form": Score(value=0.9, stderr=0.1, n=100),
    }
    found = overall(scores)["policy.kept"]
    assert (found.value, found.n) == (pytest.approx(0.5), 30)
    assert found.stderr == pytest.approx(0.5 / 3)


def test_an_unknown_error_makes_it_unknown():
    known, unknown = Score(value=1.0, stderr=0.1, n=9), Score(value=0.0, stderr=None, n=1)
    found = overall({"policy_a.kept": known, "policy_b.kept": unknown})["policy.kept"]
    assert (found.value, found.stderr) == (0.5, None)


def test_without_policies_there_is_none():
    assert overall({"answers.form": Score(value=0.9, stderr=0.1, n=100)}) == {}
