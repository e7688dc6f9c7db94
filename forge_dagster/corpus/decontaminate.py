"""Which training documents contain a benchmark item: 13-gram word overlap (Brown et al. 2020, appendix C)."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numpy.lib.stride_tricks import sliding_window_view

from forge_dagster.corpus.packed import are_in, packed
from forge_dagster.corpus.signature import MOST_SHINGLES, SHINGLE, Hashes, gram_hashes
from forge_dagster.corpus.words import words
from forge_dagster.errors import DataError

GRAM = 13  # words
SHORTEST = 8  # words; an item between the two is looked for as a whole, a shorter one says too little
FILTER_BITS = 24  # of a shingle hash: a table of 16 MiB that few shingles pass
SHIFT = np.uint32(32 - FILTER_BITS)


class Index(NamedTuple):
    """Shingles of forbidden grams, to be found in signatures."""

    shingles: Hashes
    grams: npt.NDArray[np.intp]
    """For each gram the places of its shingles in `shingles`; a short gram names one several times."""
    first: Hashes
    """Shingles that grams begin with."""
    seen: npt.NDArray[np.bool_]
    """By the first FILTER_BITS of a shingle, whether one of `shingles` has them."""


class Forbidden:
    """Grams of benchmark items, each with the task it belongs to."""

    def __init__(self) -> None:
        self._grams: dict[int, dict[str, str]] = defaultdict(dict)
        self._hashes = [np.empty((0, GRAM - SHINGLE + 1), dtype=np.uint32)]
        self._indexed: Index | None = None

    def add(self, text: str, task: str) -> None:
        """Forbid the grams of a text; a text of fewer than SHORTEST words forbids nothing."""
        found = words(text)
        size = min(GRAM, len(found))
        if size >= SHORTEST:
            self._grams[size].update(dict.fromkeys(grams(found, size), task))
            inside = sliding_window_view(gram_hashes(found), size - SHINGLE + 1)
            self._hashes.append(np.pad(inside, ((0, 0), (0, GRAM - size)), mode="edge"))
            self._indexed = None

    def _index(self) -> Index:
        if self._indexed is None:
            hashes = np.unique(np.concatenate(self._hashes), axis=0)
            shingles, places = np.unique(hashes, return_inverse=True)
            seen = np.zeros(1 << FILTER_BITS, dtype=bool)
            seen[shingles >> SHIFT] = True
            self._indexed = Index(shingles, places.reshape(hashes.shape), np.unique(hashes[:, 0]), seen)
        return self._indexed

    def found_in(self, text: str) -> str | None:
        """Task of the first forbidden gram in `text`, if any."""
        found = words(text)
        begins = np.flatnonzero(are_in(gram_hashes(found), self._index().first)).tolist()
        for size, tasks in sorted(self._grams.items()):
            for begin in begins:
                task = tasks.get(" ".join(found[begin : begin + size]))
                if task is not None:
                    return task
        return None

    def suspects(self, shingles: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.bool_]:
        """Whether each document may hold a forbidden gram, by its signature: one that does has all the gram's shingles.

        Of each gram the shingle that the fewest of these documents have is looked for. A sample says nothing.
        """
        index = self._index()
        found, sizes = packed(shingles, "<u4")
        at = np.flatnonzero(index.seen[found >> SHIFT])
        at = at[are_in(found[at], index.shingles)]
        which = np.searchsorted(index.shingles, found[at])
        often = np.bincount(which, minlength=len(index.shingles))
        rarest = np.take_along_axis(index.grams, often[index.grams].argmin(axis=1)[:, None], axis=1)
        at = at[np.isin(which, rarest)]
        owners = np.repeat(np.arange(len(sizes)), sizes)[at]
        return np.asarray((np.bincount(owners, minlength=len(sizes)) > 0) | (sizes >= MOST_SHINGLES))


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
                    for text in said(dict(zip(rows.columns, values, strict=True))):
                        forbidden.add(text, task)
    except duckdb.Error as error:
        raise DataError(
            f"{file}: {str(error).splitlines()[0]}",
            rule="a benchmark's items are jsonl, json, csv or parquet",
            mend="correct the file, or take it out of evals/",
        ) from error


def said(item: Mapping[str, Any]) -> Iterator[str]:
    """The question with its right answer, where the item says which; else every text it holds."""
    question, choices, gold = item.get("query") or item.get("question"), item.get("choices"), item.get("gold")
    right = choices[gold] if isinstance(choices, list) and isinstance(gold, int) and 0 <= gold < len(choices) else None
    if isinstance(question, str) and right is not None:
        yield f"{question} {right}"
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
