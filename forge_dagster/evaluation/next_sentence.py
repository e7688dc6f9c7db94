"""Generalisation items from held-out documents: which of four sentences comes next."""

import hashlib
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from forge_dagster.chance import drawn
from forge_dagster.evaluation.facts import shuffled

SENTENCE = re.compile(r"(?<=[.!?])\s+(?=\S)")
SHORTEST, LONGEST = 40, 220  # characters of a sentence that can be judged
MARKUP = re.compile(r"[|<>{}#=\\`]|https?:|\.\.\.")
CONTEXT = 2  # sentences before the one that is asked for
DISTRACTORS = 3
NEAR = 24  # sentences next in length from which the distractors are drawn


def sentences(text: str) -> Iterator[list[str]]:
    """Paragraphs of more than CONTEXT sentences, each sentence whole, of fair length and without markup."""
    for paragraph in text.split("\n\n"):
        found = [part.strip() for part in SENTENCE.split(" ".join(paragraph.split()))]
        if len(found) > CONTEXT and all(_fair(part) for part in found):
            yield found


def _fair(sentence: str) -> bool:
    return (
        SHORTEST <= len(sentence) <= LONGEST
        and sentence[-1] in ".!?"
        and not sentence[0].islower()
        and not MARKUP.search(sentence)
    )


def next_sentence_items(documents: Sequence[dict[str, Any]], *, seed: int, most: int) -> list[dict[str, Any]]:
    """At most `most` items, chosen among all passages by hash.

    Distractors are sentences of other passages, other documents first, alike in length; a sentence that stands in
    several documents is boilerplate: neither asked for nor offered.
    """
    passages = [(row["id"], found) for row in documents for found in sentences(row["text"])]
    stated = {(len(sentence), sentence, owner) for owner, found in passages for sentence in found}
    documents_of = Counter(sentence for _, sentence, _ in stated)
    pool = sorted(entry for entry in stated if documents_of[entry[1]] == 1)
    order = sorted(range(len(passages)), key=lambda number: drawn(seed, " ".join(passages[number][1])))
    items: list[dict[str, Any]] = []
    made: set[str] = set()
    for number in order:
        owner, found = passages[number]
        query, answer = " ".join(found[:CONTEXT]), found[CONTEXT]
        others = _alike(pool, owner, found, seed)
        identity = hashlib.sha256(f"{query}\0{answer}".encode()).hexdigest()[:16]
        if documents_of[answer] > 1 or len(others) < DISTRACTORS or identity in made:
            continue
        made.add(identity)
        choices = shuffled([answer, *others], identity)
        items.append(
            {
                "id": f"next_sentence/{identity}",
                "query": query,
                "choices": choices,
                "gold": choices.index(answer),
                "document_ids": [owner],
            }
        )
        if len(items) == most:
            break
    return items


def _alike(pool: Sequence[tuple[int, str, str]], owner: str, found: list[str], seed: int) -> list[str]:
    """Three sentences outside the passage `found`, drawn by hash among the nearest to its answer in length."""
    answer = found[CONTEXT]
    low = high = bisect_left(pool, (len(answer), answer, owner))
    elsewhere: list[str] = []
    same: list[str] = []
    while len(elsewhere) < NEAR and (low > 0 or high < len(pool)):
        below = len(answer) - pool[low - 1][0] if low > 0 else LONGEST
        above = pool[high][0] - len(answer) if high < len(pool) else LONGEST
        if below < above:
            low -= 1
            _, sentence, document = pool[low]
        else:
            _, sentence, document = pool[high]
            high += 1
        if sentence not in found:
            (same if document == owner else elsewhere).append(sentence)
    nearest = sorted(elsewhere, key=lambda sentence: drawn(seed, answer + sentence))
    return [*nearest, *sorted(same[:NEAR], key=lambda sentence: drawn(seed, answer + sentence))][:DISTRACTORS]
