"""Training documents that hold the longest runs of words of a text. A match does not say what caused the text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from forge_dagster.corpus.packed import are_in, packed
from forge_dagster.corpus.signature import MOST_SHINGLES, SHINGLE, gram_hashes
from forge_dagster.corpus.words import WORD, words
from forge_dagster.errors import UserError
from forge_dagster.lineage.graph import Graph, Node
from forge_dagster.lineage.row_index import RowIndex
from forge_dagster.stage import FrozenModel

NOTE = "These documents hold the same words. That does not show that the model has the words from them."


class Span(FrozenModel):
    """A run of words that a document and the text share, and where it stands in the two (characters)."""

    text: str
    words: int
    at: int
    document_at: int


class Match(FrozenModel):
    """One document and the longest runs that it shares with the text, longest first; none lies in another."""

    document: str
    source: str
    path: str
    spans: tuple[Span, ...]

    @property
    def longest(self) -> int:
        return self.spans[0].words


def trace(graph: Graph, index: RowIndex, release: Node, text: str, most: int) -> list[Match]:
    """At most `most` documents of the release's training text, longest run first.

    Candidates come from the signatures of the clean documents, so that few texts are read; each is then compared word
    by word. Raises UserError on a text of fewer than SHINGLE words: so few stand everywhere.
    """
    asked = words(text)
    if len(asked) < SHINGLE:
        raise UserError(
            f"{len(asked)} words", rule=f"runs of at least {SHINGLE} words are looked for", mend="give a longer text"
        )
    corpus = graph.input(release, "corpus")
    wanted = np.unique(gram_hashes(asked))
    hits: dict[str, int] = {}
    for name, node in graph.inputs(corpus):
        if name.startswith("clean_documents/"):
            hits |= _hits(graph.content(node), wanted)
    found: list[Match] = []
    for document, grams in sorted(hits.items(), key=lambda each: (-each[1], each[0])):
        # A run of n words has n - SHINGLE + 1 grams: a document with fewer hits than that has no longer run.
        if len(found) >= most and grams + SHINGLE - 1 < found[most - 1].longest:
            break
        for row in index.rows(corpus, "train.parquet", "id", document, ["source", "path", "text"]):
            if spans := shared(text, row["text"]):
                found.append(Match(document=document, source=row["source"], path=row["path"], spans=tuple(spans)))
                found.sort(key=lambda match: (-match.longest, match.source, match.path))
    return found[:most]


def _hits(clean: Path, wanted: np.ndarray) -> dict[str, int]:
    """Of each document the number of its grams that are wanted, at most; a long one's signature is only a sample."""
    file = pq.ParquetFile(clean / "signatures.parquet")
    found: dict[str, int] = {}
    for batch in file.iter_batches(columns=["id", "shingles"]):
        grams, sizes = packed(batch.column("shingles"), "<u4")
        owners = np.repeat(np.arange(len(sizes)), sizes)[are_in(grams, wanted)]
        counts = np.bincount(owners, minlength=len(sizes))
        counts[sizes >= MOST_SHINGLES] = len(wanted)
        for place in np.flatnonzero(counts).tolist():
            found[batch.column("id")[place].as_py()] = int(counts[place])
    return found


def shared(text: str, other: str) -> list[Span]:
    """Runs of at least SHINGLE words that both hold; of runs that overlap in the text the longest."""
    mine, theirs = list(WORD.finditer(text)), list(WORD.finditer(other))
    first, second = ([match.group().lower() for match in each] for each in (mine, theirs))
    runs = sorted(_runs(first, second), key=lambda run: (-run[2], run[0], run[1]))
    spans: list[Span] = []
    taken: set[int] = set()
    for at, there, length in runs:
        if taken.isdisjoint(range(at, at + length)):
            taken.update(range(at, at + length))
            begin, end = mine[at].start(), mine[at + length - 1].end()
            spans.append(Span(text=text[begin:end], words=length, at=begin, document_at=theirs[there].start()))
    return spans


def _runs(first: list[str], second: list[str]) -> Iterator[tuple[int, int, int]]:
    """(place in the first, place in the second, words) of every longest common run of SHINGLE words or more."""
    places: dict[tuple[str, ...], list[int]] = {}
    for at in range(len(first) - SHINGLE + 1):
        places.setdefault(tuple(first[at : at + SHINGLE]), []).append(at)
    for there in range(len(second) - SHINGLE + 1):
        for at in places.get(tuple(second[there : there + SHINGLE]), ()):
            if at and there and first[at - 1] == second[there - 1]:
                continue  # it began earlier
            length = SHINGLE
            while (
                at + length < len(first)
                and there + length < len(second)
                and first[at + length] == second[there + length]
            ):
                length += 1
            yield at, there, length


def as_plain(matches: list[Match]) -> list[dict[str, Any]]:
    """Matches as JSON takes them."""
    return [match.model_dump(mode="json") for match in matches]
