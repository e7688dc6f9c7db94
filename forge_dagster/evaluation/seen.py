"""Which runs of words stand in the training text, word for word: an index of its word 5-grams in their order."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from forge_dagster.chance import point
from forge_dagster.corpus.rows import text_bytes
from forge_dagster.corpus.signature import SHINGLE, Hashes, gram_hashes
from forge_dagster.corpus.words import words

MOST_READ = 32 << 20  # bytes of training text that are indexed; of more, a part drawn by hash


class Document(NamedTuple):
    """A training document that is indexed."""

    id: str
    text: str


def training_documents(corpus: Path, seed: int) -> Iterator[Document]:
    """The training documents, of more than MOST_READ bytes a part drawn by hash."""
    path = corpus / "train.parquet"
    share = MOST_READ / max(MOST_READ, text_bytes(path))
    for batch in pq.ParquetFile(path).iter_batches(columns=["id", "text"]):
        for row in batch.to_pylist():
            if point(seed, f"seen/{row['id']}") < share:
                yield Document(**row)


class Seen:
    """5-grams of texts, one text after the other."""

    def __init__(self, texts: Iterable[str]) -> None:
        parts: list[Hashes] = []
        for text in texts:
            found = words(text)
            if len(found) >= SHINGLE:
                # A gram of nothing ends a text, so that no run goes on into the next one.
                parts += [gram_hashes(found), np.zeros(1, dtype=np.uint32)]
        self._grams: Hashes = np.concatenate(parts) if parts else np.zeros(1, dtype=np.uint32)
        self._order = np.argsort(self._grams, kind="stable")
        self._sorted = self._grams[self._order]

    def longest_run(self, text: str) -> int:
        """Words of the longest run in `text` that an indexed text has; 0 if none has SHINGLE words."""
        found = words(text)
        if len(found) < SHINGLE:
            return 0
        asked = gram_hashes(found)
        low, high = np.searchsorted(self._sorted, asked, "left"), np.searchsorted(self._sorted, asked, "right")
        longest = 0
        running: dict[int, int] = {}
        for gram in range(len(asked)):
            places = self._order[low[gram] : high[gram]].tolist() if asked[gram] else []
            running = {place: running.get(place - 1, 0) + 1 for place in places}
            longest = max(longest, max(running.values(), default=0))
        return longest + SHINGLE - 1 if longest else 0


def first_words(text: str, count: int) -> str:
    """The first `count` words of a text as they stand there."""
    return " ".join(text.split()[:count])
