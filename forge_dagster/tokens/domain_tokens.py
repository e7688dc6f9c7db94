"""New tokens for words of the corpus that a tokenizer splits badly: BPE training continued where it had ended.

Continued BPE training (Purason et al. 2025, arXiv 2512.03989): every new token is a merge of two tokens that there
are, so it can be reached, and text is never cut into more tokens than before.
"""

import string
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush
from itertools import pairwise

from tokenizers import Tokenizer

Pair = tuple[str, str]

SPACE = "Ġ"  # the space byte in a byte-level vocabulary
NOT_IN_WORDS = frozenset(string.punctuation + string.digits + "ĊĉĠ")
LEAST = 2
"""Times a pair of tokens occurs before it becomes one."""


def count_words(tokenizer: Tokenizer, texts: Iterable[str]) -> Counter[str]:
    """Count the words of texts as the tokenizer cuts them, in its byte alphabet; numbers and signs are no words."""
    words: Counter[str] = Counter()
    for text in texts:
        words.update(piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text))
    return Counter({word: n for word, n in words.items() if n >= LEAST and _is_word(word)})


def _is_word(piece: str) -> bool:
    letters = piece.removeprefix(SPACE)
    return len(letters) > 1 and not NOT_IN_WORDS.intersection(letters)


def continue_merges(
    pieces: Mapping[str, list[str]], counts: Mapping[str, int], known: Iterable[str], wanted: int
) -> list[Pair]:
    """Return further merges, the most frequent pair of tokens first, that make at most `wanted` tokens not `known`.

    `pieces` are the tokens of each word, `counts` how often it occurs. Equal counts go by the pair itself, so the
    result does not depend on the order of words.
    """
    words = {word: list(split) for word, split in pieces.items() if len(split) > 1}
    pairs: Counter[Pair] = Counter()
    where: defaultdict[Pair, set[str]] = defaultdict(set)
    for word, split in words.items():
        for pair in pairwise(split):
            pairs[pair] += counts[word]
            where[pair].add(word)
    heap = [(-count, pair) for pair, count in pairs.items()]
    heapify(heap)
    made, merges, tokens = 0, [], set(known)
    while heap and made < wanted:
        count, best = heappop(heap)
        if -count != pairs[best]:
            continue  # counted anew since, and in the heap again
        if -count < LEAST:
            break
        merges.append(best)
        made += "".join(best) not in tokens
        tokens.add("".join(best))
        changed: set[Pair] = set()
        for word in sorted(where[best]):
            changed |= _merge(word, words, best, pairs, where, counts[word])
        for pair in changed:
            heappush(heap, (-pairs[pair], pair))
    return merges


def _merge(
    word: str, words: dict[str, list[str]], best: Pair, pairs: Counter[Pair], where: dict[Pair, set[str]], count: int
) -> set[Pair]:
    """Merge `best` in one word, move its counts from the old pairs to the new ones, return both."""
    split = words[word]
    old = list(pairwise(split))
    merged: list[str] = []
    place = 0
    while place < len(split):
        step = 2 if tuple(split[place : place + 2]) == best else 1
        merged.append("".join(split[place : place + step]))
        place += step
    new = list(pairwise(merged))
    words[word] = merged
    for pair in old:
        pairs[pair] -= count
        where[pair].discard(word)
    for pair in new:
        pairs[pair] += count
        where[pair].add(word)
    return {*old, *new} - {best}
