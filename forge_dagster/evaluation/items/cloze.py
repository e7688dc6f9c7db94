"""Which rare term of the domain goes on a sentence; four terms of one shape."""

import re
from collections.abc import Iterator

from forge_dagster.corpus.words import WORD, words
from forge_dagster.evaluation.item import Candidate, ItemTask
from forge_dagster.evaluation.passages import Material, fair_sentences
from forge_dagster.evaluation.reader import Reader

TASK = ItemTask(
    name="cloze",
    role="generalisation",
    choices=4,
    description="Held-out documents: which rare term of the domain goes on a sentence; four terms of one shape.",
)
STATED = None
MOST_A_SENTENCE = 2
FEWEST_BEFORE = 5  # words of the sentence that stand before the term
MOST_DOCUMENTS = 0.1  # share of the training documents that a rare term stands in, at most
SHORTEST = 6  # letters of a plain word that may be a term
TERMS = (
    ("name", re.compile(r"(?<![\w.])[A-Z][a-z]+(?: [A-Z][a-z]+)+(?!\w)")),
    ("code", re.compile(r"(?<![\w/.-])(?=[\w/.()-]*[a-zA-Z])\w+(?:[-_/.]\w+|\(\d\))+(?![\w/-])")),
    ("quantity", re.compile(r"(?<![\w./-])\d[\d.,]* ?(?:%|[a-zA-Z]+)(?!\w)")),
    ("capitals", re.compile(r"(?<![\w-])[A-Z][A-Z0-9]{1,7}(?![\w-])")),
    ("word", re.compile(rf"(?<![\w/.-])(?:[A-Z][a-z]{{3,}}|[a-z]{{{SHORTEST},}})(?![\w/-])")),
)
"""Shapes of terms, the more particular ones first."""
ENDINGS = ("ing", "ed", "ly", "ion", "ions", "able", "al", "er", "ers", "s", "e")
UNIT = re.compile(r"[a-zA-Z%]+$")


def candidates(material: Material) -> Iterator[Candidate]:
    """Terms of each sentence: those of a particular shape before plain words, then the rarest."""
    for document, before, sentence in fair_sentences(material.held_out):
        found = sorted(_terms(sentence, material.trained))
        for _, _, start, kind, term in found[:MOST_A_SENTENCE]:
            query = f"{before} {sentence[:start]}".strip()
            if term.casefold() not in query.casefold():
                yield Candidate((document.language, *kind), query, term, document.id, sentence)


def _terms(sentence: str, trained: Reader) -> Iterator[tuple[bool, int, int, tuple[str, str], str]]:
    """Terms that training documents know: whether plain, how many hold its rarest word, its place, kind and text."""
    taken: set[int] = set()
    starts = [match.start() for match in WORD.finditer(sentence)]
    if len(starts) <= FEWEST_BEFORE:
        return
    first = starts[FEWEST_BEFORE - 1] + 1
    for shape, pattern in TERMS:
        for match in pattern.finditer(sentence):
            place = range(match.start(), match.end())
            if not taken.isdisjoint(place):
                continue
            taken.update(place)
            if match.start() >= first:
                known = min(trained.documents_with(word) for word in words(match[0]))
                if 0 < known <= MOST_DOCUMENTS * trained.documents:
                    yield shape == "word", known, match.start(), _kind(shape, match[0]), match[0]


def _kind(shape: str, term: str) -> tuple[str, str]:
    """Terms of one kind can stand for each other as far as their shape says."""
    if shape == "quantity":
        unit = UNIT.search(term)
        return shape, unit[0] if unit else ""
    if shape == "code":
        return shape, re.sub(r"[a-z]+", "a", re.sub(r"[A-Z]+", "A", re.sub(r"\d+", "0", term)))
    if shape == "word":
        ending = next((ending for ending in ENDINGS if term.endswith(ending)), "")
        return "Word" if term[0].isupper() else "word", ending
    return shape, ""
