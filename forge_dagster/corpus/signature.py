"""The signature of a text: hashes of its word shingles and MinHash bands of them; duplicates are found from it alone.

Broder 1997, On the resemblance and containment of documents; Leskovec et al., Mining of Massive Datasets, 3.3-3.4.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

from forge_dagster.corpus.words import words

SHINGLE = 5  # words
PERMUTATIONS = 128
BANDS = 32  # of 4 rows: a pair at Jaccard 0.7 is proposed with probability 1 - (1 - 0.7^4)^32 > 0.999
MINHASH_SEED = 42
MOST_SHINGLES = 4096  # a longer text keeps its smallest hashes: a sample, standard error of Jaccard under 0.008
MOST_WORDS = 1 << 18  # hashes of words that are remembered
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: spreads neighbours (Knuth, TAOCP 3, 6.4)

COMPARED_AT_ONCE = 1 << 22  # hashes of pairs of texts: 100 MiB

Hashes = npt.NDArray[np.uint32]
"""Sorted and distinct, where they stand for a text."""
Words = npt.NDArray[np.uint64]
"""Hashes of words, 8 bytes each."""
Numbers = npt.NDArray[np.int64]
"""Places of texts, or sizes."""


class Signature(NamedTuple):
    """What duplicates are found by."""

    bands: bytes
    """BANDS hashes of 8 bytes; two texts that share one at the same place are compared."""
    shingles: bytes
    """Up to MOST_SHINGLES hashes of 4 bytes, sorted."""


class _WordHashes(dict[str, int]):
    def __missing__(self, word: str) -> int:
        if len(self) >= MOST_WORDS:
            self.clear()
        found = self[word] = xxhash.xxh3_64_intdigest(word.encode("utf-8", "surrogatepass"))
        return found


_WORDS = _WordHashes()


class Shingles(NamedTuple):
    """Shingle hashes of many texts, one text after the other."""

    hashes: Hashes
    ends: npt.NDArray[np.int64]
    """Where each text begins in `hashes`, and last where the last one ends."""

    def of(self, text: int) -> Hashes:
        """Those of one text."""
        return self.hashes[self.ends[text] : self.ends[text + 1]]


def mapped(scratch: Path, sizes: Sequence[Numbers]) -> Shingles:
    """The shingles that were written to a file one after the other, of so many hashes each; they stay in the file."""
    ends = np.cumsum(np.concatenate([np.zeros(1, dtype=np.int64), *sizes]))
    hashes = np.memmap(scratch, dtype="<u4", mode="r") if ends[-1] else np.empty(0, dtype="<u4")
    return Shingles(np.asarray(hashes), ends)


def word_hashes(found: Sequence[str]) -> Words:
    """Hash of each word of a list."""
    return np.fromiter(map(_WORDS.__getitem__, found), dtype=np.uint64, count=len(found))


def runs_mixed(each: Words, size: int, start: int) -> Words:
    """Each run of `size` words made one number, from their hashes; `start` tells apart what is made for other ends."""
    count = max(0, len(each) - size + 1)
    mixed = np.full(count, start, dtype=np.uint64)
    for place in range(size):
        mixed = (mixed ^ (mixed >> np.uint64(29))) * MULTIPLIER + each[place : place + count]
    return mixed


def gram_hashes(found: Sequence[str]) -> Hashes:
    """Hash of each word 5-gram of a list of words, in order; a shorter list is one gram."""
    size = min(SHINGLE, max(1, len(found)))
    mixed = runs_mixed(word_hashes(found or [""]), size, start=size)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * MULTIPLIER
    return (mixed >> np.uint64(32)).astype(np.uint32)


def sign(text: str) -> Signature:
    """Signature of a text."""
    from rensa import RMinHash

    hashes = np.unique(gram_hashes(words(text)))
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        hashes.astype(np.uint64), [0, len(hashes)], PERMUTATIONS, MINHASH_SEED
    )
    rows = np.array(matrix.to_rows()[0], dtype="<u8").reshape(BANDS, -1)
    bands = np.array([xxhash.xxh3_64_intdigest(row.tobytes()) for row in rows], dtype="<u8")
    return Signature(bands.tobytes(), hashes[:MOST_SHINGLES].astype("<u4").tobytes())


def shingles(text: str) -> Hashes:
    """Shingle hashes of a text as its signature holds them."""
    return np.unique(gram_hashes(words(text)))[:MOST_SHINGLES]


def jaccard(first: Hashes, second: Hashes) -> float:
    """Jaccard similarity of two texts."""
    pair = Shingles(np.concatenate([first, second]), np.cumsum([0, len(first), len(second)]))
    return float(jaccards(pair, np.array([0]), np.array([1]))[0])


def jaccards(texts: Shingles, first: Numbers, second: Numbers) -> npt.NDArray[np.float64]:
    """Intersection over union of the shingles of each pair of texts; of their common part where one is a sample."""
    pairs = np.stack([first, second], axis=1)
    sizes = texts.ends[pairs + 1] - texts.ends[pairs]
    cuts = np.flatnonzero(np.diff(np.cumsum(sizes.sum(axis=1)) // COMPARED_AT_ONCE)) + 1
    pieces = zip(np.split(pairs, cuts), np.split(sizes, cuts), strict=True)
    return np.concatenate([_jaccards(texts, *piece) for piece in pieces])


def _jaccards(texts: Shingles, pairs: Numbers, sizes: Numbers) -> npt.NDArray[np.float64]:
    """The hashes of each pair side by side, with the pair's number in front, in order: what both have stands twice."""
    flat, ends = sizes.ravel(), np.cumsum(sizes.ravel())
    at = np.arange(flat.sum()) + np.repeat(texts.ends[pairs.ravel()] - ends + flat, flat)
    number = np.repeat(np.arange(len(pairs), dtype=np.uint64), sizes.sum(axis=1))
    hashes = texts.hashes[at]
    keys = (number << np.uint64(32)) | hashes
    if (sizes == MOST_SHINGLES).any():
        last = np.where(sizes == MOST_SHINGLES, texts.hashes[texts.ends[pairs + 1] - 1], np.uint32(2**32 - 1))
        keys = keys[hashes <= np.repeat(last.min(axis=1), sizes.sum(axis=1))]
    keys.sort()
    number = (keys >> np.uint64(32)).astype(np.int64)
    shared = np.bincount(number[1:][keys[1:] == keys[:-1]], minlength=len(pairs))
    either = np.bincount(number, minlength=len(pairs)) - shared
    return np.asarray(shared / either)
