"""Clusters of duplicates are found, true and independent of order."""

import hashlib
import random
from collections.abc import Callable
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_dagster.corpus import signature
from forge_dagster.corpus.duplicates import clusters
from forge_dagster.corpus.signature import BANDS, MOST_SHINGLES, Numbers, Shingles, jaccard, jaccards, shingles, sign


def packed(texts: list[str]) -> Shingles:
    each = [shingles(text) for text in texts]
    return Shingles(np.concatenate(each), np.cumsum([0, *map(len, each)]))


def groups(texts: list[str], threshold: float, compared: list[int] | None = None) -> set[frozenset[str]]:
    """Clusters of texts; `compared` gets the number of pairs of each call."""
    digests = np.array([hashlib.sha256(text.encode()).hexdigest() for text in texts], dtype="S64")
    bands = np.frombuffer(b"".join(sign(text).bands for text in texts), dtype="<u8").reshape(-1, BANDS)
    flat = packed(texts) if texts else Shingles(np.empty(0, dtype=np.uint32), np.zeros(1, dtype=np.int64))

    def alike(first: Numbers, second: Numbers) -> npt.NDArray[np.bool_]:
        if compared is not None:
            compared.append(len(first))
        return jaccards(flat, first, second) >= threshold

    found: dict[int, set[str]] = {}
    for text, label in zip(texts, clusters(digests, bands, alike).tolist(), strict=True):
        found.setdefault(label, set()).add(text)
    return {frozenset(group) for group in found.values()}


def test_jaccard_of_shingles():
    first, second = shingles("a b c d e f"), shingles("a b c d e g")
    assert len(first) == 2
    assert jaccard(first, second) == pytest.approx(1 / 3)
    assert shingles("Two words!").tolist() == shingles("two, WORDS").tolist() != shingles("words two").tolist()
    assert len(shingles("")) == 1


@given(st.lists(st.integers(0, 3000), min_size=5, max_size=40), st.integers(0, 40))
def test_hashes_say_of_shingles_what_the_words_say(numbers: list[int], cut: int):
    first, second = [f"w{number}" for number in numbers], [f"w{number}" for number in (*numbers[cut:], 7, 8, 9, 10, 11)]

    def grams(words: list[str]) -> set[tuple[str, ...]]:
        return {tuple(words[at : at + 5]) for at in range(len(words) - 4)}

    expected = len(grams(first) & grams(second)) / len(grams(first) | grams(second))
    assert jaccard(shingles(" ".join(first)), shingles(" ".join(second))) == pytest.approx(expected)


@pytest.mark.parametrize("shared", [0.5, 0.8, 0.95])
def test_of_long_texts_a_sample_tells_how_alike_they_are(shared: float):
    both, own = int(20_000 * shared), int(20_000 * (1 - shared) / 2)
    words = [f"w{number}" for number in range(20_000)]
    first, second = " ".join(words[: both + own]), " ".join(words[:both] + words[both + own :])
    assert len(sign(first).shingles) == 4 * MOST_SHINGLES
    assert jaccard(shingles(first), shingles(second)) == pytest.approx(both / (both + 2 * own), abs=0.03)


def test_near_duplicates_join_and_strangers_do_not(prose: Callable):
    base = prose(1, 40)
    edited = base.replace("number", "No.", 2)
    other = prose(2, 40)
    assert jaccard(shingles(base), shingles(edited)) > 0.8
    assert groups([base, other, edited, base], 0.8) == {frozenset({base, edited}), frozenset({other})}


def test_the_threshold_is_the_true_jaccard(prose: Callable):
    first = prose(1, 40)
    second = first[: len(first) * 2 // 3] + prose(2, 14)
    similarity = jaccard(shingles(first), shingles(second))
    assert len(groups([first, second], similarity - 0.01)) == 1
    assert len(groups([first, second], similarity + 0.01)) == 2


def test_a_chain_of_versions_is_one_cluster(prose: Callable):
    versions = [prose(1, 60)]
    for number in range(12):
        words = versions[-1].split()
        words[number * 40 : number * 40 + 12] = [f"new{number}"] * 12
        versions.append(" ".join(words))
    assert jaccard(shingles(versions[0]), shingles(versions[-1])) < 0.8
    assert len(groups(versions, 0.8)) == 1


def test_many_near_copies_are_found_without_comparing_all(prose: Callable):
    first, second = prose(1, 30), prose(2, 30)
    texts = [f"{base} Copy {number}." for number in range(200) for base in (first, second)]
    compared: list[int] = []
    found = groups([*texts, prose(3, 30)], 0.8, compared)
    assert sorted(map(len, found)) == [1, 200, 200]
    assert sum(compared) < 10_000, "of 79,800 pairs"


@pytest.mark.parametrize("at_once", [1, 100, 1 << 22])
def test_all_pairs_at_once_are_as_alike_as_each_by_itself(
    at_once: int, prose: Callable, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(signature, "COMPARED_AT_ONCE", at_once)
    long = [f"w{number}" for number in range(9000)]
    texts = ["", "a b", prose(1), prose(1)[40:], prose(2, 4), " ".join(long), " ".join(long[300:]), prose(3) + prose(1)]
    first, second = np.array(list(combinations(range(len(texts)), 2))).T
    found = jaccards(packed(texts), first, second)
    assert found.tolist() == [
        jaccard(shingles(texts[a]), shingles(texts[b])) for a, b in zip(first, second, strict=True)
    ]
    assert found[-3] == pytest.approx(len(long[300:]) / len(long), abs=0.03)
    assert len(jaccards(packed(texts), first[:0], second[:0])) == 0


WORD = st.sampled_from(("alpha", "beta", "gamma", "delta", "epsilon"))
TEXTS = st.lists(st.lists(WORD, max_size=14).map(" ".join), max_size=12)


@settings(max_examples=40)
@given(TEXTS, st.sampled_from([0.3, 0.6, 0.9]), st.randoms(use_true_random=False))
def test_clusters_do_not_depend_on_order_and_equal_texts_share_one(
    texts: list[str], threshold: float, draw: random.Random
):
    shuffled = texts[:]
    draw.shuffle(shuffled)
    found = groups(texts, threshold)
    assert found == groups(shuffled, threshold)
    assert sum(len(group) for group in found) == len(set(texts)), "a text is in one cluster"
    for group in found:
        if len(group) > 1:
            for text in group:
                nearest = max(jaccard(shingles(text), shingles(other)) for other in group - {text})
                assert nearest >= threshold, "everything in a cluster is near something else in it"


@settings(max_examples=40)
@given(TEXTS, st.sampled_from([0.3, 0.6, 0.9]))
def test_clusters_are_what_comparing_all_pairs_that_share_a_band_gives(texts: list[str], threshold: float):
    signed = {text: (np.frombuffer(sign(text).bands, "<u8"), shingles(text)) for text in texts}
    expected = {text: {text} for text in texts}
    for (first, (bands, hashes)), (second, (others, their)) in combinations(signed.items(), 2):
        if (bands == others).any() and jaccard(hashes, their) >= threshold:
            both = expected[first] | expected[second]
            expected.update(dict.fromkeys(both, both))
    assert groups(texts, threshold) == {frozenset(group) for group in expected.values()}


def test_progress_is_told_step_by_step_to_its_end(prose: Callable):
    told: list[tuple[int, int]] = []
    digests = np.array(["a" * 64, "b" * 64], dtype="S64")
    bands = np.zeros((2, BANDS), dtype=np.uint64)
    clusters(digests, bands, lambda first, _: np.ones(len(first), dtype=bool), progress=lambda *at: told.append(at))
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert all(done <= total for done, total in told)
