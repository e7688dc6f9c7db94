"""Every flipped, missing and truncated file is found, wherever it lies, and mended by the command that is named."""

import shutil
from pathlib import Path

import pytest
from versions_case import flip, objects

from forge_dagster.home import Home
from forge_dagster.versions.fsck import Problem, fsck
from forge_dagster.versions.pointer import Version, pointer_path
from forge_dagster.versions.pull import pull
from forge_dagster.versions.push import push, standing
from forge_dagster.versions.track import track


@pytest.fixture
def pushed(home: Home, versions: dict[str, Version], remote: Path) -> dict[str, Version]:
    push(home, standing(home))
    return versions


def found(home: Home, with_remote: bool = False) -> list[Problem]:
    return fsck(home, with_remote=with_remote).problems


def places(problems: list[Problem]) -> set[tuple[str, str]]:
    return {(problem.place, problem.fault.partition(":")[0]) for problem in problems}


def test_all_is_well_and_every_byte_is_read_once(home: Home, pushed: dict[str, Version], store):
    done = fsck(home)
    inodes = {path.stat().st_ino for version in standing(home) for path in store.version(*version).rglob("*/*")}
    assert done.problems == []
    assert (done.versions, done.untracked, done.unpushed) == (4, [], [])
    assert done.files == len(inodes)


def test_each_file_of_a_version_flipped_in_turn(home: Home, pushed: dict[str, Version], store):
    version = pushed["prose"]
    for path in sorted(store.version(*version).rglob("*")):
        if path.is_file():
            flip(path)
            problems = found(home)
            assert any(problem.path == str(path) and problem.place == "store" for problem in problems), path
            flip(path)
            assert found(home) == []


def test_truncated_longer_and_missing_files_of_the_store(home: Home, pushed: dict[str, Version], store):
    path = store.content(*pushed["prose"]) / "text.txt"
    whole = path.read_bytes()
    for data, fault in ((whole[:-1], "truncated"), (whole + b"x", "longer")):
        path.unlink()
        path.write_bytes(data)
        assert places(found(home)) == {("store", fault)}
    path.unlink()
    assert places(found(home)) == {("store", "missing")}
    (path.parent / "other.txt").write_text("planted")
    assert ("store", "in no record and no list") in places(found(home))
    pull(home, *pushed["prose"])
    assert found(home) == []


def test_a_version_lost_and_the_pointer_lost(home: Home, pushed: dict[str, Version], store):
    shutil.rmtree(store.version(*pushed["prose"]))
    (problem,) = found(home)
    assert (problem.place, problem.fault) == ("store", "missing")
    assert problem.mend == f"forge pull prose@{pushed['prose'][1][:12]}"
    pull(home, *pushed["prose"])
    pointer_path(store, *pushed["prose"]).unlink()
    assert fsck(home).untracked == [f"prose@{pushed['prose'][1][:12]}"]


def test_the_cache_alone(home: Home, pushed: dict[str, Version], store):
    """As with reflinks: the cache's bytes are its own."""
    cached = next(
        path for path in objects(home.root / ".dvc" / "cache")
        if path.samefile(store.content(*pushed["prose"]) / "text.txt")
    )  # fmt: skip
    data = cached.read_bytes()
    cached.unlink()
    assert places(found(home)) == {("cache", "missing")}
    cached.write_bytes(data[:-1] + b"!")
    assert places(found(home)) == {("cache", "flipped bytes")}
    for path in objects(home.root / ".dvc" / "cache"):
        if path.name.endswith(".dir"):
            flip(path)
    assert len([problem for problem in found(home) if problem.path.endswith(".dir")]) == 4
    for version in pushed.values():
        pull(home, *version)
    assert found(home) == []


def test_the_remote(home: Home, pushed: dict[str, Version], remote: Path):
    first, second, third = [path for path in objects(remote) if not path.name.endswith(".dir")][:3]
    flip(first)
    second.chmod(0o644)
    second.write_bytes(second.read_bytes()[:-1])
    third.unlink()
    assert found(home) == []
    problems = found(home, with_remote=True)
    assert {problem.path for problem in problems} == {str(first), str(second), str(third)}
    assert {problem.place for problem in problems} == {"remote"}
    assert all(problem.mend.startswith("forge push --again ") for problem in problems)
    push(home, standing(home), again=True)
    assert found(home, with_remote=True) == []


def test_a_list_that_the_remote_lost_or_that_is_flipped(home: Home, pushed: dict[str, Version], remote: Path):
    lists = [path for path in objects(remote) if path.name.endswith(".dir")]
    lists[0].unlink()
    flip(lists[1])
    assert places(found(home, with_remote=True)) == {("remote", "missing"), ("remote", "flipped bytes")}


def test_what_was_never_pushed_is_no_fault(home: Home, versions: dict[str, Version], remote: Path):
    push(home, [versions["words"]])
    done = fsck(home, with_remote=True)
    assert done.problems == []
    assert len(done.unpushed) == 3


def test_a_broken_chain_is_a_fault(home: Home, versions: dict[str, Version]):
    track(home)
    lines = home.ledger.read_bytes().splitlines(keepends=True)
    home.ledger.write_bytes(b"".join(lines[:1] + lines[2:]))
    assert "ledger" in {problem.place for problem in found(home)}
