"""Blocks: whoever sees the choices alone is right in one item of four, whatever rule is followed."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.evaluation.item import Candidate, block_items

WORDS = st.text("abcdefgh", min_size=3, max_size=8)
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        kind=st.sampled_from([("en", "a"), ("en", "b"), ("de", "a")]),
        query=WORDS.map(lambda word: f"Question about {word.upper()}"),
        answer=WORDS,
        document_id=st.sampled_from("123456"),
        passage=WORDS,
    ),
    max_size=40,
)
RULES: dict[str, Callable[[list[str]], str]] = {
    "longest": lambda choices: max(sorted(choices), key=len),
    "first of the alphabet": min,
    "most letters a": lambda choices: max(sorted(choices), key=lambda choice: choice.count("a")),
}


@given(CANDIDATES)
def test_no_rule_over_choices_beats_chance(candidates: list[Candidate]):
    items = block_items("t", candidates, seed=1, most=40)
    for rule in RULES.values():
        right = sum(rule(item["choices"]) == item["choices"][item["gold"]] for item in items)
        assert right * 4 == len(items)


@given(CANDIDATES)
def test_an_item_can_be_answered(candidates: list[Candidate]):
    asked = {(each.query, each.answer): each for each in candidates}
    for item in block_items("t", candidates, seed=1, most=40):
        assert len(set(item["choices"])) == 4
        assert (item["query"], item["choices"][item["gold"]]) in asked
        assert not any(choice in item["query"].casefold() for choice in item["choices"])


@pytest.fixture
def many() -> list[Candidate]:
    return [
        Candidate(
            ("en", ""),
            f"Where is thing {number}, which nobody has",
            f"room {number * 37}",
            str(number % 9),
            str(number),
        )
        for number in range(90)
    ]


def test_the_choice_is_stable_and_by_the_seed(many: list[Candidate]):
    first = block_items("t", many, seed=1, most=20)
    assert len(first) == 20
    assert first == block_items("t", list(reversed(many)), seed=1, most=20)
    assert first != block_items("t", many, seed=2, most=20)


def test_what_several_documents_ask_is_asked_for_nowhere(many: list[Candidate]):
    common = [each._replace(query="What everybody says is") for each in many]
    assert block_items("t", common, seed=1, most=20) == []


def test_answers_that_mean_the_same_are_not_offered_together(many: list[Candidate]):
    alike = [each._replace(answer=f"the long way round the north hall {number}") for number, each in enumerate(many)]
    assert block_items("t", alike, seed=1, most=20) == []
