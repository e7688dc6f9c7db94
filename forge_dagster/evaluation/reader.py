"""What a reader without understanding knows of the training text: how often words and runs of words stand in it.

A trigram model with interpolated estimates (Jelinek and Mercer 1980) over hashed counts, so that memory is bounded.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from forge_dagster.corpus.signature import MULTIPLIER, Words, runs_mixed, word_hashes
from forge_dagster.corpus.words import words

BITS = 22  # of a table of counts: 16 MiB each
LONGEST = 3  # words of a run
WEIGHT = 0.7  # of a longer run over the shorter ones


class Reader:
    """Counts of words, pairs and triples, and of documents that hold a word."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._counts = [np.zeros(1 << BITS, dtype=np.uint32) for _ in range(LONGEST)]
        self._documents = np.zeros(1 << BITS, dtype=np.uint32)
        self.documents = self.words = 0
        for text in texts:
            self._read(words(text))
        self.vocabulary = int(np.count_nonzero(self._counts[0]))

    def _read(self, found: Sequence[str]) -> None:
        if not found:
            return
        ids = word_hashes(found)
        for size, counts in enumerate(self._counts, start=1):
            places = _places(ids, size)
            np.add.at(counts, places, 1)
        self._documents[np.unique(_places(ids, 1))] += 1
        self.documents += 1
        self.words += len(found)

    def documents_with(self, word: str) -> int:
        """Documents that hold a word."""
        return int(self._documents[_places(word_hashes([word]), 1)[0]])

    def may_have_read(self, text: str, run: int) -> bool:
        """Whether some `run` words in a row, or all of a shorter text, may stand in the training text: it knows all of
        their triples. A sentence that it knows word by word but never read whole is rare in text of any size."""
        found = words(text)
        places = _places(word_hashes(found), LONGEST)
        known = self._counts[LONGEST - 1][places] > 0
        wanted = min(run, len(found)) - LONGEST + 1
        if wanted < 1:
            return False
        return bool(np.convolve(known, np.ones(wanted, dtype=int), "valid").max(initial=0) == wanted)

    def surprise(self, text: str, after: str = "") -> float:
        """-log2 of the probability of the words of `text`, after the words of another."""
        before = words(after)[-2:]
        said = words(text)
        ids = word_hashes([*before, *said])
        total = 0.0
        for end in range(len(before) + 1, len(before) + len(said) + 1):
            total -= math.log2(self._probability(ids[max(0, end - LONGEST) : end]))
        return total

    def _probability(self, gram: Words) -> float:
        """Of the last word after those before it."""
        value = 1 / (self.vocabulary + 1)
        for size in range(1, min(len(gram), LONGEST) + 1):
            given = self.words if size == 1 else self._count(gram[-size:-1])
            if given:
                value = WEIGHT * self._count(gram[-size:]) / given + (1 - WEIGHT) * value
        return value

    def _count(self, gram: Words) -> int:
        return int(self._counts[len(gram) - 1][_places(gram, len(gram))[0]])


def _places(ids: Words, size: int) -> npt.NDArray[np.int64]:
    """Where each run of `size` words is counted."""
    return (runs_mixed(ids, size, start=0) * MULTIPLIER >> np.uint64(64 - BITS)).astype(np.int64)
