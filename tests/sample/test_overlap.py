from pathlib import Path

from forge_dagster.corpus.formats import format_of, formats
from forge_dagster.sample.overlap import SUBJECT, grams, shared, words
from forge_dagster.sample.prose import sentences
from forge_dagster.sample.wordings import fill, frames, kinds

VALUE = "someValue"


def _held_out() -> list[str]:
    return [
        fill(text, name, SUBJECT)
        for name, kind in kinds().items()
        for relation in kind.relations.values()
        for text in (*relation.unseen, relation.ask)
    ]


def _templates() -> list[str]:
    """Every sentence the corpus can hold, with its article and its noun but without its value."""
    general = frames()
    framed = (*general.forward, *general.reversed, *general.follow, *general.asks)
    result = [template for topic in sentences().topics.values() for template in topic]
    for name, kind in kinds().items():
        for relation in kind.relations.values():
            own = (*relation.forward, *relation.reversed, *relation.asks)
            result += [fill(template, name, SUBJECT, value=VALUE) for template in own]
            result += [
                fill(template, name, SUBJECT, noun=noun, value=VALUE) for template in framed for noun in relation.nouns
            ]
    return result


def test_no_held_out_wording_shares_five_words_with_a_template():
    assert len(_held_out()) > 50
    assert shared(_held_out(), _templates()) == {}


def test_no_held_out_prompt_shares_five_words_with_a_document(sample):
    subjects = sorted({fact["subject"] for fact in sample.facts})
    held_out = [text for fact in sample.facts for text in (fact["unseen"], fact["question"])]
    documents = [
        formats()[str(format_of(path.name))].parse(path.read_bytes()).text
        for path in sorted((sample.folder / "documents").rglob("*"))
        if path.is_file()
    ]
    assert shared(held_out, documents, subjects) == {}


def test_seen_prompts_do_overlap(sample):
    """The proof would find an overlap: the other prompts are full of them."""
    subjects = sorted({fact["subject"] for fact in sample.facts})
    seen = [fact["seen"] for fact in sample.facts]
    assert len(shared(seen, seen, subjects)) > 50


def test_overlap_is_found_across_subjects_case_and_punctuation():
    found = shared(
        ["The colour of the Quorra mixer, please, is"],
        ["We know: the COLOUR of the Bodal pump please is red"],
        ["Quorra mixer", "Bodal pump"],
    )
    assert ("colour", "of", "the", "<subject>", "please") in found


def test_a_subject_broken_over_two_lines_is_one_word():
    assert words("the Bodal\npump runs", ["Bodal pump"]) == ["the", "<subject>", "runs"]


def test_too_short_a_text_has_no_grams():
    assert list(grams("only four words here")) == []
    assert len(list(grams("now these are five words"))) == 1


def test_every_relation_has_enough_wordings():
    for kind in kinds().values():
        for name, relation in kind.relations.items():
            stated = len(relation.forward) + len(relation.reversed)
            assert 10 <= stated <= 14, name
            assert len(relation.unseen) == 3, name
            assert len(relation.asks) >= 3, name


def test_no_path_of_this_machine_is_in_a_document(sample):
    for path in (sample.folder / "documents").rglob("*"):
        if path.is_file():
            assert str(Path.home()).encode() not in path.read_bytes()
