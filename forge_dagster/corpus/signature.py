"""The signature of a text: hashes of its word shingles and MinHash bands of them; duplicates are found from it alone.

Broder 1997, On the resemblance and containment of documents; Leskovec et al., Mining of Massive Datasets, 3.3-3.4.
"""

from collections.abc import Sequence
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

Hashes = npt.NDArray[np.uint32]
"""Sorted and distinct."""


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


def shingle_hashes(found: Sequence[str]) -> Hashes:
    """Hashes of the word 5-grams of a list of words; a shorter list is one shingle."""
    size = min(SHINGLE, max(1, len(found)))
    each = np.fromiter(map(_WORDS.__getitem__, found or [""]), dtype=np.uint64)
    count = len(each) - size + 1
    mixed = np.full(count, size, dtype=np.uint64)
    for place in range(size):
        mixed = (mixed ^ (mixed >> np.uint64(29))) * MULTIPLIER + each[place : place + count]
    mixed = (mixed ^ (mixed >> np.uint64(32))) * MULTIPLIER
    return np.unique((mixed >> np.uint64(32)).astype(np.uint32))


def sign(text: str) -> Signature:
    """Signature of a text."""
    from rensa import RMinHash

    hashes = shingle_hashes(words(text))
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        hashes.astype(np.uint64), [0, len(hashes)], PERMUTATIONS, MINHASH_SEED
    )
    rows = np.array(matrix.to_rows()[0], dtype="<u8").reshape(BANDS, -1)
    bands = np.array([xxhash.xxh3_64_intdigest(row.tobytes()) for row in rows], dtype="<u8")
    return Signature(bands.tobytes(), hashes[:MOST_SHINGLES].astype("<u4").tobytes())


def shingles(text: str) -> Hashes:
    """Shingle hashes of a text as its signature holds them."""
    return shingle_hashes(words(text))[:MOST_SHINGLES]


def jaccard(first: Hashes, second: Hashes) -> float:
    """Intersection over union of two shingle sets; of their common part where one is a sample."""
    ends = [hashes[-1] for hashes in (first, second) if len(hashes) == MOST_SHINGLES]
    if ends:
        first, second = (hashes[: np.searchsorted(hashes, min(ends), side="right")] for hashes in (first, second))
    both = np.concatenate([first, second])
    both.sort()
    shared = int(np.count_nonzero(both[1:] == both[:-1]))
    return shared / (len(both) - shared)
