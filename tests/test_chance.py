"""What is drawn stays what it was: splits, samples and orders of every earlier artifact hang on it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.chance import drawn, number, point


@pytest.mark.parametrize(
    ("seed", "text", "expected"),
    [(1, "a", 4711607286779601954), (20, "naïve", 3098096031516729485), (0, "", 13436079590000323820)],
)
def test_numbers_are_those_of_the_first_version(seed: int, text: str, expected: int):
    assert number(seed, text) == expected


@given(st.integers(), st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_all_three_are_one(seed: int, text: str):
    assert 0 <= point(seed, text) == number(seed, text) / 2**64 < 1 or number(seed, text) > 2**64 - 2**11
    assert int.from_bytes(drawn(seed, text)[:8]) == number(seed, text)
