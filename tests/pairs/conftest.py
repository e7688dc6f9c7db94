"""Hops run over small folders of rows."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from forge_dagster.stage import FrozenModel, LocalContext, Stage, local_context


@pytest.fixture
def context(tmp_path: Path) -> LocalContext:
    """A context whose folders outlive the hops."""
    return local_context(tmp_path / "context")


@pytest.fixture
def hop(tmp_path: Path, context: LocalContext) -> Callable[..., Path]:
    """Run a stage into a new folder and return the folder."""

    def run(name: str, stage: Stage, inputs: Mapping[str, Path], config: FrozenModel) -> Path:
        out = tmp_path / "hops" / name
        out.mkdir(parents=True)
        stage.run(inputs, config, out, context)
        return out

    return run


@pytest.fixture
def rows() -> Callable[[Path], list[dict[str, Any]]]:
    """All rows of a Parquet file."""
    return lambda path: pq.read_table(path).to_pylist()
