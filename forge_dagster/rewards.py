"""Rewards of an answer, as pure functions: the form a policy asks for, and the right content inside it."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable

from forge_dagster.tokens.control import CONTROL

SPACES = re.compile(r"\s+")
UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")  # control characters, line ends other than \n
SAYING = (
    "L",
    "N",
    "Sc",
    "Sm",
    "So",
)  # Unicode categories: letters, digits, signs of currency and of arithmetic, symbols
SAYING_TOO = frozenset("%&@#\u00a7\u2030")
BLANK = frozenset("|~\u115f\u1160\u2800\u3164\uffa0")  # of those categories, and shows or says nothing
LABEL = re.compile(r"^answer:\s*", re.IGNORECASE)
SEVERAL = re.compile(r"\banswer:.*\banswer:", re.IGNORECASE | re.DOTALL)
UNFILLED = "{answer}"
MOST_REPEATS = 3
"""How often one word may stand in an answer before it counts as rambling."""


def in_form(text: str, form: str) -> bool:
    """Whether the whole of `text` has the form and is one answer that says something: no control token, no rambling."""
    return (
        re.fullmatch(form, text) is not None
        and any(map(says_something, LABEL.sub("", text)))
        and not any(mark in text for mark in (*CONTROL, UNFILLED))
        and not UNREADABLE.search(text)
        and not SEVERAL.search(text)
        and not rambles(text)
    )


def says_something(character: str) -> bool:
    """Whether a character is more than punctuation, a space, a mark on another one, or invisible."""
    kind = unicodedata.category(character)
    return character in SAYING_TOO or (kind.startswith(SAYING) and character not in BLANK)


def rambles(text: str) -> bool:
    """Whether one word of four letters or more stands in `text` more than MOST_REPEATS times."""
    words = Counter(word for word in re.findall(r"\w{4,}", text.lower()))
    return any(count > MOST_REPEATS for count in words.values())


def squeezed(text: str) -> str:
    """A text by which two are compared: one space at a time, in lower case, without the full stop at its end."""
    return SPACES.sub(" ", text.strip()).lower().removesuffix(".")


def is_correct(text: str, answer: str) -> bool:
    """Whether `text` says exactly `answer`, labelled or not; listing several answers is not saying one."""
    right = LABEL.sub("", answer.strip()).rstrip(". ")
    return squeezed(LABEL.sub("", text.strip())) == squeezed(right) != ""


def says(text: str, expected: str) -> bool:
    """Whether a whole answer is `expected` and nothing more, but for case, spaces and a missing full stop.

    One line: what is hedged, repeated, quoted, disguised or hidden beside it makes it another answer.
    """
    said = text.strip()
    return "\n" not in said and not UNREADABLE.search(said) and squeezed(said) == squeezed(expected) != ""


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
