"""How `forge` speaks: tables and messages for people, one JSON object for programs."""

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from forge_dagster.errors import ForgeError

WIDTH = 120  # columns where there is no terminal that says
out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else WIDTH)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def print_json(value: Any) -> None:
    """One JSON object on standard output, nothing else."""
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=True) + "\n")


def fail(error: ForgeError) -> None:
    """A message on standard error: problem, rule, mend."""
    err.print("error: ", style="bold red", end="")
    err.print(str(error), markup=False)


def amount(size: int) -> str:
    """Bytes as people read them."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError(size)


def duration(seconds: float) -> str:
    """Seconds as people read them."""
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
