"""Held-out documents as sentences that can be asked about, and what the training text says about their words."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from forge_dagster.evaluation.reader import Reader

SENTENCE = re.compile(r"(?<=[.!?])\s+(?=\S)")
SHORTEST, LONGEST = 40, 220  # characters of a sentence that can be judged
MARKUP = re.compile(r"[|<>{}#=\\`]|https?:|\.\.\.")


BULLET = re.compile(r"^(?:[*•·-]|\d{1,2}[.)]|Q:|A:|\d\d:\d\d) +")
"""What a line of a list begins with; beside other sentences it would give itself away."""


class Text(NamedTuple):
    """A held-out document."""

    id: str
    language: str
    text: str


class Material(NamedTuple):
    """What items are made of."""

    held_out: Sequence[Text]
    trained: Reader
    """Knows the training text, as far as word counts go."""


def paragraphs(text: str) -> Iterator[str]:
    """Paragraphs in one line each."""
    return (line for part in text.split("\n\n") if (line := " ".join(part.split())))


def sentences(paragraph: str) -> list[str]:
    """Sentences of a paragraph in one line."""
    return [BULLET.sub("", part.strip()) for part in SENTENCE.split(paragraph)]


def fair(sentence: str) -> bool:
    """Whether a sentence is whole, of fair length and without markup."""
    return (
        SHORTEST <= len(sentence) <= LONGEST
        and sentence[-1] in ".!?"
        and not sentence[0].islower()
        and not MARKUP.search(sentence)
    )


def fair_sentences(texts: Iterable[Text]) -> Iterator[tuple[Text, str, str]]:
    """Each fair sentence with its document, and the fair sentence before it in the paragraph or none."""
    for each in texts:
        for paragraph in paragraphs(each.text):
            before = ""
            for sentence in sentences(paragraph):
                good = fair(sentence)
                if good:
                    yield each, before, sentence
                before = sentence if good else ""
