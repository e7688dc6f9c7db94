"""Search over the training text by BM25, in the sources that an agent may read, with the document of each passage."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from forge_dagster.comparison import Retrieval
from forge_dagster.errors import DataError
from forge_dagster.evaluation.retrieval import cut, ranking, words


class Passage(NamedTuple):
    """A part of a training document."""

    document: str
    source: str
    path: str
    text: str


class Search:
    """Passages of some sources of one corpus. Held-out documents are in none: they are what models are judged by."""

    def __init__(self, corpus: Path, sources: Collection[str], how: Retrieval) -> None:
        """Index the training side. Raises DataError if these sources have no words in it."""
        columns = ["id", "source", "path", "text"]
        table = pq.read_table(corpus / "train.parquet", columns=columns)
        rows = table.filter(pc.is_in(table["source"], pa.array(sorted(sources), pa.string()))).to_pylist()
        self.passages = [
            Passage(row["id"], row["source"], row["path"], part)
            for row in rows
            for part in cut(row["text"], how.passage_words)
        ]
        if not self.passages:
            raise DataError(
                f"no training text of {', '.join(sorted(sources)) or 'any source'}",
                rule="search ranks passages of sources that the agent may read",
                mend="a person adds sources to its quota, or documents to them",
            )
        self._ranking = ranking([each.text for each in self.passages], how)

    def best(self, query: str, most: int) -> list[tuple[Passage, float]]:
        """The best passages that share a word with the query, with their scores, best first."""
        found, scores = self._ranking.retrieve([words(query)], k=min(most, len(self.passages)), show_progress=False)
        pairs: Any = zip(found[0], scores[0], strict=True)
        return [(self.passages[number], round(float(score), 3)) for number, score in pairs if score > 0]
