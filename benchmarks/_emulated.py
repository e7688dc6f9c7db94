"""The emulated cluster and the small training of the tests, which benchmarks measure with too."""

import sys

from forge_dagster.home import PROJECT

IMAGE = "registry.example.org/forge:0.1.0"


def findable() -> None:
    """Let the modules of tests/cluster and tests/training be imported: the tests are no package."""
    sys.path[:0] = [str(PROJECT / "tests" / part) for part in ("cluster", "training")]
