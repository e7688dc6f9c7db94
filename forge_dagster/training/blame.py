"""Which process of a training failed first, by what torchrun printed on each host."""

import re
from collections.abc import Iterable

ROOT_CAUSE = re.compile(r"Root Cause.*?time +: (\S+).*?rank +: (\d+).*?exitcode +: (-?\d+)", re.DOTALL)
LAST = 1500
"""Characters of what a host printed that go into an error."""


def first_failure(outputs: Iterable[str]) -> str:
    """Name the first of all processes that failed; empty if torchrun was killed before it could tell.

    A process that loses another one fails too, a moment later: torchrun of its host knows only that.
    """
    found = sorted(match.groups() for output in outputs for match in [ROOT_CAUSE.search(output)] if match)
    return f"rank {found[0][1]} ended with exit code {found[0][2]}" if found else ""


def last_words(outputs: Iterable[tuple[str, str]]) -> str:
    """The end of what each host printed, under its name."""
    return "\n".join(f"{name}\n{output[-LAST:]}" for name, output in outputs)
