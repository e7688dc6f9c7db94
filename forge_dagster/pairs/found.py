"""The pairs that documents hold, one a question, by every rule, whatever the order of the documents."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from forge_dagster.corpus.words import words
from forge_dagster.errors import InterruptedRun
from forge_dagster.pairs.extraction import pairs_of
from forge_dagster.pairs.sections import Document
from forge_dagster.stage import StageContext

BOILERPLATE = 0.1  # share of documents from which a key is the letterhead and no knowledge
BOILERPLATE_FROM = 10  # documents; fewer say nothing about what is common
READ = 1024  # documents at once
KEYED = ("record", "table")  # rules that ask for a key of something

Place = tuple[str, str]
"""Source and path of a document."""


@dataclass
class Found:
    """One question with every answer the documents give to it."""

    question: str
    answer: str
    rule: str
    told_at: Place
    """The first document that tells it, by source and path; its wording is taken."""
    documents: dict[str, Place] = field(default_factory=dict)
    disputed: bool = False

    @property
    def document_ids(self) -> list[str]:
        """Documents that tell it, in the order of their places."""
        return sorted(self.documents, key=lambda name: self.documents[name])


def collect(documents: Iterable[dict[str, Any]], total: int, context: StageContext) -> list[Found]:
    """Undisputed pairs, one a question in the order of the questions, whatever the order of the `total` documents.

    A question that documents answer in two ways is left out, and so is a key that much of the documents carry.
    """
    found: dict[str, Found] = {}
    asked_in: dict[str, set[str]] = defaultdict(set)
    for number, document in enumerate(documents, start=1):
        read, place = Document(document["title"], document["text"]), (document["source"], document["path"])
        for rule, question, answer in pairs_of(read):
            key = " ".join(words(question))
            pair = found.setdefault(key, Found(question, answer, rule, place))
            pair.disputed |= words(pair.answer) != words(answer)
            if place < pair.told_at:
                pair.question, pair.answer, pair.rule, pair.told_at = question, answer, rule, place
            pair.documents.setdefault(document["id"], place)
            if rule in KEYED:
                asked_in[question.partition(" of ")[0]].add(document["id"])
        context.progress(number, total, "documents")
        if context.cancelled():
            raise InterruptedRun("making the instructions stopped", mend="run the same command again")
    limit = BOILERPLATE * total if total >= BOILERPLATE_FROM else total
    common = {asked for asked, ids in asked_in.items() if len(ids) > limit}
    return [
        pair
        for _, pair in sorted(found.items())
        if not pair.disputed and not (pair.rule in KEYED and pair.question.partition(" of ")[0] in common)
    ]
