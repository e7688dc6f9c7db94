"""The kinds of documents of `wordings/forms.yaml`: title, format and sections."""

from functools import cache
from typing import Literal

from pydantic import Field

from forge_dagster.sample.values import FOLDER, organisation
from forge_dagster.source import read_yaml
from forge_dagster.stage import FrozenModel


class Section(FrozenModel):
    """A part of a document: of whom it tells, how, and what else it talks about."""

    heading: tuple[str, ...] = Field(min_length=1)
    style: Literal["prose", "bullets", "steps", "log", "keys", "table", "code", "questions"]
    about: Literal["own", "others", "all", "none"]
    topic: str


class Form(FrozenModel):
    """A kind of document about one kind of subject."""

    name: str
    format: Literal["md", "txt", "html", "pdf"]
    titles: tuple[str, ...] = Field(min_length=1)
    sections: tuple[Section, ...] = Field(min_length=1)


class Forms(FrozenModel):
    """Forms by kind of subject."""

    product: tuple[Form, ...]
    service: tuple[Form, ...]
    incident: tuple[Form, ...]
    procedure: tuple[Form, ...]
    policy: tuple[Form, ...]
    person: tuple[Form, ...]


@cache
def forms() -> dict[str, tuple[Form, ...]]:
    """Load the forms of each kind of subject."""
    loaded = Forms.model_validate(read_yaml(FOLDER / "forms.yaml"))
    return {kind: getattr(loaded, kind) for kind in organisation().relations}
