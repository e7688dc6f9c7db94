"""Benchmark items: what can be asked, and the blocks of four that make no answer guessable from its choices."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from forge_dagster.chance import drawn
from forge_dagster.corpus.words import words
from forge_dagster.stage import FrozenModel

Item = dict[str, Any]
"""A line of a task's file: id, query, choices, gold, document_ids, difficulty."""
BLOCK = 4
NEAR = 24  # candidates next to each other in length among which a block is drawn
ENOUGH = 40  # candidates an item that is wanted; of more, a part drawn by hash, for pairs of them are compared
ALIKE = 0.5  # share of common words from which two answers mean too much the same


class ItemTask(FrozenModel):
    """One task: `knowledge` the model is meant to learn, or `generalisation` that training must not contain."""

    name: str
    role: Literal["knowledge", "generalisation"]
    choices: int
    description: str


class Candidate(NamedTuple):
    """Something that can be asked: `answer` follows `query` in a document."""

    kind: tuple[str, ...]
    """Answers of one kind can stand for each other; if there are too few of one, those alike but for the last word."""
    query: str
    answer: str
    document_id: str
    passage: str
    """What it was found in; no other answer out of it is offered beside it."""

    @property
    def text(self) -> str:
        """The question with its answer, as one text."""
        return f"{self.query} {self.answer}"

    @property
    def identity(self) -> str:
        """Decided by question and answer alone, so that a person's decision holds when other documents change."""
        return hashlib.sha256(f"{self.query}\0{self.answer}".encode()).hexdigest()[:16]


def shuffled(choices: Sequence[str], key: str) -> list[str]:
    """Choices in an order that only the key decides."""
    return sorted(choices, key=lambda choice: hashlib.sha256(f"{key}:{choice}".encode()).digest())


def block_items(task: str, candidates: Iterable[Candidate], *, seed: int, most: int) -> list[Item]:
    """At most `most` items in blocks of four: each answer of a block is right in one item and wrong in three.

    Whoever sees the choices alone is therefore right in one item of four, whatever the answers look like.
    """
    found = sorted(_distinct(candidates), key=lambda each: drawn(seed, each.identity))
    blocks = _blocks(found[: most * ENOUGH], seed)
    blocks.sort(key=lambda block: drawn(seed, min(each.identity for each in block)))
    items = []
    for block in blocks[: most // BLOCK]:
        name = min(each.identity for each in block)
        items += [_item(task, each, block, name) for each in block]
    return items


def _item(task: str, asked: Candidate, block: Sequence[Candidate], name: str) -> Item:
    choices = shuffled([each.answer for each in block], asked.identity)
    return {
        "id": f"{task}/{asked.identity}",
        "query": asked.query,
        "choices": choices,
        "gold": choices.index(asked.answer),
        "document_ids": [asked.document_id],
        "block": name,
    }


def _distinct(candidates: Iterable[Candidate]) -> list[Candidate]:
    """One of each question and each answer; what several documents say is boilerplate and asked for nowhere."""
    found = list(dict.fromkeys(candidates))
    owners: Mapping[str, set[str]] = defaultdict(set)
    for each in found:
        owners[each.query].add(each.document_id)
    asked = Counter(each.query for each in found)
    return [each for each in found if len(owners[each.query]) == 1 and asked[each.query] == 1]


def _blocks(candidates: Sequence[Candidate], seed: int) -> list[list[Candidate]]:
    """Blocks of one kind, then of what is left over of kinds next to each other; other documents before the same."""
    made: list[list[Candidate]] = []
    left = list(candidates)
    for precision, apart in ((None, "document_id"), (-1, "document_id"), (None, "passage"), (-1, "passage")):
        kinds: dict[tuple[str, ...], list[Candidate]] = defaultdict(list)
        for each in sorted(left, key=lambda each: (len(each.answer), each.answer, each.query)):
            kinds[each.kind[:precision]].append(each)
        left = []
        for _, alike in sorted(kinds.items()):
            rest: list[Candidate] = []
            for start in range(0, len(alike), NEAR):
                full, rest = _grouped([*rest, *alike[start : start + NEAR]], seed, apart)
                made += full
            left += rest
    return made


def _grouped(pool: Sequence[Candidate], seed: int, apart: str) -> tuple[list[list[Candidate]], list[Candidate]]:
    """Full blocks of a pool, and what is left over; members differ in the field `apart`."""
    groups: list[list[Candidate]] = []
    for each in sorted(pool, key=lambda each: drawn(seed, each.identity)):
        fits = (group for group in groups if len(group) < BLOCK and all(_together(each, one, apart) for one in group))
        group = next(fits, None)
        if group is None:
            groups.append([each])
        else:
            group.append(each)
    left = [each for group in groups if len(group) < BLOCK for each in group]
    left.sort(key=lambda each: (len(each.answer), each.answer, each.query))
    return [group for group in groups if len(group) == BLOCK], left


def _together(first: Candidate, second: Candidate, apart: str) -> bool:
    """Whether each answer is wrong where the other is right, and neither stands in a question."""
    if getattr(first, apart) == getattr(second, apart) or first.passage == second.passage:
        return False
    one, other = first.answer.casefold(), second.answer.casefold()
    asked = f"{first.query}\n{second.query}".casefold()
    return one not in other and other not in one and one not in asked and other not in asked and not _alike(one, other)


def _alike(one: str, other: str) -> bool:
    mine, theirs = set(words(one)), set(words(other))
    return len(mine & theirs) > ALIKE * len(mine | theirs)
