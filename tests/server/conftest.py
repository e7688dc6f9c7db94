"""A release whose documents can be traced, and a server over it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest
from scripted import REPLY, Scripted, serving

from benchmarks._small_release import KEY, LABEL, small_release
from forge_dagster.home import Home
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.server.opened import Served


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Served]:
    home = Home(tmp_path_factory.mktemp("served") / "home")
    texts = (f"Notes of the harbour. {REPLY} Nothing else was noted.", "Of other things. " * 5, "superseded")
    digest = small_release(home, texts=texts)
    folder = ArtifactStore(home.artifacts).content(KEY, digest) / "model"
    return home, Served(key=KEY, digest=digest, folder=folder, label=LABEL)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """The servers of a test; closed, they end."""
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def serve(place: tuple[Home, Served], stack: ExitStack) -> Callable[..., httpx.Client]:
    """Start a server over an engine; give a client of it."""

    def start(engine: Scripted, **options: object) -> httpx.Client:
        url = stack.enter_context(serving(*place, engine, **options))
        return stack.enter_context(httpx.Client(base_url=url, trust_env=False, timeout=60))

    return start
