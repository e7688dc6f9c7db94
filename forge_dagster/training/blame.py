"""Which process of a training failed first, by what torchrun printed on each host."""

import re
from collections.abc import Iterable

ROOT_CAUSE = re.compile(r"Root Cause.*?time +: (\S+).*?rank +: (\d+).*?exitcode +: (-?\d+)", re.DOTALL)
TORCHRUN = re.compile(r"^[^\n]*failed \(exitcode: -?\d+\) local_rank: \d+ .*", re.DOTALL | re.MULTILINE)
"""What torchrun prints once a process failed: where it is itself, and what `first_failure` reads."""
LAST = 1500
"""Characters of what a host printed that go into an error."""


def first_failure(outputs: Iterable[str]) -> str:
    """Name the first of all processes that failed; empty if torchrun was killed before it could tell.

    A process that loses another one fails too, a moment later: torchrun of its host knows only that.
    """
    found = sorted(match.groups() for output in outputs for match in [ROOT_CAUSE.search(output)] if match)
    return f"rank {found[0][1]} ended with exit code {found[0][2]}" if found else ""


def last_words(outputs: Iterable[tuple[str, str]]) -> str:
    """The end of what each host's own processes printed, under its name."""
    return "\n".join(f"{name}\n{(TORCHRUN.sub('', output) or output)[-LAST:]}" for name, output in outputs)
