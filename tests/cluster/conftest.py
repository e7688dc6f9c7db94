"""The small job on an emulated cluster."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from controller import Limits
from step_run import SmallRun, small_run


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Callable[..., SmallRun]]:
    """Make a cluster and a run on it: `limits` of the cluster, and what the compute profile says beside its image."""
    with ExitStack() as stack:
        yield lambda limits=None, **told: stack.enter_context(small_run(tmp_path, limits or Limits(), told))
