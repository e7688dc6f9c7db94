"""Which training documents contain a benchmark item: 13-gram word overlap (Brown et al. 2020, appendix C)."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from forge_dagster.corpus.signature import MOST_SHINGLES, shingle_hashes
from forge_dagster.corpus.words import words
from forge_dagster.errors import DataError

GRAM = 13  # words
SHORTEST = 8  # words; an item between the two is looked for as a whole, a shorter one says too little
FILTER_BITS = 24  # of a shingle hash: a table of 2 MiB that tells most documents apart from every item


class Forbidden:
    """Grams of benchmark items, each with the task it belongs to."""

    def __init__(self) -> None:
        self._grams: dict[int, dict[str, str]] = defaultdict(dict)
        self._seen = np.zeros(1 << FILTER_BITS, dtype=bool)

    def add(self, text: str, task: str) -> None:
        """Forbid the grams of a text; a text of fewer than SHORTEST words forbids nothing."""
        found = words(text)
        size = min(GRAM, len(found))
        if size >= SHORTEST:
            self._grams[size].update(dict.fromkeys(grams(found, size), task))
            self._seen[shingle_hashes(found) >> (32 - FILTER_BITS)] = True

    def found_in(self, text: str) -> str | None:
        """Task of the first forbidden gram in `text`, if any."""
        found = words(text)
        for size, tasks in sorted(self._grams.items()):
            for gram in grams(found, size):
                if gram in tasks:
                    return tasks[gram]
        return None

    def suspects(self, shingles: Sequence[bytes]) -> list[bool]:
        """Whether each document may hold a forbidden gram, by its signature: one that holds it shares its shingles."""
        lengths = np.array([len(each) // 4 for each in shingles], dtype=np.int64)
        shared = self._seen[np.frombuffer(b"".join(shingles), dtype="<u4") >> (32 - FILTER_BITS)]
        ends = np.concatenate([[0], np.cumsum(shared)])[np.concatenate([[0], np.cumsum(lengths)])]
        return [bool(hit) for hit in (np.diff(ends) > 0) | (lengths >= MOST_SHINGLES)]


def grams(found: Sequence[str], size: int) -> Iterator[str]:
    """Word n-grams of a list of words."""
    return (" ".join(found[i : i + size]) for i in range(len(found) - size + 1))


def forbid_benchmark(forbidden: Forbidden, benchmark: Path) -> None:
    """Forbid every item of the domain benchmark whose task asks for generalisation: question with the right answer.

    Knowledge items state what the model is meant to learn, so they never remove a document.
    """
    for task in json.loads((benchmark / "benchmark.json").read_bytes())["tasks"]:
        if task["role"] == "generalisation":
            forbid_items(forbidden, benchmark / task["items"], task["name"])


def forbid_items(forbidden: Forbidden, file: Path, task: str) -> None:
    """Forbid the items of a benchmark's file: jsonl, json, csv or parquet.

    Raises DataError if it cannot be read.
    """
    import duckdb

    kind = file.suffix.lstrip(".").replace("jsonl", "json")
    try:
        with duckdb.connect() as connection:
            rows = getattr(connection, f"read_{kind}")(str(file))
            while items := rows.fetchmany(1024):
                for values in items:
                    for text in _said(dict(zip(rows.columns, values, strict=True))):
                        forbidden.add(text, task)
    except duckdb.Error as error:
        raise DataError(
            f"{file}: {str(error).splitlines()[0]}",
            rule="a benchmark's items are jsonl, json, csv or parquet",
            mend="correct the file, or take it out of evals/",
        ) from error


def _said(item: Mapping[str, Any]) -> Iterator[str]:
    """The question with its right answer, where the item says which; else every text it holds."""
    question = item.get("query") or item.get("question")
    if isinstance(question, str) and isinstance(item.get("choices"), list) and isinstance(item.get("gold"), int):
        yield f"{question} {item['choices'][item['gold']]}"
    elif isinstance(question, str) and isinstance(item.get("answer"), str):
        yield f"{question} {item['answer']}"
    else:
        yield from _texts(item)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(tuple(value.values()))
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for each in value:
            yield from _texts(each)
