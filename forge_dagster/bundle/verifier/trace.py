"""Which documents share a passage with a text, by the fingerprints in a bundle. A match does not show a cause."""

import re
import sys
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from hashlib import blake2b
from itertools import accumulate

NAME = "documents/fingerprints.bin"
GRAM, SURE = 8, 24  # words of a run that is hashed; of a passage that is always found
WORD = re.compile(r"\w+")
MULTIPLIER, MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1


def trace(data: bytes, ids: list[str], text: str) -> tuple[int, list[tuple[str, int]], float]:
    """How many runs of the text were looked for; documents with how many of them, most first; hits expected by chance.

    `ids` are those of the documents trained on, sorted. Raises ValueError on a text of fewer than GRAM words.
    """
    asked = runs(text)
    if not asked:
        raise ValueError(f"a text of at least {GRAM} words is looked for")
    hashes, owners = _entries(data)
    found: Counter[str] = Counter()
    for each in asked:
        for place in range(bisect_left(hashes, each), bisect_right(hashes, each)):
            found[ids[owners[place]]] += 1
    ranked = sorted(found.items(), key=lambda hit: (-hit[1], hit[0]))
    return len(asked), ranked, len(asked) * len(hashes) / 2**32


def runs(text: str) -> set[int]:
    """Hash of every run of GRAM words, as the fingerprints are made."""
    words = [_word(word) for word in WORD.findall(text.lower())]
    found = set()
    for at in range(len(words) - GRAM + 1):
        state = 0
        for word in words[at : at + GRAM]:
            state = ((state ^ (state >> 29)) * MULTIPLIER + word) & MASK
        found.add(state >> 32)
    return found


def _word(word: str) -> int:
    return int.from_bytes(blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def _entries(data: bytes) -> tuple[list[int], "array[int]"]:
    body = array("I", zlib.decompress(data))
    if sys.byteorder == "big":
        body.byteswap()
    count = body[0]
    if len(body) != 1 + 2 * count:
        raise ValueError(f"{NAME}: {len(body)} numbers, not those of {count} entries")
    return list(accumulate(body[1 : 1 + count])), body[1 + count :]
