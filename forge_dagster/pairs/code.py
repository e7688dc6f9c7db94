"""What code says about itself: docstrings of Python, and comments `/** ... */` right above a function."""

import re
from collections.abc import Iterator, Sequence

DECLARED = re.compile(r"\s*(?:async )?(?P<kind>def|class) (?P<name>[A-Za-z]\w*)\s*[(:\[]")
FUNCTION = re.compile(r"[^;=(]{0,120}?\b(?P<name>[A-Za-z]\w*)[ \t]*\(")
LONGEST_HEAD = 30  # lines of a declaration before its docstring
LONGEST_SAID = 20  # lines of a docstring that are looked at

Named = tuple[str, str, str]
"""Kind (function or class), name, and the first paragraph of what is said about it."""


def documented(lines: Sequence[str]) -> Iterator[Named]:
    """Everything in a text that is declared with a documentation of its own."""
    for number, line in enumerate(lines):
        if match := DECLARED.match(line):
            if said := _docstring(lines, number):
                yield "function" if match["kind"] == "def" else "class", match["name"], said
        elif line.strip().startswith("/**"):
            said, after = _comment(lines, number)
            match = FUNCTION.match(after)
            if said and match:
                yield "function", match["name"], said


def _docstring(lines: Sequence[str], start: int) -> str:
    head = next(
        (n for n in range(start, min(start + LONGEST_HEAD, len(lines))) if lines[n].rstrip().endswith(":")), None
    )
    if head is None or head + 1 >= len(lines):
        return ""
    first = lines[head + 1].strip().lstrip("rRuU")
    quote = first[:3]
    if quote not in ('"""', "'''"):
        return ""
    said, rest = [], first[3:]
    for line in (rest, *lines[head + 2 : head + 2 + LONGEST_SAID]):
        before, closed, _ = line.partition(quote)
        if before.strip():
            said.append(before.strip())
        if closed or (said and not before.strip()):
            break
    return " ".join(said)


def _comment(lines: Sequence[str], start: int) -> tuple[str, str]:
    """First paragraph of the comment, and the line under the comment."""
    said: list[str] = []
    is_said = True
    for number in range(start, min(start + LONGEST_SAID, len(lines))):
        before, closed, _ = lines[number].partition("*/")
        text = before.strip().lstrip("/").strip("* \t")
        is_said = is_said and not text.startswith(("@", "\\")) and bool(text or not said)
        if is_said and text:
            said.append(text)
        if closed:
            return " ".join(said), lines[number + 1] if number + 1 < len(lines) else ""
    return "", ""
