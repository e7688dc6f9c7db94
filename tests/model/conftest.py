"""A small foreign model as others publish them: a Hugging Face folder, and the same as a GGUF file."""

from collections.abc import Callable
from pathlib import Path

import pytest
from foreign_model import write_folder, write_gguf


@pytest.fixture(scope="session", name="write_folder")
def _write_folder() -> Callable[..., Path]:
    return write_folder


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("published") / "model")


@pytest.fixture(scope="session")
def published_gguf(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "model.gguf", published)
