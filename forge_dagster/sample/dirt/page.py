"""A dirty document before it is written: name, marked text, and what is true of it."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from forge_dagster.sample.voice import Statement
from forge_dagster.source import read_yaml
from forge_dagster.stage import FrozenModel

FOLDER = Path(__file__).parent / "wordings"


class Truth(FrozenModel):
    """What a label says of a document besides its spans; empty fields are left out."""

    kind: str
    how: str = ""
    language: str = ""
    """ISO 639-1 of its running text; empty if it has none, as a table or a log."""
    duplicate_of: str = ""
    superseded_by: str = ""
    item: str = ""
    boilerplate: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """A document with marks in its text, or with bytes that have none."""

    name: str
    extension: str
    text: str
    truth: Truth
    data: bytes = b""
    told: tuple[Statement, ...] = field(default=())


@cache
def wordings(name: str) -> dict[str, Any]:
    """Load one file of wordings."""
    return read_yaml(FOLDER / f"{name}.yaml")
