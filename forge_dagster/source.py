"""A source of documents: the type behind `sources/*.yaml`, one source a file."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar, get_args

import xxhash
import yaml
from pydantic import Field, ValidationError, field_validator

from forge_dagster.errors import RecipeError, SourceError
from forge_dagster.stage import FrozenModel

CRON = r"^\S+( \S+){4}$"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
SHARD = re.compile(r"-\d+of\d+$")
MOST_SHARDS = 1024
UNKNOWN = "unknown"
JURISDICTION = "^(unknown|EU|[A-Z]{2}(-[A-Z0-9]{1,3})?)$"
Sensitivity = Literal["public", "internal", "confidential"]
SENSITIVITIES: tuple[str, ...] = get_args(Sensitivity)
"""From the least to the most."""
Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$", description="lower case, digits, - and _; at most 63")]


class Shard(FrozenModel):
    """One of `count` parts of a source: the entries whose paths fall into it by hash."""

    number: int
    count: int

    def has(self, path: str) -> bool:
        """Whether the entry with this path lies in it; the path alone decides, on every machine."""
        return self.count == 1 or xxhash.xxh3_64_intdigest(path.encode()) % self.count == self.number - 1


WHOLE = Shard(number=1, count=1)


def source_of(partition: str) -> str:
    """The source that a partition is of, or a shard of."""
    return SHARD.sub("", partition)


class Cleaning(FrozenModel):
    """What is done to a source's documents before they may train a model."""

    shortest: int = Field(default=40, ge=1, description="characters of clean text under which a document is dropped")
    languages: tuple[str, ...] = Field(default=(), description="ISO 639-1 codes that are kept; none: every language")
    boilerplate: bool = Field(default=True, description="leave out lines that repeat across the source's documents")
    quality: bool = Field(default=True, description="drop repetitive and garbled documents")
    pii: bool = Field(default=True, description="replace personal data by typed placeholders")
    names: bool = Field(default=False, description="replace names of people in English text; needs the extra `ner`")
    secrets: bool = Field(default=True, description="replace keys, tokens and passwords by placeholders")


class Watch(FrozenModel):
    """When a change of a source is acted on by itself."""

    quiet_seconds: float = Field(
        default=30,
        ge=0,
        description="a change is acted on when nothing moved for so long; twice as long for each time within the last "
        "hour that it was acted on, at most an hour",
    )
    longest_wait_seconds: float = Field(default=900, ge=0, description="wait no longer, though it never gets quiet")
    least_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="a source that lists less than this share of the entries it listed is held for a person to accept",
    )


class Source(FrozenModel):
    """Where documents come from and under what terms they may be used."""

    name: Name
    kind: str = Field(description="how the documents are reached: a file of forge_dagster/corpus/kinds")
    location: str = Field(description="folder, repository, mailbox or SQLite file, relative to this file; or a URL")
    settings: Mapping[str, Any] = Field(default={}, description="of the kind: `forge schema kind/NAME`")
    owner: str = Field(description="who answers for these documents")
    licence: str = Field(description="SPDX expression, `internal`, or `unknown` (trains, but is never released)")
    sensitivity: Sensitivity
    legal_basis: str = Field(default="unknown", description="why personal data in them may be processed")
    jurisdiction: str = Field(
        default=UNKNOWN,
        pattern=JURISDICTION,
        description="whose law they are under: ISO 3166 (SE, US-CA), EU, or unknown",
    )
    permitted_use: tuple[Literal["training", "evaluation"], ...] = Field(default=("training", "evaluation"))
    audience: tuple[str, ...] = Field(default=("everyone",), description="who may see answers made from them")
    retention: date | None = Field(default=None, description="day after which they may not be used")
    language: str = Field(default="en", description="main language, ISO 639-1")
    schedule: str | None = Field(default=None, pattern=CRON, description="cron expression: when it is looked at")
    shards: int = Field(
        default=1,
        ge=1,
        le=MOST_SHARDS,
        description="partitions that a large source is read and cleaned in, side by side; an entry's path decides by "
        "hash which it is in. Repeated lines are looked for within a shard, so one should hold thousands of documents",
    )
    watch: Watch = Watch()
    rank: int = Field(default=0, description="of two alike documents the one of the higher rank is kept")
    cleaning: Cleaning = Cleaning()
    facts: str | None = Field(
        default=None,
        description="JSONL of question, answer, distractors, document paths; relative to the source file; "
        "becomes the knowledge part of the domain benchmark",
    )

    canaries: str | None = Field(
        default=None,
        description="YAML of sentences that were planted in its documents to measure memorisation; relative to the "
        "source file",
    )

    @field_validator("name")
    @classmethod
    def name_is_no_shard(cls, name: str) -> str:
        if SHARD.search(name):
            raise ValueError("a name that ends like 1of4 is that of a shard")
        return name

    @property
    def partitions(self) -> dict[str, Shard]:
        """Its shards by partition key: the name alone, else NAME-01of12 and so on."""
        if self.shards == 1:
            return {self.name: WHOLE}
        width = len(str(self.shards))
        numbers = range(1, self.shards + 1)
        return {f"{self.name}-{n:0{width}}of{self.shards}": Shard(number=n, count=self.shards) for n in numbers}


class Labels(FrozenModel):
    """Rights and terms that travel with each document of a source."""

    owner: str
    licence: str
    sensitivity: str
    legal_basis: str
    jurisdiction: str
    permitted_use: tuple[str, ...]
    audience: tuple[str, ...]
    retention: date | None


class PlacedSource(FrozenModel):
    """A source with its paths resolved against its file."""

    source: Source
    location: str
    facts: Path | None
    canaries: Path | None = None
    erased: tuple[str, ...] = ()
    """Ids of documents that may not return, from whatever source."""

    @property
    def labels(self) -> Labels:
        """The terms of its documents."""
        return Labels.model_validate(self.source.model_dump(include=set(Labels.model_fields)))


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping. Raises RecipeError if the file is not one."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not valid YAML: {error}", mend="correct the file") from error
    if not isinstance(value, dict):
        raise RecipeError(
            f"{path} holds {type(value).__name__}",
            rule="the top level is a mapping of keys",
            mend="write one `key: value` a line",
        )
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


class _HasName(Protocol):
    @property
    def name(self) -> str: ...


Named = TypeVar("Named", bound=_HasName)


def load_named(path: Path, validate: Callable[[Any], Named]) -> Named:
    """Load what one YAML file declares. Raises RecipeError on a broken rule, or if its name is not the file's."""
    try:
        declared = validate(read_yaml(path))
    except ValidationError as error:
        raise explain(path, error) from error
    if declared.name != path.stem:
        raise RecipeError(
            f"{path}: name = {declared.name!r}",
            rule="the name equals the file name",
            mend=f"rename to {declared.name}.yaml",
        )
    return declared


def load_source(path: Path) -> PlacedSource:
    """Load one source file. Raises RecipeError on a broken rule."""
    source = load_named(path, Source.model_validate)
    base = path.resolve().parent
    return PlacedSource(
        source=source,
        location=source.location if "://" in source.location else str((base / source.location).resolve()),
        facts=_beside(path, "facts", source.facts),
        canaries=_beside(path, "canaries", source.canaries),
    )


def _beside(declaration: Path, field: str, name: str | None) -> Path | None:
    """The file that a field of a declaration names. Raises RecipeError if it is not there: a run would say so late."""
    if not name:
        return None
    path = (declaration.parent / name).resolve()
    if not path.is_file():
        raise RecipeError(
            f"{declaration}: {field} = {name!r}, and {path} is no file",
            rule="a file, relative to the source's own",
            mend=f"correct the path, or leave {field} out",
        )
    return path


def load_sources(folder: Path) -> dict[str, PlacedSource]:
    """Load every `*.yaml` of a folder by name. Raises SourceError if there is none."""
    found = {path.stem: load_source(path) for path in sorted(folder.glob("*.yaml"))}
    if not found:
        raise SourceError(
            f"no source file in {folder}", rule="one *.yaml a source", mend="add one, or name a folder with --sources"
        )
    return found
