"""The commit and what differs from it, in a checkout made for the test."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forge_dagster.provenance import surroundings as module
from forge_dagster.provenance.surroundings import machine, surroundings


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Run git in a checkout that takes the place of the project."""
    monkeypatch.setattr(module, "PROJECT", tmp_path)

    def git(*arguments: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        done = subprocess.run(["git", *who, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        surroundings.cache_clear()
        return done.stdout.strip()

    yield git
    surroundings.cache_clear()


def test_changes_are_named_by_digest(checkout: Callable[..., str], tmp_path: Path):
    checkout("init", "-q")
    (tmp_path / "a.py").write_text("a = 1\n")
    checkout("add", "a.py")
    checkout("commit", "-qm", "first")
    commit = checkout("rev-parse", "HEAD")
    clean = surroundings()
    assert (clean["commit"], clean["changes"]) == (commit, None)
    seen = set()
    for name, text in (("a.py", "a = 2\n"), ("b.py", "b = 1\n"), ("b.py", "b = 2\n")):
        (tmp_path / name).write_text(text)
        surroundings.cache_clear()
        now = surroundings()
        assert now["commit"] == commit
        seen.add(now["changes"])
    assert len(seen | {None}) == 4
    assert len(str(clean["environment"])) == 64


def test_without_a_checkout_nothing_is_made_up(checkout: Callable[..., str]):
    surroundings.cache_clear()
    assert (surroundings()["commit"], surroundings()["changes"]) == (None, "unknown")


def test_the_lock_and_the_hardware_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    surroundings.cache_clear()
    assert len(str(surroundings()["lock"])) == 64
    found = machine()
    assert found["threads"] >= 1
    assert found["memory_bytes"] > 1 << 28
    assert all(isinstance(name, str) for name in found["gpus"])
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: A Processor 3\nprocessor\t: 1\n")
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "cpuinfo")
    assert machine()["model"] == "A Processor 3"
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "missing")
    assert machine()["model"] is None
