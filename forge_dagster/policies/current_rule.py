"""Use the current rule: where an older version of a document said otherwise, the answer is the newest one's."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from forge_dagster.policy import Item, Material
from forge_dagster.rewards import placeholders, says
from forge_dagster.stage import FrozenModel


class Settings(FrozenModel):
    """How the rule is asked for."""

    ask: Annotated[str, AfterValidator(placeholders("question"))]


class Case(FrozenModel):
    """The current answer."""

    answer: str


def reward(text: str, case: Case, settings: Settings) -> float:
    """1 if the current answer is said and no other beside it."""
    return float(says(text, case.answer))


def items(material: Material, settings: Settings) -> Iterator[Item]:
    """The questions that an older version of their document answers otherwise."""
    for asked in material.asked:
        if asked.superseded:
            yield Item(
                prompt=settings.ask.replace("{question}", asked.question),
                case={"answer": material.in_form(asked.answer)},
                keeps=material.in_form(asked.answer),
                breaks=tuple(material.in_form(old) for old in asked.superseded),
                document_ids=asked.document_ids,
                held_out=asked.held_out,
                group=asked.question,
            )
