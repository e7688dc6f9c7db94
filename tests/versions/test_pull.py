"""What was lost or damaged here comes back as the ledger states it, or not at all."""

import json
import shutil
from pathlib import Path

import pytest
from versions_case import flip, objects

from forge_dagster.errors import IntegrityError, RemoteError, UserError
from forge_dagster.home import Home
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.provenance.verify import verify
from forge_dagster.versions.needed import find
from forge_dagster.versions.pointer import Version, pointer_path
from forge_dagster.versions.pull import pull
from forge_dagster.versions.push import push, standing
from forge_dagster.versions.track import track


@pytest.fixture
def pushed(home: Home, versions: dict[str, Version], remote: Path) -> dict[str, Version]:
    push(home, standing(home))
    return versions


def verified(home: Home, version: Version) -> bool:
    return verify(home.artifacts, home.ledger, [version]).problems == []


def files(store: ArtifactStore, version: Version) -> dict[str, bytes]:
    folder = store.version(*version)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_version_whose_folder_pointer_and_cache_are_gone(home: Home, pushed: dict[str, Version], store):
    version = pushed["team/release"]
    before = files(store, version)
    shutil.rmtree(store.folder(version[0]))
    shutil.rmtree(home.root / ".dvc" / "cache")
    done = pull(home, *version)
    assert (done.state, done.remote, done.fetched) == ("restored", "backup", len(before) + 1)
    assert files(store, version) == before
    assert store.current(version[0]) == version[1]
    assert pointer_path(store, *version).exists()
    assert verified(home, version)


def test_an_older_version_leaves_the_current_one_current(home: Home, pushed: dict[str, Version], store):
    shutil.rmtree(store.version(*pushed["words"]))
    pull(home, *pushed["words"])
    assert store.current("words") == pushed["newer"][1]
    assert verified(home, pushed["words"])


def test_what_stands_whole_is_not_fetched(home: Home, pushed: dict[str, Version], remote: Path):
    shutil.rmtree(remote)
    assert pull(home, *pushed["prose"]).state == "whole"


def test_what_the_cache_still_has_needs_no_remote(home: Home, pushed: dict[str, Version], remote: Path, store):
    shutil.rmtree(remote)
    shutil.rmtree(store.version(*pushed["prose"]))
    done = pull(home, *pushed["prose"])
    assert (done.state, done.remote) == ("restored", None)
    assert verified(home, pushed["prose"])


def test_a_flipped_byte_that_store_and_cache_share(home: Home, pushed: dict[str, Version], store):
    version = pushed["prose"]
    flip(store.content(*version) / "text.txt")
    assert not verified(home, version)
    done = pull(home, *version)
    assert (done.state, done.fetched) == ("restored", 1)
    assert verified(home, version)
    assert len(list((home.work / "damaged" / "prose").iterdir())) == 1


def test_a_flipped_byte_beside_the_content(home: Home, pushed: dict[str, Version], store):
    version = pushed["prose"]
    before = files(store, version)
    flip(store.version(*version) / "beside" / "run.json")
    assert pull(home, *version).fetched == 1
    assert files(store, version) == before


def test_a_flipped_byte_in_the_cache_does_not_get_into_the_store(home: Home, pushed: dict[str, Version], store):
    version = pushed["prose"]
    before = files(store, version)
    path = store.content(*version) / "text.txt"
    cached = next(p for p in objects(home.root / ".dvc" / "cache") if p.samefile(path))
    cached.unlink()
    cached.write_bytes(b"other bytes")
    assert pull(home, *version).state == "restored"
    cached.chmod(0o644)
    cached.unlink()
    cached.write_bytes(b"other bytes")
    pointer_path(store, *version).unlink()
    track(home)
    assert files(store, version) == before
    assert cached.samefile(path)


def test_a_remote_with_flipped_bytes_restores_nothing(home: Home, pushed: dict[str, Version], remote: Path, store):
    version = pushed["prose"]
    shutil.rmtree(store.version(*version))
    shutil.rmtree(home.root / ".dvc" / "cache")
    for path in objects(remote):
        if not path.name.endswith(".dir"):
            flip(path)
    with pytest.raises((IntegrityError, RemoteError), match="backup"):
        pull(home, *version)
    assert not store.version(*version).exists()
    assert not list(store.folder("prose").glob(".staging-*"))


def test_a_forged_version_with_a_fitting_md5_is_refused(home: Home, pushed: dict[str, Version], store):
    """Who can make two files of one MD5 can put another file where DVC looks for the first."""
    version = pushed["prose"]
    for path in store.content(*version).iterdir():
        cached = next(p for p in objects(home.root / ".dvc" / "cache") if p.samefile(path))
        cached.chmod(0o644)
        cached.unlink()
        cached.write_bytes(b"forged")
    shutil.rmtree(store.version(*version))
    import forge_dagster.versions.pull as module

    held_back = module._hashed
    module._hashed = lambda wanted, progress: [(each, None, 0) for each in wanted]  # as if the MD5 had fitted
    try:
        with pytest.raises(IntegrityError, match="the content has another digest"):
            pull(home, *version)
    finally:
        module._hashed = held_back
    assert not store.version(*version).exists()


def test_a_record_that_the_ledger_does_not_state_is_refused(home: Home, pushed: dict[str, Version], store):
    version = pushed["prose"]
    lines = [json.loads(line) for line in home.ledger.read_text().splitlines()]
    said = next(each for each in lines if each["kind"] == "artifact" and each["statement"]["key"] == "prose")
    said["statement"]["record"] = "0" * 64
    home.ledger.write_text("".join(json.dumps(line) + "\n" for line in lines))
    shutil.rmtree(store.version(*version))
    with pytest.raises(IntegrityError, match="the chain is broken here"):
        pull(home, *version)


def test_what_was_never_pushed_or_tracked_is_said(home: Home, versions: dict[str, Version], remote: Path, store):
    push(home, [versions["words"]])
    version = versions["prose"]
    shutil.rmtree(store.version(*version))
    shutil.rmtree(home.root / ".dvc" / "cache")
    with pytest.raises(RemoteError, match="does not have this version"):
        pull(home, *version)
    with pytest.raises(UserError, match="was never tracked"):
        pull(home, "prose", "0" * 64)


def test_versions_are_found_by_what_the_ledger_says(home: Home, pushed: dict[str, Version], store):
    key, digest = pushed["prose"]
    shutil.rmtree(store.folder(key))
    assert find(home, key) == (key, digest)
    assert find(home, f"{key}@{digest[:8]}") == (key, digest)
    assert find(home, "words") == pushed["newer"]
    assert find(home, f"words@{pushed['words'][1][:10]}") == pushed["words"]
    with pytest.raises(UserError, match="0 versions match"):
        find(home, "prose@ffffffffffff")
    with pytest.raises(UserError, match="0 versions match"):
        find(home, "nothing")
