"""Next-sentence items: from every held-out document, with distractors alike in length, never markup or repeats."""

import random
import time

from forge_dagster.evaluation.next_sentence import next_sentence_items, sentences


def documents(count: int, paragraphs: int, seed: int = 1) -> list[dict[str, str]]:
    chance = random.Random(seed)
    words = ["".join(chance.choice("abcdefghij") for _ in range(chance.randint(3, 9))) for _ in range(3000)]

    def sentence() -> str:
        return " ".join(chance.choice(words) for _ in range(chance.randint(8, 18))).capitalize() + "."

    return [
        {"id": f"{number:03}", "text": "\n\n".join(" ".join(sentence() for _ in range(4)) for _ in range(paragraphs))}
        for number in range(count)
    ]


def test_the_choice_is_among_all_documents_and_stable():
    found = documents(60, 5)
    items = next_sentence_items(found, seed=1, most=40)
    assert len(items) == 40
    assert len({item["document_ids"][0] for item in items}) > 20
    assert items == next_sentence_items(list(found), seed=1, most=40)
    assert items != next_sentence_items(found, seed=2, most=40)


def test_items_continue_their_passage_and_choices_are_alike():
    found = documents(30, 5)
    for item in next_sentence_items(found, seed=1, most=100):
        (text,) = [row["text"] for row in found if row["id"] == item["document_ids"][0]]
        answer = item["choices"][item["gold"]]
        assert f"{item['query']} {answer}" in text
        assert len(set(item["choices"])) == 4
        assert all(choice not in text for choice in item["choices"] if choice != answer)
        assert all(abs(len(choice) - len(answer)) < 40 for choice in item["choices"])


def test_one_document_is_enough():
    assert next_sentence_items(documents(1, 20), seed=1, most=5)


def test_a_sentence_of_several_places_is_not_used():
    found = documents(20, 3)
    known = "This sentence stands in every document and says nothing of any of them."
    text = [
        {"id": row["id"], "text": row["text"].replace("\n\n", f" {known}\n\n") + f"\n\n{known} {known} {known}"}
        for row in found
    ]
    items = next_sentence_items(text, seed=1, most=100)
    assert items
    assert not any(known in item["choices"] for item in items)


def test_markup_fragments_and_length_are_judged():
    good = "The first pump of the plant is checked each Monday."
    assert list(sentences(f"{good} {good} {good}")) == [[good, good, good]]
    for bad in (
        "short one.",
        "x" * 300 + ".",
        "See https://example.org for all about it, please.",
        "the end has no stop",
    ):
        assert not list(sentences(f"{good} {bad} {good}"))
    russian = "Первое предложение этого документа говорит о насосах завода."
    assert list(sentences(f"{russian} {russian} {russian}")) == [[russian] * 3]


def test_no_items_of_no_text():
    assert next_sentence_items([{"id": "a", "text": "No text.\n\nHere."}], seed=1, most=5) == []


def test_time_grows_with_the_items_not_with_their_square():
    found = documents(200, 40)
    begin = time.process_time()
    assert len(next_sentence_items(found, seed=1, most=200)) == 200
    assert time.process_time() - begin < 5
