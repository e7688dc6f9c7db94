"""Answer in a form: programs can read what the model says.

Its prompts are the instructions themselves, so it makes no items; its lines in the scorecard are answers.form and
answers.correct.
"""

import re
from collections.abc import Iterator
from typing import Self

from pydantic import Field, model_validator

from forge_dagster import rewards
from forge_dagster.policy import Item, Material
from forge_dagster.stage import FrozenModel


class Settings(FrozenModel):
    """The form in which the model answers."""

    template: str = Field(description="an answer in form; {answer} stands for what is said")
    form: str = Field(description="regular expression that a whole answer in form matches")

    @model_validator(mode="after")
    def template_has_the_form(self) -> Self:
        if "{answer}" not in self.template:
            raise ValueError(f"template = {self.template!r} has no {{answer}}")
        try:
            pattern = re.compile(self.form)
        except re.error as error:
            raise ValueError(f"form = {self.form!r} is no regular expression: {error}") from error
        if not pattern.fullmatch(self.apply("something")):
            raise ValueError(f"form = {self.form!r} does not match its own template {self.template!r}")
        return self

    def apply(self, answer: str) -> str:
        """An answer in form."""
        return self.template.replace("{answer}", answer.rstrip(".").strip())

    def holds(self, text: str) -> bool:
        """Whether a whole answer is in form."""
        return re.fullmatch(self.form, text) is not None


class Case(FrozenModel):
    """The right answer."""

    answer: str


def reward(text: str, case: Case, settings: Settings) -> float:
    """0 out of form; 0.5 in form; 1 in form and right."""
    return rewards.reward(text, answer=case.answer, form=settings.form)


def items(material: Material, settings: Settings) -> Iterator[Item]:
    """None."""
    return iter(())
