"""Guessers find what gives an answer away, and are at chance where nothing does."""

import random

import pytest

from forge_dagster.evaluation.guess import Guessed, judged
from forge_dagster.evaluation.item import Item
from forge_dagster.evaluation.reader import Reader

WORDS = [first + second + third for first in "bdfgk" for second in "aeiou" for third in ("ma", "no", "ri", "sul")]


def items(count: int, right: str = "{}", wrong: str = "{}") -> list[Item]:
    chance = random.Random(5)
    made = []
    for number in range(count):
        gold = number % 4
        words = chance.sample(WORDS, 4)
        choices = [(right if place == gold else wrong).format(word) for place, word in enumerate(words)]
        made.append({"id": str(number), "query": "q", "choices": choices, "gold": gold})
    return made


def by_name(guessed: list[Guessed]) -> dict[str, Guessed]:
    return {each.guesser: each for each in guessed}


def test_nobody_guesses_what_gives_nothing_away():
    assert all(each.at_chance for each in judged(items(300), Reader(WORDS)))


@pytest.mark.parametrize(
    ("guesser", "right", "wrong"),
    [
        ("longest", "{} and more", "{}"),
        ("shortest", "{}", "{} and more"),
        ("tell-tale", "the {} xx", "any {} xx"),
        ("n-gram", "the pump {}", "pump the {}"),
    ],
)
def test_each_guesser_finds_its_tell(guesser: str, right: str, wrong: str):
    trained = Reader([f"the pump {word}" for word in WORDS])
    found = by_name(judged(items(300, right, wrong), trained))
    assert not found[guesser].at_chance
    assert found[guesser].right > 250


def test_a_tie_is_a_share_of_a_right_answer():
    same = [{"id": "a", "query": "q", "choices": ["aa", "bb", "cc", "dd"], "gold": 0}]
    assert by_name(judged(same, None))["longest"].right == 0.25
