"""A source of documents: the type behind `sources/*.yaml`, one source a file."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from forge_dagster.errors import RecipeError, SourceError
from forge_dagster.stage import FrozenModel

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$", description="lower case, digits, - and _; at most 63")]


class Source(FrozenModel):
    """Where documents come from and under what terms they may be used."""

    name: Name
    kind: Literal["folder"] = Field(description="how the documents are reached")
    location: str = Field(description="folder of documents; relative to the source file")
    owner: str = Field(description="who answers for these documents")
    licence: str = Field(description="SPDX expression, `internal`, or `unknown` (blocks nothing in development)")
    sensitivity: Literal["public", "internal", "confidential"]
    language: str = Field(default="en", description="main language, ISO 639-1")
    facts: str | None = Field(
        default=None,
        description="JSONL of question, answer, distractors, document paths; relative to the source file; "
        "becomes the knowledge part of the domain benchmark",
    )

    def identity(self) -> dict[str, Any]:
        """What of the source belongs to an artifact's identity: everything but places on this machine."""
        return self.model_dump(mode="json", exclude={"location", "facts"})


class PlacedSource(FrozenModel):
    """A source with its paths resolved against its file."""

    source: Source
    folder: Path
    facts: Path | None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping. Raises RecipeError if the file is not one."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not valid YAML: {error}", mend="correct the file") from error
    if not isinstance(value, dict):
        raise RecipeError(f"{path} holds {type(value).__name__}", rule="the top level is a mapping of keys")
    return value


def explain(path: Path, error: ValidationError) -> RecipeError:
    """Turn pydantic's findings into one message: key, value, rule."""
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"]) or "(top level)"
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "unknown key"
        lines.append(f"{path}: {key} = {item['input']!r:.80}: {message}")
    return RecipeError("\n".join(lines), mend="correct the file; `forge schema` prints what each key takes")


def load_source(path: Path) -> PlacedSource:
    """Load one source file. Raises RecipeError on a broken rule."""
    try:
        source = Source.model_validate(read_yaml(path))
    except ValidationError as error:
        raise explain(path, error) from error
    if source.name != path.stem:
        raise RecipeError(
            f"{path}: name = {source.name!r}",
            rule="the name equals the file name",
            mend=f"rename to {source.name}.yaml",
        )
    base = path.resolve().parent
    return PlacedSource(
        source=source,
        folder=(base / source.location).resolve(),
        facts=(base / source.facts).resolve() if source.facts else None,
    )


def load_sources(folder: Path) -> dict[str, PlacedSource]:
    """Load every `*.yaml` of a folder by name. Raises SourceError if there is none."""
    found = {path.stem: load_source(path) for path in sorted(folder.glob("*.yaml"))}
    if not found:
        raise SourceError(
            f"no source file in {folder}", rule="one *.yaml a source", mend="add one, or name a folder with --sources"
        )
    return found
