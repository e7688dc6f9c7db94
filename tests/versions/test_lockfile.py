"""dvc.lock follows the pointers after runs that DVC did not start."""

import textwrap
from pathlib import Path

import pytest

from forge_dagster.home import Home
from forge_dagster.versions.lockfile import stale_stages
from forge_dagster.versions.pointer import Version
from forge_dagster.versions.track import track


@pytest.fixture
def root(home: Home, versions: dict[str, Version]) -> Path:
    """The repository, with a dvc.yaml over two pointers and one that never came to be."""
    text = """
        stages:
          words: {cmd: make words, outs: [artifacts/words/CURRENT: {cache: false, persist: true}]}
          prose: {cmd: make prose, deps: [artifacts/words/CURRENT],
                 outs: [artifacts/prose/CURRENT: {cache: false, persist: true}]}
          never: {cmd: make never, outs: [artifacts/never/CURRENT: {cache: false, persist: true}]}
        """
    (home.root / "dvc.yaml").write_text(textwrap.dedent(text))
    return home.root


def status(root: Path) -> dict[str, object]:
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        # DVC puts the way from the current folder before the name.
        return {name.rpartition(":")[2]: changes for name, changes in repo.status().items()}


def test_stages_that_stand_are_locked_and_the_others_left(root: Path, home: Home):
    assert stale_stages(root) == ["words", "prose"]
    track(home)
    assert stale_stages(root) == []
    assert list(status(root)) == ["never"]


def test_a_moved_pointer_makes_its_stage_and_those_that_read_it_stale(root: Path, home: Home, versions, store):
    track(home)
    store.point(*versions["words"])
    assert stale_stages(root) == ["words", "prose"]
    assert set(status(root)) == {"never", "words", "prose"}
    track(home)
    assert list(status(root)) == ["never"]


def test_a_lock_file_torn_by_a_crash_or_a_merge_is_written_anew(root: Path, home: Home):
    track(home)
    for text in ("schema: '2.0'\nstages:\n  words: {cm", "<<<<<<< ours\nschema: '2.0'\n", ""):
        (root / "dvc.lock").write_text(text)
        track(home)
        assert list(status(root)) == ["never"]


def test_inside_a_stage_of_dvc_repro_it_is_dvc_that_writes(root: Path, home: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DVC_STAGE", "words")
    track(home)
    assert not (root / "dvc.lock").exists()
