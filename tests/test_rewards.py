"""Rewards: right answers in form score, and ways around them do not."""

import pytest

from forge_dagster.rewards import in_form, is_correct, reward, squeezed

FORM = r"Answer: [^\n]{1,200}\."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Answer: 45 kW.", 1.0),
        ("Answer: 45 KW.", 1.0),
        ("Answer: 46 kW.", 0.5),
        ("45 kW", 0.0),
        ("Answer: 45 kW", 0.0),
        ("Answer: 45 kW.\nAnswer: 46 kW.", 0.0),
        ("Answer: 45 kW or 46 kW or 47 kW.", 0.5),
        ("Answer: .", 0.0),
        ("", 0.0),
        ("<|user|>Answer: 45 kW.", 0.0),
        ("Answer: 45 kW.<|end|>", 0.0),
        ("Answer: " + "x" * 300 + ".", 0.0),
        ("Answer: pump pump pump pump pump.", 0.0),
        ("Answer: Answer: 45 kW.", 0.0),
    ],
)
def test_reward(text: str, expected: float):
    assert reward(text, answer="45 kW", form=FORM) == expected


def test_nothing_is_never_correct():
    assert not is_correct("", "")
    assert not is_correct("Answer: ...", "...")


def test_what_is_compared_keeps_what_is_inside():
    assert squeezed(" The  Red-Box. ") == "the red-box"


def test_an_answer_of_several_lines_can_be_right_where_the_form_lets_it():
    assert reward("Steps:\n1. open\n2. close", answer="Steps:\n1. open\n2. close.", form=r"[\s\S]+") == 1


def test_form_is_of_the_whole_text():
    assert not in_form("well, Answer: 3.", FORM)
