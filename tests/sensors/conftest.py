"""A source that was read once, for the sensors."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import dagster as dg
import pytest
from watched_source import Watched

from forge_dagster.home import Home


@pytest.fixture
def watched(tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """A source with ten documents that was read once."""
    monkeypatch.setenv("FORGE_SOURCES", str(tmp_path / "sources"))
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield read_once(Watched(tmp_path, home, instance))


def read_once(made: Watched) -> Watched:
    """Give it documents, and read them."""
    made.folder.mkdir()
    for number in range(10):
        (made.folder / f"{number}.txt").write_text(f"document {number}")
    made.declare()
    made.finish(made.settle()[0])
    return made


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Watched]:
    """Make watched sources that are cheap to read, each in a home of its own."""
    numbers = count()

    def make() -> Watched:
        root = tmp_path / str(next(numbers))
        root.mkdir()
        monkeypatch.setenv("FORGE_HOME", str(root / "home"))
        monkeypatch.setenv("FORGE_SOURCES", str(root / "sources"))
        return read_once(Watched(root, Home(root / "home"), dg.DagsterInstance.ephemeral(), "quick_snapshot"))

    return make
