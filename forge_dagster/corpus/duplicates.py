"""Exact and near duplicates: MinHash LSH proposes pairs, Jaccard over word shingles decides, clusters are joined."""

import hashlib
import re
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations

WORD = re.compile(r"\w+")
SHINGLE = 5  # words
PERMUTATIONS = 128
BANDS = 32  # of 4 rows: a pair at Jaccard 0.7 is proposed with probability 1 - (1 - 0.7^4)^32 > 0.999
MINHASH_SEED = 42
MOST_PAIRED = 48  # documents in a bucket that are all compared with each other
MOST_LEADERS = 32  # in a larger bucket: documents that each of the others is compared with
REMEMBERED = 128  # documents whose shingles are kept between comparisons


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


def clusters(
    texts: Sequence[str], *, threshold: float, progress: Callable[[int, int], None] = lambda done, total: None
) -> list[int]:
    """Cluster label of each text; texts with the same label are duplicates, directly or through others.

    Candidates share a band of their MinHash signature (Leskovec et al., Mining of Massive Datasets, 3.4); a pair
    joins only if its true Jaccard similarity is at least `threshold`. The clusters do not depend on the order of the
    texts. `progress` is told how many distinct texts are signed.
    """
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    first_with: dict[str, int] = {}
    for index, digest in enumerate(digests):
        first_with.setdefault(digest, index)
    distinct = [first_with[digest] for digest in sorted(first_with)]
    parent = {index: index for index in distinct}

    def find(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    @lru_cache(maxsize=REMEMBERED)
    def shingles_of(index: int) -> frozenset[str]:
        return shingles(texts[index])

    def alike(first: int, second: int) -> bool:
        """Whether two texts are in one cluster; joins them if they are similar."""
        if find(first) != find(second) and jaccard(shingles_of(first), shingles_of(second)) >= threshold:
            parent[find(second)] = find(first)
        return find(first) == find(second)

    for bucket in _buckets(texts, distinct, progress):
        if len(bucket) <= MOST_PAIRED:
            for first, second in combinations(bucket, 2):
                alike(first, second)
        else:
            _gather(bucket, alike)
    return [find(first_with[digest]) for digest in digests]


def _gather(bucket: Sequence[int], alike: Callable[[int, int], bool]) -> None:
    """Compare each text of a large bucket with those that found no cluster before it: not quadratic, may miss a few."""
    leaders: list[int] = []
    for index in bucket:
        if not any(alike(leader, index) for leader in leaders) and len(leaders) < MOST_LEADERS:
            leaders.append(index)


def _buckets(
    texts: Sequence[str], indices: Sequence[int], progress: Callable[[int, int], None]
) -> Iterator[tuple[int, ...]]:
    """Sets of texts that share at least one band, each set once, each in the order of `indices`."""
    from rensa import RMinHash

    signatures = []
    for done, index in enumerate(indices, start=1):
        minhash = RMinHash(num_perm=PERMUTATIONS, seed=MINHASH_SEED)
        minhash.update(list(shingles(texts[index])))
        signatures.append(array("Q", minhash.digest()))
        progress(done, len(indices))
    rows = PERMUTATIONS // BANDS
    seen: set[tuple[int, ...]] = set()
    for start in range(0, PERMUTATIONS, rows):
        buckets: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, signature in zip(indices, signatures, strict=True):
            buckets[tuple(signature[start : start + rows])].append(index)
        for members in map(tuple, buckets.values()):
            if len(members) > 1 and members not in seen:
                seen.add(members)
                yield members
