"""Retrieval: the passages of the corpus that rank best for a question by BM25, as many as a budget of tokens holds."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tokenizers import Tokenizer

from forge_dagster.comparison import Retrieval
from forge_dagster.errors import DataError
from forge_dagster.tokens.control import CONTROL

WORD = re.compile(r"\w+")
SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
BETWEEN = "\n\n"
"""What stands after each passage, as between the paragraphs of a document."""


class Passages:
    """The passages of a corpus, ranked for a query."""

    def __init__(self, corpus: Path, how: Retrieval) -> None:
        """Index the training side. Raises DataError if it has no words."""
        self.how = how
        texts = pq.read_table(corpus / "train.parquet", columns=["text"])["text"].to_pylist()
        parts = (part for text in texts for part in cut(text, how.passage_words))
        # In a prompt of the chat a document's `<|end|>` would end the question.
        self.texts = [part for part in dict.fromkeys(parts) if not any(token in part for token in CONTROL)]
        if not self.texts:
            raise DataError("the corpus has no words to look up", rule="retrieval ranks passages of words")
        self._index = ranking(self.texts, how)

    def ranked(self, query: str) -> list[str]:
        """The best candidates for a query that share a word with it, best first."""
        most = min(self.how.candidates, len(self.texts))
        found, scores = self._index.retrieve([words(query)], k=most, show_progress=False)
        return [self.texts[number] for number, score in zip(found[0], scores[0], strict=True) if score > 0]


def ranking(texts: Sequence[str], how: Retrieval) -> Any:
    """A BM25 index over these texts."""
    import bm25s

    index = bm25s.BM25(method="lucene", k1=how.k1, b=how.b)
    index.index([words(text) for text in texts], show_progress=False)
    return index


def words(text: str) -> list[str]:
    """What BM25 counts: words in lower case, numbers and parts of compounds each by itself."""
    return WORD.findall(text.lower())


def cut(text: str, most_words: int) -> Iterator[str]:
    """Parts of at most `most_words` words, made of whole sentences and lines; one that is longer is cut."""
    held: list[str] = []
    count = 0
    for sentence in SENTENCE.split(text):
        for piece, size in _pieces(sentence, most_words):
            if held and count + size > most_words:
                yield " ".join(held)
                held, count = [], 0
            held.append(piece)
            count += size
    if held:
        yield " ".join(held)


def _pieces(sentence: str, most_words: int) -> Iterator[tuple[str, int]]:
    """A sentence with its count of words; one that is too long in parts that begin with a word."""
    starts = [found.start() for found in WORD.finditer(sentence)]
    for first in range(0, len(starts), most_words):
        size = min(most_words, len(starts) - first)
        end = starts[first + size] if first + size < len(starts) else len(sentence)
        yield sentence[starts[first] if first else 0 : end].strip(), size


def with_passages(query: str, ranked: Sequence[str], encoder: Tokenizer, room: int) -> str:
    """The query after the best passages, the best nearest to it, in at most `room` tokens altogether.

    A passage that does not fit is left out and the next one tried. A query that fills the room stands alone.
    """
    prompt = query
    for passage in ranked:  # each goes before those that are already there: the best stays nearest
        longer = passage + BETWEEN + prompt
        if len(encoder.encode(longer, add_special_tokens=False).ids) <= room:
            prompt = longer
    return prompt
