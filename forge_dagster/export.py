"""What an export is: a release as files of another runtime, and what a kind of export offers.

A kind is one file in forge_dagster/exports with `ARCHITECTURES` (of transformers, that it takes), `PRECISIONS`,
`LIBRARIES` (packages that decide its bytes and scores), `make(source, precision, out)`, and `opened(folder, threads)`,
a context manager that yields a `Runner` over what `make` wrote.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from pydantic import Field

from forge_dagster.errors import WeightsError
from forge_dagster.recipe import Margin
from forge_dagster.source import Name, load_named
from forge_dagster.stage import FrozenModel


class Precision(NamedTuple):
    """How weights are stored.

    `tolerance` is the mean difference of log p of a token from the original's [nats] above which the conversion is
    wrong, and not merely coarse; `usual` ones are made where a person names the kind alone.
    """

    tolerance: float
    usual: bool


class Source(NamedTuple):
    """The model of a release: its Hugging Face folder, config.json, and the terms that travel with the weights."""

    folder: Path
    name: str
    config: Mapping[str, Any]
    label: Mapping[str, Any]

    @property
    def architecture(self) -> str:
        """As transformers names it."""
        return str(self.config["model_type"])


class Row(NamedTuple):
    """Token ids of one sequence; the first `given`, at least one, are read and the others scored."""

    ids: Sequence[int]
    given: int


class Runner(Protocol):
    """A model as one runtime computes it, on CPU."""

    def encode(self, text: str) -> list[int]:
        """Token ids of text, in which no control token is read."""

    def log_probabilities(self, rows: Sequence[Row]) -> list[np.ndarray]:
        """Of each row log p of its scored tokens [nats], float64 [len(ids) - given]."""

    def greedy(self, prompt: Sequence[int], tokens: int) -> list[int]:
        """The likeliest tokens after a prompt, at most so many, up to a token that ends a turn or a document."""


def reaches_the_first_token(config: Mapping[str, Any]) -> None:
    """Raise WeightsError if attention of a model ends before its first token."""
    window = config.get("sliding_window")
    if window and window < config["max_position_embeddings"]:
        raise WeightsError(
            f"the model has sliding_window = {window} and {config['max_position_embeddings']} positions",
            rule="in this kind of export attention reaches the first token",
            mend="export to ct2, which knows such a window",
        )


CELLS = 1 << 24
"""Most log p that are held at once: of rows by their length by the vocabulary."""


def batches(rows: Sequence[Row], vocabulary: int) -> Iterator[Sequence[Row]]:
    """Rows in order, as many together as their logits find room for, at least one."""
    start = longest = 0
    for end, row in enumerate(rows):
        longest = max(longest, len(row.ids))
        if end > start and (end + 1 - start) * longest * vocabulary > CELLS:
            yield rows[start:end]
            start, longest = end, len(row.ids)
    if start < len(rows):
        yield rows[start:]


def padded(rows: Sequence[Row]) -> np.ndarray:
    """What is read of rows, the last token of each only being scored: int64 [rows, longest - 1], 0 after its end."""
    read = np.zeros((len(rows), max(len(row.ids) for row in rows) - 1), np.int64)
    for line, row in zip(read, rows, strict=True):
        line[: len(row.ids) - 1] = row.ids[:-1]
    return read


def scored(logits: np.ndarray, row: Row) -> np.ndarray:
    """Log p of a row's scored tokens, from logits or log p of every token [length, vocabulary]."""
    places = np.arange(row.given, len(row.ids))
    values = logits[places - 1].astype(np.float64)
    chosen = values[np.arange(len(places)), np.asarray(row.ids)[places]]
    return chosen - np.logaddexp.reduce(values, axis=-1)


class ExportPolicy(FrozenModel):
    """What exports of one recipe may lose, and how much text they are compared on: `recipes/exports/RECIPE.yaml`."""

    name: Name = Field(description="the recipe")
    max_loss: Margin = Field(default=0.02, description="the most that may be lost, as a share of benchmark items")
    max_bits: Margin = Field(default=0.02, description="the most that may be lost, in bits per byte of held-out text")
    validation_bytes: int = Field(default=40_000, ge=1, description="UTF-8 bytes of held-out text that are read")


def load_export_policies(folder: Path) -> dict[str, ExportPolicy]:
    """The policy of each recipe that has a file of its own; there may be none. Raises RecipeError on a broken rule."""
    return {path.stem: load_named(path, ExportPolicy.model_validate) for path in sorted(folder.glob("*.yaml"))}
