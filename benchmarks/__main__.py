"""`python -m benchmarks [NAME [ARGUMENT ...]]`: run every benchmark, or this one, and print its tables."""

import importlib
import sys
from pathlib import Path

from forge_dagster.environment import close


def main() -> None:
    """Run the benchmark named on the command line with its arguments, else all at their defaults."""
    close()
    name, *arguments = sys.argv[1:] or [""]
    every = sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))
    for each in [name] if name else every:
        importlib.import_module(f"benchmarks.{each}").main(*arguments)


if __name__ == "__main__":
    main()
