"""Generalisation items from held-out documents: which of four sentences comes next."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from forge_dagster.evaluation.facts import shuffled

SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
SHORTEST, LONGEST = 40, 220  # characters of a sentence that can be judged
MARKUP = re.compile(r"[|<>{}#=\\`]|https?:|\.\.\.")
CONTEXT = 2  # sentences before the one that is asked for


def sentences(text: str) -> Iterator[list[str]]:
    """Runs of whole sentences, paragraph by paragraph."""
    for paragraph in text.split("\n\n"):
        found = [part.strip() for part in SENTENCE.split(" ".join(paragraph.split()))]
        if len(found) > CONTEXT and all(SHORTEST <= len(part) <= LONGEST and not MARKUP.search(part) for part in found):
            yield found


def _point(seed: int, text: str) -> bytes:
    return hashlib.sha256(f"{seed}:{text}".encode()).digest()


def next_sentence_items(documents: Sequence[dict[str, Any]], *, seed: int, most: int) -> list[dict[str, Any]]:
    """At most `most` items, chosen by hash; distractors are sentences of other held-out documents, alike in length."""
    passages = [(row["id"], found) for row in documents for found in sentences(row["text"])]
    pool = sorted({(sentence, owner) for owner, found in passages for sentence in found})
    items: dict[str, dict[str, Any]] = {}
    for owner, found in passages:
        query, answer = " ".join(found[:CONTEXT]), found[CONTEXT]
        others = sorted(
            {sentence for sentence, other in pool if other != owner and sentence != answer},
            key=lambda sentence: (abs(len(sentence) - len(answer)) // 10, _point(seed, answer + sentence)),
        )[:3]
        if len(others) < 3:
            continue
        choices = shuffled([answer, *others], query)
        identity = hashlib.sha256(f"{query}\0{answer}".encode()).hexdigest()[:16]
        items[identity] = {
            "id": f"next_sentence/{identity}",
            "query": query,
            "choices": choices,
            "gold": choices.index(answer),
            "document_ids": [owner],
        }
        if len(items) >= 4 * most:
            break
    return sorted(items.values(), key=lambda item: _point(seed, item["id"]))[:most]
