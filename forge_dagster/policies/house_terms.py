"""Use the house's terms: what the organisation calls a thing, and not what others call it."""

import re
from collections.abc import Iterator
from itertools import product
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from forge_dagster.policy import Item, Material
from forge_dagster.rewards import placeholders, says
from forge_dagster.stage import FrozenModel


class Term(FrozenModel):
    """A term and what must not be said in its place."""

    say: str = Field(min_length=1)
    never: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)


class Settings(FrozenModel):
    """The terms, and how it is asked."""

    ask: Annotated[str, AfterValidator(placeholders("question"))]
    terms: tuple[Term, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def can_be_kept(self) -> Self:
        for say, word in product((term.say for term in self.terms), self.never):
            if _found(word, say):
                raise ValueError(f"say = {say!r} holds {word!r}, which is among what is never said")
        return self

    @property
    def never(self) -> list[str]:
        """What must not be said in the place of any term."""
        return [word for term in self.terms for word in term.never]


class Case(FrozenModel):
    """The answer in the house's terms, and what must not stand in it."""

    answer: str
    never: tuple[str, ...]


def reward(text: str, case: Case, settings: Settings) -> float:
    """1 if the answer is said in the house's terms alone."""
    return float(says(text, case.answer) and not any(_found(word, text) for word in case.never))


def _word(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![^\W\d]){re.escape(word)}(?!\w)", re.IGNORECASE)  # `8h` says h as well


def _found(word: str, text: str) -> bool:
    return _word(word).search(text) is not None


def _replaced(text: str, said: str, by: str) -> str:
    return _word(said).sub(lambda _: by, text)


def items(material: Material, settings: Settings) -> Iterator[Item]:
    """The questions whose answers hold a term; where the question holds it as well, it is asked in others' words."""
    for asked in material.asked:
        terms = [term for term in settings.terms if _found(term.say, asked.answer)]
        if not terms:
            continue
        question = asked.question
        for term in terms:
            question = _replaced(question, term.say, term.never[0])
        yield Item(
            prompt=settings.ask.replace("{question}", question),
            case={"answer": material.in_form(asked.answer), "never": settings.never},
            keeps=material.in_form(asked.answer),
            breaks=tuple(
                material.in_form(_replaced(asked.answer, term.say, word)) for term in terms for word in term.never
            ),
            document_ids=asked.document_ids,
            held_out=asked.held_out,
            group=asked.question,
        )
