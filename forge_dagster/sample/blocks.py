"""A document before it has a format: a title, particulars, and blocks of text."""

from dataclasses import dataclass, field


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
