"""Next-sentence items: beginnings of paragraphs whose sentences are whole, of fair length and without markup."""

import random

from forge_dagster.evaluation.item import block_items
from forge_dagster.evaluation.items.next_sentence import candidates
from forge_dagster.evaluation.passages import Material, Text
from forge_dagster.evaluation.reader import Reader


def material(texts: list[str]) -> Material:
    return Material([Text(f"{number:03}", "en", text) for number, text in enumerate(texts)], Reader([]))


def documents(count: int, paragraphs: int) -> list[str]:
    chance = random.Random(1)
    words = ["".join(chance.choice("abcdefghij") for _ in range(chance.randint(3, 9))) for _ in range(3000)]

    def sentence() -> str:
        return " ".join(chance.choice(words) for _ in range(chance.randint(8, 18))).capitalize() + "."

    return ["\n\n".join(" ".join(sentence() for _ in range(4)) for _ in range(paragraphs)) for _ in range(count)]


def test_items_continue_their_passage_and_choices_are_alike():
    found = material(documents(30, 5))
    items = block_items("next_sentence", candidates(found), seed=1, most=100)
    assert len(items) == 100
    text_of = {text.id: text.text for text in found.held_out}
    for item in items:
        text = text_of[item["document_ids"][0]]
        answer = item["choices"][item["gold"]]
        assert f"{item['query']} {answer}" in text
        assert all(choice not in text for choice in item["choices"] if choice != answer)
        assert all(abs(len(choice) - len(answer)) < 60 for choice in item["choices"])


def test_one_document_is_enough():
    assert len(block_items("next_sentence", candidates(material(documents(1, 20))), seed=1, most=8)) == 8


def test_markup_fragments_and_length_are_judged():
    good = "The first pump of the plant is checked each Monday."
    others = [f"{good} {good} Then the {number}th pump of the plant is checked as well." for number in range(2)]
    assert len(list(candidates(material(others)))) == 2
    for bad in (
        "short one.",
        "x" * 300 + ".",
        "See https://example.org for all about it, please.",
        "the end has no stop",
    ):
        assert not list(candidates(material([f"{good} {bad} {good}"])))
    russian = "Первое предложение этого документа говорит о насосах завода."
    assert len(list(candidates(material([f"{russian} {russian} {russian}"])))) == 1


def test_what_a_line_of_a_list_begins_with_is_no_part_of_it():
    lines = [
        f"{mark} The {number} pump of the plant is checked each Monday."
        for number, mark in zip(("first", "second", "third"), ("*", "•", "-"), strict=True)
    ]
    (found,) = candidates(material(["\n".join(lines)]))
    assert found.answer == "The third pump of the plant is checked each Monday."
    assert "*" not in found.query
