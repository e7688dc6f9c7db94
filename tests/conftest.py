"""Shared fixtures: a closed environment, and a toy stage that stands in for no library."""

import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from release_case import Candidate

from forge_dagster.environment import close
from forge_dagster.home import Home
from forge_dagster.provenance.build import Built, Order, build
from forge_dagster.provenance.run import Run
from forge_dagster.stage import FrozenModel, LocalContext, NoConfig, Stage, local_context

close()
# A property holds or not; how busy the machine is has no say in it.
settings.register_profile("forge", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("forge")

TOY = """
from forge_dagster.stage import Finding, Report, Stage

def run(inputs, config, out, context):
    context.progress(1, 1, "toy")
    text = "".join((folder / "text.txt").read_text() for _, folder in sorted(inputs.items())) + "{word}"
    (out / "text.txt").write_text(text)
    (context.beside / "times.txt").write_text("now")
    return Report(counts={{"rows": len(text)}})

def check(content):
    text = (content / "text.txt").read_text()
    return [Finding(name="no_x", passed="x" not in text, observed={{"text": text}})]

STAGE = Stage(run=run, check=check, check_names=("no_x",))
"""


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
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home of its own."""
    monkeypatch.setenv("FORGE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home" / "dagster"))
    return Home(tmp_path / "home")


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], str]]:
    """Write a stage module that appends `word` to its inputs' text; return its name."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    made: list[str] = []

    def write(name: str, word: str) -> str:
        (folder / f"{name}.py").write_text(textwrap.dedent(TOY.format(word=word)))
        made.append(name)
        return name

    yield write
    for name in made:
        sys.modules.pop(name, None)


@pytest.fixture
def make(home: Home) -> Callable[..., Built]:
    """Build one artifact of a toy module in a run."""

    def build_one(run: Run, key: str, module: str, force: bool = False, **inputs: str) -> Built:
        run.freeze({})
        order = Order(key=key, module=module, inputs=inputs, external={}, config=NoConfig(), numerics=None, force=force)
        return build(run, order, actor="user:test", say=lambda _: None)

    return build_one


@pytest.fixture
def candidate(tmp_path: Path) -> Candidate:
    """A checkpoint of two stages with all that a release of it reads; its gates pass."""
    return Candidate(tmp_path / "inputs")
