"""Near-duplicates, versions, and documents that are alike and yet two: a document edited a little, or much."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from forge_dagster.sample import plain
from forge_dagster.sample.blocks import Block, Document, Items, Paragraph
from forge_dagster.sample.draw import Draw
from forge_dagster.sample.overlap import grams
from forge_dagster.sample.prose import Prose, sentences

TWIN = 0.87  # Jaccard of word 5-grams from which two documents are one; the margin is for what a format adds
REWRITTEN = 0.5  # about what is left of a document in its next version
VERSION_NAMES = ("{}-v{}", "{}_rev{}", "{} (version {})", "{}-1.{}", "{} V{}", "{}-r{}", "{}_edition-{}")
SERIES_NAMES = ("{}-part-{}", "{}-chapter-{:02}", "{}-release-notes-{}.0", "{}-minutes-2024-0{}-11", "{}-volume{}")
SENTENCE = re.compile(r"(?<=[.!?]) ")


def resemblance(first: Document, second: Document) -> float:
    """Jaccard similarity of the word 5-grams of two documents as plain text."""
    one, other = (set(grams(plain.render(each).decode())) for each in (first, second))
    return len(one & other) / max(1, len(one | other))


class Twins:
    """Edits documents of one unit."""

    def __init__(self, draw: Draw) -> None:
        self._draw, self._prose = draw, Prose(draw)
        self._topics = tuple(sentences().topics)

    def sentence(self) -> str:
        """A sentence of any topic."""
        return self._prose.sentence(self._draw.pick(self._topics))

    def fresh(self, title: str) -> Document:
        """A document of its own that states no fact."""
        blocks = [Paragraph(" ".join(self.sentence() for _ in range(6))) for _ in range(4)]
        return Document(title, (("Status", "draft"), ("Filed in", self._prose.slot("area"))), tuple(blocks))

    def twin(self, document: Document) -> Document:
        """The same document after a few small edits, as few as keep it one."""
        for edits in (5, 3, 2, 1, 0):
            made = replace(document, particulars=(*document.particulars[1:], ("Copy", self._prose.slot("team"))))
            for _ in range(edits):
                made = self._edited(made)
            if resemblance(document, made) >= TWIN:
                return made
        return document

    def rewritten(self, document: Document) -> Document:
        """The document with so much of it said otherwise that it is another one, and still of its kind."""
        made = [self._replaced(document, percent) for percent in (25, 35, 45, 55, 70)]
        return min(made, key=lambda each: abs(resemblance(document, each) - REWRITTEN))

    def _edited(self, document: Document) -> Document:
        edit: Callable[[str], str] = self._draw.pick((self._one_word_less, self._one_word_twice, self._misspelt))
        texts = [at for at, block in enumerate(document.blocks) if isinstance(block, Paragraph)]
        if not texts or self._draw.chance(25):
            return replace(document, blocks=(*document.blocks, Paragraph(self.sentence())))
        at = self._draw.pick(texts)
        block = document.blocks[at]
        assert isinstance(block, Paragraph)
        return replace(
            document, blocks=(*document.blocks[:at], Paragraph(edit(block.text)), *document.blocks[at + 1 :])
        )

    def _one_word_less(self, text: str) -> str:
        words = text.split(" ")
        place = self._draw.below(len(words))
        return " ".join(words[:place] + words[place + 1 :]) if len(words) > 2 else text

    def _one_word_twice(self, text: str) -> str:
        words = text.split(" ")
        place = self._draw.below(len(words))
        return " ".join([*words[: place + 1], *words[place:]])

    def _misspelt(self, text: str) -> str:
        place = self._draw.below(max(1, len(text) - 1))
        return text[:place] + text[place + 1 : place + 2] + text[place : place + 1] + text[place + 2 :]

    def _replaced(self, document: Document, percent: int) -> Document:
        return replace(document, blocks=tuple(self._new_block(block, percent) for block in document.blocks))

    def _new_block(self, block: Block, percent: int) -> Block:
        match block:
            case Paragraph(text):
                return Paragraph(" ".join(self._new(SENTENCE.split(text), percent)))
            case Items(items, numbered):
                return Items(tuple(self._new(items, percent)), numbered)
        return block

    def _new(self, said: tuple[str, ...] | list[str], percent: int) -> Iterator[str]:
        return (self.sentence() if self._draw.chance(percent) else each for each in said)
