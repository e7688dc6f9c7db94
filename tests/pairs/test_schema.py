"""What a server holds its model to: any choice it leaves is a quote of the passage with an answer in its words."""

import re

import pytest

from forge_dagster.corpus.words import words
from forge_dagster.pairs.schema import FUNCTION_WORDS, MOST_CHOICES, QUESTION, schema_of
from forge_dagster.pairs.support import Pair, why_not

PASSAGE = """# The mill

- The mill in Harrow was built by Joseph Arden in 1912.
Is it open? It opens at nine, on Sundays too. Keep out!
It grinds: rye, wheat and oats (in that order)."""


def choices(passage: str) -> list[tuple[str, str]]:
    pair = schema_of(passage, 2)["properties"]["pairs"]["items"]
    return [
        (each["properties"]["quote"]["const"], answer)
        for each in pair["anyOf"]
        for answer in each["properties"]["answer"]["enum"]
    ]


def test_every_choice_is_supported():
    found = choices(PASSAGE)
    assert {quote for quote, _ in found} == {
        "The mill in Harrow was built by Joseph Arden in 1912.",
        "It opens at nine, on Sundays too.",
        "It grinds: rye, wheat and oats (in that order).",
    }
    assert {"Joseph Arden", "1912", "mill in Harrow"} <= {answer for _, answer in found}
    for quote, answer in found:
        assert answer in quote
        left = [word for word in words(quote) if word not in words(answer) and word not in FUNCTION_WORDS]
        if left:
            pair = Pair(quote=quote, answer=answer, question=f"What about the {left[0]} is it?")
            assert why_not(pair, PASSAGE) == ""


def test_a_model_writes_the_quote_first_and_the_question_last():
    for pair in schema_of(PASSAGE, 2)["properties"]["pairs"]["items"]["anyOf"]:
        assert list(pair["properties"]) == pair["required"] == ["quote", "answer", "question"]


@pytest.mark.parametrize(
    ("text", "fits"),
    [("Who built the mill?", True), ("Who?", False), ("Who built the mill", False), ("Who\nbuilt the mill?", False)],
)
def test_a_question_is_one_line_that_asks(text: str, fits: bool):
    assert bool(re.search(QUESTION["pattern"], text)) == fits


def test_a_passage_of_very_many_words_leaves_the_answer_free():
    passage = " ".join(f"Pump {n} of hall {n} stands beside gate {n} and hums all night long." for n in range(200))
    pair = schema_of(passage, 2)["properties"]["pairs"]["items"]
    assert len(pair["properties"]["quote"]["enum"]) == 200
    assert pair["properties"]["answer"]["type"] == "string"
    assert len(choices(" ".join(passage.split(". ")[:3]))) <= MOST_CHOICES


def test_a_passage_without_a_sentence_leaves_all_free():
    assert schema_of("one two three", 1)["properties"]["pairs"]["items"]["properties"]["quote"]["type"] == "string"
