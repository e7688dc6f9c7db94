"""Exact and near duplicates from signatures alone: shared MinHash bands propose pairs, Jaccard decides, pairs join.

The clusters are the connected components of the pairs that are alike. A pair within one component need not be decided,
so pairs are taken nearest first, and most of a large bucket of copies is never compared.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from forge_dagster.corpus.signature import Numbers

Short = npt.NDArray[np.int32]

NEIGHBOURS = 48  # texts after it in its bucket that each text is compared with; a smaller bucket is compared in full


def clusters(
    digests: npt.NDArray[np.bytes_],
    bands: npt.NDArray[np.uint64],
    alike: Callable[[Numbers, Numbers], npt.NDArray[np.bool_]],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Numbers:
    """Cluster label of each text; texts with the same label are duplicates, directly or through others.

    `digests` (texts) name the texts, `bands` (texts, BANDS) come from their signatures, `alike` says of pairs of texts
    whether they are near duplicates. The clusters do not depend on the order of the texts. A label is the number of a
    text in the cluster. `progress` is told how many steps are done.
    """
    _, text_of, which = np.unique(digests, return_index=True, return_inverse=True)
    steps = bands.shape[1] + NEIGHBOURS
    labels = np.arange(len(text_of))  # of the distinct texts, in the order of their digests
    members, bucket = _buckets(bands, text_of, lambda done: progress(done, steps))
    for step in range(1, NEIGHBOURS + 1):
        progress(bands.shape[1] + step, steps)
        at = np.flatnonzero(bucket[step:] == bucket[:-step])
        if not len(at):
            break
        first, second = _distinct(members[at].astype(np.int64), members[at + step].astype(np.int64), labels)
        near = alike(text_of[first], text_of[second])
        labels = _joined(labels, first[near], second[near])
    return text_of[labels][which]


def _buckets(bands: npt.NDArray[np.uint64], texts: Numbers, progress: Callable[[int], None]) -> tuple[Short, Short]:
    """Texts that share a band with another, bucket after bucket, and the number of each one's bucket.

    Within a bucket they are in the order of the next band, so that likely copies stand side by side.
    """
    members, buckets, count = [], [], 0
    for place in range(bands.shape[1]):
        progress(place)
        value, following = bands[texts, place], bands[texts, (place + 1) % bands.shape[1]]
        order = np.argsort(value)
        equal = np.flatnonzero(value[order[1:]] == value[order[:-1]])
        shared = order[np.union1d(equal, equal + 1)]
        shared = shared[np.lexsort((shared, following[shared], value[shared]))]
        values, number = np.unique(value[shared], return_inverse=True)
        # In halves: with a million copies of one text these two are the largest there is.
        members.append(shared.astype(np.int32))
        buckets.append((number + count).astype(np.int32))
        count += len(values)
    return np.concatenate(members), np.concatenate(buckets)


def _distinct(first: Numbers, second: Numbers, labels: Numbers) -> tuple[Numbers, Numbers]:
    """Each pair once, those already in one cluster left out."""
    apart = labels[first] != labels[second]
    pairs = np.unique(np.minimum(first, second)[apart] * len(labels) + np.maximum(first, second)[apart])
    return pairs // len(labels), pairs % len(labels)


def _joined(labels: Numbers, first: Numbers, second: Numbers) -> Numbers:
    """Labels after these pairs have joined: the smallest of each component."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names, ends = np.unique(np.stack([labels[first], labels[second]]), return_inverse=True)
    size = len(names)
    graph = coo_array((np.ones(len(first), dtype=bool), tuple(ends.reshape(2, -1))), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    _, least = np.unique(component, return_index=True)  # the first of each is its smallest: names are in order
    into = np.arange(len(labels))
    into[names] = names[least][component]
    return into[labels]
