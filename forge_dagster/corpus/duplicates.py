"""Exact and near duplicates from signatures alone: shared MinHash bands propose pairs, Jaccard decides, pairs join.

The clusters are the connected components of the pairs that are alike. A pair within one component need not be decided,
so pairs are taken nearest first, and most of a large bucket of copies is never compared.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forge_dagster.corpus.signature import Numbers, Shingles, jaccards

Short = npt.NDArray[np.int32]
Digests = npt.NDArray[np.bytes_]
Alike = Callable[[Numbers, Numbers], npt.NDArray[np.bool_]]
"""Of pairs of texts, whether they are near duplicates."""
Progress = Callable[[int, int], None]

NEIGHBOURS = 48  # texts after it in its bucket that each text is compared with; a smaller bucket is compared in full


def alike_from(shingles: Shingles, jaccard: float) -> Alike:
    """Texts are alike whose shingles have at least this Jaccard similarity."""
    return lambda first, second: jaccards(shingles, first, second) >= jaccard


class Buckets(NamedTuple):
    """Distinct texts that share a band with another, bucket after bucket."""

    text_of: Numbers
    """A text of each distinct digest, in the order of the digests."""
    which: Numbers
    """Of each text, which distinct one it is."""
    members: Short
    """Distinct texts, those of one bucket in the order of the next band, so that likely copies stand side by side."""
    bucket: Short
    """The number of each member's bucket."""


def clusters(
    digests: Digests, bands: npt.NDArray[np.uint64], alike: Alike, *, progress: Progress = lambda done, total: None
) -> Numbers:
    """Cluster label of each text; texts with the same label are duplicates, directly or through others.

    `digests` (texts) name the texts, `bands` (texts, BANDS) come from their signatures. The clusters do not depend on
    the order of the texts. A label is the number of a text in the cluster. `progress` is told how many steps are done.
    """
    places = range(bands.shape[1])
    steps = len(places) + NEIGHBOURS
    found = buckets(digests, bands, places, progress=lambda done, _: progress(done, steps))
    labels = compared(found, alike, progress=lambda done, _: progress(len(places) + done, steps))
    return found.text_of[labels][found.which]


def buckets(
    digests: Digests, bands: npt.NDArray[np.uint64], places: range, *, progress: Progress = lambda done, total: None
) -> Buckets:
    """Texts that share one of the bands at `places` with another."""
    _, text_of, which = np.unique(digests, return_index=True, return_inverse=True)
    members, numbers, count = [np.empty(0, dtype=np.int32)], [np.empty(0, dtype=np.int32)], 0
    for done, place in enumerate(places):
        progress(done, len(places))
        value, following = bands[text_of, place], bands[text_of, (place + 1) % bands.shape[1]]
        order = np.argsort(value)
        equal = np.flatnonzero(value[order[1:]] == value[order[:-1]])
        shared = order[np.union1d(equal, equal + 1)]
        shared = shared[np.lexsort((shared, following[shared], value[shared]))]
        values, number = np.unique(value[shared], return_inverse=True)
        # In halves: with a million copies of one text these two are the largest there is.
        members.append(shared.astype(np.int32))
        numbers.append((number + count).astype(np.int32))
        count += len(values)
    return Buckets(text_of, which, np.concatenate(members), np.concatenate(numbers))


def compared(found: Buckets, alike: Alike, *, progress: Progress = lambda done, total: None) -> Numbers:
    """The smallest of each distinct text's cluster, by what `alike` says of the texts of each bucket."""
    labels = np.arange(len(found.text_of))
    for step in range(1, NEIGHBOURS + 1):
        progress(step, NEIGHBOURS)
        at = np.flatnonzero(found.bucket[step:] == found.bucket[:-step])
        if not len(at):
            break
        pairs = found.members[at].astype(np.int64), found.members[at + step].astype(np.int64)
        first, second = _distinct(*pairs, labels)
        near = alike(found.text_of[first], found.text_of[second])
        labels = _joined(labels, first[near], second[near])
    return labels


def clusters_of_pairs(digests: Digests, first: Digests, second: Digests) -> Numbers:
    """Cluster label of each text, as `clusters` gives it, from pairs of duplicates by their digests."""
    names, text_of, which = np.unique(digests, return_index=True, return_inverse=True)
    labels = _joined(np.arange(len(names)), np.searchsorted(names, first), np.searchsorted(names, second))
    return text_of[labels][which]


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
