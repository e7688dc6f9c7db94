"""One small company for the tests of every kind, and models of every architecture over its tokenizer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported_case import LABEL, Company

from forge_dagster.export import Row, Runner, Source
from forge_dagster.model.runner import Transformers

TEXTS = ("Machine 17 stands in Oslo. It is a kiln, number 51.\n", "On day 6 it doesn't leak, 20.5 % of 1,000.", "a")


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    return Company(tmp_path_factory.mktemp("exports"))


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGE_THREADS", "1")


@pytest.fixture
def source(company: Company, tmp_path: Path) -> Callable[..., Source]:
    def make(architecture: str, **changes: Any) -> Source:
        folder = company.random(architecture, tmp_path / "source", **changes)
        return Source(folder, "small", json.loads((folder / "config.json").read_bytes()), LABEL)

    return make


@pytest.fixture
def apart() -> Callable[[Source, Runner], float]:
    """The largest difference of log p of a token from the original's, over texts of different lengths."""

    def measure(source: Source, runner: Runner) -> float:
        original = Transformers(source.folder)
        asked = [Row([1, *original.encode(text)], 1 + at) for at, text in enumerate(TEXTS[:2])]
        asked.append(Row([1, *original.encode(TEXTS[2])], 1))
        pairs = zip(original.log_probabilities(asked), runner.log_probabilities(asked), strict=True)
        return max(float(np.abs(ours - theirs).max()) for ours, theirs in pairs)

    return measure
