"""Fingerprints of the training text, by which a bundle says which documents share a passage, and holds no text.

Winnowing (Schleimer, Wilkerson, Aiken 2003, SIGMOD): of the hashes of all runs of GRAM words the smallest of every
WINDOW in a row is kept. A passage of GRAM + WINDOW - 1 words or more that two texts share has one of these in common.
"""

import zlib
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from forge_dagster.corpus.signature import runs_mixed
from forge_dagster.corpus.words import words

GRAM, WINDOW = 8, 17  # so that every shared passage of 24 words is found
Hashes = npt.NDArray[np.uint32]


class _WordHashes(dict[str, int]):
    """The verifier, which has the standard library alone, hashes words in the same way."""

    def __missing__(self, word: str) -> int:
        found = self[word] = int.from_bytes(blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "little")
        return found


def winnowed(found: npt.NDArray[np.uint64]) -> Hashes:
    """Fingerprints of a text, given the hash of each of its words."""
    grams = (runs_mixed(found, GRAM, 0) >> np.uint64(32)).astype(np.uint32)
    if len(grams) <= WINDOW:
        return np.sort(grams)[:1]
    windows = np.lib.stride_tricks.sliding_window_view(grams, WINDOW)
    return np.unique(windows.min(axis=1))


def fingerprints(corpora: Sequence[Path], ids: list[str]) -> bytes:
    """Of the training text of corpora, each document once, compressed: the count of entries, their sorted hashes as
    differences, and the document of each by its place in `ids`; 4 bytes a number, little-endian."""
    hashes, place = _WordHashes(), {given: number for number, given in enumerate(ids)}
    found: list[Hashes] = []
    owners: list[npt.NDArray[np.uint32]] = []
    done: set[str] = set()
    for row in (row for corpus in corpora for row in _texts(corpus)):
        if row["id"] not in done:
            done.add(row["id"])
            told = words(row["text"])
            kept = winnowed(np.fromiter(map(hashes.__getitem__, told), np.uint64, len(told)))
            found.append(kept)
            owners.append(np.full(len(kept), place[row["id"]], np.uint32))
    every, of = np.concatenate([*found, np.zeros(0, np.uint32)]), np.concatenate([*owners, np.zeros(0, np.uint32)])
    order = np.lexsort((of, every))
    steps = np.diff(every[order].astype(np.int64), prepend=0).astype("<u4")
    return zlib.compress(
        np.array([len(every)], "<u4").tobytes() + steps.tobytes() + of[order].astype("<u4").tobytes(), 6
    )


def _texts(corpus: Path) -> Iterator[dict[str, Any]]:
    for batch in pq.ParquetFile(corpus / "train.parquet").iter_batches(batch_size=256, columns=["id", "text"]):
        yield from batch.to_pylist()
