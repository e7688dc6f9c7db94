"""A document before it has a format: a title, particulars, and blocks of text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any


@dataclass(frozen=True)
class Heading:
    """The heading of a section."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """Sentences."""

    text: str


@dataclass(frozen=True)
class Items:
    """A list, numbered or not."""

    items: tuple[str, ...]
    numbered: bool = False


@dataclass(frozen=True)
class Pairs:
    """Labels with their values, one a line."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Table:
    """A table with one header row."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Code:
    """Lines of a configuration file."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Questions:
    """Questions with their answers."""

    pairs: tuple[tuple[str, str], ...]


Block = Heading | Paragraph | Items | Pairs | Table | Code | Questions


@dataclass(frozen=True)
class Document:
    """What a renderer turns into bytes."""

    title: str
    particulars: tuple[tuple[str, str], ...]
    blocks: tuple[Block, ...]
    unbroken: frozenset[str] = field(default=frozenset())
    """Names and values that a format with fixed lines does not divide between two."""


def changed(document: Document, changes: Mapping[str, str]) -> Document:
    """The document with every text that is a key of `changes` said as its value, in all its blocks."""
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(text)}(?!\w)" for text in changes))

    def said(value: Any) -> Any:
        if isinstance(value, str):
            return pattern.sub(lambda found: changes[found[0]], value)
        return tuple(said(each) for each in value) if isinstance(value, tuple) else value

    blocks = tuple(
        replace(block, **{each.name: said(getattr(block, each.name)) for each in fields(block)})
        for block in document.blocks
    )
    return replace(document, blocks=blocks, unbroken=document.unbroken | set(changes.values()))
