"""An override: two people release a checkpoint although a gate failed; the type behind `recipes/overrides/*.yaml`."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import Field, StringConstraints, model_validator

from forge_dagster.source import Name, load_named
from forge_dagster.stage import FrozenModel

Person = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=10)]

HEADER = "# Gates that two people overrode, each for one checkpoint; `forge override` adds to it. Keep it in git.\n"


class Override(FrozenModel):
    """One gate that does not hold these weights back; for any others it stands."""

    metric: str = Field(description="metric of the gate, as `task.metric`")
    checkpoint: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of model.safetensors")
    reason: Reason
    by: Person
    approved_by: Person
    made: date = Field(description="day on which it was made")

    @model_validator(mode="after")
    def two_people(self) -> Self:
        if _who(self.by) == _who(self.approved_by):
            raise ValueError(f"by and approved_by are both {self.by!r}; a second person approves an override")
        return self


class Overrides(FrozenModel):
    """Every override of one recipe, oldest first."""

    name: Name
    overrides: tuple[Override, ...]


def _who(person: str) -> str:
    return " ".join(person.casefold().split())


def load_overrides(folder: Path) -> dict[str, tuple[Override, ...]]:
    """Overrides by recipe of every `*.yaml` of a folder; there may be none. Raises RecipeError on a broken rule."""
    return {path.stem: load_named(path, Overrides.model_validate).overrides for path in sorted(folder.glob("*.yaml"))}


def add_override(folder: Path, recipe: str, override: Override) -> Path:
    """Add one to the recipe's file; what stands there stays."""
    path = folder / f"{recipe}.yaml"
    before = load_named(path, Overrides.model_validate).overrides if path.exists() else ()
    body: Mapping[str, object] = Overrides(name=recipe, overrides=(*before, override)).model_dump(mode="json")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")
    return path
