"""Rewards of an answer, as pure functions: the form a policy asks for, and the right content inside it."""

import re
from collections import Counter
from collections.abc import Callable

from forge_dagster.tokens.control import CONTROL

SPACES = re.compile(r"\s+")
EDGES = " .,;:!?'\"`()[]"
LABEL = re.compile(r"^answer:\s*", re.IGNORECASE)
MOST_REPEATS = 3
"""How often one word may stand in an answer before it counts as rambling."""


def in_form(text: str, form: str) -> bool:
    """Whether the whole of `text` has the form, holds no control token and does not ramble."""
    return bool(re.fullmatch(form, text)) and not any(token in text for token in CONTROL) and not rambles(text)


def rambles(text: str) -> bool:
    """Whether one word of four letters or more stands in `text` more than MOST_REPEATS times."""
    words = Counter(word for word in re.findall(r"\w{4,}", text.lower()))
    return any(count > MOST_REPEATS for count in words.values())


def normal(text: str) -> str:
    """An answer without its label, case, outer punctuation and repeated spaces."""
    return SPACES.sub(" ", LABEL.sub("", text.strip()).strip(EDGES)).lower()


def is_correct(text: str, answer: str) -> bool:
    """Whether `text` says exactly `answer`; listing several answers is not saying one."""
    return normal(text) == normal(answer) != ""


def says(text: str, expected: str) -> bool:
    """Whether a whole answer is `expected` and nothing more, but for case, spaces and a missing full stop.

    One line: what is hedged, repeated, quoted, disguised or hidden beside it makes it another answer.
    """
    said = text.strip()
    return len(said.splitlines()) == 1 and _squeezed(said) == _squeezed(expected) != ""


def _squeezed(text: str) -> str:
    return SPACES.sub(" ", text.strip()).lower().removesuffix(".")


def placeholders(*names: str) -> Callable[[str], str]:
    """A validator: a text to be filled in holds each of these in braces."""

    def holds(text: str) -> str:
        missing = [name for name in names if "{" + name + "}" not in text]
        if missing:
            raise ValueError(f"{text!r} has no {{{missing[0]}}}")
        return text

    return holds


def reward(text: str, *, answer: str, form: str) -> float:
    """0 out of form; 0.5 in form; 1 in form and right."""
    if not in_form(text, form):
        return 0.0
    return 1.0 if is_correct(text, answer) else 0.5
