"""Hops run over small folders of rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest


@pytest.fixture
def rows() -> Callable[[Path], list[dict[str, Any]]]:
    """All rows of a Parquet file."""
    return lambda path: pq.read_table(path).to_pylist()
