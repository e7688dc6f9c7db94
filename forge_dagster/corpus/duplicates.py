"""Exact and near duplicates: MinHash LSH proposes pairs, Jaccard over word shingles decides, clusters are joined."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations, pairwise

WORD = re.compile(r"\w+")
SHINGLE = 5  # words
PERMUTATIONS = 128
BANDS = 32  # of 4 rows: a pair at Jaccard 0.7 is proposed with probability 1 - (1 - 0.7^4)^32 > 0.999
MINHASH_SEED = 42


def words(text: str) -> list[str]:
    """Words of a text, lower-cased."""
    return WORD.findall(text.lower())


def shingles(text: str) -> frozenset[str]:
    """Word 5-grams of a text; a shorter text is one shingle."""
    found = words(text)
    return frozenset(" ".join(found[i : i + SHINGLE]) for i in range(max(1, len(found) - SHINGLE + 1)))


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """Intersection over union of two shingle sets (Broder 1997)."""
    return len(first & second) / len(first | second)


def clusters(texts: Sequence[str], *, threshold: float) -> list[int]:
    """Cluster label of each text; texts with the same label are duplicates, directly or through others.

    Candidates share a band of their MinHash signature (Leskovec et al., Mining of Massive Datasets, 3.4); a pair
    joins only if its true Jaccard similarity is at least `threshold`.
    """
    exact: dict[str, int] = {}
    representative = [exact.setdefault(hashlib.sha256(text.encode()).hexdigest(), i) for i, text in enumerate(texts)]
    distinct = sorted(set(representative))
    parent = {index: index for index in distinct}

    def find(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for first, second in _candidates(texts, distinct):
        if find(first) == find(second):
            continue
        if jaccard(shingles(texts[first]), shingles(texts[second])) >= threshold:
            low, high = sorted((find(first), find(second)))
            parent[high] = low
    return [find(index) for index in representative]


def _candidates(texts: Sequence[str], indices: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs that share at least one band, each pair once, in order."""
    from rensa import RMinHash

    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    rows = PERMUTATIONS // BANDS
    for index in indices:
        minhash = RMinHash(num_perm=PERMUTATIONS, seed=MINHASH_SEED)
        minhash.update(sorted(shingles(texts[index])))
        signature = minhash.digest()
        for band in range(BANDS):
            key = b"".join(value.to_bytes(8, "little") for value in signature[band * rows : (band + 1) * rows])
            buckets[band, key].append(index)
    # A bucket of many equals is linked in a chain: clusters are the same, pairs grow linearly.
    pairs: set[tuple[int, int]] = set()
    for members in buckets.values():
        pairs.update(combinations(members, 2) if len(members) <= 20 else pairwise(members))
    return sorted(pairs)
