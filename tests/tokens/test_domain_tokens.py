"""Continued BPE: the same merges as counting every pair anew after each merge."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.tokens.domain_tokens import LEAST, continue_merges

WORDS = st.dictionaries(st.text("abc", min_size=1, max_size=8), st.integers(1, 5), max_size=12)


def _slowly(words: dict[str, int], wanted: int) -> list[tuple[str, str]]:
    split, merges, known = {word: list(word) for word in words}, [], set("abc")
    while len(known) - 3 < wanted:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, pieces in split.items():
            for pair in pairwise(pieces):
                pairs[pair] += words[word]
        if not pairs or max(pairs.values()) < LEAST:
            return merges
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        known.add("".join(best))
        for word, pieces in split.items():
            merged: list[str] = []
            for piece in pieces:
                if merged and (merged[-1], piece) == best:
                    merged[-1] += piece
                else:
                    merged.append(piece)
            split[word] = merged
    return merges


@given(words=WORDS, wanted=st.integers(0, 20))
def test_merges_are_those_of_counting_anew(words: dict[str, int], wanted: int) -> None:
    assert continue_merges({word: list(word) for word in words}, words, "abc", wanted) == _slowly(words, wanted)
