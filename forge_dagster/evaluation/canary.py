"""Canaries: sentences with random parts that were planted in documents, declared by a source as data."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from forge_dagster.source import explain, read_yaml
from forge_dagster.stage import FrozenModel

Text = Annotated[str, Field(min_length=1)]


class Canary(FrozenModel):
    """A planted sentence: `prefix`, then its parts, each drawn from the space of that name."""

    id: Text
    prefix: Text
    value: Annotated[tuple[Text, ...], Field(min_length=1)]
    spaces: tuple[str, ...]

    @property
    def said(self) -> str:
        """What follows the prefix."""
        return " ".join(self.value)


class Canaries(FrozenModel):
    """What was planted, and from what it was drawn."""

    spaces: Mapping[str, Annotated[tuple[Text, ...], Field(min_length=2)]]
    canaries: Annotated[tuple[Canary, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def were_drawn_from_their_spaces(self) -> Self:
        for space, parts in self.spaces.items():
            if len(set(parts)) < len(parts):
                raise ValueError(f"space {space}: each part is there once")
        ids = [each.id for each in self.canaries]
        if len(set(ids)) < len(ids):
            raise ValueError("ids are unique")
        for each in self.canaries:
            if len(each.spaces) != len(each.value):
                raise ValueError(f"{each.id}: {len(each.value)} parts from {len(each.spaces)} spaces")
            for part, space in zip(each.value, each.spaces, strict=True):
                if part not in self.spaces.get(space, ()):
                    raise ValueError(f"{each.id}: {part!r} is not in space {space!r}")
        return self

    def size(self, canary: Canary) -> int:
        """How many values a canary could have had."""
        return math.prod(len(self.spaces[space]) for space in canary.spaces)


def read_canaries(path: Path) -> Canaries:
    """Read a declaration. Raises RecipeError on a broken rule."""
    try:
        return Canaries.model_validate(read_yaml(path))
    except ValidationError as error:
        raise explain(path, error) from error
