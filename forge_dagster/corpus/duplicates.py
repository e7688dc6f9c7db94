"""Exact and near duplicates from signatures alone: shared MinHash bands propose pairs, Jaccard decides, pairs join."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations

import numpy as np
import numpy.typing as npt
import xxhash

from forge_dagster.corpus.signature import Hashes, jaccard

MOST_PAIRED = 48  # documents in a bucket that are all compared with each other
MOST_LEADERS = 32  # in a larger bucket: documents that each of the others is compared with
REMEMBERED = 256  # documents whose shingles are kept between comparisons


def clusters(
    digests: npt.NDArray[np.bytes_],
    bands: npt.NDArray[np.uint64],
    shingles_of: Callable[[int], Hashes],
    *,
    threshold: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[int]:
    """Cluster label of each text; texts with the same label are duplicates, directly or through others.

    `digests` (documents) name the texts, `bands` (documents, BANDS) come from their signatures, `shingles_of` gives
    one document's shingle hashes. A pair joins only if its Jaccard similarity is at least `threshold`. The clusters
    do not depend on the order of the texts. `progress` is told how many bands are done.
    """
    _, first_with, which = np.unique(digests, return_index=True, return_inverse=True)
    parent = list(range(len(first_with)))  # of the distinct texts, in the order of their digests

    def find(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    @lru_cache(maxsize=REMEMBERED)
    def hashes(index: int) -> Hashes:
        return shingles_of(int(first_with[index]))

    def alike(first: int, second: int) -> bool:
        """Whether two texts are in one cluster; joins them if they are similar."""
        if find(first) != find(second) and jaccard(hashes(first), hashes(second)) >= threshold:
            parent[find(second)] = find(first)
        return find(first) == find(second)

    for bucket in _buckets(bands[first_with], progress):
        if len(bucket) <= MOST_PAIRED:
            for first, second in combinations(bucket, 2):
                alike(first, second)
        else:
            _gather(bucket, alike)
    roots = [int(first_with[find(index)]) for index in range(len(parent))]
    return [roots[index] for index in which.tolist()]


def _gather(bucket: Sequence[int], alike: Callable[[int, int], bool]) -> None:
    """Compare each text of a large bucket with those that found no cluster before it: not quadratic, may miss a few."""
    leaders: list[int] = []
    for index in bucket:
        if not any(alike(leader, index) for leader in leaders) and len(leaders) < MOST_LEADERS:
            leaders.append(index)


def _buckets(bands: npt.NDArray[np.uint64], progress: Callable[[int, int], None]) -> Iterator[list[int]]:
    """Numbers of texts that share a band, in order; each set once."""
    seen: set[int] = set()
    for done in range(bands.shape[1]):
        progress(done, bands.shape[1])
        order = np.argsort(bands[:, done], kind="stable")
        values = bands[order, done]
        starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
        ends = np.concatenate([starts[1:], [len(values)]])
        for start, end in zip(starts[ends - starts > 1].tolist(), ends[ends - starts > 1].tolist(), strict=True):
            name = xxhash.xxh3_64_intdigest(order[start:end].tobytes())
            if name not in seen:
                seen.add(name)
                yield order[start:end].tolist()
