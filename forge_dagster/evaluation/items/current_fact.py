"""Which of two values is current: sentences of a superseded document that its newest version says otherwise."""

from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from itertools import chain
from typing import NamedTuple

from forge_dagster.chance import drawn
from forge_dagster.evaluation.item import Candidate, Item, ItemTask, shuffled
from forge_dagster.evaluation.passages import MARKUP, Text, paragraphs, sentences

TASK = ItemTask(
    name="current_fact",
    role="knowledge",
    choices=2,
    description="Sentences that a newer version of a document says otherwise: the new value before the old one.",
)
FEWEST_BEFORE = 4  # words that both versions begin with
MOST_CHANGED = 6  # words of each value
MARKS = ".,;:?!"
LONGEST = 400  # characters of a sentence


class Versions(NamedTuple):
    """A superseded document and what took its place."""

    old: Text
    new: Text


def current_fact_items(pairs: Iterable[Versions], *, seed: int, most: int) -> list[Item]:
    """At most `most` items; each change of a document is asked for once."""
    found = {each.identity: (each, old) for pair in pairs for each, old in _changes(pair)}
    items = []
    for identity in sorted(found, key=lambda name: drawn(seed, name))[:most]:
        asked, old = found[identity]
        choices = shuffled([asked.answer, old], identity)
        items.append(
            {
                "id": f"{TASK.name}/{identity}",
                "query": asked.query,
                "choices": choices,
                "gold": choices.index(asked.answer),
                "document_ids": [asked.document_id],
                "superseded_ids": [asked.passage],
            }
        )
    return items


def _changes(pair: Versions) -> Iterator[tuple[Candidate, str]]:
    """Sentences of the new version in which a few words differ from the old one, and those words of the old one."""
    old, new = (_said(text.text) for text in pair)
    known, still = set(old), set(new)
    made: set[tuple[str, str]] = set()
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "replace":
            continue
        for before, after in zip(old[a:b], new[c:d], strict=False):
            change = _change(before.split(), after.split())
            if change is None or before in still or after in known:
                continue
            query, was, now = change
            if (was, now) not in made:
                made.add((was, now))
                yield Candidate((), query, now, pair.new.id, pair.old.id), was


def _said(text: str) -> list[str]:
    found = chain.from_iterable(sentences(paragraph) for paragraph in paragraphs(text))
    return [each for each in found if 0 < len(each) <= LONGEST and not MARKUP.search(each)]


def _change(old: list[str], new: list[str]) -> tuple[str, str, str] | None:
    """What both begin with, the old words and the new ones, where both end alike; None if too much differs."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    was, now = old[start : len(old) - end], new[start : len(new) - end]
    if start < FEWEST_BEFORE or not (was and now) or max(len(was), len(now)) > MOST_CHANGED:
        return None
    plain = " ".join(was).strip(MARKS), " ".join(now).strip(MARKS)
    return (" ".join(new[:start]), *plain) if all(plain) and plain[0] != plain[1] else None
