"""A repository's tree at a revision: files by path, nothing checked out, what is no file said."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from forge_dagster.corpus.kinds import git
from forge_dagster.errors import SourceError


def run_git(at: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=at, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits: the first has a.md, the second changes it and adds a program and a link."""
    at = tmp_path / "repository"
    at.mkdir()
    run_git(at, "init", "-q", "-b", "main")
    (at / "a.md").write_text("first")
    run_git(at, "add", ".")
    run_git(at, "commit", "-q", "-m", "one")
    run_git(at, "tag", "v1")
    (at / "a.md").write_text("second")
    (at / "src").mkdir()
    (at / "src" / "b.py").write_text("print()")
    (at / "link").symlink_to("/etc/passwd")
    run_git(at, "add", ".")
    run_git(at, "commit", "-q", "-m", "two")
    return at


def read(at: Path, **settings: object) -> dict[str, bytes | str]:
    found = git.entries(str(at), git.Settings.model_validate(settings))
    return {entry.path: entry.data if entry.data is not None else entry.reason for entry in found}


def test_the_tree_at_a_revision(repository: Path):
    assert read(repository) == {"a.md": b"second", "link": "symlink", "src/b.py": b"print()"}
    assert read(repository, revision="v1") == {"a.md": b"first"}


def test_uncommitted_work_is_not_read(repository: Path):
    (repository / "a.md").write_text("draft")
    (repository / "new.md").write_text("draft")
    assert read(repository)["a.md"] == b"second"
    assert "new.md" not in read(repository)


def test_paths_that_are_not_included_are_said(repository: Path):
    assert read(repository, include=["*.py"]) == {
        "a.md": "not-included",
        "link": "not-included",
        "src/b.py": b"print()",
    }


def test_the_watermark_is_the_commit(repository: Path):
    assert git.watermark(str(repository), git.Settings()) == run_git(repository, "rev-parse", "HEAD")


def test_times_are_the_commits(repository: Path):
    seconds = int(run_git(repository, "log", "-1", "--format=%ct"))
    assert {entry.mtime_ns for entry in git.entries(str(repository), git.Settings()) if entry.data} == {seconds * 10**9}


def test_a_hook_or_filter_of_the_repository_never_runs(repository: Path, tmp_path: Path):
    run_git(repository, "config", "core.fsmonitor", f"touch {tmp_path}/ran")
    (repository / ".gitattributes").write_text("* filter=evil\n")
    run_git(repository, "config", "filter.evil.smudge", f"touch {tmp_path}/ran")
    read(repository)
    assert not (tmp_path / "ran").exists()


def test_what_is_not_there_is_named(repository: Path, tmp_path: Path):
    with pytest.raises(SourceError, match="no git repository"):
        read(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="revision 'v9' is not there"):
        read(repository, revision="v9")


def test_shards_are_the_whole(repository: Path, adds_up: Callable[..., None]):
    adds_up(git.entries, str(repository), git.Settings(include=("*.py", "link")))
