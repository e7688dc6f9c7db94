"""Labelled values in a text: marked while it is written, turned into spans when it is finished."""

import re
from typing import NamedTuple

OPEN, MIDDLE, CLOSE = "\ue000", "\ue001", "\ue002"  # private use: no document has them
MARK = re.compile(f"{OPEN}([^{MIDDLE}]*){MIDDLE}([^{CLOSE}]*){CLOSE}")
DECOY = "decoy:"
"""Prefix of the kinds of values that look personal or secret and are not."""


class Span(NamedTuple):
    """A labelled value: its kind, where it stands, in characters of the file's text, and what it is."""

    kind: str
    start: int
    end: int
    value: str


def mark(kind: str, value: str) -> str:
    """The value with its label around it."""
    return f"{OPEN}{kind}{MIDDLE}{value}{CLOSE}"


def unmarked(text: str) -> tuple[str, list[Span]]:
    """The text as it is written to disk, and the spans of its labels."""
    pieces: list[str] = []
    spans: list[Span] = []
    at = length = 0
    for found in MARK.finditer(text):
        before = text[at : found.start()]
        length += len(before)
        spans.append(Span(found[1], length, length + len(found[2]), found[2]))
        pieces += [before, found[2]]
        length += len(found[2])
        at = found.end()
    return "".join([*pieces, text[at:]]), spans
