"""Use the current rule: where an older version of a document said otherwise, the answer is the newest one's."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field

from forge_dagster.corpus.points import point_of
from forge_dagster.policy import Asked, Item, Material
from forge_dagster.rewards import placeholders, says
from forge_dagster.stage import FrozenModel


class Settings(FrozenModel):
    """How the rule is asked for."""

    ask: Annotated[str, AfterValidator(placeholders("question"))]
    ask_otherwise: Annotated[str, AfterValidator(placeholders("question"))] | None = Field(
        default=None,
        description="words around the question that no training prompt has: each rule is asked for so on the held-out "
        "side once, since few rules change and fewer of them are held out",
    )


class Case(FrozenModel):
    """The current answer."""

    answer: str


def reward(text: str, case: Case, settings: Settings) -> float:
    """1 if the current answer is said and no other beside it."""
    return float(says(text, case.answer))


def items(material: Material, settings: Settings) -> Iterator[Item]:
    """The questions that an older version of their document answers otherwise."""
    otherwise = set()
    for asked in material.asked:
        if not asked.superseded:
            continue
        yield _item(asked, settings.ask, material, held_out=asked.held_out)
        rule = point_of(asked.question, asked.answer)
        if settings.ask_otherwise and not asked.held_out and rule not in otherwise:
            otherwise.add(rule)
            yield _item(asked, settings.ask_otherwise, material, held_out=True)


def _item(asked: Asked, ask: str, material: Material, *, held_out: bool) -> Item:
    prompt = ask.replace("{question}", asked.question)
    return Item(
        prompt=prompt,
        case={"answer": material.in_form(asked.answer)},
        keeps=material.in_form(asked.answer),
        breaks=tuple(material.in_form(old) for old in asked.superseded),
        document_ids=asked.document_ids,
        held_out=held_out,
        group=prompt,
    )
