"""Cite the document: an answer names one document that tells it."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field

from forge_dagster.chance import number
from forge_dagster.corpus.points import Point, point_of
from forge_dagster.corpus.words import words
from forge_dagster.policy import Item, Material
from forge_dagster.rewards import placeholders, says, squeezed
from forge_dagster.stage import FrozenModel


class Settings(FrozenModel):
    """How a citation is asked for, and how it looks."""

    ask: Annotated[str, AfterValidator(placeholders("question"))]
    template: Annotated[str, AfterValidator(placeholders("answer", "document"))] = Field(
        description="an answer with its source; {answer} is an answer in form without its end, {document} a title"
    )
    most_alike: int = Field(ge=1, description="documents that may bear one title; one that more bear names none")


class Case(FrozenModel):
    """Answers that cite a document which tells it."""

    accepted: tuple[str, ...] = Field(min_length=1)


def reward(text: str, case: Case, settings: Settings) -> float:
    """1 if the right answer cites one document that tells it, and nothing else is said."""
    return float(any(says(text, accepted) for accepted in case.accepted))


def items(material: Material, settings: Settings) -> Iterator[Item]:
    """The questions that documents with a title of their own answer; best cited is one whose title names the same."""
    alike = Counter(squeezed(told.title) for told in material.documents.values())
    found = {told.title for told in material.documents.values()}
    titles = sorted(title for title in found if squeezed(title) and alike[squeezed(title)] <= settings.most_alike)
    telling: dict[Point, set[str]] = defaultdict(set)
    for asked in material.asked:
        telling[point_of(asked.question, asked.answer)].update(asked.document_ids)

    def cited(answer: str, title: str) -> str:
        said, title = material.in_form(answer).rstrip("."), " ".join(title.split())
        filled = settings.template.replace("{document}", title).replace("{answer}", said)
        return re.sub(r"\.+$", ".", filled)  # a title may end as the sentence does

    for asked in material.asked:
        point = point_of(asked.question, asked.answer)
        own = {squeezed(material.documents[name].title) for name in telling[point] if name in material.documents}
        right = sorted(
            (title for title in titles if squeezed(title) in own),
            key=lambda title: (-len(point.names.intersection(words(title))), title),
        )
        wrong = [title for title in titles if squeezed(title) not in own]
        if not right or not wrong:
            continue
        other = wrong[number(material.seed, asked.question) % len(wrong)]
        yield Item(
            prompt=settings.ask.replace("{question}", asked.question),
            case={"accepted": [cited(asked.answer, title) for title in right]},
            keeps=cited(asked.answer, right[0]),
            breaks=(material.in_form(asked.answer), cited(asked.answer, other)),
            document_ids=asked.document_ids,
            held_out=asked.held_out,
            group=asked.question,
        )
