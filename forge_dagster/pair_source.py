"""Where pairs come from beside the documents' own: files of people, or a model that reads the documents.

The type behind `sources/pairs/*.yaml`; without such a file no model is asked and no file is read.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from forge_dagster.errors import RecipeError
from forge_dagster.source import Name, load_named
from forge_dagster.stage import FrozenModel


class Given(FrozenModel):
    """A JSONL file of people: conversations (`messages`) or preferences (`prompt`, `chosen`, `rejected`)."""

    name: Name
    kind: Literal["chat", "preference"]
    location: str = Field(description="the file, relative to this one")
    owner: str = Field(description="who answers for these pairs")
    licence: str = Field(description="SPDX expression, `internal`, or `unknown` (trains, but is never released)")


class Generator(FrozenModel):
    """A model that is asked for questions and answers about the training documents."""

    name: Name
    kind: Literal["endpoint", "checkpoint"]
    location: str = Field(
        description="endpoint: address of an OpenAI-compatible server, http://127.0.0.1:8000/v1; checkpoint: a folder "
        "in Hugging Face's layout, in safetensors, relative to this file"
    )
    model: str = Field(description="the model's name, as the server lists it; of a checkpoint, what people call it")
    licence: str = Field(description="terms of the model for what it writes; `unknown` trains, but is never released")
    allow_public: bool = Field(
        default=False, description="let an endpoint lie outside the loopback and private networks: documents leave"
    )
    seed: int = Field(ge=0, lt=2**31)
    temperature: float = Field(ge=0, le=2)
    max_tokens: int = Field(ge=16, le=8192, description="longest reply")
    passages: int = Field(ge=1, description="parts of documents it is asked about, drawn by hash")
    passage_characters: int = Field(ge=200, le=20_000, description="longest such part")
    pairs: int = Field(ge=1, le=20, description="most pairs of one reply")
    timeout: float = Field(gt=0, le=3600, description="seconds of one try")
    attempts: int = Field(ge=1, le=10, description="tries for one passage")
    failures_in_a_row: int = Field(ge=1, description="passages without a reply after which the endpoint is given up")


PairSource = Annotated[Given | Generator, Field(discriminator="kind")]


class PlacedPairs(FrozenModel):
    """A source of pairs with its path resolved against its file."""

    source: PairSource
    location: str


def load_pair_source(path: Path) -> PlacedPairs:
    """Load one file. Raises RecipeError on a broken rule."""
    source: Given | Generator = load_named(path, TypeAdapter(PairSource).validate_python)
    is_address = "://" in source.location
    if is_address != (source.kind == "endpoint"):
        raise RecipeError(
            f"{path}: kind {source.kind} with location = {source.location!r}",
            rule="an endpoint has an address, every other kind a path",
            mend="correct one of the two",
        )
    location = source.location if is_address else str((path.resolve().parent / source.location).resolve())
    return PlacedPairs(source=source, location=location)


def load_pair_sources(folder: Path) -> dict[str, PlacedPairs]:
    """Load every `*.yaml` of a folder by name; there may be none."""
    return {path.stem: load_pair_source(path) for path in sorted(folder.glob("*.yaml"))}
