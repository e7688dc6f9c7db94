"""What a reader without understanding knows of the training text: how often words and runs of words stand in it.

A trigram model with interpolated estimates (Jelinek and Mercer 1980) over hashed counts, so that memory is bounded.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from forge_dagster.corpus.signature import MULTIPLIER, Words, runs_mixed, word_hashes
from forge_dagster.corpus.words import words

BITS = 22  # of a table of counts: 16 MiB each
GROUP = 256  # texts counted together: their words lie close, the tables do not fit a processor's cache
LONGEST = 3  # words of a run
WEIGHT = 0.7  # of a longer run over the shorter ones


class Reader:
    """Counts of words, pairs and triples, and of documents that hold a word."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._counts = [np.zeros(1 << BITS, dtype=np.uint32) for _ in range(LONGEST)]
        self._documents = np.zeros(1 << BITS, dtype=np.uint32)
        self.documents = self.words = 0
        self._asked: dict[str, int] = {}
        found = filter(None, map(words, texts))
        while group := list(islice(found, GROUP)):
            self._read(group)
        self.vocabulary = int(np.count_nonzero(self._counts[0]))

    def _read(self, group: Sequence[Sequence[str]]) -> None:
        hashed = [word_hashes(found) for found in group]
        for size, counts in enumerate(self._counts, start=1):
            places, times = np.unique(np.concatenate([_places(ids, size) for ids in hashed]), return_counts=True)
            counts[places] += times.astype(np.uint32)
        places, times = np.unique(np.concatenate([np.unique(_places(ids, 1)) for ids in hashed]), return_counts=True)
        self._documents[places] += times.astype(np.uint32)
        self.documents += len(group)
        self.words += sum(map(len, group))

    def documents_with(self, word: str) -> int:
        """Documents that hold a word."""
        known = self._asked.get(word)
        if known is None:
            known = self._asked[word] = int(self._documents[_places(word_hashes([word]), 1)[0]])
        return known

    def may_have_read(self, texts: Sequence[str], run: int) -> npt.NDArray[np.bool_]:
        """Whether some `run` words in a row, or all of a shorter text, may stand in the training text: it knows all of
        their triples. A sentence that it knows word by word but never read whole is rare in text of any size."""
        found = [words(text) for text in texts]
        sizes = np.array([len(each) for each in found], dtype=np.int64)
        wanted = np.minimum(run, sizes) - LONGEST + 1  # known triples in a row
        asked = np.flatnonzero(wanted > 0)
        result = np.zeros(len(texts), dtype=bool)
        if len(asked):
            ids = word_hashes([word for at in asked for word in found[at]])
            known = self._counts[LONGEST - 1][_places(ids, LONGEST)] > 0
            ends = np.cumsum(sizes[asked])
            starts = ends - sizes[asked]
            known[ends[:-1] - 1] = known[ends[:-1] - 2] = False  # these reach into the next text
            place = np.arange(len(known))
            row = place - np.maximum.accumulate(np.where(known, -1, place))
            result[asked] = np.maximum.reduceat(row, starts) >= wanted[asked]
        return result

    def surprise(self, text: str, after: str = "") -> float:
        """-log2 of the probability of the words of `text`, after the words of another."""
        before = words(after)[-2:]
        ids = word_hashes([*before, *words(text)])
        found = [counts[_places(ids, size)] for size, counts in enumerate(self._counts, start=1)]
        value = np.full(len(ids), 1 / (self.vocabulary + 1))
        for size, times in enumerate(found[: len(ids)], start=1):
            given = found[size - 2][: len(times)] if size > 1 else np.full(len(times), self.words)
            known = given > 0
            ends = value[size - 1 :]
            ends[known] = WEIGHT * times[known] / given[known] + (1 - WEIGHT) * ends[known]
        return -sum(map(math.log2, value[len(before) :].tolist()))


def _places(ids: Words, size: int) -> npt.NDArray[np.int64]:
    """Where each run of `size` words is counted."""
    return (runs_mixed(ids, size, start=0) * MULTIPLIER >> np.uint64(64 - BITS)).astype(np.int64)
