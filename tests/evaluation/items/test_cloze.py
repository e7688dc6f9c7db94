"""Cloze items ask for terms that training documents know and few of them use."""

from forge_dagster.evaluation.item import block_items
from forge_dagster.evaluation.items.cloze import candidates
from forge_dagster.evaluation.passages import Material, Text
from forge_dagster.evaluation.reader import Reader

PARTS = ("XT-10", "LT-37", "QT-44", "CT-23")
TRAINED = [f"Common words of the plant stand here with number {number}." for number in range(60)]


def material(*extra: str) -> Material:
    held_out = [
        Text(part, "en", f"When the seals of the dryer in hall {number} leak, the workshop fits kit {part} at once.")
        for number, part in enumerate(PARTS)
    ]
    return Material(held_out, Reader([*TRAINED, *extra]))


def test_a_term_that_training_documents_know_is_asked_for_with_others_of_its_shape():
    known = material(*(f"The part {part} is in stock." for part in PARTS))
    items = block_items("cloze", (each for each in candidates(known) if each.kind[1] == "code"), seed=1, most=100)
    assert sorted(item["choices"][item["gold"]] for item in items) == sorted(PARTS)
    assert all(sorted(item["choices"]) == sorted(PARTS) for item in items)
    assert all(item["query"].endswith("fits kit") for item in items)


def test_a_term_that_no_training_document_has_is_not_asked_for():
    assert not [each for each in candidates(material()) if each.answer in PARTS]


def test_a_term_that_many_documents_have_is_not_rare():
    common = material(*(f"The part {part} is in stock." for part in PARTS for _ in range(30)))
    assert not [each for each in candidates(common) if each.answer in PARTS]


def test_a_term_that_the_question_holds_is_not_asked_for():
    said = "The seals of the dryer are kit XT-10 today. When they leak again, the workshop fits kit XT-10 at once."
    found = Material([Text("a", "en", said)], Reader([*TRAINED, "The part XT-10 is in stock."]))
    assert all(each.answer.casefold() not in each.query.casefold() for each in candidates(found))
