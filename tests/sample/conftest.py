"""A small organisation, generated once for all tests of this folder."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from forge_dagster.sample.generate import SampleReport, generate


class Sample(NamedTuple):
    """A generated folder, its facts and its report."""

    folder: Path
    facts: list[dict[str, Any]]
    report: SampleReport


def read_facts(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of facts.jsonl."""
    return [json.loads(line) for line in (folder / "facts.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """The sample of the repository, made anew: 300 documents from seed 1."""
    folder = tmp_path_factory.mktemp("sample") / "made"
    report = generate(300, 1, folder)
    return Sample(folder, read_facts(folder), report)
