"""`python -m benchmarks [NAME ...] [--option value ...]`: run every benchmark, or these, and print their tables."""

import importlib
import sys
from pathlib import Path

from forge_dagster.environment import close


def main() -> None:
    """Run the benchmarks named on the command line, else all; options go to those that are named."""
    close()
    given = sys.argv[1:]
    first = next((place for place, word in enumerate(given) if word.startswith("-")), len(given))
    options = given[first:]
    names = given[:first] or sorted(
        path.stem for path in Path(__file__).parent.glob("[!_]*.py") if path.stem != "table"
    )
    for name in names:
        benchmark = importlib.import_module(f"benchmarks.{name}").main
        benchmark(options) if options else benchmark()


if __name__ == "__main__":
    main()
