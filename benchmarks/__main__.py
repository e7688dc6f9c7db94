"""`python -m benchmarks [NAME ...]`: run every benchmark, or these, and print their tables."""

import importlib
import sys
from pathlib import Path

from forge_dagster.environment import close


def main() -> None:
    """Run the benchmarks named on the command line, else all."""
    close()
    names = sys.argv[1:] or sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py") if path.stem != "table")
    for name in names:
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
