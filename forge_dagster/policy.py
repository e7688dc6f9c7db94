"""A policy: what an organisation wants its model to do, as data; the type behind `policies/*.yaml`."""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from forge_dagster.errors import RecipeError
from forge_dagster.source import Name, explain, read_yaml
from forge_dagster.stage import FrozenModel


class Policy(FrozenModel):
    """The form in which the model answers."""

    name: Name
    kind: Literal["answer-form"]
    description: str
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


def load_policy(path: Path) -> Policy:
    """Load one policy file. Raises RecipeError on a broken rule."""
    try:
        policy = Policy.model_validate(read_yaml(path))
    except ValidationError as error:
        raise explain(path, error) from error
    if policy.name != path.stem:
        raise RecipeError(
            f"{path}: name = {policy.name!r}",
            rule="the name equals the file name",
            mend=f"rename to {policy.name}.yaml",
        )
    return policy


def load_policies(folder: Path) -> dict[str, Policy]:
    """Load every `*.yaml` of a folder by name."""
    return {path.stem: load_policy(path) for path in sorted(folder.glob("*.yaml"))}
